/* SPDX-License-Identifier: MIT */
/*
 * Whole sessions through the engine: a real client over TLS on a socketpair, a scripted backend on a Unix socket, an
 * audit trail that only acknowledges when told to. Asserts what each far end received, byte for byte, and what was
 * recorded.
 */
#include "world.h"

static void test_whole_stream(void **state)
{
	struct world *w = *state;
	join(w);
	authenticate(w);
	client_send(w, "<message to='a@example.com'><body>h\xc3\xa9&amp;</body></message> <presence/>");
	assert_string_equal(strbuf_text(&w->backend_seen),
			    "<message to='a@example.com'><body>h\xc3\xa9&amp;</body></message> <presence/>");
	backend_send(w, "<message from='a@example.com'><body>x</body></message>");
	assert_string_equal(strbuf_text(&w->seen), "<message from='a@example.com'><body>x</body></message>");
	strbuf_clear(&w->seen);
	strbuf_clear(&w->backend_seen);
	client_send(w, "</stream:stream>");
	assert_string_equal(strbuf_text(&w->backend_seen), "</stream:stream>");
	backend_send(w, "<message/></stream:stream>"); /* what was still under way arrives */
	assert_string_equal(strbuf_text(&w->seen), "<message/></stream:stream>");
	assert_true(w->client_eof && w->backend_eof);
	assert_int_equal(SSL_get_shutdown(w->ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
	assert_int_equal(records(w, "\"action\":\"stream-established\""), 1);
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
	assert_int_equal(records(w, "\"identity\":\"juliet@example.com\""), 1);
	assert_int_equal(records(w, "s3cr3t") + records(w, "AGp1bGlldABzM2NyM3Q"), 0);
}

static void test_nothing_flows_before_the_record_is_acknowledged(void **state)
{
	struct world *w = *state;
	w->hold_answers = true;
	upgrade(w);
	client_send(w, HEADER);
	backend_send(w, BACKEND_HEADER FEATURES);
	assert_int_equal(records(w, "stream-established"), 1);
	assert_int_equal(w->seen.len, 0);
	w->hold_answers = false;
	turns(w);
	assert_string_equal(strbuf_text(&w->seen), BACKEND_HEADER LIMITED_FEATURES);
}

static void test_unwritable_log_refuses(void **state)
{
	struct world *w = *state;
	w->answer_ok = false;
	upgrade(w);
	client_send(w, HEADER);
	backend_send(w, BACKEND_HEADER FEATURES);
	assert_non_null(strstr(strbuf_text(&w->seen), "<internal-server-error"));
	assert_null(strstr(strbuf_text(&w->seen), "PLAIN"));
	assert_int_equal(records(w, "stream-closed"), 1);
}

static void test_unavailable_log_refuses_at_the_door(void **state)
{
	struct world *w = *state;
	w->available = false;
	connect_client(w);
	turns(w);
	assert_true(w->client_eof);
	assert_int_equal(w->seen.len, 0);
	assert_int_equal(records(w, "stream-closed"), 1);
}

static void test_injection_gets_no_proceed(void **state)
{
	struct world *w = *state;
	connect_client(w);
	client_send(w, HEADER);
	strbuf_clear(&w->seen);
	client_send(w, STARTTLS "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>");
	assert_string_equal(strbuf_text(&w->seen), "");
	assert_true(w->client_eof);
	assert_int_equal(w->backend, -1);
	assert_int_equal(records(w, "\"action\":\"starttls-injection\""), 1);
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
}

static void test_white_space_behind_starttls_is_dropped(void **state)
{
	struct world *w = *state;
	connect_client(w);
	client_send(w, HEADER);
	strbuf_clear(&w->seen);
	client_send(w, STARTTLS "\n");
	assert_string_equal(strbuf_text(&w->seen), PROCEED);
	start_tls(w);
}

static void test_backend_down(void **state)
{
	struct world *w = *state;
	close_fd(&w->listening);
	upgrade(w);
	client_send(w, HEADER);
	assert_non_null(
	    strstr(strbuf_text(&w->seen), "<internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"));
	assert_non_null(strstr(strbuf_text(&w->seen), "</stream:error></stream:stream>"));
	assert_null(strstr(strbuf_text(&w->seen), w->dir)); /* nothing of our inside */
	assert_int_equal(SSL_get_shutdown(w->ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
	assert_int_equal(records(w, "\"error\":\"internal-server-error\""), 1);
}

static void test_backend_closes_in_the_middle_of_a_stanza(void **state)
{
	struct world *w = *state;
	join(w);
	authenticate(w);
	backend_send(w, "<message/><message><body>half");
	assert_string_equal(strbuf_text(&w->seen), "<message/>");
	strbuf_clear(&w->seen);
	close_fd(&w->backend);
	turns(w);
	assert_null(strstr(strbuf_text(&w->seen), "half"));
	assert_non_null(strstr(strbuf_text(&w->seen), "<stream:error><internal-server-error"));
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
}

static void test_vanished_client_is_mirrored_without_a_close_tag(void **state)
{
	struct world *w = *state;
	join(w);
	authenticate(w);
	client_send(w, "<presence/><message><body>ha");
	close_fd(&w->client);
	turns(w);
	assert_string_equal(strbuf_text(&w->backend_seen), "<presence/>");
	assert_true(w->backend_eof);
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
}

static void test_vanished_backend_is_mirrored_without_close_notify(void **state)
{
	struct world *w = *state;
	join(w);
	authenticate(w);
	backend_send(w, "<message/>");
	close_fd(&w->backend);
	turns(w);
	assert_string_equal(strbuf_text(&w->seen), "<message/>");
	assert_true(w->client_eof);
	assert_int_equal(SSL_get_shutdown(w->ssl) & SSL_RECEIVED_SHUTDOWN, 0);
}

static void test_back_pressure_holds_both_ways(void **state)
{
	struct world *w = *state;
	join(w);
	authenticate(w);
	size_t body = 100000, count = 40, len = 0, at = 0;
	char *stanza = mem_alloc(body + 64), *all = mem_alloc((body + 64) * count);
	snprintf(stanza, body + 64, "<message><body>%0*d</body></message>", (int)body, 7);
	for (size_t i = 0; i < count; i++) {
		memcpy(all + len, stanza, strlen(stanza));
		len += strlen(stanza);
	}
	/* The backend sends 4 MB while the client reads nothing: no more than the bound is taken from it. */
	for (int i = 0; i < 400; i++) {
		ssize_t n = send(w->backend, all + at, len - at, MSG_NOSIGNAL);
		at += n > 0 ? (size_t)n : 0;
		event_base_loop(w->base, EVLOOP_NONBLOCK);
	}
	assert_true(at < 2 << 20);
	for (int i = 0; i < 4000 && w->seen.len < len; i++) {
		ssize_t n = at < len ? send(w->backend, all + at, len - at, MSG_NOSIGNAL) : 0;
		at += n > 0 ? (size_t)n : 0;
		turns(w);
	}
	assert_int_equal(w->seen.len, len);
	assert_memory_equal(w->seen.data, all, len);
	mem_free(stanza);
	mem_free(all);
}

/* The backend says much and goes; a client that reads slowly, but reads, gets all of it. */
static void test_slow_reader_gets_the_tail(void **state)
{
	struct world *w = *state;
	char buf[20000], *stanza = mem_alloc(100064);
	size_t got = 0, len;
	join(w);
	authenticate(w);
	len = (size_t)snprintf(stanza, 100064, "<message><body>%0*d</body></message>", 100000, 7);
	for (int i = 0; i < 4; i++) {
		for (size_t at = 0; at < len;) {
			ssize_t n = send(w->backend, stanza + at, len - at, MSG_NOSIGNAL);
			at += n > 0 ? (size_t)n : 0;
			event_base_loop(w->base, EVLOOP_NONBLOCK);
		}
	}
	close_fd(&w->backend);
	for (int i = 0; i < 600 && got < 4 * len; i++) {
		usleep(30000);
		event_base_loop(w->base, EVLOOP_NONBLOCK);
		if (i % 10 != 9)
			continue;
		for (size_t piece = 0; piece < sizeof(buf);) {
			int n = SSL_read(w->ssl, buf, (int)(sizeof(buf) - piece));
			if (n <= 0)
				break;
			piece += (size_t)n;
			got += (size_t)n;
		}
	}
	assert_int_equal(got, 4 * len);
	mem_free(stanza);
}

static void test_connection_limit(void **state)
{
	world_new(state, "limits: {connections-per-address: 1}\n");
	struct world *w = *state;
	connect_client(w);
	int first = w->client;
	connect_client(w);
	turns(w);
	assert_true(w->client_eof);
	assert_int_equal(w->seen.len, 0);
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
	close(first);
}

static void test_limit_in_all_says_so(void **state)
{
	world_new(state, "limits: {connections: 1}\n");
	struct world *w = *state;
	connect_client(w);
	int first = w->client;
	connect_client(w);
	turns(w);
	assert_false(w->client_eof);
	client_send(w, HEADER);
	assert_non_null(strstr(strbuf_text(&w->seen), "<stream:error><resource-constraint "));
	assert_true(w->client_eof);
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
	assert_int_equal(records(w, "\"error\":\"resource-constraint\""), 2); /* refused and closed */
	close(first);
}

static void test_blind_after_authentication(void **state)
{
	world_new(state, "limits: {stanza: 0}\n");
	struct world *w = *state;
	join(w);
	authenticate(w);
	strbuf_clear(&w->backend_seen);
	client_send(w, "<message><!-- not looked at any more --><bo");
	assert_string_equal(strbuf_text(&w->backend_seen), "<message><!-- not looked at any more --><bo");
}

static void test_drain(void **state)
{
	world_new(state, "timeouts: {drain: 100ms}\n");
	struct world *w = *state;
	join(w);
	authenticate(w);
	engine_drain(w->engine);
	for (int i = 0; i < 100 && !w->client_eof; i++) {
		usleep(10000);
		turns(w);
	}
	assert_non_null(strstr(strbuf_text(&w->seen), "<stream:error><system-shutdown"));
	assert_non_null(strstr(strbuf_text(&w->backend_seen), "<system-shutdown"));
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	tls_library_init();
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_whole_stream, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_nothing_flows_before_the_record_is_acknowledged, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_unwritable_log_refuses, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_unavailable_log_refuses_at_the_door, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_injection_gets_no_proceed, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_white_space_behind_starttls_is_dropped, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_backend_down, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_backend_closes_in_the_middle_of_a_stanza, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_vanished_client_is_mirrored_without_a_close_tag, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_vanished_backend_is_mirrored_without_close_notify, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_back_pressure_holds_both_ways, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_slow_reader_gets_the_tail, setup, teardown),
	    cmocka_unit_test_teardown(test_connection_limit, teardown),
	    cmocka_unit_test_teardown(test_limit_in_all_says_so, teardown),
	    cmocka_unit_test_teardown(test_blind_after_authentication, teardown),
	    cmocka_unit_test_teardown(test_drain, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

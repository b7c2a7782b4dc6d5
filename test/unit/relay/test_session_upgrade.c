/* SPDX-License-Identifier: MIT */
/*
 * Streams that may go on in plaintext (level may, mode monitor): what the client is shown, that nothing of it passes
 * before it was recorded, the way into TLS from there, and what monitor writes down.
 */
#include "world.h"

#define OFFER "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
#define AUTH "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldABzM2NyM3Q=</auth>"

static int setup_monitor(void **state)
{
	world_new(state, "mode: monitor\n");
	return 0;
}

static int setup_may(void **state)
{
	world_new(state, "policy: {c2s-inbound: may}\n");
	return 0;
}

static int setup_none(void **state)
{
	world_new(state, "policy: {c2s-inbound: none}\n");
	return 0;
}

/* The header goes to the backend at once; its features come back with STARTTLS put in and its own cut out. */
static void shown(struct world *w)
{
	connect_client(w);
	client_send(w, HEADER);
	assert_string_equal(strbuf_text(&w->backend_seen), HEADER);
	strbuf_clear(&w->backend_seen);
	backend_send(w,
		     BACKEND_HEADER "<stream:features>" MECHANISMS "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>"
				    "<required/></starttls></stream:features>");
	assert_string_equal(strbuf_text(&w->seen),
			    BACKEND_HEADER "<stream:features>" OFFER MECHANISMS LIMITS "</stream:features>");
	strbuf_clear(&w->seen);
}

static void test_plaintext_is_recorded_before_it_passes(void **state)
{
	struct world *w = *state;
	shown(w);
	assert_int_equal(records(w, "stream-established"), 0);
	w->hold_answers = true;
	client_send(w, AUTH);
	assert_int_equal(records(w, "stream-established"), 1);
	assert_int_equal(w->backend_seen.len, 0);
	w->hold_answers = false;
	turns(w);
	assert_string_equal(strbuf_text(&w->backend_seen), AUTH);
	assert_int_equal(records(w, "\"action\":\"credentials-exposed\""), 1);
	assert_int_equal(records(w, "\"established\":true"), 0);
	backend_send(w, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
	client_send(w, HEADER);
	backend_send(w, BACKEND_HEADER
		     "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>");
	strbuf_clear(&w->backend_seen);
	client_send(w, "<presence/>");
	assert_string_equal(strbuf_text(&w->backend_seen), "<presence/>");
	assert_null(strstr(strbuf_text(&w->seen), OFFER "<bind")); /* not offered again inside */
	client_send(w, "</stream:stream>");
	backend_send(w, "</stream:stream>");
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
	assert_int_equal(records(w, "s3cr3t") + records(w, "AGp1bGlldABzM2NyM3Q"), 0);
}

static void test_monitor_says_what_enforce_would_refuse(void **state)
{
	struct world *w = *state;
	shown(w);
	client_send(w, AUTH);
	assert_string_equal(strbuf_text(&w->backend_seen), AUTH);
	assert_int_equal(records(w, "\"action\":\"stream-refused\""), 1);
	assert_int_equal(records(w, "\"code\":\"tls-required\""), 1);
	assert_int_equal(records(w, "not refused in mode monitor"), 1);
	assert_true(records(w, "\"mode\":\"monitor\"") >= 2);
}

static void test_may_refuses_nothing_and_objects_to_nothing(void **state)
{
	struct world *w = *state;
	shown(w);
	client_send(w, AUTH);
	assert_string_equal(strbuf_text(&w->backend_seen), AUTH);
	assert_int_equal(records(w, "stream-refused"), 0);
	assert_int_equal(records(w, "\"level\":\"may\""), 2); /* credentials-exposed and stream-established */
}

static void test_starttls_begins_anew(void **state)
{
	struct world *w = *state;
	shown(w);
	int old = w->backend;
	client_send(w, STARTTLS);
	assert_string_equal(strbuf_text(&w->seen), PROCEED);
	assert_true(w->backend_eof); /* the plaintext stream's backend leg is gone */
	strbuf_clear(&w->seen);
	assert_int_equal(w->backend_seen.len, 0);
	close(old);
	w->backend = -1;
	w->backend_eof = false;
	start_tls(w);
	client_send(w, HEADER);
	assert_string_equal(strbuf_text(&w->backend_seen), HEADER);
	backend_send(w, BACKEND_HEADER FEATURES);
	assert_string_equal(strbuf_text(&w->seen), BACKEND_HEADER LIMITED_FEATURES);
	assert_int_equal(records(w, "stream-established"), 1);
	assert_int_equal(records(w, "\"result\":\"negotiated\""), 1);
	assert_int_equal(records(w, "stream-refused"), 0);
	strbuf_clear(&w->backend_seen);
	authenticate(w);
	client_send(w, "<presence/>");
	assert_string_equal(strbuf_text(&w->backend_seen), "<presence/>");
}

static void test_starttls_pipelined_behind_the_header(void **state)
{
	struct world *w = *state;
	connect_client(w);
	client_send(w, HEADER STARTTLS "\n");
	assert_string_equal(strbuf_text(&w->backend_seen), HEADER);
	backend_send(w, BACKEND_HEADER FEATURES);
	assert_string_equal(strbuf_text(&w->seen),
			    BACKEND_HEADER "<stream:features>" OFFER MECHANISMS LIMITS "</stream:features>" PROCEED);
	start_tls(w);
}

static void test_injection_is_refused_also_here(void **state)
{
	struct world *w = *state;
	shown(w);
	client_send(w, STARTTLS AUTH);
	assert_int_equal(w->seen.len, 0);
	assert_int_equal(w->backend_seen.len, 0);
	assert_true(w->client_eof);
	assert_int_equal(records(w, "\"action\":\"starttls-injection\""), 1);
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
}

static void test_bytewise_starttls(void **state)
{
	struct world *w = *state;
	shown(w);
	for (const char *at = STARTTLS; *at != '\0'; at++) {
		char one[2] = {*at, '\0'};
		client_send(w, one);
	}
	assert_string_equal(strbuf_text(&w->seen), PROCEED);
	assert_int_equal(w->backend_seen.len, 0);
}

static void test_level_none_offers_nothing(void **state)
{
	struct world *w = *state;
	connect_client(w);
	client_send(w, HEADER);
	backend_send(w, BACKEND_HEADER "<stream:features>" STARTTLS MECHANISMS "</stream:features>");
	assert_string_equal(strbuf_text(&w->seen), BACKEND_HEADER LIMITED_FEATURES);
	strbuf_clear(&w->seen);
	client_send(w, STARTTLS);
	assert_non_null(
	    strstr(strbuf_text(&w->seen), "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"));
}

static void test_unwritable_log_refuses_plaintext_too(void **state)
{
	struct world *w = *state;
	shown(w);
	w->answer_ok = false;
	client_send(w, AUTH);
	assert_int_equal(strncmp(strbuf_text(&w->backend_seen), AUTH, 5) == 0, 0);
	assert_non_null(strstr(strbuf_text(&w->seen), "<internal-server-error"));
}

/* Only the audit log lets plaintext go on, whatever the backend says meanwhile. */
static void test_backend_cannot_release_what_is_not_recorded(void **state)
{
	struct world *w = *state;
	shown(w);
	w->hold_answers = true;
	client_send(w, AUTH);
	backend_send(w, "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>");
	assert_int_equal(w->backend_seen.len, 0);
	backend_send(w, "</stream:stream>");
	assert_int_equal(w->backend_seen.len, 0);
	w->hold_answers = false;
	turns(w);
	assert_int_equal(strncmp(strbuf_text(&w->backend_seen), "<auth", 5), 0);
}

static void test_nothing_follows_the_close_tag(void **state)
{
	struct world *w = *state;
	shown(w);
	backend_send(w, "</stream:stream>");
	client_send(w, STARTTLS);
	assert_null(strstr(strbuf_text(&w->seen), "<proceed"));
	assert_int_equal(records(w, "\"result\":\"negotiated\""), 0);
}

static void test_log_that_hangs(void **state)
{
	world_new(state, "policy: {c2s-inbound: may}\ntimeouts: {negotiation: 200ms}\naudit: {on-failure: continue}\n");
	struct world *w = *state;
	shown(w);
	w->hold_answers = true;
	client_send(w, AUTH);
	for (int i = 0; i < 100 && w->backend_seen.len == 0; i++) {
		usleep(20000);
		turns(w);
	}
	assert_string_equal(strbuf_text(&w->backend_seen), AUTH);
}

static void test_leaving_while_undecided(void **state)
{
	struct world *w = *state;
	shown(w);
	close_fd(&w->client);
	turns(w);
	assert_true(w->backend_eof);
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
	assert_int_equal(records(w, "\"code\":\"peer-gone\""), 1);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	tls_library_init();
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_plaintext_is_recorded_before_it_passes, setup_monitor, teardown),
	    cmocka_unit_test_setup_teardown(test_monitor_says_what_enforce_would_refuse, setup_monitor, teardown),
	    cmocka_unit_test_setup_teardown(test_may_refuses_nothing_and_objects_to_nothing, setup_may, teardown),
	    cmocka_unit_test_setup_teardown(test_starttls_begins_anew, setup_monitor, teardown),
	    cmocka_unit_test_setup_teardown(test_starttls_pipelined_behind_the_header, setup_may, teardown),
	    cmocka_unit_test_setup_teardown(test_injection_is_refused_also_here, setup_monitor, teardown),
	    cmocka_unit_test_setup_teardown(test_bytewise_starttls, setup_may, teardown),
	    cmocka_unit_test_setup_teardown(test_level_none_offers_nothing, setup_none, teardown),
	    cmocka_unit_test_setup_teardown(test_unwritable_log_refuses_plaintext_too, setup_monitor, teardown),
	    cmocka_unit_test_setup_teardown(test_leaving_while_undecided, setup_monitor, teardown),
	    cmocka_unit_test_setup_teardown(test_backend_cannot_release_what_is_not_recorded, setup_may, teardown),
	    cmocka_unit_test_setup_teardown(test_nothing_follows_the_close_tag, setup_may, teardown),
	    cmocka_unit_test_teardown(test_log_that_hangs, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

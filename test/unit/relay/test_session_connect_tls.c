/* SPDX-License-Identifier: MIT */
/*
 * Whole sessions whose backend speaks TLS, or should: what each side received, what was recorded, and that plaintext is
 * never taken where TLS was asked for.
 */
#include "world.h"

#define ANSWER BACKEND_HEADER "<stream:features>" STARTTLS "</stream:features>"
#define INSIDE                                                                          \
	"<?xml version='1.0'?><stream:stream from='example.com' id='l2' version='1.0' " \
	"xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
#define REFUSED "<internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
#define FAILURE "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"

/* The backend's end of the leg once it speaks TLS. */
static struct server {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
	struct strbuf seen;
	bool eof;
} server;

static void begin(void **state, enum backend_tls tls, const char *more)
{
	char *yaml = mem_printf("tls: {ca-file: c.pem}\n%s", more);
	struct errbuf err = {""};
	struct world *w;
	world_new(state, yaml);
	mem_free(yaml);
	w = *state;
	engine_free(&w->engine);
	tls_store_unref(&w->store);
	w->config->domains[0].backend.tls = (int)tls;
	w->store = tls_store_new(w->config, &w->shared->tickets, &err);
	assert_non_null(w->store);
	struct engine_params params = {.base = w->base,
				       .config = w->config,
				       .store = w->store,
				       .shared = w->shared,
				       .trail = {submit, forget, available, w}};
	w->engine = engine_new(&params);
	memset(&server, 0, sizeof(server));
	server.fd = -1;
	strbuf_init(&server.seen, 1 << 20);
}

static int end(void **state)
{
	int result = teardown(state);
	SSL_free(server.ssl);
	SSL_CTX_free(server.ctx);
	close_fd(&server.fd);
	strbuf_fini(&server.seen);
	return result;
}

/* The client's header inside TLS has reached the backend, which is in plaintext so far. */
static void reach_backend(struct world *w)
{
	upgrade(w);
	client_send(w, HEADER);
	assert_string_equal(strbuf_text(&w->backend_seen), HEADER);
	strbuf_clear(&w->backend_seen);
}

static void ask(struct world *w)
{
	reach_backend(w);
	backend_send(w, ANSWER);
	assert_string_equal(strbuf_text(&w->backend_seen), STARTTLS);
	assert_int_equal(w->seen.len, 0);
	strbuf_clear(&w->backend_seen);
}

/* own: with the certificate of the configuration, which is its only authority too. */
static void server_context(const struct config_domain *domain, bool own)
{
	char *other_cert = NULL, *other_key = NULL;
	make_certificate(&other_cert, &other_key);
	BIO *cert = BIO_new_mem_buf(own ? domain->certificate.data : other_cert, -1);
	BIO *key = BIO_new_mem_buf(own ? domain->private_key.data : other_key, -1);
	X509 *x509 = PEM_read_bio_X509(cert, NULL, NULL, NULL);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
	server.ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(server.ctx, x509), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(server.ctx, pkey), 1);
	X509_free(x509);
	EVP_PKEY_free(pkey);
	BIO_free(cert);
	BIO_free(key);
	mem_free(other_cert);
	mem_free(other_key);
}

static void server_turns(struct world *w)
{
	char buf[65536];
	for (int i = 0; i < 4; i++) {
		turns(w);
		int n = SSL_read(server.ssl, buf, sizeof(buf));
		if (n > 0)
			strbuf_add(&server.seen, buf, (size_t)n);
		else if (SSL_get_error(server.ssl, n) != SSL_ERROR_WANT_READ)
			server.eof = true;
	}
}

static void server_send(struct world *w, const char *text)
{
	assert_int_equal(SSL_write(server.ssl, text, (int)strlen(text)), (int)strlen(text));
	server_turns(w);
}

/* The backend says <proceed/> and takes the connection into TLS, as far as that goes. */
static void proceed(struct world *w, bool own)
{
	server_context(&w->config->domains[0], own);
	server.ssl = SSL_new(server.ctx);
	backend_send(w, PROCEED);
	assert_int_equal(w->backend_seen.data[0], 0x16);
	server.fd = w->backend;
	w->backend = -1;
	/* What turns() has read already is the ClientHello: OpenSSL gets it, then the socket. */
	BIO *first = BIO_new_mem_buf(w->backend_seen.data, (int)w->backend_seen.len);
	BIO *out = BIO_new_socket(server.fd, BIO_NOCLOSE);
	BIO_set_mem_eof_return(first, -1);
	SSL_set_bio(server.ssl, first, out);
	SSL_set_accept_state(server.ssl);
	SSL_do_handshake(server.ssl);
	BIO_up_ref(out);
	SSL_set0_rbio(server.ssl, out);
	for (int i = 0; i < 20 && !SSL_is_init_finished(server.ssl) && !server.eof; i++) {
		turns(w);
		int result = SSL_do_handshake(server.ssl);
		server.eof = result <= 0 && SSL_get_error(server.ssl, result) != SSL_ERROR_WANT_READ;
	}
	server_turns(w);
}

static struct engine_stream described;

static void keep_stream(void *ctx, const struct engine_stream *stream)
{
	(void)ctx;
	described = *stream;
}

static const struct engine_stream *only_stream(const struct world *w)
{
	memset(&described, 0, sizeof(described));
	engine_streams(w->engine, keep_stream, NULL);
	return &described;
}

#define INNER_TLS "\"inner\":{\"tls\":{\"established\":true,\"version\":\"1.3\""
#define NO_INNER_TLS "\"inner\":{\"tls\":{\"established\":false}}"

static void test_verified(void **state)
{
	begin(state, BACKEND_TLS_REQUIRED, "");
	struct world *w = *state;
	ask(w);
	proceed(w, true);
	assert_string_equal(strbuf_text(&server.seen), HEADER); /* once more, byte for byte */
	strbuf_clear(&server.seen);
	server_send(w, INSIDE FEATURES);
	assert_string_equal(strbuf_text(&w->seen),
			    INSIDE LIMITED_FEATURES); /* and nothing of what was said before TLS */
	strbuf_clear(&w->seen);
	assert_string_equal(only_stream(w)->inner_tls, "1.3");
	assert_non_null(strstr(only_stream(w)->inner_cipher, "TLS_"));
	client_send(w, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldABzM2NyM3Q=</auth>");
	server_turns(w);
	assert_non_null(strstr(strbuf_text(&server.seen), "AGp1bGlldABzM2NyM3Q="));
	server_send(w, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
	assert_non_null(strstr(strbuf_text(&w->seen), "<success"));
	assert_int_equal(records(w, INNER_TLS), 1);
	assert_int_equal(records(w, "\"verification\":{\"method\":\"pkix\",\"result\":\"verified\"}"), 1);
	assert_int_equal(records(w, "\"server_name\":\"example.com\""), 2); /* both legs */
}

/* Where nothing is offered it is asked for all the same (STRIP-1). */
static void test_not_offered(void **state)
{
	begin(state, BACKEND_TLS_REQUIRED, "");
	struct world *w = *state;
	reach_backend(w);
	backend_send(w, BACKEND_HEADER FEATURES);
	assert_string_equal(strbuf_text(&w->backend_seen), STARTTLS);
	strbuf_clear(&w->backend_seen);
	proceed(w, true);
	server_send(w, INSIDE FEATURES);
	assert_string_equal(strbuf_text(&w->seen), INSIDE LIMITED_FEATURES);
}

/* Nobody gets on without TLS where it is required: refused, recorded, and no second connection. */
static void refused(struct world *w, const char *why)
{
	assert_non_null(strstr(strbuf_text(&w->seen), REFUSED));
	assert_null(strstr(strbuf_text(&w->seen), "PLAIN"));
	assert_int_equal(records(w, "\"action\":\"stream-refused\""), 1);
	assert_int_equal(records(w, "\"action\":\"stream-established\""), 0);
	if (records(w, why) == 0)
		fail_msg("not in the records: %s\n%s", why, strbuf_text(&w->log));
	close_fd(&w->backend);
	turns(w);
	assert_int_equal(w->backend, -1);
}

static void test_required_and_unverified(void **state)
{
	begin(state, BACKEND_TLS_REQUIRED, "");
	struct world *w = *state;
	ask(w);
	proceed(w, false);
	assert_true(server.eof);
	assert_int_equal(server.seen.len, 0);
	refused(w, "TLS with the legacy server failed: the certificate is self-signed and not among those trusted");
}

static void test_required_and_no_tls(void **state)
{
	static const char *const answers[] = {
	    FAILURE,
	    "<stream:error><unsupported-stanza-type xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
	    "<message/>", "</stream:stream>"};
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		begin(state, BACKEND_TLS_REQUIRED, "");
		struct world *w = *state;
		ask(w);
		backend_send(w, answers[i]);
		assert_string_equal(strbuf_text(&w->backend_seen), "</stream:stream>");
		refused(w, "\"code\":\"backend-tls\"");
		if (i + 1 < sizeof(answers) / sizeof(answers[0]))
			end(state);
	}
}

static void test_required_and_gone(void **state)
{
	begin(state, BACKEND_TLS_REQUIRED, "");
	struct world *w = *state;
	ask(w);
	close_fd(&w->backend);
	turns(w);
	refused(w, "\"code\":\"backend-tls\"");
}

/* Rule 2, NEG-8: an attack, and no reason to go on in any way, opportunistic or not. */
static void injected(void **state, enum backend_tls tls, const char *behind)
{
	char *text = mem_printf("%s%s", PROCEED, behind);
	begin(state, tls, "");
	struct world *w = *state;
	ask(w);
	backend_send(w, text);
	mem_free(text);
	assert_int_equal(w->backend_seen.len, 0);
	assert_int_equal(records(w, "\"action\":\"starttls-injection\""), 1);
	refused(w, "\"code\":\"backend-injection\"");
}

static void test_injection(void **state)
{
	injected(state, BACKEND_TLS_REQUIRED, "\n");
	end(state);
	injected(state, BACKEND_TLS_REQUIRED, INSIDE FEATURES);
	end(state);
	injected(state, BACKEND_TLS_OPPORTUNISTIC, INSIDE FEATURES);
	end(state);
	injected(state, BACKEND_TLS_OPPORTUNISTIC, "\x16\x03\x03");
}

static void test_opportunistic_and_unverified(void **state)
{
	begin(state, BACKEND_TLS_OPPORTUNISTIC, "");
	struct world *w = *state;
	ask(w);
	proceed(w, false);
	assert_string_equal(strbuf_text(&server.seen), HEADER);
	server_send(w, INSIDE FEATURES);
	assert_string_equal(strbuf_text(&w->seen), INSIDE LIMITED_FEATURES);
	assert_int_equal(records(w, INNER_TLS), 1);
	assert_int_equal(records(w, "\"result\":\"unverified\",\"reason\":\"the certificate is self-signed"), 1);
}

/* The old connection ends, a new one is made that hears nothing of TLS, and all works. */
static void goes_on_in_plaintext(struct world *w)
{
	turns(w);
	assert_int_equal(w->seen.len, 0);
	if (w->backend_eof) {
		close_fd(&w->backend);
		strbuf_clear(&w->backend_seen);
		w->backend_eof = false;
		turns(w);
	}
	assert_true(w->backend >= 0);
	assert_string_equal(strbuf_text(&w->backend_seen), HEADER);
	strbuf_clear(&w->backend_seen);
	backend_send(w, BACKEND_HEADER "<stream:features>" STARTTLS MECHANISMS "</stream:features>");
	assert_string_equal(strbuf_text(&w->seen), BACKEND_HEADER LIMITED_FEATURES);
	assert_string_equal(strbuf_text(&w->backend_seen), "");
	strbuf_clear(&w->seen);
	assert_int_equal(records(w, "\"action\":\"stream-established\""), 1);
	assert_int_equal(records(w, NO_INNER_TLS), 1);
	authenticate(w);
	assert_string_equal(only_stream(w)->inner_tls, "");
}

static void test_opportunistic_and_failure(void **state)
{
	begin(state, BACKEND_TLS_OPPORTUNISTIC, "");
	struct world *w = *state;
	ask(w);
	backend_send(w, FAILURE);
	assert_true(w->backend_eof);
	goes_on_in_plaintext(w);
}

static void test_opportunistic_and_gone(void **state)
{
	begin(state, BACKEND_TLS_OPPORTUNISTIC, "");
	struct world *w = *state;
	ask(w);
	close_fd(&w->backend);
	goes_on_in_plaintext(w);
}

static void test_opportunistic_and_broken_handshake(void **state)
{
	begin(state, BACKEND_TLS_OPPORTUNISTIC, "");
	struct world *w = *state;
	ask(w);
	backend_send(w, PROCEED);
	assert_int_equal(w->backend_seen.data[0], 0x16);
	backend_send(w, "<no-tls/>");
	goes_on_in_plaintext(w);
}

/* Silence must not use up the time for the second connection. */
static void test_opportunistic_and_silent(void **state)
{
	begin(state, BACKEND_TLS_OPPORTUNISTIC, "timeouts: {connect: 300ms}\n");
	struct world *w = *state;
	ask(w);
	for (int i = 0; i < 200 && !w->backend_eof; i++) {
		usleep(10000);
		turns(w);
	}
	assert_true(w->backend_eof);
	goes_on_in_plaintext(w);
}

/* A backend that is refused as a stream is refused without TLS too: no second connection. */
static void test_opportunistic_and_refused_before(void **state)
{
	begin(state, BACKEND_TLS_OPPORTUNISTIC, "");
	struct world *w = *state;
	reach_backend(w);
	backend_send(w, BACKEND_HEADER "<stream:error><host-gone xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
				       "</stream:error></stream:stream>");
	assert_non_null(strstr(strbuf_text(&w->seen), "<host-gone"));
	close_fd(&w->backend);
	turns(w);
	assert_int_equal(w->backend, -1);
}

/* Once it was encrypted there is no way back. */
static void test_no_plaintext_after_tls(void **state)
{
	begin(state, BACKEND_TLS_OPPORTUNISTIC, "");
	struct world *w = *state;
	ask(w);
	proceed(w, false);
	close_fd(&server.fd);
	turns(w);
	assert_non_null(strstr(strbuf_text(&w->seen), REFUSED));
	turns(w);
	assert_int_equal(w->backend, -1);
}

/* The backend cannot be reached a second time. */
static void test_second_connection_fails(void **state)
{
	begin(state, BACKEND_TLS_OPPORTUNISTIC, "");
	struct world *w = *state;
	ask(w);
	close_fd(&w->listening);
	backend_send(w, FAILURE);
	assert_non_null(strstr(strbuf_text(&w->seen), REFUSED));
	assert_int_equal(records(w, "\"code\":\"backend-down\""), 1);
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
}

/* The client goes away in each state of the attempt. */
static void test_client_leaves(void **state)
{
	for (int when = 0; when < 3; when++) {
		begin(state, BACKEND_TLS_OPPORTUNISTIC, "");
		struct world *w = *state;
		ask(w);
		if (when == 1)
			backend_send(w, PROCEED);
		if (when == 2) /* both in one turn of the loop */
			assert_true(send(w->backend, FAILURE, strlen(FAILURE), 0) > 0);
		close_fd(&w->client);
		turns(w);
		assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
		if (when < 2)
			end(state);
	}
}

static void test_drain_in_the_handshake(void **state)
{
	begin(state, BACKEND_TLS_REQUIRED, "timeouts: {drain: 100ms}\n");
	struct world *w = *state;
	ask(w);
	backend_send(w, PROCEED);
	strbuf_clear(&w->backend_seen);
	engine_drain(w->engine);
	for (int i = 0; i < 100 && !w->client_eof; i++) {
		usleep(10000);
		turns(w);
	}
	assert_non_null(strstr(strbuf_text(&w->seen), "<system-shutdown"));
	assert_int_equal(w->backend_seen.len, 0); /* NEG-11: no XML, and no TLS begun for it */
}

/* SASL-3: the backend's TLS is not the client's, so a channel binding to it cannot work. */
static void test_channel_binding_conflict(void **state)
{
	begin(state, BACKEND_TLS_REQUIRED, "");
	struct world *w = *state;
	ask(w);
	proceed(w, true);
	server_send(w, INSIDE "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
			      "<mechanism>SCRAM-SHA-256-PLUS</mechanism></mechanisms></stream:features>");
	assert_non_null(strstr(strbuf_text(&w->seen), "SCRAM-SHA-256-PLUS")); /* reported, never edited */
	assert_int_equal(records(w, "\"action\":\"channel-binding-conflict\""), 1);
}

/* The backend's TLS breaks in the middle of a stream: our inside, so no TLS fault of the client's. */
static void test_tls_breaks_while_joined(void **state)
{
	begin(state, BACKEND_TLS_REQUIRED, "");
	struct world *w = *state;
	ask(w);
	proceed(w, true);
	server_send(w, INSIDE FEATURES);
	strbuf_clear(&w->seen);
	assert_int_equal(send(server.fd, "<message/>", 10, MSG_NOSIGNAL), 10);
	turns(w);
	assert_non_null(strstr(strbuf_text(&w->seen), REFUSED));
	assert_null(strstr(strbuf_text(&w->seen), "<message/>"));
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
	assert_int_equal(records(w, "\"code\":\"backend-tls\""), 2);
}

/* Both streams close inside TLS: close_notify goes across too. */
static void test_clean_close(void **state)
{
	begin(state, BACKEND_TLS_REQUIRED, "");
	struct world *w = *state;
	ask(w);
	proceed(w, true);
	server_send(w, INSIDE FEATURES);
	strbuf_clear(&server.seen);
	client_send(w, "</stream:stream>");
	server_turns(w);
	assert_string_equal(strbuf_text(&server.seen), "</stream:stream>");
	server_send(w, "</stream:stream>");
	assert_true(server.eof && w->client_eof);
	assert_int_equal(SSL_get_shutdown(server.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
	assert_int_equal(records(w, "\"code\":\"closed\""), 1);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	tls_library_init();
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_verified, end),
	    cmocka_unit_test_teardown(test_not_offered, end),
	    cmocka_unit_test_teardown(test_required_and_unverified, end),
	    cmocka_unit_test_teardown(test_required_and_no_tls, end),
	    cmocka_unit_test_teardown(test_required_and_gone, end),
	    cmocka_unit_test_teardown(test_injection, end),
	    cmocka_unit_test_teardown(test_opportunistic_and_unverified, end),
	    cmocka_unit_test_teardown(test_opportunistic_and_failure, end),
	    cmocka_unit_test_teardown(test_opportunistic_and_gone, end),
	    cmocka_unit_test_teardown(test_opportunistic_and_broken_handshake, end),
	    cmocka_unit_test_teardown(test_opportunistic_and_silent, end),
	    cmocka_unit_test_teardown(test_opportunistic_and_refused_before, end),
	    cmocka_unit_test_teardown(test_no_plaintext_after_tls, end),
	    cmocka_unit_test_teardown(test_second_connection_fails, end),
	    cmocka_unit_test_teardown(test_client_leaves, end),
	    cmocka_unit_test_teardown(test_drain_in_the_handshake, end),
	    cmocka_unit_test_teardown(test_channel_binding_conflict, end),
	    cmocka_unit_test_teardown(test_tls_breaks_while_joined, end),
	    cmocka_unit_test_teardown(test_clean_close, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

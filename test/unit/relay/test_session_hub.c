/* SPDX-License-Identifier: MIT */
/* Sessions of a hub: each pair of domains has a session and a record of its own, the connection counts once for its
 * address, and whatever ends it ends all of it. */
#include "world.h"

#include <poll.h>

#include "base/clock.h"

#define NS_STREAM "http://etherx.jabber.org/streams"
#define NAMELESS "<stream:stream xmlns:stream='" NS_STREAM "' xmlns='jabber:server' xmlns:db='jabber:server:dialback'>"
#define RESULT(from, to) "<db:result from='" from "' to='" to "'>key</db:result>"
#define REFUSED(from, to, type, condition)                                                       \
	"<db:result from='" from "' to='" to "' type='error'><error type='" type "'><" condition \
	" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>"

static struct resolver *resolver;

static char *read_with_anchor(void *ctx, const char *path, int secret, size_t *len_out, struct errbuf *err)
{
	static const char anchor[] =
	    ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n";
	if (strstr(path, ".ds") == NULL)
		return read_memory(ctx, path, secret, len_out, err);
	*len_out = strlen(anchor);
	return mem_strdup(anchor);
}

/* Peer memory that never answers: a session waits for it. */
static uint64_t ask(void *ctx, const char *domain, enum peer_service service, peer_answer_fn *answer, void *answer_ctx)
{
	(void)ctx, (void)domain, (void)service, (void)answer, (void)answer_ctx;
	return 9;
}

static void forget_question(void *ctx, uint64_t ticket)
{
	(void)ctx;
	assert_int_equal(ticket, 9);
}

static void observe(void *ctx, const struct peer_observation *seen)
{
	(void)ctx, (void)seen;
}

static struct config *load_outbound(const char *more)
{
	char *files[3];
	files[0] = mem_printf("listeners:\n  - {role: s2s-outbound, address: '127.0.0.1:5270'}\n"
			      "domains:\n  - name: example.com\n    certificate: c.pem\n    private-key: k.pem\n"
			      "    backend: {s2s: '127.0.0.1:15269'}\n"
			      "dns: {servers: ['127.0.0.1@1'], trust-anchor: a.ds}\n%s",
			      more);
	make_certificate(&files[1], &files[2]);
	struct file_source source = {read_with_anchor, files};
	struct config *config = load_good(&source);
	for (int i = 0; i < 3; i++)
		mem_free(files[i]);
	return config;
}

static void outbound(struct world *w, const char *more)
{
	struct config *config = load_outbound(more);
	struct errbuf err = {""};
	struct tls_store *store = tls_store_new(config, &w->shared->tickets, &err);
	assert_non_null(store);
	engine_reload(w->engine, config, store);
	tls_store_unref(&store);
	config_unref(&config);
}

static int setup_hub(void **state)
{
	world_new(state, "limits: {connections-per-address: 2, connections: 5}\n");
	struct world *w = *state;
	struct config *config = load_outbound("limits: {connections-per-address: 2, connections: 5}\n");
	struct errbuf err = {""};
	resolver = resolver_new(w->base, &config->dns, &err);
	assert_non_null(resolver);
	struct engine_params params = {
	    .base = w->base,
	    .config = config,
	    .store = w->store,
	    .shared = w->shared,
	    .trail = {submit, forget, available, w},
	    .recall = {ask, forget_question, observe, w},
	    .resolver = resolver,
	};
	engine_free(&w->engine);
	w->engine = engine_new(&params);
	config_unref(&config);
	return 0;
}

static int teardown_hub(void **state)
{
	struct world *w = *state;
	engine_free(&w->engine);
	resolver_free(&resolver);
	return teardown(state);
}

static int new_legacy(struct world *w)
{
	int pair[2];
	struct addr peer;
	const char *why;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(addr_parse(&peer, "127.0.0.1:40000", false, &why), 0);
	engine_accept(w->engine, 0, pair[0], &peer);
	return pair[1];
}

static void begin(struct world *w)
{
	w->client = new_legacy(w);
	client_send(w, NAMELESS);
	assert_non_null(strstr(strbuf_text(&w->seen), "<stream:stream id='"));
	strbuf_clear(&w->seen);
}

/* Turns until the legacy server has seen so many bytes. */
static void await(struct world *w, size_t len)
{
	uint64_t end = clock_ms() + 5000;
	while (w->seen.len < len && !w->client_eof && clock_ms() < end) {
		event_base_loop(w->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		turns(w);
	}
}

static void await_eof(struct world *w)
{
	await(w, SIZE_MAX);
	assert_true(w->client_eof);
}

static void each_pair_is_recorded(void **state)
{
	struct world *w = *state;
	static const char answer[] = REFUSED("b.example", "not-ours.example", "auth", "not-authorized");
	begin(w);
	client_send(w, RESULT("not-ours.example", "b.example"));
	await(w, strlen(answer));
	assert_string_equal(strbuf_text(&w->seen), answer);
	strbuf_clear(&w->seen);
	assert_int_equal(records(w, "\"action\":\"stream-refused\""), 1);
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
	assert_int_equal(records(w, "\"from\":\"not-ours.example\",\"to\":\"b.example\""), 2);
	assert_int_equal(records(w, "\"port\":40000"), 2);
	client_send(w, "</stream:stream>");
	await_eof(w);
	assert_string_equal(strbuf_text(&w->seen), "</stream:stream>");
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 2);
	assert_int_equal(records(w, "\"action\":\"stream-refused\""), 1);
	close_fd(&w->client);
	turns(w);
	assert_int_equal(engine_count(w->engine), 0);
}

/* One for an address, five in all: the legacy side and its spokes count in the total alone. */
static void limits(void **state)
{
	struct world *w = *state;
	static const char refused[] = REFUSED("c.example", "example.com", "wait", "resource-constraint");
	begin(w);
	outbound(w, "limits: {connections-per-address: 1, connections: 5}\n"
		    "peers: [{domain: '*.example', connect: '127.0.0.1:1'}]\n");
	client_send(w, RESULT("example.com", "a.example"));
	client_send(w, RESULT("example.com", "b.example"));
	assert_int_equal(engine_count(w->engine), 3);
	int second = new_legacy(w), third = new_legacy(w);
	assert_int_equal(engine_count(w->engine), 5);
	client_send(w, RESULT("example.com", "c.example"));
	await(w, strlen(refused));
	assert_string_equal(strbuf_text(&w->seen), refused);
	close(second);
	close(third);
}

static void stanza_without_proof(void **state)
{
	struct world *w = *state;
	begin(w);
	client_send(w, "<message from='a@example.com' to='b@b.example'/>");
	await_eof(w);
	assert_string_equal(strbuf_text(&w->seen),
			    "<stream:error><invalid-from xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
			    "</stream:error></stream:stream>");
	assert_int_equal(records(w, "\"error\":\"invalid-from\""), 2);
	assert_int_equal(records(w, "\"action\":\"stanza-violation\""), 0);
}

static void restricted_xml(void **state)
{
	struct world *w = *state;
	begin(w);
	client_send(w, "<!-- -->");
	await_eof(w);
	assert_string_equal(strbuf_text(&w->seen),
			    "<stream:error><restricted-xml xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
			    "</stream:error></stream:stream>");
	assert_int_equal(records(w, "\"action\":\"stanza-violation\""), 1);
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
}

static void vanished(void **state)
{
	struct world *w = *state;
	begin(w);
	close_fd(&w->client);
	turns(w);
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
	assert_int_equal(records(w, "went away without closing"), 1);
	assert_int_equal(engine_count(w->engine), 0);
}

static void drained(void **state)
{
	struct world *w = *state;
	outbound(w, "timeouts: {drain: 0}\n");
	begin(w);
	engine_drain(w->engine);
	await_eof(w);
	assert_string_equal(strbuf_text(&w->seen),
			    "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
			    "</stream:error></stream:stream>");
	assert_int_equal(records(w, "\"error\":\"system-shutdown\""), 1);
}

static void nothing_is_proven_in_time(void **state)
{
	struct world *w = *state;
	outbound(w, "timeouts: {authentication: 1s}\n");
	begin(w);
	await_eof(w);
	assert_int_equal(records(w, "\"action\":\"stream-closed\""), 1);
	assert_non_null(strstr(strbuf_text(&w->seen), "<stream:error>"));
}

static bool has_ended_at(struct world *w, uint64_t ms)
{
	clock_fake(ms * 1000000, 0);
	poll(NULL, 0, 150); /* a tick of the janitor */
	turns(w);
	return w->client_eof;
}

/* Peer memory does not answer: each question stays open. */
static uint64_t begin_patient(struct world *w)
{
	uint64_t now = clock_ms();
	outbound(w, "timeouts: {authentication: 60s, negotiation: 300s}\n"
		    "peers: [{domain: '*.example', connect: '127.0.0.1:1'}]\n");
	clock_fake(now * 1000000, 0);
	begin(w);
	return now;
}

/* A connection that asks late has as much time for the answer as one that asks at once. */
static void asked_late(void **state)
{
	struct world *w = *state;
	uint64_t now = begin_patient(w);
	assert_false(has_ended_at(w, now + 50000));
	client_send(w, RESULT("example.com", "a.example"));
	assert_false(has_ended_at(w, now + 109700));
	assert_string_equal(strbuf_text(&w->seen), "");
	assert_true(has_ended_at(w, now + 110200));
	assert_non_null(strstr(strbuf_text(&w->seen), "<stream:error><connection-timeout "));
	clock_unfake();
}

/* … but not for ever, whatever it asks. */
static void asked_again(void **state)
{
	struct world *w = *state;
	uint64_t now = begin_patient(w);
	assert_false(has_ended_at(w, now + 50000));
	client_send(w, RESULT("example.com", "a.example"));
	assert_false(has_ended_at(w, now + 100000));
	client_send(w, RESULT("example.com", "b.example"));
	assert_false(has_ended_at(w, now + 119700));
	assert_true(has_ended_at(w, now + 120200));
	clock_unfake();
}

/* Who has an answer, if only from us, and asks nothing more is no better than who asks nothing. */
static void answered_by_us(void **state)
{
	struct world *w = *state;
	static const char answer[] = REFUSED("b.example", "not-ours.example", "auth", "not-authorized");
	uint64_t now = begin_patient(w);
	assert_false(has_ended_at(w, now + 10000));
	client_send(w, RESULT("not-ours.example", "b.example"));
	for (unsigned i = 0; i < 100 && w->seen.len < strlen(answer); i++)
		turns(w);
	assert_string_equal(strbuf_text(&w->seen), answer);
	assert_false(has_ended_at(w, now + 59700));
	assert_true(has_ended_at(w, now + 60200));
	clock_unfake();
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup_hub, teardown_hub)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(each_pair_is_recorded),
	    T(limits),
	    T(stanza_without_proof),
	    T(restricted_xml),
	    T(vanished),
	    T(drained),
	    T(nothing_is_proven_in_time),
	    T(asked_late),
	    T(asked_again),
	    T(answered_by_us),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * A world around an engine for streams between servers: whoever connects to us (near: the legacy server outbound, a
 * visiting server inbound) on a socketpair, whoever we connect to (far: the remote server, or the backend) on loopback,
 * TLS of the tests' own on either, an audit trail that keeps its lines, and a peer memory that answers what it is told
 * to. Listener 0 is outbound, listener 1 inbound.
 */
#ifndef TEST_UNIT_RELAY_SERVERS_WORLD_H
#define TEST_UNIT_RELAY_SERVERS_WORLD_H

#include "relay/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../net/dns_server.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "servers_pki.h"
#include "tls/tickets.h"

#define NS "xmlns='jabber:server' xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'"
#define HEADER_OF(attributes) "<?xml version='1.0'?><stream:stream " NS attributes ">"
/* As our legacy server opens a stream, and as we do for it before TLS (NEG-29). */
#define LEGACY_HEADER HEADER_OF(" from='" LOCAL "' to='" REMOTE "' version='1.0'")
#define FIRST_HEADER                                                                                        \
	"<?xml version='1.0'?><stream:stream from='" LOCAL "' to='" REMOTE "' version='1.0' xml:lang='en' " \
	"xmlns='jabber:server' xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'>"
/* As a remote server answers, and as a visiting one begins. */
#define REMOTE_HEADER(id) HEADER_OF(" from='" REMOTE "' to='" LOCAL "' id='" id "' version='1.0'")
#define VISITOR_HEADER(from) HEADER_OF(" from='" from "' to='" LOCAL "' version='1.0'")
#define BACKEND_HEADER HEADER_OF(" from='" LOCAL "' id='b1' version='1.0'")
#define FEATURES(inside) "<stream:features>" inside "</stream:features>"
#define STARTTLS "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
#define REQUIRED "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
#define PROCEED "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
#define FAILURE "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"
#define DIALBACK "<dialback xmlns='urn:xmpp:features:dialback'/>"
/* What we add to it (NEG-31). */
#define LIMITS "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>524288</max-bytes></limits>"
#define CLOSE "</stream:stream>"
#define STREAM_ERROR(condition) "<" condition " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
#define RESULT(from, to) "<db:result from='" from "' to='" to "'>key</db:result>"
#define RESULT_IS(type, from, to) "<db:result from='" from "' to='" to "' type='" type "'/>"
#define RESULT_ERROR(from, to, type, condition)                                                                    \
	"<db:result xmlns:db='jabber:server:dialback' from='" from "' to='" to "' type='error'><error type='" type \
	"'><" condition " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>"
#define MESSAGE(from, to) "<message from='a@" from "' to='b@" to "'><body>hi</body></message>"
/* A rule that is weaker than the common policy. */
#define EXCUSE ", reason: old, until: 2099-12-31"
#define IMPATIENT "timeouts: {connect: 300ms}\n"

/* A far end of one of our legs: what really crossed the socket. */
struct end {
	int fd;
	SSL *ssl;
	struct strbuf seen;
	bool eof;
};

#define SEEN_MAX 8

struct world {
	struct event_base *base;
	struct config *config;
	struct tls_store *store;
	struct shared *shared;
	struct dns_server dns;
	struct resolver *resolver;
	struct engine *engine;
	int listening, backing; /* the remote server's and the backend's */
	unsigned port, backing_port;
	struct end near, far;
	struct strbuf log; /* records, a line each */
	bool available, answer_ok, hold_answers;
	audit_done_fn *done;
	void *done_ctx;
	/* Peer memory. */
	struct peer_memory memory;
	bool memory_broken, hold_memory;
	peer_answer_fn *answer;
	void *answer_ctx;
	char asked[PEER_DOMAIN_SIZE];
	unsigned questions, forgotten;
	struct peer_observation seen[SEEN_MAX];
	size_t seen_count;
};

#include "trail.h"

/* ---- peer memory ---- */

static inline uint64_t ask_memory(void *ctx, const char *domain, enum peer_service service, peer_answer_fn *answer,
				  void *answer_ctx)
{
	struct world *w = ctx;
	assert_int_equal(service, PEER_S2S);
	assert_null(w->answer);
	snprintf(w->asked, sizeof(w->asked), "%s", domain);
	w->questions++;
	w->answer = answer;
	w->answer_ctx = answer_ctx;
	return 9;
}

static inline void forget_memory(void *ctx, uint64_t ticket)
{
	struct world *w = ctx;
	assert_int_equal(ticket, 9);
	w->answer = NULL;
	w->forgotten++;
}

static inline void observe(void *ctx, const struct peer_observation *seen)
{
	struct world *w = ctx;
	assert_true(w->seen_count < SEEN_MAX);
	assert_true(peer_observation_valid(seen));
	w->seen[w->seen_count++] = *seen;
}

static inline void answer_memory(struct world *w)
{
	peer_answer_fn *answer = w->answer;
	w->answer = NULL;
	answer(w->answer_ctx, !w->memory_broken, w->memory_broken ? NULL : &w->memory);
}

/* It has seen that certificate of the peer, verified, over TLS 1.3 with STARTTLS offered, at the one address there is.
 */
static inline void remember(struct world *w, const struct cert *cert, bool accepted)
{
	struct peer_certificate *c = &w->memory.certificate[w->memory.certificate_count++];
	w->memory.known = w->memory.tls = w->memory.offered = true;
	w->memory.way[PEER_OUTBOUND].best_version = w->memory.way[PEER_INBOUND].best_version = 13;
	snprintf(c->sha256, sizeof(c->sha256), "%s", digest_of(cert, false));
	snprintf(c->spki_sha256, sizeof(c->spki_sha256), "%s", digest_of(cert, true));
	snprintf(c->subject, sizeof(c->subject), "CN=remembered %zu", w->memory.certificate_count);
	snprintf(c->endpoint, sizeof(c->endpoint), "127.0.0.1:%u", w->port);
	c->accepted = accepted;
}

/* ---- the configuration ---- */

static inline char *read_file(void *ctx, const char *path, int secret, size_t *len_out, struct errbuf *err)
{
	static const char anchor[] =
	    ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n";
	const char *text = strstr(path, ".yaml") != NULL ? ctx : strstr(path, ".ds") != NULL ? anchor : NULL;
	(void)err;
	if (text == NULL)
		text = strstr(path, "ca.pem") != NULL ? pki.files[0] : secret ? pki.files[2] : pki.files[1];
	*len_out = strlen(text);
	return mem_strdup(text);
}

struct options {
	const char *listener; /* more keys of the outbound listener: ", accept-from: [192.0.2.0/24]" */
	const char *inbound;  /* … of the inbound one */
	bool own_port;        /* … which is at the address that streams are taken to */
	const char *rule;     /* more keys of the rule for remote.example */
	bool by_dns;          /* … which has no `connect` */
	bool distrust;        /* of the certificates that the tests have */
	const char *rules;    /* further rules, a line each */
	const char *more;     /* more keys at the top */
};

static inline struct config *load(const struct world *w, const struct options *o)
{
	const char *listener = o->listener != NULL ? o->listener : "", *rule = o->rule != NULL ? o->rule : "";
	char *connect = o->by_dns ? mem_strdup("") : mem_printf(", connect: '127.0.0.1:%u'", w->port);
	char *yaml = mem_printf(
	    "listeners:\n  - {role: s2s-outbound, address: '127.0.0.1:%u'%s}\n"
	    "  - {role: s2s-inbound, address: '127.0.0.1:2'%s}\n"
	    "domains:\n"
	    "  - {name: " LOCAL ", certificate: c.pem, private-key: k.pem, backend: {s2s: '127.0.0.1:%u'}}\n"
	    "  - {name: " SECOND ", certificate: c.pem, private-key: k.pem, backend: {s2s: '127.0.0.1:%u'}}\n"
	    "  - {name: elsewhere.example, certificate: c.pem, private-key: k.pem, backend: {s2s: '127.0.0.1:3'}}\n"
	    "tls: {ca-file: %s}\n"
	    "dns: {servers: ['127.0.0.1@1'], trust-anchor: a.ds}\n"
	    "peers:\n  - {domain: " REMOTE "%s%s}\n%s%s",
	    o->own_port ? w->port : 1, listener, o->inbound != NULL ? o->inbound : "", w->backing_port, w->backing_port,
	    o->distrust ? "c.pem" : "ca.pem", connect, rule, o->rules != NULL ? o->rules : "",
	    o->more != NULL ? o->more : "");
	struct file_source source = {read_file, yaml};
	struct config *config = load_good(&source);
	mem_free(connect);
	mem_free(yaml);
	return config;
}

/* ---- the ends ---- */

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* As a process that dies. */
static inline void end_close(struct end *end)
{
	SSL_free(end->ssl);
	end->ssl = NULL;
	close_fd(&end->fd);
}

static inline void end_read(struct end *end)
{
	char buf[65536];
	int n;
	if (end->fd < 0 || end->eof)
		return;
	ERR_clear_error();
	n = end->ssl != NULL ? SSL_read(end->ssl, buf, sizeof(buf)) : (int)recv(end->fd, buf, sizeof(buf), 0);
	if (n > 0)
		strbuf_add(&end->seen, buf, (size_t)n);
	else if (end->ssl == NULL)
		end->eof = n == 0 || errno != EAGAIN;
	else
		end->eof = SSL_get_error(end->ssl, n) != SSL_ERROR_WANT_READ;
	ERR_clear_error();
}

/* TLS from here on, without a name to verify: what is shown is what we look at. */
static inline void end_secure(struct end *end, bool server, const struct cert *cert, int max_version)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	if (cert != NULL) {
		assert_int_equal(SSL_CTX_use_certificate(ctx, cert->x509), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(ctx, cert->key), 1);
	}
	if (max_version != 0)
		SSL_CTX_set_max_proto_version(ctx, max_version);
	end->ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	if (!server)
		SSL_set_tlsext_host_name(end->ssl, LOCAL);
	if (server)
		SSL_set_accept_state(end->ssl);
	else
		SSL_set_connect_state(end->ssl);
	SSL_set_fd(end->ssl, end->fd);
}

/* ---- turns ---- */

static inline void turns(struct world *w)
{
	for (int i = 0; i < 16; i++) {
		event_base_loop(w->base, EVLOOP_NONBLOCK);
		end_read(&w->near);
		if (w->far.fd < 0 && w->listening >= 0)
			w->far.fd = accept4(w->listening, NULL, NULL, SOCK_NONBLOCK);
		if (w->far.fd < 0)
			w->far.fd = accept4(w->backing, NULL, NULL, SOCK_NONBLOCK);
		end_read(&w->far);
		if (w->answer != NULL && !w->hold_memory)
			answer_memory(w);
		if (w->done != NULL && !w->hold_answers) {
			audit_done_fn *done = w->done;
			w->done = NULL;
			done(w->done_ctx, w->answer_ok);
		}
	}
}

/* Turns until it has happened. */
#define AWAIT(w, condition)                                                                                      \
	do {                                                                                                     \
		uint64_t end_ = clock_ms() + 10000;                                                              \
		for (turns(w); !(condition) && clock_ms() < end_; turns(w))                                      \
			poll(NULL, 0, 1);                                                                        \
		if (!(condition))                                                                                \
			fail_msg("in vain: %s\nnear: %s\nfar: %s\n%s", #condition, strbuf_text(&(w)->near.seen), \
				 strbuf_text(&(w)->far.seen), strbuf_text(&(w)->log));                           \
	} while (0)

static inline void end_send(struct world *w, struct end *end, const char *text)
{
	int len = (int)strlen(text);
	ERR_clear_error();
	int sent =
	    end->ssl != NULL ? SSL_write(end->ssl, text, len) : (int)send(end->fd, text, (size_t)len, MSG_NOSIGNAL);
	assert_int_equal(sent, len);
	turns(w);
}

/* All that was seen since the last time, byte for byte; more may be on its way. */
static inline void end_saw(struct world *w, struct end *end, const char *text)
{
	AWAIT(w, end->seen.len >= strlen(text) || end->eof);
	assert_string_equal(strbuf_text(&end->seen), text);
	strbuf_clear(&end->seen);
}

/* Its connection has ended; the next one is another. */
static inline void far_is_gone(struct world *w)
{
	AWAIT(w, w->far.eof);
	end_close(&w->far);
	strbuf_clear(&w->far.seen);
	w->far.eof = false;
}

static inline void far_again(struct world *w)
{
	far_is_gone(w);
	AWAIT(w, w->far.fd >= 0);
}

/* ---- the world ---- */

static inline int listen_far(unsigned *port_out)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*port_out = ntohs(in.sin_port);
	return fd;
}

#define BUSY 16
/* Nobody accepts here, and no more fit in: a further connection hangs. */
static inline void far_is_busy(struct world *w, int busy[BUSY])
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	assert_int_equal(listen(w->listening, 0), 0);
	assert_int_equal(getsockname(w->listening, (struct sockaddr *)&in, &len), 0);
	for (int i = 0; i < BUSY; i++) {
		busy[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(busy[i], (const struct sockaddr *)&in, len);
	}
	poll(NULL, 0, 20);
}

static inline void make_engine(struct world *w)
{
	const struct engine_params params = {
	    .base = w->base,
	    .config = w->config,
	    .store = w->store,
	    .shared = w->shared,
	    .trail = {submit, forget, available, w},
	    .recall = {ask_memory, forget_memory, observe, w},
	    .resolver = w->resolver,
	};
	w->engine = engine_new(&params);
}

static inline struct world *world_new(const struct options *options)
{
	static const struct zone_entry nothing[] = {{0}};
	static const struct options none;
	struct world *w = mem_zalloc(sizeof(*w));
	struct errbuf err = {""};
	w->near.fd = w->far.fd = -1;
	w->available = w->answer_ok = true;
	strbuf_init(&w->near.seen, 1 << 20);
	strbuf_init(&w->far.seen, 1 << 20);
	strbuf_init(&w->log, 1 << 20);
	w->base = event_base_new();
	w->listening = listen_far(&w->port);
	w->backing = listen_far(&w->backing_port);
	w->config = load(w, options != NULL ? options : &none);
	w->shared =
	    shared_new(1, (uint32_t)w->config->limits.connections, (uint32_t)w->config->limits.connections_per_address);
	tickets_rotate(&w->shared->tickets, 3600, 1);
	w->store = tls_store_new(w->config, &w->shared->tickets, &err);
	assert_non_null(w->store);
	dns_server_start(&w->dns, w->base, nothing);
	const struct config_dns dns = {.servers = &w->dns.address, .server_count = 1, .timeout = 400};
	w->resolver = resolver_new(w->base, &dns, &err);
	assert_non_null(w->resolver);
	make_engine(w);
	return w;
}

/* All that was accepted has ended and is freed, with one record each. */
static inline void world_free(struct world *w)
{
	engine_free(&w->engine);
	assert_null(w->done);
	assert_null(w->answer);
	resolver_free(&w->resolver);
	dns_server_stop(&w->dns);
	tls_store_unref(&w->store);
	config_unref(&w->config);
	shared_free(&w->shared);
	event_base_free(w->base);
	end_close(&w->near);
	end_close(&w->far);
	close_fd(&w->listening);
	close_fd(&w->backing);
	strbuf_fini(&w->near.seen);
	strbuf_fini(&w->far.seen);
	strbuf_fini(&w->log);
	mem_free(w);
}

enum { OUTBOUND, INBOUND };

static inline void connect_from(struct world *w, size_t listener, const char *address)
{
	int pair[2];
	struct addr peer;
	const char *why;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(addr_parse(&peer, address, false, &why), 0);
	w->near.fd = pair[1];
	engine_accept(w->engine, listener, pair[0], &peer);
	turns(w);
}

/* ---- the beginning of an outbound stream ---- */

#define LEGACY "127.0.0.1:40000"

static inline void legacy_begins(struct world *w)
{
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, LEGACY_HEADER);
	end_saw(w, &w->far, FIRST_HEADER);
}

/* The remote server answers before TLS, and is asked for it whatever it offers. */
static inline void far_offers(struct world *w, const char *inside)
{
	char *text = mem_printf(REMOTE_HEADER("r1") FEATURES("%s"), inside);
	end_send(w, &w->far, text);
	mem_free(text);
	end_saw(w, &w->far, STARTTLS);
	assert_int_equal(w->near.seen.len, 0);
}

/* Nothing is read in plaintext any more. */
static inline void far_proceeds(struct world *w, const struct cert *cert, int max_version)
{
	assert_int_equal(send(w->far.fd, PROCEED, strlen(PROCEED), MSG_NOSIGNAL), (ssize_t)strlen(PROCEED));
	end_secure(&w->far, true, cert, max_version);
	turns(w);
}

/* What proves nothing is told nothing inside TLS: the legacy side's header is not for it. */
static inline void far_hears_nothing(struct world *w)
{
	AWAIT(w, w->far.eof);
	assert_int_equal(w->far.seen.len, 0);
}

/* Inside TLS all is said anew, and only this reaches the legacy server. */
static inline void far_is_up(struct world *w)
{
	end_saw(w, &w->far, LEGACY_HEADER);
	end_send(w, &w->far, REMOTE_HEADER("r2") FEATURES(DIALBACK));
	end_saw(w, &w->near, REMOTE_HEADER("r2") FEATURES(DIALBACK LIMITS));
}

/* A legacy server whose header named nobody asks for a pair, the stream of which is inside TLS then, our header sent.
 */
static inline void pair_comes_up(struct world *w)
{
	end_send(w, &w->near, RESULT(LOCAL, REMOTE));
	AWAIT(w, w->far.seen.len > 0);
	strbuf_clear(&w->far.seen);
	far_offers(w, STARTTLS);
	far_proceeds(w, &pki.remote, 0);
	AWAIT(w, w->far.seen.len > 0);
	strbuf_clear(&w->far.seen);
}

/* The legacy server is told so, behind a header of ours, and its stream ends. */
static inline void legacy_is_told(struct world *w, const char *condition)
{
	char *error = mem_printf("xml:lang='en' " NS "><stream:error><%s xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>",
				 condition);
	AWAIT(w, w->near.eof);
	if (strncmp(strbuf_text(&w->near.seen), "<?xml version='1.0'?><stream:stream from='" REMOTE "' id='", 57) !=
		0 ||
	    strstr(strbuf_text(&w->near.seen), error) == NULL)
		fail_msg("not told %s: %s\n%s", error, strbuf_text(&w->near.seen), strbuf_text(&w->log));
	assert_string_equal(strstr(strbuf_text(&w->near.seen), "</stream:error>"), "</stream:error></stream:stream>");
	mem_free(error);
}

/* ---- records ---- */

static inline unsigned records(const struct world *w, const char *what)
{
	unsigned n = 0;
	for (const char *at = strbuf_text(&w->log); (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

#define ACTION(name) "\"action\":\"" name "\""

/* The first record of that action has that in it. */
static inline void recorded(const struct world *w, const char *action, const char *what)
{
	char *name = mem_printf(ACTION("%s"), action);
	const char *at = strstr(strbuf_text(&w->log), name), *begin = at;
	mem_free(name);
	if (at == NULL)
		fail_msg("no %s in\n%s", action, strbuf_text(&w->log));
	while (begin > w->log.data && begin[-1] != '\n')
		begin--;
	char *line = mem_strndup(begin, strcspn(begin, "\n"));
	if (strstr(line, what) == NULL)
		fail_msg("not in %s: %s\n%s", action, what, line);
	mem_free(line);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A world around an engine for tests of whole sessions: a real client over TLS on a socketpair, a scripted backend on a
 * Unix socket, an audit trail that only acknowledges when told to.
 */
#ifndef TEST_UNIT_RELAY_WORLD_H
#define TEST_UNIT_RELAY_WORLD_H

#include "relay/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../tls/certs.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "tls/tickets.h"

#define HEADER                                                                                      \
	"<?xml version='1.0'?><stream:stream to='example.com' version='1.0' xmlns='jabber:client' " \
	"xmlns:stream='http://etherx.jabber.org/streams'>"
#define BACKEND_HEADER                                                                                        \
	"<?xml version='1.0'?><stream:stream from='example.com' id='l1' version='1.0' xmlns='jabber:client' " \
	"xmlns:stream='http://etherx.jabber.org/streams'>"
#define MECHANISMS "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"
#define FEATURES "<stream:features>" MECHANISMS "</stream:features>"
/* As the client sees them. */
#define LIMITS "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>16384</max-bytes></limits>"
#define LIMITED_FEATURES "<stream:features>" MECHANISMS LIMITS "</stream:features>"
#define STARTTLS "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
#define PROCEED "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"

struct world {
	struct event_base *base;
	struct config *config;
	struct tls_store *store;
	struct shared *shared;
	struct engine *engine;
	char dir[32];
	int listening;
	int backend; /* accepted by the backend, -1 */
	int client;
	SSL_CTX *ctx;
	SSL *ssl;
	struct strbuf seen; /* by the client */
	struct strbuf backend_seen;
	struct strbuf log; /* records, a line each */
	bool available, answer_ok, hold_answers;
	audit_done_fn *done;
	void *done_ctx;
	bool client_eof, backend_eof;
};

#include "trail.h"

static inline void make_certificate(char **cert_out, char **key_out)
{
	const struct cert_spec spec = {.cn = "example.com", .san = "DNS:example.com"};
	struct cert cert = certs_make(&spec, NULL);
	struct config_file chain = {0}, key = {0};
	certs_put(&chain, &cert, NULL);
	certs_put_key(&key, &cert, NULL);
	*cert_out = mem_strdup(chain.data);
	*key_out = mem_strdup(key.data);
	certs_file_fini(&chain);
	certs_file_fini(&key);
	certs_free(&cert);
}

static inline char *read_memory(void *ctx, const char *path, int secret, size_t *len_out, struct errbuf *err)
{
	char **files = ctx;
	(void)err;
	const char *text = strstr(path, ".yaml") != NULL ? files[0] : secret ? files[2] : files[1];
	*len_out = strlen(text);
	return mem_strndup(text, *len_out);
}

static inline struct config *load(const char *dir, const char *more)
{
	char *files[3];
	files[0] = mem_printf("listeners:\n  - {role: c2s-inbound, address: '127.0.0.1:5222'}\n"
			      "domains:\n  - name: example.com\n    certificate: c.pem\n    private-key: k.pem\n"
			      "    backend: {c2s: 'unix:%s/b'}\n%s",
			      dir, more);
	make_certificate(&files[1], &files[2]);
	struct file_source source = {read_memory, files};
	struct config *config = load_good(&source);
	for (int i = 0; i < 3; i++)
		mem_free(files[i]);
	return config;
}

static inline void listen_unix(struct world *w)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/b", w->dir);
	w->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(w->listening, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(w->listening, 8), 0);
}

static inline void world_new(void **state, const char *more)
{
	struct world *w = mem_zalloc(sizeof(*w));
	struct errbuf err = {""};
	*state = w;
	snprintf(w->dir, sizeof(w->dir), "/tmp/portcullis-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	listen_unix(w);
	w->backend = w->client = -1;
	w->available = w->answer_ok = true;
	strbuf_init(&w->seen, 1 << 24);
	strbuf_init(&w->backend_seen, 1 << 24);
	strbuf_init(&w->log, 1 << 20);
	w->base = event_base_new();
	w->config = load(w->dir, more);
	w->shared =
	    shared_new(1, (uint32_t)w->config->limits.connections, (uint32_t)w->config->limits.connections_per_address);
	tickets_rotate(&w->shared->tickets, 3600, 1);
	w->store = tls_store_new(w->config, &w->shared->tickets, &err);
	assert_non_null(w->store);
	struct engine_params params = {
	    .base = w->base,
	    .config = w->config,
	    .store = w->store,
	    .shared = w->shared,
	    .trail = {submit, forget, available, w},
	};
	w->engine = engine_new(&params);
}

static inline int setup(void **state)
{
	world_new(state, "");
	return 0;
}

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline int teardown(void **state)
{
	struct world *w = *state;
	char path[64];
	engine_free(&w->engine);
	tls_store_unref(&w->store);
	config_unref(&w->config);
	shared_free(&w->shared);
	event_base_free(w->base);
	SSL_free(w->ssl);
	SSL_CTX_free(w->ctx);
	close_fd(&w->client);
	close_fd(&w->backend);
	close_fd(&w->listening);
	snprintf(path, sizeof(path), "%s/b", w->dir);
	unlink(path);
	rmdir(w->dir);
	strbuf_fini(&w->seen);
	strbuf_fini(&w->backend_seen);
	strbuf_fini(&w->log);
	mem_free(w);
	return 0;
}

static inline void read_client(struct world *w)
{
	char buf[65536];
	int n = w->ssl != NULL ? SSL_read(w->ssl, buf, sizeof(buf)) : (int)recv(w->client, buf, sizeof(buf), 0);
	if (n > 0)
		strbuf_add(&w->seen, buf, (size_t)n);
	else if (w->ssl == NULL ? n == 0 : SSL_get_error(w->ssl, n) != SSL_ERROR_WANT_READ)
		w->client_eof = true;
}

static inline void read_backend(struct world *w)
{
	char buf[65536];
	if (w->backend < 0)
		w->backend = accept4(w->listening, NULL, NULL, SOCK_NONBLOCK);
	if (w->backend < 0)
		return;
	ssize_t n = recv(w->backend, buf, sizeof(buf), 0);
	if (n > 0)
		strbuf_add(&w->backend_seen, buf, (size_t)n);
	else if (n == 0)
		w->backend_eof = true;
}

/* A few turns of the loop: everything that can happen by itself has happened afterwards. */
static inline void turns(struct world *w)
{
	for (int i = 0; i < 12; i++) {
		event_base_loop(w->base, EVLOOP_NONBLOCK);
		if (w->client >= 0)
			read_client(w);
		read_backend(w);
		if (w->done != NULL && !w->hold_answers) {
			audit_done_fn *done = w->done;
			w->done = NULL;
			done(w->done_ctx, w->answer_ok);
		}
	}
}

static inline void connect_client(struct world *w)
{
	int pair[2];
	struct addr peer;
	const char *why;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(addr_parse(&peer, "192.0.2.7:40000", false, &why), 0);
	w->client = pair[1];
	engine_accept(w->engine, 0, pair[0], &peer);
}

static inline void client_send(struct world *w, const char *text)
{
	if (w->ssl != NULL)
		assert_int_equal(SSL_write(w->ssl, text, (int)strlen(text)), (int)strlen(text));
	else
		assert_int_equal(send(w->client, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	turns(w);
}

static inline void backend_send(struct world *w, const char *text)
{
	assert_int_equal(send(w->backend, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	turns(w);
}

static inline void start_tls(struct world *w)
{
	w->ctx = SSL_CTX_new(TLS_client_method());
	w->ssl = SSL_new(w->ctx);
	SSL_set_tlsext_host_name(w->ssl, "example.com");
	SSL_set_connect_state(w->ssl);
	SSL_set_fd(w->ssl, w->client);
	for (int i = 0; i < 40 && !SSL_is_init_finished(w->ssl); i++) {
		SSL_do_handshake(w->ssl);
		turns(w);
	}
	assert_true(SSL_is_init_finished(w->ssl));
}

static inline void upgrade(struct world *w)
{
	connect_client(w);
	client_send(w, HEADER);
	assert_non_null(strstr(strbuf_text(&w->seen),
			       "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>"
			       "<required/></starttls></stream:features>"));
	strbuf_clear(&w->seen);
	client_send(w, STARTTLS);
	assert_string_equal(strbuf_text(&w->seen), PROCEED);
	strbuf_clear(&w->seen);
	start_tls(w);
	assert_int_equal(w->backend, -1); /* not contacted before the header inside TLS */
}

static inline void join(struct world *w)
{
	upgrade(w);
	client_send(w, HEADER);
	assert_string_equal(strbuf_text(&w->backend_seen), HEADER);
	strbuf_clear(&w->backend_seen);
	backend_send(w, BACKEND_HEADER "<stream:features>" STARTTLS MECHANISMS "</stream:features>");
	assert_string_equal(strbuf_text(&w->seen), BACKEND_HEADER LIMITED_FEATURES);
	strbuf_clear(&w->seen);
}

static inline void authenticate(struct world *w)
{
	client_send(w, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldABzM2NyM3Q=</auth>");
	backend_send(w, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
	client_send(w, HEADER);
	strbuf_clear(&w->backend_seen);
	backend_send(w, BACKEND_HEADER
		     "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>");
	strbuf_clear(&w->seen);
}

static inline unsigned records(const struct world *w, const char *what)
{
	unsigned n = 0;
	for (const char *at = strbuf_text(&w->log); (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

#endif

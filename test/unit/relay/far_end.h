/* SPDX-License-Identifier: MIT */
/*
 * A leg on a socketpair and its far end: a plain blocking-free OpenSSL client or bare recv and send, so that what is
 * asserted is what really crossed the socket.
 */
#ifndef TEST_UNIT_RELAY_FAR_END_H
#define TEST_UNIT_RELAY_FAR_END_H

#include "relay/leg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../tls/certs.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "policy/config.h"
#include "tls/store.h"

struct far_end {
	struct event_base *base;
	struct leg_io *io;
	struct leg *leg;
	int fd; /* the peer's end */
	SSL_CTX *ctx;
	SSL *ssl;
	struct strbuf got; /* what the leg delivered */
	unsigned secured, drained, ended, closed;
	enum leg_end how;
	bool pause_after_data, finish_after_data;
};

static inline void on_connected(void *ctx)
{
	(void)ctx;
}

static inline void on_data(void *ctx, const void *data, size_t len)
{
	struct far_end *t = ctx;
	assert_int_equal(t->ended, 0);
	strbuf_add(&t->got, data, len);
	if (t->pause_after_data)
		leg_read(t->leg, false);
	if (t->finish_after_data)
		leg_finish(t->leg, true);
}

static inline void on_secured(void *ctx)
{
	struct far_end *t = ctx;
	t->secured++;
}

static inline void on_drained(void *ctx)
{
	struct far_end *t = ctx;
	t->drained++;
}

static inline void on_end(void *ctx, enum leg_end how, const char *detail)
{
	struct far_end *t = ctx;
	assert_non_null(detail);
	t->ended++;
	t->how = how;
}

static inline void on_closed(void *ctx)
{
	struct far_end *t = ctx;
	t->closed++;
}

static const struct leg_callbacks callbacks = {on_connected, on_data, on_secured, on_drained, on_end, on_closed};

static inline void turn(struct far_end *t)
{
	event_base_loop(t->base, EVLOOP_NONBLOCK);
}

static inline int setup(void **state)
{
	struct far_end *t = mem_zalloc(sizeof(*t));
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	t->base = event_base_new();
	t->io = leg_io_new(t->base);
	t->fd = pair[1];
	strbuf_init(&t->got, 64 << 20);
	t->leg = leg_new(t->io, pair[0], false, 256 * 1024, &callbacks, t);
	*state = t;
	return 0;
}

static inline int teardown(void **state)
{
	struct far_end *t = *state;
	leg_free(&t->leg);
	leg_io_free(&t->io);
	event_base_free(t->base);
	if (t->fd >= 0)
		close(t->fd);
	SSL_free(t->ssl);
	SSL_CTX_free(t->ctx);
	strbuf_fini(&t->got);
	mem_free(t);
	return 0;
}

static inline SSL_CTX *server_ctx(void)
{
	const struct cert_spec spec = {.cn = "example.com"};
	struct cert cert = certs_make(&spec, NULL);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(ctx, cert.x509);
	SSL_CTX_use_PrivateKey(ctx, cert.key);
	certs_free(&cert);
	return ctx;
}

static inline SSL *server_ssl(void)
{
	SSL_CTX *ctx = server_ctx();
	SSL *ssl = SSL_new(ctx);
	SSL_set_accept_state(ssl);
	SSL_CTX_free(ctx);
	return ssl;
}

static inline void client_start(struct far_end *t)
{
	t->ctx = SSL_CTX_new(TLS_client_method());
	t->ssl = SSL_new(t->ctx);
	SSL_set_connect_state(t->ssl);
	SSL_set_fd(t->ssl, t->fd);
}

static inline void handshake(struct far_end *t)
{
	for (int i = 0; i < 50 && !(SSL_is_init_finished(t->ssl) && t->secured != 0); i++) {
		SSL_do_handshake(t->ssl);
		turn(t);
	}
	assert_int_equal(t->secured, 1);
	assert_true(leg_is_secured(t->leg));
}

static inline void secured_leg(struct far_end *t)
{
	client_start(t);
	leg_start_tls(t->leg, server_ssl(), NULL, 0);
	handshake(t);
}

#endif

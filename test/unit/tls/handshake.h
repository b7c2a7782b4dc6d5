/* SPDX-License-Identifier: MIT */
/* Handshakes over memory between an SSL of tls_accept and a client of any kind, for the tests of the tls room. */
#ifndef TEST_UNIT_TLS_HANDSHAKE_H
#define TEST_UNIT_TLS_HANDSHAKE_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "certs.h"
#include "tls/store.h"

/* Of a.example (EC) and b.example (RSA), made by certs_setup. */
static struct cert cert_a, cert_b;

struct client {
	int min, max;
	const char *sni, *alpn; /* alpn in wire form */
	const char *ciphers, *sigalgs;
	uint64_t options;
	SSL_SESSION *session;
	bool status;
};

struct pair {
	SSL_CTX *ctx;
	SSL *server, *client;
	SSL_SESSION *session; /* the last ticket the client got */
	int alert;            /* fatal alert the client received, 0 if none */
	bool up;
};

static inline int on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct pair *p = SSL_get_app_data(ssl);

	SSL_SESSION_free(p->session);
	p->session = session;
	return 1;
}

static inline void on_client_info(const SSL *ssl, int where, int value)
{
	struct pair *p = SSL_get_app_data(ssl);

	if (where == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL)
		p->alert = value & 0xff;
}

static inline void client_setup(struct pair *p, const struct client *c)
{
	p->ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_security_level(p->ctx, 0);
	SSL_CTX_set_min_proto_version(p->ctx, c->min ? c->min : TLS1_VERSION);
	SSL_CTX_set_max_proto_version(p->ctx, c->max);
	assert_int_equal(SSL_CTX_set_cipher_list(p->ctx, c->ciphers ? c->ciphers : "ALL:COMPLEMENTOFALL"), 1);
	if (c->sigalgs)
		assert_int_equal(SSL_CTX_set1_sigalgs_list(p->ctx, c->sigalgs), 1);
	SSL_CTX_set_options(p->ctx, c->options);
	SSL_CTX_set_session_cache_mode(p->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(p->ctx, on_new_session);
	SSL_CTX_set_info_callback(p->ctx, on_client_info);
	p->client = SSL_new(p->ctx);
	SSL_set_app_data(p->client, p);
	if (c->sni)
		assert_int_equal(SSL_set_tlsext_host_name(p->client, c->sni), 1);
	if (c->alpn)
		SSL_set_alpn_protos(p->client, (const unsigned char *)c->alpn, (unsigned)strlen(c->alpn));
	if (c->session)
		assert_int_equal(SSL_set_session(p->client, c->session), 1);
	if (c->status)
		SSL_set_tlsext_status_type(p->client, TLSEXT_STATUSTYPE_ocsp);
	SSL_set_connect_state(p->client);
}

static inline void pump(struct pair *p)
{
	char byte;

	for (int i = 0; i < 10; i++) {
		int c = SSL_do_handshake(p->client), s = SSL_do_handshake(p->server);

		(void)SSL_read(p->server, &byte, 1);
		p->up = c == 1 && s == 1;
		if (p->up)
			break;
	}
	(void)SSL_read(p->client, &byte, 1); /* tickets, late alerts */
}

static inline struct pair handshake(struct tls_store *store, const char *to, const struct client *c)
{
	struct pair p = {0};
	BIO *c2s = BIO_new(BIO_s_mem()), *s2c = BIO_new(BIO_s_mem());

	BIO_set_mem_eof_return(c2s, -1);
	BIO_set_mem_eof_return(s2c, -1);
	BIO_up_ref(c2s);
	BIO_up_ref(s2c);
	client_setup(&p, c);
	SSL_set_app_data(p.client, &p);
	p.server = tls_accept(store, ROLE_C2S_INBOUND, to);
	assert_non_null(p.server);
	SSL_set_bio(p.client, s2c, c2s);
	SSL_set_bio(p.server, c2s, s2c);
	ERR_clear_error();
	pump(&p);
	SSL_set_app_data(p.client, NULL);
	return p;
}

static inline void pair_free(struct pair *p)
{
	SSL_SESSION_free(p->session);
	SSL_set_shutdown(p->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(p->client);
	SSL_free(p->server);
	SSL_CTX_free(p->ctx);
	ERR_clear_error();
}

static inline struct config *two_domains(void)
{
	struct config *config = certs_config(2);

	certs_domain(config, 0, "a.example", &cert_a, NULL);
	certs_domain(config, 1, "b.example", &cert_b, NULL);
	config->domains[1].server_names = mem_array(1, sizeof(char *));
	config->domains[1].server_names[0] = mem_strdup("xmpp1.b.example");
	config->domains[1].server_name_count = 1;
	return config;
}

static inline struct tls_store *store_new(struct config *config, const struct shared_tickets *tickets)
{
	struct errbuf err = {{0}};
	struct tls_store *store = tls_store_new(config, tickets, &err);

	assert_string_equal(err.text, "");
	assert_non_null(store);
	return store;
}

static inline void expect_refused(struct tls_store *store, const char *to, const struct client *c, int alert,
				  enum reason why)
{
	struct pair p = handshake(store, to, c);

	assert_false(p.up);
	assert_int_equal(p.alert, alert);
	assert_int_equal(tls_failure_reason(p.server), why);
	pair_free(&p);
}

static inline int certs_setup(void **state)
{
	(void)state;
	tls_library_init();
	cert_a = certs_make(&(struct cert_spec){.cn = "a", .san = "DNS:a.example"}, NULL);
	cert_b = certs_make(&(struct cert_spec){.cn = "b", .san = "DNS:b.example", .key = "rsa2048"}, NULL);
	return 0;
}

static inline int certs_teardown(void **state)
{
	(void)state;
	certs_free(&cert_a);
	certs_free(&cert_b);
	return 0;
}

#endif

/* SPDX-License-Identifier: MIT */
/* Handshakes over memory between an SSL of ours, of either side, and a remote server of any kind. */
#ifndef TEST_UNIT_TLS_FEDERATION_H
#define TEST_UNIT_TLS_FEDERATION_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "certs.h"
#include "tls/facts.h"
#include "tls/peer.h"

#define DAY 86400L
#define UNTRUSTED "the certificate's issuer is not among those trusted"
#define NOT_FOR_IT "the certificate is not for this domain"
#define EXPIRED "the certificate, or one it depends on, has expired"
#define NOT_PINNED "the certificate has none of the fingerprints that are asked for"

/* cert_local is of local.example; ca signed it and is trusted, other_ca is not. */
static struct cert ca, other_ca, cert_local;

struct remote {
	SSL_CTX *ctx;
	SSL *ssl;
	int alert;              /* fatal alert it received, 0 if none */
	char sni[64], alpn[32]; /* what it was sent, as a server */
	const char *select;     /* the ALPN protocol it selects, in wire form, whatever was offered; NULL: none */
};

static inline void on_remote_info(const SSL *ssl, int where, int value)
{
	struct remote *r = SSL_get_app_data(ssl);

	if (r && where == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL)
		r->alert = value & 0xff;
}

static inline int on_remote_verify(X509_STORE_CTX *chain, void *arg)
{
	(void)chain, (void)arg;
	return 1;
}

static inline int on_remote_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
				 unsigned in_len, void *arg)
{
	struct remote *r = SSL_get_app_data(ssl);

	(void)arg;
	if (in_len > 1 && in_len < sizeof(r->alpn))
		memcpy(r->alpn, in + 1, in_len - 1);
	if (!r->select)
		return SSL_TLSEXT_ERR_NOACK;
	*out = (const unsigned char *)r->select + 1;
	*out_len = (unsigned char)r->select[0];
	return SSL_TLSEXT_ERR_OK;
}

/* cert NULL: it shows none. issuer NULL: it sends no chain. */
static inline void remote_init(struct remote *r, const SSL_METHOD *method, const struct cert *cert,
			       const struct cert *issuer)
{
	r->ctx = SSL_CTX_new(method);
	SSL_CTX_set_security_level(r->ctx, 0);
	SSL_CTX_set_min_proto_version(r->ctx, TLS1_VERSION);
	assert_int_equal(SSL_CTX_set_cipher_list(r->ctx, "ALL:COMPLEMENTOFALL"), 1);
	SSL_CTX_set_session_id_context(r->ctx, (const unsigned char *)"r", 1);
	if (cert) {
		assert_int_equal(SSL_CTX_use_certificate(r->ctx, cert->x509), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(r->ctx, cert->key), 1);
	}
	if (issuer)
		SSL_CTX_add1_chain_cert(r->ctx, issuer->x509);
	SSL_CTX_set_info_callback(r->ctx, on_remote_info);
	SSL_CTX_set_alpn_select_cb(r->ctx, on_remote_alpn, NULL);
	SSL_CTX_set_cert_verify_callback(r->ctx, on_remote_verify, NULL);
}

static inline void remote_start(struct remote *r, bool server)
{
	r->ssl = SSL_new(r->ctx);
	SSL_set_app_data(r->ssl, r);
	if (server)
		SSL_set_accept_state(r->ssl);
	else
		SSL_set_connect_state(r->ssl);
}

static inline void remote_end(struct remote *r)
{
	SSL_free(r->ssl);
	r->ssl = NULL;
	r->alert = 0;
}

static inline void remote_fini(struct remote *r)
{
	remote_end(r);
	SSL_CTX_free(r->ctx);
	ERR_clear_error();
}

/* Both handshakes as far as they go, and what comes after them: tickets, late alerts. True: both are done. */
static inline bool join(SSL *client, SSL *server)
{
	BIO *c2s = BIO_new(BIO_s_mem()), *s2c = BIO_new(BIO_s_mem());
	bool up = false;
	char byte;

	BIO_set_mem_eof_return(c2s, -1);
	BIO_set_mem_eof_return(s2c, -1);
	BIO_up_ref(c2s);
	BIO_up_ref(s2c);
	SSL_set_bio(client, s2c, c2s);
	SSL_set_bio(server, c2s, s2c);
	ERR_clear_error();
	for (int i = 0; i < 10 && !up; i++) {
		int c = SSL_do_handshake(client), s = SSL_do_handshake(server);

		up = c == 1 && s == 1;
	}
	(void)SSL_read(server, &byte, 1);
	(void)SSL_read(client, &byte, 1);
	ERR_clear_error();
	return up && SSL_is_init_finished(client) && SSL_is_init_finished(server);
}

static inline struct config *federation_config(void)
{
	struct config *config = certs_config(1);

	certs_domain(config, 0, "local.example", &cert_local, NULL);
	certs_authority(&config->tls.ca_file, &ca);
	certs_listener(config, ROLE_S2S_INBOUND);
	certs_listener(config, ROLE_S2S_OUTBOUND);
	config->tls.client_certificate = CLIENT_CERTIFICATE_REQUEST;
	return config;
}

static inline struct tls_store *federation_store(struct config *config)
{
	struct errbuf err = {{0}};
	struct tls_store *store = tls_store_new(config, NULL, &err);

	assert_string_equal(err.text, "");
	assert_non_null(store);
	return store;
}

/* As policy_for_peer would answer: rule NULL is the role's own level. */
static inline struct peer_policy policy_of(const struct config *config, const struct config_peer *rule,
					   enum level level)
{
	return (struct peer_policy){.level = level, .tls = rule ? &rule->tls : &config->tls, .rule = rule};
}

/* Our own connection to r, a server; the SSL is the caller's. */
static inline SSL *meet(struct tls_store *store, struct remote *r, const struct tls_peer_params *params, bool *up)
{
	SSL *ssl = tls_connect_peer(store, params);
	const char *sni;

	assert_non_null(ssl);
	remote_start(r, true);
	*up = join(ssl, r->ssl);
	sni = SSL_get_servername(r->ssl, TLSEXT_NAMETYPE_host_name);
	(void)snprintf(r->sni, sizeof(r->sni), "%s", sni ? sni : "");
	return ssl;
}

static inline void federation_free(struct config *config, struct tls_store *store)
{
	tls_store_unref(&store);
	certs_config_free(config);
}

static inline int federation_setup(void **state)
{
	(void)state;
	tls_library_init();
	ca = certs_make(&(struct cert_spec){.cn = "Test CA", .ca = true}, NULL);
	other_ca = certs_make(&(struct cert_spec){.cn = "Other CA", .ca = true}, NULL);
	cert_local = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:local.example"}, &ca);
	return 0;
}

static inline int federation_teardown(void **state)
{
	(void)state;
	certs_free(&ca);
	certs_free(&other_ca);
	certs_free(&cert_local);
	return 0;
}

#endif

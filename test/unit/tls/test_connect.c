/* SPDX-License-Identifier: MIT */
/* Connections of ours: what is asked of the other side's certificate, what is said of it, and whether it ends there. */
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
#include "tls/store.h"

#define DAY 86400L
#define UNTRUSTED "the certificate's issuer is not among those trusted"
#define NOT_FOR_IT "the certificate is not for this domain"

static struct cert ca, other_ca;

struct meeting {
	SSL_CTX *ctx;
	SSL *server, *client;
	struct config *config;
	struct tls_store *store;
	bool up;
	int alert; /* fatal alert the server received */
	char sni[64];
};

static void on_server_info(const SSL *ssl, int where, int value)
{
	struct meeting *m = SSL_get_app_data(ssl);

	if (m && where == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL)
		m->alert = value & 0xff;
}

static struct config *client_config(const struct cert *authority)
{
	struct config *config = certs_config(1);

	config->domains[0].name = mem_strdup("a.example");
	config->domains[0].backend.tls = BACKEND_TLS_REQUIRED;
	certs_authority(&config->tls.ca_file, authority);
	return config;
}

static void serve(struct meeting *m, const struct cert *leaf, const struct cert *issuer, int max)
{
	m->ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_security_level(m->ctx, 0);
	SSL_CTX_set_min_proto_version(m->ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(m->ctx, max);
	assert_int_equal(SSL_CTX_use_certificate(m->ctx, leaf->x509), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(m->ctx, leaf->key), 1);
	if (issuer)
		SSL_CTX_add1_chain_cert(m->ctx, issuer->x509);
	SSL_CTX_set_info_callback(m->ctx, on_server_info);
	m->server = SSL_new(m->ctx);
	SSL_set_accept_state(m->server);
}

static void join(struct meeting *m)
{
	BIO *c2s = BIO_new(BIO_s_mem()), *s2c = BIO_new(BIO_s_mem());
	char byte;

	BIO_set_mem_eof_return(c2s, -1);
	BIO_set_mem_eof_return(s2c, -1);
	BIO_up_ref(c2s);
	BIO_up_ref(s2c);
	SSL_set_bio(m->client, s2c, c2s);
	SSL_set_bio(m->server, c2s, s2c);
	SSL_set_app_data(m->server, m);
	ERR_clear_error();
	for (int i = 0; i < 10 && !m->up; i++) {
		int c = SSL_do_handshake(m->client), s = SSL_do_handshake(m->server);

		m->up = c == 1 && s == 1;
	}
	(void)SSL_read(m->server, &byte, 1); /* late alerts */
	(void)SSL_read(m->client, &byte, 1); /* tickets */
	if (SSL_get_servername(m->server, TLSEXT_NAMETYPE_host_name))
		(void)snprintf(m->sni, sizeof(m->sni), "%s", SSL_get_servername(m->server, TLSEXT_NAMETYPE_host_name));
	SSL_set_app_data(m->server, NULL);
}

static struct meeting meet(const struct cert *leaf, const char *domain, bool must_verify, int max)
{
	struct meeting m = {.config = client_config(&ca)};
	struct errbuf err = {{0}};

	m.store = tls_store_new(m.config, NULL, &err);
	assert_string_equal(err.text, "");
	serve(&m, leaf, NULL, max);
	m.client = tls_connect(m.store, domain, must_verify);
	assert_non_null(m.client);
	join(&m);
	return m;
}

static void meeting_free(struct meeting *m)
{
	SSL_set_shutdown(m->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(m->client);
	SSL_free(m->server);
	SSL_CTX_free(m->ctx);
	tls_store_unref(&m->store);
	certs_config_free(m->config);
	ERR_clear_error();
}

static const struct row {
	struct cert_spec spec;
	const struct cert *issuer;  /* NULL: self-signed */
	const char *domain, *words; /* words NULL: verified */
	int alert;
} rows[] = {
    {{.cn = "x", .san = "DNS:a.example"}, &ca, "a.example", NULL, 0},
    {{.cn = "x", .san = "DNS:b.example,DNS:A.Example"}, &ca, "a.example", NULL, 0},
    {{.cn = "x", .san = "DNS:*.example.net"}, &ca, "a.example.net", NULL, 0},
    {{.cn = "x", .san = "DNS:a.example", .key = "rsa2048"}, &ca, "a.example", NULL, 0},
    {{.cn = "x", .san = "DNS:b.example"}, &ca, "a.example", NOT_FOR_IT, SSL_AD_BAD_CERTIFICATE},
    {{.cn = "x", .san = "DNS:*.example.net"}, &ca, "example.net", NOT_FOR_IT, SSL_AD_BAD_CERTIFICATE},
    {{.cn = "x", .san = "DNS:*.example.net"}, &ca, "a.b.example.net", NOT_FOR_IT, SSL_AD_BAD_CERTIFICATE},
    {{.cn = "x", .san = "DNS:f*.example.net"}, &ca, "foo.example.net", NOT_FOR_IT, SSL_AD_BAD_CERTIFICATE},
    {{.cn = "a.example"}, &ca, "a.example", NOT_FOR_IT, SSL_AD_BAD_CERTIFICATE},
    {{.cn = "a.example", .san = "DNS:b.example"}, &ca, "a.example", NOT_FOR_IT, SSL_AD_BAD_CERTIFICATE},
    {{.cn = "x", .san = "DNS:a.example", .from = -9 * DAY, .until = -DAY},
     &ca,
     "a.example",
     "the certificate, or one it depends on, has expired",
     SSL_AD_CERTIFICATE_EXPIRED},
    {{.cn = "x", .san = "DNS:a.example", .from = DAY, .until = 9 * DAY},
     &ca,
     "a.example",
     "the certificate, or one it depends on, is not valid yet",
     SSL_AD_BAD_CERTIFICATE},
    {{.cn = "x", .san = "DNS:a.example"},
     NULL,
     "a.example",
     "the certificate is self-signed and not among those trusted",
     SSL_AD_UNKNOWN_CA},
    {{.cn = "x", .san = "DNS:a.example"}, &other_ca, "a.example", UNTRUSTED, SSL_AD_UNKNOWN_CA},
    {{.cn = "x", .san = "DNS:a.example", .key = "rsa1024"},
     &ca,
     "a.example",
     "the certificate's key is too small",
     SSL_AD_BAD_CERTIFICATE},
};

/* must_verify: the handshake ends in the alert, and why can still be asked. */
static void test_required(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cert leaf = certs_make(&rows[i].spec, rows[i].issuer);
		struct meeting m = meet(&leaf, rows[i].domain, true, 0);
		struct tls_facts facts;

		tls_facts_read(&facts, m.client);
		assert_int_equal(m.up, rows[i].words == NULL);
		assert_int_equal(m.alert, rows[i].alert);
		assert_int_equal(facts.verified, rows[i].words == NULL);
		if (rows[i].words)
			assert_string_equal(tls_unverified(m.client), rows[i].words);
		else
			assert_null(tls_unverified(m.client));
		assert_string_equal(m.sni, rows[i].domain);
		meeting_free(&m);
		certs_free(&leaf);
	}
}

/* Otherwise the same is a fact of an encrypted leg. */
static void test_recorded(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cert leaf = certs_make(&rows[i].spec, rows[i].issuer);
		struct meeting m = meet(&leaf, rows[i].domain, false, i % 2 ? TLS1_2_VERSION : 0);
		struct tls_facts facts;
		struct leg_facts leg;

		tls_facts_read(&facts, m.client);
		tls_facts_leg(&facts, &leg);
		assert_true(m.up && facts.established && leg.encrypted);
		assert_int_equal(facts.verified, rows[i].words == NULL);
		assert_int_equal(leg.identity_verified, rows[i].words == NULL);
		assert_true((facts.unverified == NULL) == (rows[i].words == NULL));
		if (rows[i].words)
			assert_string_equal(facts.unverified, rows[i].words);
		assert_string_equal(facts.version, i % 2 ? "1.2" : "1.3");
		assert_string_equal(facts.server_name, rows[i].domain);
		meeting_free(&m);
		certs_free(&leaf);
	}
}

/* The limits of the `tls` block hold for certificates shown to us too. */
static void test_key_size_of_the_configuration(void **state)
{
	struct cert leaf = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example", .key = "rsa2048"}, &ca);
	struct meeting m = {.config = client_config(&ca)};
	struct errbuf err;

	(void)state;
	m.config->tls.min_rsa_bits = 3072;
	m.store = tls_store_new(m.config, NULL, &err);
	serve(&m, &leaf, NULL, 0);
	m.client = tls_connect(m.store, "a.example", true);
	join(&m);
	assert_false(m.up);
	assert_string_equal(tls_unverified(m.client), "the certificate's key is too small");
	meeting_free(&m);
	certs_free(&leaf);
}

static void test_too_old_a_version_is_no_tls(void **state)
{
	struct cert leaf = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, &ca);
	struct meeting m = meet(&leaf, "a.example", false, TLS1_1_VERSION);

	(void)state;
	assert_false(m.up);
	assert_null(tls_unverified(m.client));
	assert_int_equal(tls_failure_reason(m.client), REASON_TLS_FAILED);
	meeting_free(&m);
	certs_free(&leaf);
}

/* Our own side of TLS-10: a server that asks for a renegotiation is noticed too. */
static void test_renegotiation_is_noticed(void **state)
{
	struct cert leaf = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, &ca);
	struct meeting m = meet(&leaf, "a.example", true, TLS1_2_VERSION);
	char byte;

	(void)state;
	assert_true(m.up);
	assert_false(tls_renegotiated(m.client));
	assert_int_equal(SSL_renegotiate(m.server), 1);
	(void)SSL_do_handshake(m.server);
	(void)SSL_read(m.client, &byte, 1);
	assert_true(tls_renegotiated(m.client));
	meeting_free(&m);
	certs_free(&leaf);
}

/* Nothing asks for connections of ours: no context, and no SSL comes out. */
static void test_nothing_asked_for(void **state)
{
	struct config *config = client_config(&ca);
	struct errbuf err = {{0}};
	struct tls_store *store;

	(void)state;
	config->domains[0].backend.tls = BACKEND_TLS_NEVER;
	store = tls_store_new(config, NULL, &err);
	assert_non_null(store);
	assert_null(tls_connect(store, "a.example", false));
	tls_store_unref(&store);
	certs_config_free(config);
}

static void expect_no_store(const char *data, const char *words)
{
	struct config *config = client_config(&ca);
	struct errbuf err = {{0}};

	certs_file_fini(&config->tls.ca_file);
	if (data) {
		config->tls.ca_file.path = mem_strdup("ca.pem");
		config->tls.ca_file.data = mem_strdup(data);
		config->tls.ca_file.len = strlen(data);
	}
	assert_null(tls_store_new(config, NULL, &err));
	assert_non_null(strstr(err.text, words));
	certs_config_free(config);
}

static void test_unusable_authorities(void **state)
{
	(void)state;
	expect_no_store(NULL, "not set");
	expect_no_store("hello\n", "no PEM certificate");
	expect_no_store("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "unreadable certificate");
}

static int setup(void **state)
{
	(void)state;
	tls_library_init();
	ca = certs_make(&(struct cert_spec){.cn = "Test CA", .ca = true}, NULL);
	other_ca = certs_make(&(struct cert_spec){.cn = "Other CA", .ca = true}, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	certs_free(&ca);
	certs_free(&other_ca);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_required),
	    cmocka_unit_test(test_recorded),
	    cmocka_unit_test(test_key_size_of_the_configuration),
	    cmocka_unit_test(test_too_old_a_version_is_no_tls),
	    cmocka_unit_test(test_renegotiation_is_noticed),
	    cmocka_unit_test(test_nothing_asked_for),
	    cmocka_unit_test(test_unusable_authorities),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

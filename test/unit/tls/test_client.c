/* SPDX-License-Identifier: MIT */
/* What a client's certificate tells, on connections that ask for one: none, good, bad, resumed, odd names. */
#include "tls/client.h"

#include "handshake.h"

static int take_any(int ok, X509_STORE_CTX *ctx)
{
	(void)ok, (void)ctx;
	return 1;
}

/* The proxy itself asks no client for a certificate yet: the test turns that on for one connection. */
static void connect_with(struct tls_client *out, struct tls_store *store, const struct cert *cert,
			 const struct cert *ca)
{
	struct pair p = {0};
	BIO *c2s, *s2c;

	assert_int_equal(BIO_new_bio_pair(&c2s, 1 << 16, &s2c, 1 << 16), 1);
	client_setup(&p, &(struct client){.sni = "a.example"});
	p.server = tls_accept(store, ROLE_C2S_INBOUND, NULL);
	SSL_set_verify(p.server, SSL_VERIFY_PEER, ca ? NULL : take_any);
	if (ca) {
		X509_STORE *trusted = X509_STORE_new();

		assert_int_equal(X509_STORE_add_cert(trusted, ca->x509), 1);
		assert_int_equal(SSL_set1_verify_cert_store(p.server, trusted), 1);
		X509_STORE_free(trusted);
	}
	if (cert) {
		assert_int_equal(SSL_use_certificate(p.client, cert->x509), 1);
		assert_int_equal(SSL_use_PrivateKey(p.client, cert->key), 1);
	}
	SSL_set_bio(p.client, c2s, c2s);
	SSL_set_bio(p.server, s2c, s2c);
	pump(&p);
	assert_true(p.up);
	tls_client_read(out, p.server);
	SSL_set_app_data(p.client, NULL);
	pair_free(&p);
}

static void assert_name(struct tls_store *store, const char *cn, const char *want)
{
	struct cert cert = certs_make(&(struct cert_spec){.cn = cn}, NULL);
	struct tls_client client;

	connect_with(&client, store, &cert, NULL);
	assert_true(client.presented);
	assert_false(client.verified);
	assert_string_equal(client.common_name, want);
	certs_free(&cert);
}

static void test_certificates(void **state)
{
	struct config *config = two_domains();
	struct tls_store *store = store_new(config, NULL);
	struct cert ca = certs_make(&(struct cert_spec){.cn = "ca", .ca = true}, NULL);
	struct cert good = certs_make(&(struct cert_spec){.cn = "romeo@a.example"}, &ca);
	struct tls_client client;

	(void)state;
	connect_with(&client, store, NULL, NULL);
	assert_false(client.presented || client.verified);
	assert_string_equal(client.common_name, "");
	connect_with(&client, store, &good, &ca);
	assert_true(client.presented && client.verified);
	assert_string_equal(client.common_name, "romeo@a.example");
	assert_name(store, "r\xc3\xb6meo", "r\xc3\xb6meo");
	assert_name(store, "romeo\nCN=juliet", "");
	certs_free(&good);
	certs_free(&ca);
	tls_store_unref(&store);
	certs_config_free(config);
}

/* Two names, and one with a NUL: what a reader of C strings would take for another. */
static void test_odd_names(void **state)
{
	struct config *config = two_domains();
	struct tls_store *store = store_new(config, NULL);
	struct cert cert = certs_make(&(struct cert_spec){.cn = "people"}, NULL);
	X509_NAME *name = X509_get_subject_name(cert.x509);
	struct tls_client client;

	(void)state;
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)"romeo", -1, -1, 0);
	X509_sign(cert.x509, cert.key, EVP_sha256());
	connect_with(&client, store, &cert, NULL);
	assert_string_equal(client.common_name, "romeo");
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)"romeo\0x", 7, -1, 0);
	X509_sign(cert.x509, cert.key, EVP_sha256());
	connect_with(&client, store, &cert, NULL);
	assert_true(client.presented);
	assert_string_equal(client.common_name, "");
	certs_free(&cert);
	tls_store_unref(&store);
	certs_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_certificates),
	    cmocka_unit_test(test_odd_names),
	};

	return cmocka_run_group_tests(tests, certs_setup, certs_teardown);
}

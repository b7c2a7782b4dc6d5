/* SPDX-License-Identifier: MIT */
/* A peer's leaf as a record shows it, field by field. */
#include "tls/certificate_private.h"

#include "federation.h"

#define SRV "otherName:1.3.6.1.5.5.7.8.7;IA5:"
#define XMPP "otherName:1.3.6.1.5.5.7.8.5;UTF8:"

static struct tls_certificate *read_shown(const struct cert *cert)
{
	struct config *config = federation_config();
	struct tls_store *store = federation_store(config);
	SSL *ssl = tls_accept(store, ROLE_S2S_INBOUND, "local.example");
	struct tls_certificate *c;
	struct remote r = {0};

	remote_init(&r, TLS_client_method(), cert, NULL);
	remote_start(&r, false);
	assert_true(join(r.ssl, ssl));
	c = tls_certificate_read(ssl);
	assert_non_null(c);
	SSL_free(ssl);
	remote_fini(&r);
	federation_free(config, store);
	return c;
}

static void expect_hex(const unsigned char *octets, size_t len, const char *text)
{
	char want[65] = "";

	for (size_t i = 0; i < len; i++)
		(void)snprintf(want + 2 * i, 3, "%02x", octets[i]);
	assert_string_equal(text, want);
}

static void test_fields(void **state)
{
	struct cert cert = certs_make(
	    &(struct cert_spec){.cn = "Caf\xC3\xA9, \x1B[31m",
				.san = "DNS:a.example,IP:192.0.2.1,IP:2001:db8::1,email:x@a.example,RID:1.2.3," SRV
				       "_xmpp-server.a.example," XMPP "b.example",
				.serial = 0xBEEF,
				.raw = "n\0l",
				.raw_len = 3},
	    &ca);
	static const char *const names[] = {
	    "a.example", "192.0.2.1", "2001:db8::1", "x@a.example", "_xmpp-server.a.example", "b.example", "n\\x00l"};
	unsigned char digest[32], *der = NULL;
	struct tls_certificate *c;
	int len;

	(void)state;
	ASN1_TIME_set_string_X509(X509_getm_notBefore(cert.x509), "20260102030405Z");
	ASN1_TIME_set_string_X509(X509_getm_notAfter(cert.x509), "20500101000000Z");
	X509_sign(cert.x509, ca.key, EVP_sha256());
	c = read_shown(&cert);
	assert_string_equal(c->subject, "CN=Caf\xC3\xA9\\, \\1B[31m");
	assert_string_equal(c->issuer, "CN=Test CA");
	assert_string_equal(c->serial, "BEEF");
	assert_string_equal(c->not_before, "2026-01-02T03:04:05.000000Z");
	assert_string_equal(c->not_after, "2050-01-01T00:00:00.000000Z");
	assert_int_equal(c->not_after_s, 2524608000);
	assert_int_equal(c->name_count, sizeof(names) / sizeof(names[0]));
	for (size_t i = 0; i < c->name_count; i++)
		assert_string_equal(c->names[i], names[i]);
	assert_string_equal(c->key_algorithm, "EC");
	assert_int_equal(c->key_size, 256);
	assert_string_equal(c->signature_algorithm, "ecdsa-with-SHA256");
	assert_int_equal(X509_digest(cert.x509, EVP_sha256(), digest, NULL), 1);
	expect_hex(digest, 32, c->sha256);
	len = i2d_PUBKEY(cert.key, &der);
	assert_int_equal(EVP_Digest(der, (size_t)len, digest, NULL, EVP_sha256(), NULL), 1);
	expect_hex(digest, 32, c->spki_sha256);
	OPENSSL_free(der);
	tls_certificate_free(&c);
	assert_null(c);
	tls_certificate_free(&c);
	certs_free(&cert);
}

static void test_keys(void **state)
{
	static const struct {
		const char *key, *name;
		int bits;
	} rows[] = {{"rsa2048", "RSA", 2048}, {"ed25519", "ED25519", 256}, {"P-384", "EC", 384}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cert cert = certs_make(&(struct cert_spec){.cn = "x", .key = rows[i].key}, &ca);
		struct tls_certificate *c = read_shown(&cert);

		assert_string_equal(c->key_algorithm, rows[i].name);
		/* 253 of the 256 are the key's, by the library's count in some versions */
		assert_true(c->key_size <= rows[i].bits && c->key_size > rows[i].bits - 4);
		assert_int_equal(c->name_count, 0);
		tls_certificate_free(&c);
		certs_free(&cert);
	}
}

/* Bounds: more names than there is room for, longer ones than are shown, cut between characters. */
static void test_bounds(void **state)
{
	struct cert_spec spec = {.cn = "x"};
	char *list = mem_strdup("DNS:0.example"), long_name[600];
	struct tls_certificate *c;
	struct cert cert;

	(void)state;
	for (int i = 1; i < 40; i++) {
		char *more = mem_printf("%s,DNS:%d.example", list, i);

		mem_free(list);
		list = more;
	}
	spec.san = list;
	cert = certs_make(&spec, &ca);
	c = read_shown(&cert);
	assert_int_equal(c->name_count, TLS_CERTIFICATE_NAMES);
	assert_string_equal(c->names[31], "31.example");
	tls_certificate_free(&c);
	certs_free(&cert);
	mem_free(list);
	memset(long_name, 'n', sizeof(long_name));
	cert = certs_make(&(struct cert_spec){.cn = "x", .raw = long_name, .raw_len = sizeof(long_name)}, &ca);
	c = read_shown(&cert);
	assert_int_equal(strlen(c->names[0]), TLS_IDENTIFIER_SIZE - 1);
	tls_certificate_free(&c);
	certs_free(&cert);
}

/* The certificate that ended a handshake of ours is what a record must show. */
static void test_refused(void **state)
{
	struct cert cert = certs_make(&(struct cert_spec){.cn = "refused"}, &other_ca);
	struct config *config = federation_config();
	struct tls_store *store = federation_store(config);
	struct peer_policy policy = policy_of(config, NULL, LEVEL_VERIFY);
	struct tls_peer_params params = {
	    .role = ROLE_S2S_OUTBOUND, .domain = "r.example", .policy = &policy, .must_prove = true};
	struct tls_certificate *c;
	struct remote r = {0};
	bool up;
	SSL *ssl;

	(void)state;
	remote_init(&r, TLS_server_method(), &cert, NULL);
	ssl = meet(store, &r, &params, &up);
	assert_false(up);
	c = tls_certificate_read(ssl);
	assert_non_null(c);
	assert_string_equal(c->subject, "CN=refused");
	tls_certificate_free(&c);
	SSL_free(ssl);
	remote_fini(&r);
	certs_free(&cert);
	federation_free(config, store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, federation_setup, federation_teardown);
}

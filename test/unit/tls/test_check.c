/* SPDX-License-Identifier: MIT */
/* tls_check over several domains at once, and the line `portcullis check` prints of a certificate. */
#include "tls/check.h"

#include "findings.h"

static void test_description(void **state)
{
	static const struct {
		const char *key, *text;
	} rows[] = {{"P-256", "ECDSA P-256"}, {"rsa2048", "RSA 2048"}, {"ed25519", "Ed25519"}};
	struct config_domain none = {0};
	char out[512], want[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cert leaf =
		    certs_make(&(struct cert_spec){.cn = "a\nb", .san = "DNS:a.example", .key = rows[i].key}, &ca);
		struct config *config = one_domain(&leaf, &ca);

		tls_describe_certificate(&config->domains[0], time(NULL), out, sizeof(out));
		(void)snprintf(want, sizeof(want), "CN=a\\x0Ab, %s, valid until ", rows[i].text);
		if (strncasecmp(out, want, strlen(want)) != 0)
			assert_string_equal(out, want);
		assert_non_null(strstr(out, " days)"));
		certs_config_free(config);
		certs_free(&leaf);
	}
	tls_describe_certificate(&none, time(NULL), out, sizeof(out));
	assert_string_equal(out, "");
}

/* All findings of one run: both domains and the tls block; what is wrong with the block is said once. */
static void test_everything_in_one_run(void **state)
{
	struct cert good = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, &ca);
	struct cert old =
	    certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:c.example", .from = -9 * DAY, .until = -DAY}, &ca);
	struct config *config = certs_config(3);
	char out[4096];

	(void)state;
	certs_domain(config, 0, "a.example", &good, &ca);
	certs_domain(config, 1, "b.example", &old, &ca);
	config->domains[2].name = mem_strdup("none.example"); /* no certificate: no listener asks for one */
	config->tls.groups = mem_strdup("nonsense");
	assert_int_equal(run(config, out, sizeof(out)), 3);
	assert_non_null(
	    strstr(out, "E0:tls.groups: this OpenSSL knows no group \"nonsense\"\nE20:certificate: expired on "));
	assert_non_null(strstr(out, "E20:certificate: does not cover b.example; its names are: c.example\n"));
	certs_config_free(config);
	certs_free(&good);
	certs_free(&old);
}

static void put_authorities(struct config *config, const char *text)
{
	certs_file_fini(&config->tls.ca_file);
	config->tls.ca_file.path = mem_strdup("ca.pem");
	config->tls.ca_file.data = mem_strdup(text);
	config->tls.ca_file.len = strlen(text);
	config->tls.ca_file.mark = (struct config_mark){30, 5};
}

/* tls.ca-file is looked at whether a key asks for it or not; the first certificate of it does not make it good. */
static void test_authorities(void **state)
{
	struct cert leaf = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, &ca);
	struct config *config = one_domain(&leaf, &ca);
	char *text;

	(void)state;
	text = mem_printf("%s-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
			  config->domains[0].certificate.data);
	put_authorities(config, config->domains[0].certificate.data);
	expect(config, NULL);
	put_authorities(config, text);
	expect(config, "E30:tls.ca-file: ca.pem: unreadable certificate: ");
	config->domains[0].backend.tls = BACKEND_TLS_OPPORTUNISTIC;
	put_authorities(config, "hello\n");
	expect(config, "E30:tls.ca-file: ca.pem: no PEM certificate in it");
	mem_free(text);
	certs_config_free(config);
	certs_free(&leaf);
}

/* What a rule for one peer changes is looked at too, once and at its own lines; what it shares is not told again. */
static void test_peers(void **state)
{
	struct cert leaf = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, &ca);
	struct config *config = one_domain(&leaf, &ca);
	char old[] = "ECDHE-ECDSA-AES128-SHA", bad[] = "AES128-SHA";
	struct config_peer *peer;

	(void)state;
	config->tls.ciphers = mem_strdup("ECDHE-ECDSA-AES256-GCM-SHA384");
	peer = certs_peer(config, "old.example", LEVEL_ENCRYPT);
	peer->tls.profile = TLS_PROFILE_COMPAT;
	expect(config, NULL);
	peer->tls.ciphers = old;
	peer->tls.ciphers_mark.line = 40;
	expect(config, NULL);
	peer->tls.ciphers = bad;
	expect(config, "E40:tls.ciphers: allows AES128-SHA (static RSA key exchange, no forward secrecy)");
	peer->tls_set = false;
	expect(config, NULL);
	peer->tls_set = true;
	peer->tls.ciphers = config->tls.ciphers;
	put_authorities(config, config->domains[0].certificate.data);
	peer->tls.ca_file = (struct config_file){
	    .path = mem_strdup("own.pem"), .data = mem_strdup("hello\n"), .len = 6, .mark = {41, 7}};
	expect(config, "E41:tls.ca-file: own.pem: no PEM certificate in it");
	certs_config_free(config);
	certs_free(&leaf);
}

/* Each further certificate is judged as the first, at its own line; two of one kind are one too many. */
static void test_more_certificates(void **state)
{
	struct cert ec = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, &ca);
	struct cert ec384 = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example", .key = "P-384"}, &ca);
	struct cert rsa = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example", .key = "rsa2048"}, &ca);
	struct cert other = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:b.example", .key = "ed25519"}, &ca);
	struct config *config = one_domain(&ec, &ca);
	struct config_domain *domain = &config->domains[0];

	(void)state;
	certs_more(domain, &rsa, &ca);
	expect(config, NULL);
	certs_more(domain, &other, &ca);
	domain->more_certificates[1].certificate.mark.line = 33;
	expect(config, "E33:certificate: does not cover a.example; its names are: b.example");
	domain->more_certificate_count = 1;
	certs_file_fini(&domain->more_certificates[1].certificate);
	certs_file_fini(&domain->more_certificates[1].private_key);
	certs_more(domain, &ec384, &ca);
	domain->more_certificates[1].certificate.mark.line = 34;
	expect(config, "E34:certificate: the domain has another one with this kind of key (ECDSA P-384): give one");
	certs_config_free(config);
	certs_free(&ec);
	certs_free(&ec384);
	certs_free(&rsa);
	certs_free(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_description),       cmocka_unit_test(test_everything_in_one_run),
	    cmocka_unit_test(test_authorities),       cmocka_unit_test(test_peers),
	    cmocka_unit_test(test_more_certificates),
	};

	return cmocka_run_group_tests(tests, ca_setup, ca_teardown);
}

/* SPDX-License-Identifier: MIT */
/* The cipher, suite and group strings of the tls block, by what they expand to. */
#include "tls/check.h"

#include "findings.h"

static void test_strings(void **state)
{
	static const struct {
		const char *ciphers, *ciphersuites, *groups, *finding;
	} rows[] = {
	    {"ECDHE-RSA-AES128-GCM-SHA256:ECDHE+CHACHA20:!aNULL", NULL, NULL, NULL},
	    {"AES128-GCM-SHA256", NULL, NULL,
	     "E0:tls.ciphers: allows AES128-GCM-SHA256 (static RSA key exchange, no forward secrecy), which"},
	    {"DHE-RSA-AES128-GCM-SHA256", NULL, NULL,
	     "E0:tls.ciphers: allows DHE-RSA-AES128-GCM-SHA256 (finite-field Diffie-Hellman), which"},
	    {"ADH-AES128-GCM-SHA256", NULL, NULL,
	     "E0:tls.ciphers: allows ADH-AES128-GCM-SHA256 (no authentication), which"},
	    {"NULL-SHA256", NULL, NULL, "E0:tls.ciphers: allows NULL-SHA256 (no encryption), which"},
	    {"ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA", NULL, NULL,
	     "E0:tls.ciphers: allows ECDHE-RSA-AES128-SHA256 (CBC mode) and 1 more"},
	    {"ECDHE-ECDSA-AES128-CCM8", NULL, NULL, "E0:tls.ciphers: allows ECDHE-ECDSA-AES128-CCM8 (64-bit"},
	    {"PSK-AES128-GCM-SHA256", NULL, NULL, "E0:tls.ciphers: allows PSK-AES128-GCM-SHA256 ("},
	    {"ECDHE-RSA-AES128-GCM-SHA256:TYPO", NULL, NULL, "E0:tls.ciphers: \"TYPO\" names no TLS 1.2 cipher suite"},
	    {"RC4", NULL, NULL, "E0:tls.ciphers: \"RC4\" names no"},
	    {"ECDHE+AESGCM:@SECLEVEL=0", NULL, NULL, "E0:tls.ciphers: @SECLEVEL=0: the profile sets"},
	    {"ECDHE+AESGCM:!ECDHE", NULL, NULL, "E0:tls.ciphers: no TLS 1.2 cipher suite is left"},
	    {NULL, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256", NULL, NULL},
	    {NULL, "TLS_AES_128_GCM_SHA25", NULL, "E0:tls.ciphersuites: \"TLS_AES_128_GCM_SHA25\" is no TLS 1.3"},
	    {NULL, "TLS_AES_128_CCM_8_SHA256", NULL,
	     "E0:tls.ciphersuites: allows TLS_AES_128_CCM_8_SHA256 (64-bit authentication tag), which"},
	    {NULL, "", NULL, "E0:tls.ciphersuites: empty"},
	    {NULL, NULL, "P-384:X25519", NULL},
	    {NULL, NULL, "P-384:nonsense", "E0:tls.groups: this OpenSSL knows no group \"nonsense\""},
	    {NULL, NULL, "sect163k1", "E0:tls.groups: sect163k1 has 163 bits"},
	    {NULL, NULL, "P-192", "E0:tls.groups: P-192 has 192 bits"},
	    {NULL, NULL, "ffdhe2048", "E0:tls.groups: ffdhe2048 is finite-field"},
	};
	struct cert leaf = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, &ca);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config *config = one_domain(&leaf, &ca);

		config->tls.ciphers = mem_strdup(rows[i].ciphers);
		config->tls.ciphersuites = mem_strdup(rows[i].ciphersuites);
		config->tls.groups = mem_strdup(rows[i].groups);
		expect(config, rows[i].finding);
		certs_config_free(config);
	}
	certs_free(&leaf);
}

static void test_versions(void **state)
{
	struct cert leaf = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, &ca);
	struct config *config = one_domain(&leaf, &ca);

	(void)state;
	config->tls.min_version = 11;
	expect(config, "E10:tls: profile bcp195 with TLS 1.1 for everyone");
	config->tls.min_version = 0;
	config->tls.profile = TLS_PROFILE_COMPAT;
	expect(config, "E10:tls: profile compat with TLS 1.0 for everyone");
	config->tls.profile = TLS_PROFILE_MODERN;
	expect(config, NULL);
	config->tls.min_version = 12;
	expect(config, "W10:tls: min-version 1.2 lowers profile modern");
	certs_config_free(config);
	certs_free(&leaf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_strings),
	    cmocka_unit_test(test_versions),
	};

	return cmocka_run_group_tests(tests, ca_setup, ca_teardown);
}

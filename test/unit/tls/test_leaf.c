/* SPDX-License-Identifier: MIT */
/* Every defect of a certificate or its chain, each in one made for it. */
#include "tls/check.h"

#include "findings.h"

static void test_certificates(void **state)
{
	static const struct {
		struct cert_spec spec;
		const char *finding;
	} rows[] = {
	    {{.cn = "x", .san = "DNS:a.example"}, NULL},
	    {{.cn = "x", .san = "DNS:*.example"},
	     "E20:certificate: does not cover a.example; its names are: *.example"},
	    {{.cn = "x", .san = "DNS:a.example", .key = "rsa2048"}, NULL},
	    {{.cn = "x", .san = "DNS:a.example", .key = "ed25519"}, NULL},
	    {{.cn = "x", .san = "DNS:a.example", .key = "rsa1024"},
	     "E20:certificate: RSA key of 1024 bits; tls.min-rsa-bits asks for 2048"},
	    {{.cn = "x", .san = "DNS:a.example", .key = "P-224"},
	     "E20:certificate: EC key of 224 bits; tls.min-ec-bits asks for 256"},
	    {{.cn = "x", .san = "DNS:a.example", .from = -100 * DAY, .until = -2 * DAY},
	     "E20:certificate: expired on "},
	    {{.cn = "x", .san = "DNS:a.example", .from = 2 * DAY, .until = 100 * DAY},
	     "E20:certificate: not valid before "},
	    {{.cn = "x", .san = "DNS:a.example", .from = -DAY, .until = 9 * DAY + 60}, "W20:certificate: expires on "},
	    {{.cn = "x", .san = "DNS:b.example,DNS:c.example"},
	     "E20:certificate: does not cover a.example; its names are: b.example, c.example"},
	    {{.cn = "x", .san = "DNS:a*.example"},
	     "E20:certificate: does not cover a.example; its names are: a*.example"},
	    {{.cn = "a.example"}, "E20:certificate: does not cover a.example: it has no DNS name"},
	    {{.cn = "x", .san = "DNS:a.example", .ca = true}, "E20:certificate: the first one in the file is a CA"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cert leaf = certs_make(&rows[i].spec, &ca);
		struct config *config = one_domain(&leaf, &ca);

		expect(config, rows[i].finding);
		certs_config_free(config);
		certs_free(&leaf);
	}
}

/* A name that one kind of server fails on matters where servers are shown it. */
static void test_xmpp_address(void **state)
{
	struct cert leaf = certs_make(
	    &(struct cert_spec){.cn = "x", .san = "DNS:a.example,otherName:1.3.6.1.5.5.7.8.5;UTF8:a.example"}, &ca);
	struct config *config = one_domain(&leaf, &ca);

	(void)state;
	certs_listener(config, ROLE_C2S_INBOUND);
	expect(config, NULL);
	certs_listener(config, ROLE_S2S_OUTBOUND);
	expect(config, "W20:certificate: it holds an XmppAddr, and ejabberd 23.01 drops servers that show one");
	certs_config_free(config);
	certs_free(&leaf);
}

static void test_weak_signatures(void **state)
{
	struct cert sha1 =
	    certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example", .key = "rsa2048", .md = EVP_sha1()}, &ca);
	struct cert md5 = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example", .md = EVP_md5()}, &ca);
	struct config *config = one_domain(&sha1, &ca);

	(void)state;
	expect(config, "E20:certificate: it is signed with SHA1");
	certs_config_free(config);
	config = one_domain(&md5, &ca);
	expect(config, "E20:certificate: it is signed with MD5");
	certs_config_free(config);
	certs_free(&sha1);
	certs_free(&md5);
}

static void test_chain(void **state)
{
	struct cert leaf = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, &ca);
	struct cert other = certs_make(&(struct cert_spec){.cn = "other", .ca = true}, NULL);
	struct cert self = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, NULL);
	struct config *config = one_domain(&leaf, NULL);

	(void)state;
	expect(config, "W20:certificate: the file does not hold its issuer");
	certs_config_free(config);
	config = one_domain(&leaf, &other);
	expect(config, "W20:certificate: the file does not hold its issuer");
	certs_config_free(config);
	config = one_domain(&self, NULL);
	expect(config, "W20:certificate: self-signed");
	certs_config_free(config);
	certs_free(&leaf);
	certs_free(&other);
	certs_free(&self);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_certificates),
	    cmocka_unit_test(test_xmpp_address),
	    cmocka_unit_test(test_weak_signatures),
	    cmocka_unit_test(test_chain),
	};

	return cmocka_run_group_tests(tests, ca_setup, ca_teardown);
}

/* SPDX-License-Identifier: MIT */
/* The judgement itself: what the zoo cannot show of chains, keys and questions. */
#include "tls/verify_private.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "certs.h"

#define TOO_SMALL "the certificate's key is too small"
#define UNTRUSTED "the certificate's issuer is not among those trusted"

static struct cert ca, leaf;
static X509_STORE *anchors;
static struct config_tls tls = {.min_rsa_bits = 2048, .min_ec_bits = 256};

static struct tls_finding judge(const struct cert *cert, STACK_OF(X509) * chain, const char *domain)
{
	const struct tls_question question = {
	    .anchors = anchors, .tls = &tls, .domain = domain, .service = "_xmpp-server"};
	struct tls_finding finding;

	tls_judge(&finding, &question, cert ? cert->x509 : NULL, chain);
	return finding;
}

static void expect_fault(const struct cert *cert, STACK_OF(X509) * chain, const char *words)
{
	struct tls_finding finding = judge(cert, chain, "a.example");

	if (words)
		assert_string_equal(finding.fault, words);
	else
		assert_null(finding.fault);
	assert_int_equal(finding.error == X509_V_OK, words == NULL);
	assert_string_equal(finding.method, words ? "none" : "pkix");
	assert_string_equal(finding.matched, words ? "" : "DNS-ID a.example");
	assert_int_equal(ERR_peek_error(), 0);
}

static void test_limits_of_keys(void **state)
{
	struct cert p384 = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example", .key = "P-384"}, &ca);
	struct cert rsa = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example", .key = "rsa2048"}, &ca);
	struct cert ed = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example", .key = "ed25519"}, &ca);

	(void)state;
	expect_fault(&p384, NULL, NULL);
	expect_fault(&rsa, NULL, NULL);
	expect_fault(&ed, NULL, NULL);
	tls.min_rsa_bits = 2049;
	expect_fault(&rsa, NULL, TOO_SMALL);
	tls.min_ec_bits = 257; /* the anchor has 256 */
	expect_fault(&p384, NULL, "the key of a certificate it depends on is too small");
	tls.min_rsa_bits = 2048;
	tls.min_ec_bits = 256;
	certs_free(&p384);
	certs_free(&rsa);
	certs_free(&ed);
}

/* An intermediate must come along, and be an authority; more of them than anybody has are not followed. */
static void test_chains(void **state)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	struct cert link[12];

	(void)state;
	link[0] = certs_make(&(struct cert_spec){.cn = "link 0", .ca = true}, &ca);
	for (int i = 1; i < 12; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "link %d", i);
		link[i] = certs_make(&(struct cert_spec){.cn = name, .ca = true}, &link[i - 1]);
	}
	for (int i = 0; i < 12; i++) {
		struct cert end = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, &link[i]);

		expect_fault(&end, chain, UNTRUSTED);
		sk_X509_push(chain, link[i].x509);
		expect_fault(&end, chain,
			     i < 8 ? NULL : "too many certificates stand between this one and those trusted");
		certs_free(&end);
	}
	sk_X509_free(chain);
	for (int i = 0; i < 12; i++)
		certs_free(&link[i]);
}

static void test_a_server_issues_nothing(void **state)
{
	struct cert end = certs_make(&(struct cert_spec){.cn = "end", .san = "DNS:a.example"}, &leaf);
	STACK_OF(X509) *chain = sk_X509_new_null();
	struct tls_finding finding;

	(void)state;
	sk_X509_push(chain, leaf.x509);
	finding = judge(&end, chain, "a.example");
	assert_non_null(finding.fault);
	assert_int_equal(finding.error, X509_V_ERR_INVALID_CA);
	sk_X509_free(chain);
	certs_free(&end);
}

/* A self-signed certificate that is itself among those trusted is good. */
static void test_trusted_itself(void **state)
{
	struct cert own = certs_make(&(struct cert_spec){.cn = "own", .san = "DNS:a.example"}, NULL);

	(void)state;
	expect_fault(&own, NULL, "the certificate is self-signed and not among those trusted");
	X509_STORE_add_cert(anchors, own.x509);
	expect_fault(&own, NULL, NULL);
	certs_free(&own);
}

static void test_questions(void **state)
{
	struct tls_finding finding = judge(&leaf, NULL, NULL);

	(void)state;
	assert_null(finding.fault); /* the chain alone */
	assert_string_equal(finding.matched, "");
	finding = judge(NULL, NULL, "a.example");
	assert_string_equal(finding.fault, "no certificate was shown");
	finding = judge(&leaf, NULL, "b.example");
	assert_string_equal(finding.fault, "the certificate is not for this domain");
	assert_string_equal(finding.matched, "");
}

static void test_clock(void **state)
{
	int64_t now = clock_real_us();

	(void)state;
	clock_fake(1, now - 2 * 86400L * 1000000);
	expect_fault(&leaf, NULL, "the certificate, or one it depends on, is not valid yet");
	clock_fake(1, now + 91 * 86400L * 1000000);
	expect_fault(&leaf, NULL, "the certificate, or one it depends on, has expired");
	clock_unfake();
	expect_fault(&leaf, NULL, NULL);
}

static void test_weak_chain(void **state)
{
	struct cert sha1 = certs_make(&(struct cert_spec){.cn = "old", .ca = true, .md = EVP_sha1()}, &ca);
	struct cert small = certs_make(&(struct cert_spec){.cn = "small", .ca = true, .key = "rsa1024"}, &ca);
	struct cert rsa = certs_make(&(struct cert_spec){.cn = "rsa", .ca = true, .key = "rsa2048"}, &ca);
	struct cert md5 = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example", .md = EVP_md5()}, &rsa);
	struct cert under_sha1 = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, &sha1);
	struct cert under_small = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, &small);
	STACK_OF(X509) *chain = sk_X509_new_null();

	(void)state;
	sk_X509_push(chain, sha1.x509);
	sk_X509_push(chain, small.x509);
	sk_X509_push(chain, rsa.x509);
	expect_fault(&under_sha1, chain, "the certificate's signature is too weak");
	expect_fault(&under_small, chain, "the key of a certificate it depends on is too small");
	expect_fault(&md5, chain, "the certificate's signature is too weak");
	sk_X509_free(chain);
	certs_free(&sha1);
	certs_free(&small);
	certs_free(&rsa);
	certs_free(&md5);
	certs_free(&under_sha1);
	certs_free(&under_small);
}

/* CERT-8: it does not matter which way the issuer is limited; limits on other forms of names are none on DNS names. */
static void test_limited_issuers(void **state)
{
	static const struct {
		const char *limits;
		bool good;
	} rows[] = {
	    {"permitted;DNS:other.example", false},
	    {"excluded;DNS:other.example", false},
	    {"excluded;IP:10.0.0.0/255.0.0.0", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cert limited =
		    certs_make(&(struct cert_spec){.cn = "limited", .ca = true, .limits = rows[i].limits}, &ca);
		struct cert srv = certs_make(
		    &(struct cert_spec){.cn = "x", .san = "otherName:1.3.6.1.5.5.7.8.7;IA5:_xmpp-server.a.example"},
		    &limited);
		STACK_OF(X509) *chain = sk_X509_new_null();
		struct tls_finding finding;

		sk_X509_push(chain, limited.x509);
		finding = judge(&srv, chain, "a.example");
		assert_int_equal(finding.fault == NULL, rows[i].good);
		assert_string_equal(finding.matched, rows[i].good ? "SRV-ID _xmpp-server.a.example" : "");
		sk_X509_free(chain);
		certs_free(&srv);
		certs_free(&limited);
	}
}

/* A rule has authorities of its own if their bytes differ from the common ones. */
static void test_anchors_of_peers(void **state)
{
	struct config *config = certs_config(1);

	(void)state;
	certs_authority(&config->tls.ca_file, &ca);
	(void)certs_peer(config, "same.example", LEVEL_VERIFY);
	(void)certs_peer(config, "other.example", LEVEL_VERIFY);
	(void)certs_peer(config, "none.example", LEVEL_VERIFY);
	memset(&config->peers[1].tls.ca_file, 0, sizeof(struct config_file));
	certs_authority(&config->peers[1].tls.ca_file, &leaf);
	config->peers[2].tls_set = false;
	assert_false(tls_anchors_of_peer(config, 0));
	assert_true(tls_anchors_of_peer(config, 1));
	assert_false(tls_anchors_of_peer(config, 2));
	certs_config_free(config);
}

static int setup(void **state)
{
	struct config_file file = {0};
	struct errbuf err;

	(void)state;
	tls_library_init();
	ca = certs_make(&(struct cert_spec){.cn = "Test CA", .ca = true}, NULL);
	leaf = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, &ca);
	certs_authority(&file, &ca);
	anchors = tls_anchors_new(&file, &err);
	certs_file_fini(&file);
	return anchors ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	X509_STORE_free(anchors);
	certs_free(&ca);
	certs_free(&leaf);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_limits_of_keys),
	    cmocka_unit_test(test_chains),
	    cmocka_unit_test(test_a_server_issues_nothing),
	    cmocka_unit_test(test_trusted_itself),
	    cmocka_unit_test(test_questions),
	    cmocka_unit_test(test_clock),
	    cmocka_unit_test(test_weak_chain),
	    cmocka_unit_test(test_limited_issuers),
	    cmocka_unit_test(test_anchors_of_peers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

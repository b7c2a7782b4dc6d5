/* SPDX-License-Identifier: MIT */
/* Names, looking a certificate up, and what is taken of a process that may have been taken over. */
#include "memory/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void fill(char out[65], char digit)
{
	memset(out, digit, 64);
	out[64] = '\0';
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(peer_service_name(PEER_C2S), "c2s");
	assert_string_equal(peer_service_name(PEER_S2S), "s2s");
	assert_string_equal(peer_service_name(PEER_SERVICES), "unknown");
	assert_string_equal(peer_method_name(PEER_METHOD_NONE), "none");
	assert_string_equal(peer_method_name(PEER_METHOD_DIALBACK), "dialback");
	assert_string_equal(peer_method_name(PEER_METHOD_FINGERPRINT), "fingerprint");
	assert_string_equal(peer_method_name(PEER_METHOD_PKIX), "pkix");
	assert_string_equal(peer_method_name(PEER_METHODS), "unknown");
}

static void test_find(void **state)
{
	static struct peer_memory memory = {.known = true, .certificate_count = 3};
	char a[65], b[65], c[65], key[65];

	(void)state;
	fill(a, 'a');
	fill(b, 'b');
	fill(c, 'c');
	fill(key, '1');
	for (int i = 0; i < 3; i++) {
		fill(memory.certificate[i].sha256, "abd"[i]);
		fill(memory.certificate[i].spki_sha256, "121"[i]);
	}
	assert_ptr_equal(peer_memory_find(&memory, b, key), &memory.certificate[1]);
	/* The certificate itself goes before one with its key. */
	fill(c, 'd');
	assert_ptr_equal(peer_memory_find(&memory, c, key), &memory.certificate[2]);
	fill(c, 'c');
	assert_ptr_equal(peer_memory_find(&memory, c, key), &memory.certificate[0]);
	fill(key, '3');
	assert_null(peer_memory_find(&memory, c, key));
	memory.certificate_count = 0;
	assert_null(peer_memory_find(&memory, a, key));
}

static struct peer_observation good(void)
{
	struct peer_observation seen = {.domain = "example.com",
					.service = PEER_S2S,
					.when = 1795336069,
					.tls = true,
					.version = 13,
					.method = PEER_METHOD_PKIX,
					.has_certificate = true};

	fill(seen.certificate.sha256, 'a');
	fill(seen.certificate.spki_sha256, '0');
	return seen;
}

static void test_valid(void **state)
{
	struct peer_observation seen = good();

	(void)state;
	assert_true(peer_observation_valid(&seen));
	seen.version = 0;
	assert_true(peer_observation_valid(&seen));
	/* Of a certificate that is not there nothing is looked at. */
	seen.has_certificate = false;
	seen.certificate.sha256[3] = 'x';
	assert_true(peer_observation_valid(&seen));
}

#define REFUSED(change)                                      \
	do {                                                 \
		struct peer_observation seen = good();       \
		change;                                      \
		assert_false(peer_observation_valid(&seen)); \
	} while (0)

static void test_invalid(void **state)
{
	const unsigned char two = 2;

	(void)state;
	REFUSED(seen.domain[0] = '\0');
	REFUSED(memcpy(seen.domain, "Example.com", 12));
	REFUSED(memcpy(seen.domain, "a@example.com", 14));
	REFUSED(memset(seen.domain, 'a', sizeof(seen.domain)));
	REFUSED(seen.service = PEER_SERVICES);
	REFUSED(seen.method = PEER_METHODS);
	REFUSED(seen.when = -1);
	REFUSED(seen.when = PEER_TIME_MAX + 1);
	REFUSED(seen.version = 9);
	REFUSED(seen.version = 14);
	REFUSED(memcpy(&seen.tls, &two, 1));
	REFUSED(memcpy(&seen.inbound, &two, 1));
	REFUSED(memcpy(&seen.has_certificate, &two, 1));
	REFUSED(memcpy(&seen.certificate.accepted, &two, 1));
	REFUSED(seen.certificate.sha256[63] = '\0');
	REFUSED(seen.certificate.sha256[0] = 'A');
	REFUSED(seen.certificate.spki_sha256[0] = 'g');
	REFUSED(memset(seen.certificate.spki_sha256, 'a', sizeof(seen.certificate.spki_sha256)));
	REFUSED(memset(seen.certificate.subject, 'a', sizeof(seen.certificate.subject)));
	REFUSED(memset(seen.certificate.issuer, 'a', sizeof(seen.certificate.issuer)));
	REFUSED(memset(seen.certificate.endpoint, 'a', sizeof(seen.certificate.endpoint)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_valid),
	    cmocka_unit_test(test_invalid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

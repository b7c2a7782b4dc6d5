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
	assert_string_equal(peer_direction_name(PEER_OUTBOUND), "outbound");
	assert_string_equal(peer_direction_name(PEER_INBOUND), "inbound");
	assert_string_equal(peer_direction_name(PEER_DIRECTIONS), "unknown");
	assert_string_equal(peer_method_name(PEER_METHOD_NONE), "none");
	assert_string_equal(peer_method_name(PEER_METHOD_DIALBACK), "dialback");
	assert_string_equal(peer_method_name(PEER_METHOD_FINGERPRINT), "fingerprint");
	assert_string_equal(peer_method_name(PEER_METHOD_PKIX), "pkix");
	assert_string_equal(peer_method_name(PEER_METHODS), "unknown");
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

/* What is remembered: digits of certificate and key, and whether it is accepted; the one seen last first. */
static struct peer_memory remembered(const char *what)
{
	struct peer_memory memory = {.known = true};

	for (; *what; what += 3) {
		struct peer_certificate *c = &memory.certificate[memory.certificate_count++];

		fill(c->sha256, what[0]);
		fill(c->spki_sha256, what[1]);
		c->accepted = what[2] == '+';
		snprintf(c->endpoint, sizeof(c->endpoint), "%c.example:5269", what[0]);
	}
	return memory;
}

static enum peer_standing judged(const char *what, char certificate, char key)
{
	struct peer_memory memory = remembered(what);
	struct peer_observation seen = good();

	fill(seen.certificate.sha256, certificate);
	fill(seen.certificate.spki_sha256, key);
	snprintf(seen.certificate.endpoint, sizeof(seen.certificate.endpoint), "a.example:5269");
	return peer_memory_judge(&memory, &seen);
}

static void test_judge(void **state)
{
	(void)state;
	assert_int_equal(judged("", 'a', '1'), PEER_FIRST);
	assert_int_equal(judged("b2-a1+", 'a', '1'), PEER_KNOWN);
	assert_int_equal(judged("b2-a1+", 'b', '2'), PEER_WAITING);
	assert_int_equal(judged("b2-a1+", 'c', '3'), PEER_CHANGED);
	/* A renewal with the key that was there; also one that was stored as if it were a stranger's. */
	assert_int_equal(judged("b2-a1+", 'c', '1'), PEER_SAME_KEY);
	assert_int_equal(judged("b1-a1+", 'b', '1'), PEER_SAME_KEY);
	/* The key of one that waits itself is no recommendation. */
	assert_int_equal(judged("b2-a1+", 'c', '2'), PEER_CHANGED);
	assert_true(peer_standing_good(PEER_FIRST) && peer_standing_good(PEER_KNOWN));
	assert_true(peer_standing_good(PEER_SAME_KEY));
	assert_false(peer_standing_good(PEER_WAITING) || peer_standing_good(PEER_CHANGED));
}

/* At an endpoint, with a1 accepted at a.example and b2 waiting at b.example; c.example was met, too. */
static enum peer_standing judged_at(const char *endpoint, const char *shown, bool inbound, bool verified, bool secure)
{
	struct peer_memory memory = remembered("b2-a1+");
	struct peer_observation seen = good();

	snprintf(memory.endpoint[memory.endpoint_count++], PEER_ENDPOINT_SIZE, "c.example:5269");
	fill(seen.certificate.sha256, shown[0]);
	fill(seen.certificate.spki_sha256, shown[1]);
	snprintf(seen.certificate.endpoint, sizeof(seen.certificate.endpoint), "%s", endpoint);
	seen.inbound = inbound;
	seen.certificate.accepted = verified;
	seen.srv_secure = secure;
	return peer_memory_judge(&memory, &seen);
}

/* LOG-6: two targets with two certificates. */
static void test_servers(void **state)
{
	(void)state;
	assert_int_equal(judged_at("n.example:5269", "d4", false, true, true), PEER_NEW_SERVER);
	/* Verified it is let in, but not without a word: the name may be one that somebody thought of for it. */
	assert_int_equal(judged_at("n.example:5269", "d4", false, true, false), PEER_STRANGE_SERVER);
	/* DNSSEC proves the name, not who answers there: the other port of the same host is a server not met before. */
	assert_int_equal(judged_at("a.example:5270", "d4", false, false, true), PEER_STRANGE_SERVER);
	assert_true(peer_standing_good(PEER_NEW_SERVER));
	/* Whoever forges DNS can name as many as he likes. */
	assert_int_equal(judged_at("n.example:5269", "d4", false, false, false), PEER_STRANGE_SERVER);
	assert_int_equal(judged_at("a.example:5270", "d4", false, false, false), PEER_STRANGE_SERVER);
	assert_false(peer_standing_good(PEER_STRANGE_SERVER));
	/* Met before, with whatever certificate: a change. */
	assert_int_equal(judged_at("a.example:5269", "d4", false, true, true), PEER_CHANGED);
	assert_int_equal(judged_at("b.example:5269", "d4", false, false, true), PEER_CHANGED);
	assert_int_equal(judged_at("c.example:5269", "d4", false, false, true), PEER_CHANGED);
	/* A certificate may move, one that nobody accepted stays so, and a key may have more than one. */
	assert_int_equal(judged_at("c.example:5269", "a1", false, false, false), PEER_KNOWN);
	assert_int_equal(judged_at("n.example:5269", "b2", false, false, true), PEER_WAITING);
	assert_int_equal(judged_at("n.example:5269", "d1", false, false, false), PEER_SAME_KEY);
	/* Inbound there is one. */
	assert_int_equal(judged_at("inbound", "d4", true, true, false), PEER_CHANGED);
	assert_int_equal(judged_at("inbound", "d4", true, false, false), PEER_CHANGED);
}

static char previous(const char *what, char key)
{
	struct peer_memory memory = remembered(what);
	struct peer_observation seen = good();
	const struct peer_certificate *before;

	fill(seen.certificate.sha256, 'f');
	snprintf(seen.certificate.endpoint, sizeof(seen.certificate.endpoint), "d.example:5269");
	fill(seen.certificate.spki_sha256, key);
	before = peer_memory_previous(&memory, &seen);
	return before ? before->sha256[0] : '-';
}

static void test_previous(void **state)
{
	(void)state;
	assert_int_equal(previous("", '1'), '-');
	assert_int_equal(previous("a1-b2-", '3'), 'a');
	assert_int_equal(previous("a1-b2+c3+", '1'), 'b');
	assert_int_equal(previous("a1-b2+c3+", '3'), 'c');
	assert_int_equal(previous("b2+d4+c3+", '5'), 'd');
}

static void test_find(void **state)
{
	struct peer_memory memory = remembered("a1+b2-");
	char digest[65];

	(void)state;
	fill(digest, 'b');
	assert_ptr_equal(peer_memory_find(&memory, digest), &memory.certificate[1]);
	fill(digest, '1');
	assert_null(peer_memory_find(&memory, digest));
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
	REFUSED(memcpy(&seen.refused, &two, 1));
	REFUSED(memcpy(&seen.srv_secure, &two, 1));
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
	    cmocka_unit_test(test_names),    cmocka_unit_test(test_judge), cmocka_unit_test(test_servers),
	    cmocka_unit_test(test_previous), cmocka_unit_test(test_find),  cmocka_unit_test(test_valid),
	    cmocka_unit_test(test_invalid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

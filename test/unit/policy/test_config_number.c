/* SPDX-License-Identifier: MIT */
/* Bools, whole numbers, sizes, durations and choices: what is taken, and what is said of the rest. */
#include "policy/config_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_lines.h"

static void digits(void **state)
{
	(void)state;
	int64_t value = -7;
	const char *end = config_digits("12ab", 100, &value);
	assert_non_null(end);
	assert_string_equal(end, "ab");
	assert_int_equal(value, 12);
	assert_string_equal(config_digits("0", 0, &value), "");
	assert_int_equal(value, 0);
	assert_non_null(config_digits("9223372036854775807", INT64_MAX, &value));
	assert_true(value == INT64_MAX);
	static const char *const bad[] = {
	    "", "-1", "+1", " 1", "01", "00", "x", "9223372036854775808", "99999999999999999999"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(config_digits(bad[i], INT64_MAX, &value));
	assert_null(config_digits("101", 100, &value));
}

#define WORKERS(v) "1:10: \"workers\": " v
#define WORKERS_BAD(v) WORKERS("\"" v "\" is not taken; expected: whole number, 1 to 256, or auto (example: auto)")
static void numbers(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {"workers: 1\n" REST, ""},
	    {"workers: 256\n" REST, ""},
	    {"workers: auto\n" REST, ""},
	    {"workers: \"auto\"\n" REST, ""},
	    {"workers: 0\n" REST, WORKERS("0 is out of range: 1 to 256, or auto")},
	    {"workers: 257\n" REST, WORKERS("257 is out of range: 1 to 256, or auto")},
	    {"workers: \"4\"\n" REST, WORKERS("\"4\" in quotes is text, write it without quotes")},
	    {"workers: -1\n" REST, WORKERS_BAD("-1")},
	    {"workers: 1.5\n" REST, WORKERS_BAD("1.5")},
	    {"workers: 0x10\n" REST, WORKERS_BAD("0x10")},
	    {"workers: 010\n" REST, WORKERS_BAD("010")},
	    {"workers: 99999999999999999999\n" REST, WORKERS_BAD("99999999999999999999")},
	    {"workers: AUTO\n" REST, WORKERS_BAD("AUTO")},
	    {"workers: [1]\n" REST, WORKERS("found a list, expected: whole number, 1 to 256, or auto (example: auto)")},
	    {"workers: null\n" REST,
	     WORKERS("found nothing, expected: whole number, 1 to 256, or auto (example: auto)")},
	    {"workers:\n" REST,
	     "1:9: \"workers\": found nothing, expected: whole number, 1 to 256, or auto (example: auto)"},
	};
	assert_cases(cases);
}

#define STANZA(v) "1:18: \"limits.stanza\": " v
#define STANZA_BAD(v) \
	STANZA("\"" v "\" is not taken; expected: size in bytes, or with k, m, g, 10000 to 1g, or 0 (example: 512k)")
#define FLOOR " (RFC 6120 section 13.12.4 has every server take stanzas of 10000 bytes)"
static void sizes(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {"limits: {stanza: 0}\n" REST, ""},
	    {"limits: {stanza: 10000}\n" REST, ""},
	    {"limits: {stanza: 10k}\n" REST, ""},
	    {"limits: {stanza: \"1g\"}\n" REST, ""},
	    {"limits: {stanza: 9999}\n" REST, STANZA("9999 is out of range: 10000 to 1g, or 0" FLOOR)},
	    {"limits: {stanza: 9k}\n" REST, STANZA("9k is out of range: 10000 to 1g, or 0" FLOOR)},
	    {"limits: {stanza: 1025m}\n" REST, STANZA("1025m is out of range: 10000 to 1g, or 0" FLOOR)},
	    {"limits: {stanza: \"20000\"}\n" REST, STANZA("\"20000\" in quotes is text, write it without quotes")},
	    {"limits: {stanza: 16K}\n" REST, STANZA_BAD("16K")},
	    {"limits: {stanza: 16kb}\n" REST, STANZA_BAD("16kb")},
	    {"limits: {stanza: 16 k}\n" REST, STANZA_BAD("16 k")},
	    {"limits: {stanza: 1.5m}\n" REST, STANZA_BAD("1.5m")},
	    {"limits: {stanza: k}\n" REST, STANZA_BAD("k")},
	    {"limits: {stanza: 9223372036854775807k}\n" REST, STANZA_BAD("9223372036854775807k")},
	    {"limits: {unauthenticated-stanza: 0}\n" REST,
	     "1:34: \"limits.unauthenticated-stanza\": 0 is out of range: 10000 to 16m" FLOOR},
	    {"limits: {unauthenticated-stanza: 9999}\n" REST,
	     "1:34: \"limits.unauthenticated-stanza\": 9999 is out of range: 10000 to 16m" FLOOR},
	};
	assert_cases(cases);
}

#define CONNECT(v) "1:21: \"timeouts.connect\": " v
#define CONNECT_BAD(v) \
	CONNECT("\"" v "\" is not taken; expected: duration with ms, s, m, h, d, 1ms to 1d (example: 10s)")
static void durations(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {"timeouts: {connect: 1ms}\n" REST, ""},
	    {"timeouts: {connect: 1d}\n" REST, ""},
	    {"timeouts: {connect: \"90s\"}\n" REST, ""},
	    {"timeouts: {idle: 0, drain: 0}\n" REST, ""},
	    {"timeouts: {idle: 0s}\n" REST, ""},
	    {"timeouts: {connect: 0}\n" REST, CONNECT("0 is out of range: 1ms to 1d")},
	    {"timeouts: {connect: 25h}\n" REST, CONNECT("25h is out of range: 1ms to 1d")},
	    {"timeouts: {connect: 10}\n" REST, CONNECT("10 has no unit; it takes ms, s, m, h or d (example: 10s)")},
	    {"timeouts: {idle: 5}\n" REST,
	     "1:18: \"timeouts.idle\": 5 has no unit; it takes ms, s, m, h or d (example: 30s)"},
	    {"timeouts: {connect: -1s}\n" REST, CONNECT_BAD("-1s")},
	    {"timeouts: {connect: 1.5s}\n" REST, CONNECT_BAD("1.5s")},
	    {"timeouts: {connect: 10S}\n" REST, CONNECT_BAD("10S")},
	    {"timeouts: {connect: 1w}\n" REST, CONNECT_BAD("1w")},
	    {"timeouts: {connect: 1h30m}\n" REST, CONNECT_BAD("1h30m")},
	    {"timeouts: {connect: 010s}\n" REST, CONNECT_BAD("010s")},
	    {"timeouts: {connect: 106751991168d}\n" REST, CONNECT_BAD("106751991168d")},
	    {"tls: {ticket-lifetime: 8d}\n" REST,
	     "1:24: \"tls.ticket-lifetime\": 8d is out of range: 1s to 7d (RFC 9325 section 3.4)"},
	};
	assert_cases(cases);
}

static void bools(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {"audit: {chain: false}\n" REST, ""},
	    {"audit: {chain: yes}\n" REST,
	     "1:16: \"audit.chain\": \"yes\" is not taken; expected: true or false (example: true)"},
	    {"audit: {chain: True}\n" REST,
	     "1:16: \"audit.chain\": \"True\" is not taken; expected: true or false (example: true)"},
	    {"audit: {chain: \"true\"}\n" REST,
	     "1:16: \"audit.chain\": \"true\" in quotes is text, write it without quotes"},
	};
	assert_cases(cases);
}

static void choices(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {"tls: {min-version: 1.2}\n" REST, ""},
	    {"tls: {min-version: \"1.3\"}\n" REST, ""},
	    {"tls: {min-version: ~}\n" REST, ""},
	    {"tls: {min-version: 1.0}\n" REST,
	     "1:20: \"tls.min-version: 1.0\" is forbidden by RFC 8996: the least is \"1.2\""},
	    {"tls: {min-version: \"1.1\"}\n" REST,
	     "1:20: \"tls.min-version: 1.1\" is forbidden by RFC 8996: the least is \"1.2\""},
	    {"tls: {min-version: 1.4}\n" REST, "1:20: \"tls.min-version\": \"1.4\" is not taken; expected: one of 1.2, "
					       "1.3, or null (did you mean \"1.2\"?)"},
	    {"tls: {profile: compat}\n" REST,
	     "1:16: \"tls.profile: compat\" is only for one peer at a time, never for all of them"},
	    {"log: {level: Info}\n" REST, "1:14: \"log.level\": \"Info\" is not taken; expected: one of error, warn, "
					  "info, debug (did you mean \"info\"?)"},
	    {"log: {level: loud}\n" REST,
	     "1:14: \"log.level\": \"loud\" is not taken; expected: one of error, warn, info, debug"},
	    {"log: {level: {a: b}}\n" REST,
	     "1:14: \"log.level\": found a block of keys, expected: one of error, warn, info, debug (example: info)"},
	};
	assert_cases(cases);
}

#define LATER(v) "\"" v "\" is not available in this version"
static void later(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {"policy: {c2s-inbound: verify}\n" REST, "1:23: " LATER("policy.c2s-inbound: verify")},
	    {"policy: {s2s-inbound: verify, s2s-outbound: verify, c2s-outbound: verify}\n" REST, ""},
	    {"policy: {s2s-inbound: encrypt, s2s-outbound: none, c2s-outbound: encrypt}\n" REST,
	     "1:46: warning: \"policy.s2s-outbound: none\" lets plaintext through"},
	    {"policy: {s2s-inbound: dane, s2s-outbound: dane-only}\n" REST,
	     "1:23: " LATER("policy.s2s-inbound: dane") "\n1:43: " LATER("policy.s2s-outbound: dane-only")},
	    {"policy: {s2s-inbound: fingerprint}\n" REST, "1:23: \"policy.s2s-inbound: fingerprint\" needs a list of "
							  "fingerprints: it is for the rules in \"peers\""},
	    {"policy: {s2s-inbound: stong}\n" REST,
	     "1:23: \"policy.s2s-inbound\": \"stong\" is not taken; expected: one of none, may, encrypt, verify"},
	    {"policy: {mechanisms-refused: [], on-certificate-change: warn}\n" REST, ""},
	    {"policy: {mechanisms-refused: [PLAIN]}\n" REST, ""},
	    {"policy: {on-certificate-change: refuse}\n" REST, ""},
	    {"peers: []\ndns: {servers: [], trust-anchor: null, timeout: 5000ms}\n" REST, ""},
	    {"peers: {domain: x}\n" REST,
	     "1:8: \"peers\": found a block of keys, expected: list of blocks (example: [])"},
	    {"tls: {ca-file: c, crl-file: c}\n" REST, "1:29: " LATER("tls.crl-file")},
	    {"peers: [{domain: x, tls: {ticket-lifetime: 1h, client-certificate: no, crl-file: c}}]\n" S2S,
	     "1:44: " LATER("peers[0].tls.ticket-lifetime: 1h") "\n1:68: " LATER(
		 "peers[0].tls.client-certificate: no") "\n1:82: " LATER("peers[0].tls.crl-file")},
	    {"peers: [{domain: x, tls: {ticket-lifetime: null, client-certificate: ~, crl-file: null}}]\n" S2S, ""},
	    {"peers: [{domain: x, level: dane}]\n" S2S, "1:28: " LATER("peers[0].level: dane")},
	    {"tls: {ca-file: null, crl-file: ~, client-certificate: no}\n" REST, ""},
	    {"audit: {signing-key: k}\nadmin: {metrics: \"127.0.0.1:9\"}\n" REST,
	     "1:22: " LATER("audit.signing-key") "\n2:18: " LATER("admin.metrics")},
	    {"audit: {signing-key: null}\nadmin: {metrics: null}\n" REST, ""},
	};
	assert_cases(cases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(digits), cmocka_unit_test(numbers), cmocka_unit_test(sizes), cmocka_unit_test(durations),
	    cmocka_unit_test(bools),  cmocka_unit_test(choices), cmocka_unit_test(later),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

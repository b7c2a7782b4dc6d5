/* SPDX-License-Identifier: MIT */
/* Rules about the rules of `peers`, and what the calendar says of them. */
#include "policy/config_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_lines.h"

#define RULE(keys) "peers: [{domain: x, " keys "}]\n" S2S
#define EXCUSED ", reason: old, until: 2027-03-31"
#define WHY "say why in \"reason\""
#define WHEN "until when in \"until\""
#define BOTH WHY " and " WHEN " (example: reason: \"renewed in March\", until: 2027-03-31)"
#define WEAK(level) "1:28: \"peers[0].level: " level "\" is weaker than \"policy.s2s-outbound: verify\": "
#define WEAK_TLS "1:26: \"peers[0].tls\" asks for less than the common \"tls\", or for something else: "

static void weaker_levels(void **state)
{
	static const struct config_case cases[] = {
	    {RULE("level: verify"), ""},
	    {RULE("level: null"), ""},
	    {RULE("level: none"), WEAK("none") BOTH},
	    {RULE("level: may"), WEAK("may") BOTH},
	    {RULE("level: encrypt"), WEAK("encrypt") BOTH},
	    {RULE("level: encrypt, reason: old"), WEAK("encrypt") "say " WHEN " (example: until: 2027-03-31)"},
	    {RULE("level: encrypt, until: 2027-03-31"), WEAK("encrypt") WHY " (example: reason: \"renewed in March\")"},
	    {RULE("level: encrypt" EXCUSED), ""},
	    {RULE("level: encrypt, reason: old, until: soon"),
	     "1:57: \"peers[0].until\": \"soon\" is not a date of the calendar (example: 2027-03-31)"},
	    {RULE("level: encrypted"),
	     "1:28: \"peers[0].level\": \"encrypted\" is not taken; expected: one of none, may, "
	     "encrypt, verify, fingerprint, or null (did you mean \"encrypt\"?)"},
	    {"policy: {s2s-outbound: encrypt}\n" RULE("level: encrypt"), ""},
	    /* Only roles in use count. */
	    {"policy: {s2s-outbound: encrypt, s2s-inbound: verify, c2s-outbound: verify}\n" RULE("level: encrypt"), ""},
	    {"policy: {s2s-outbound: encrypt}\npeers: [{domain: x, level: encrypt}]\n"
	     "listeners: [{role: s2s-outbound, address: \"[::]:1\"}, {role: c2s-outbound, address: \"[::]:2\"}]\n"
	     "domains: [{name: a.example, certificate: c, private-key: k}]\n",
	     "2:28: \"peers[0].level: encrypt\" is weaker than \"policy.c2s-outbound: verify\": " BOTH},
	};
	(void)state;
	assert_cases(cases);
}

static void weaker_tls(void **state)
{
	static const struct config_case cases[] = {
	    {RULE("tls: {profile: modern}"), ""},
	    {RULE("tls: {min-version: 1.3, min-rsa-bits: 3072, min-ec-bits: 384}"), ""},
	    {RULE("tls: {ca-file: c, session-resumption: false}"), ""},
	    {RULE("tls: {profile: compat}"), WEAK_TLS BOTH},
	    {RULE("tls: {profile: compat}" EXCUSED), ""},
	    {RULE("tls: {profile: compat, min-version: 1.3}"), WEAK_TLS BOTH},
	    {RULE("tls: {min-version: 1.1}"), WEAK_TLS BOTH},
	    {RULE("tls: {min-version: 1.1}, reason: old"), WEAK_TLS "say " WHEN " (example: until: 2027-03-31)"},
	    {RULE("tls: {ciphers: A}"), WEAK_TLS BOTH},
	    {RULE("tls: {ciphersuites: A}"), WEAK_TLS BOTH},
	    {RULE("tls: {groups: A}"), WEAK_TLS BOTH},
	    {RULE("tls: {groups: A}") "tls: {groups: A}\n", ""},
	    {RULE("tls: {groups: A}") "tls: {groups: B}\n", WEAK_TLS BOTH},
	    {RULE("tls: {min-rsa-bits: 2048}") "tls: {min-rsa-bits: 3072}\n", WEAK_TLS BOTH},
	    {RULE("tls: {min-ec-bits: 256}") "tls: {min-ec-bits: 384}\n", WEAK_TLS BOTH},
	    {RULE("tls: {profile: bcp195}") "tls: {profile: modern}\n", WEAK_TLS BOTH},
	    /* The level is said first; one excuse is enough for both. */
	    {RULE("level: may, tls: {profile: compat}"), WEAK("may") BOTH},
	};
	(void)state;
	assert_cases(cases);
}

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
static void lists_and_the_level_that_reads_them(void **state)
{
	static const struct config_case cases[] = {
	    {RULE("level: fingerprint, fingerprints: ['sha256:" HEX64 "']"), ""},
	    {RULE("level: fingerprint"),
	     "1:28: \"peers[0].level: fingerprint\" needs \"fingerprints\": sha256:HEX of the "
	     "certificate, or spki-sha256:HEX of its key"},
	    {RULE("level: fingerprint, fingerprints: []"),
	     "1:28: \"peers[0].level: fingerprint\" needs \"fingerprints\": sha256:HEX of the certificate, or "
	     "spki-sha256:HEX of its key"},
	    {RULE("level: fingerprint, fingerprints: {}"),
	     "1:55: \"peers[0].fingerprints\": found a block of keys, expected: list of fingerprints, sha256: or "
	     "spki-sha256: and 64 hexadecimal digits (example: sha256:HEX)"},
	    {RULE("fingerprints: ['sha256:" HEX64 "']"),
	     "1:35: \"peers[0].fingerprints\" needs \"level: fingerprint\": at any other level nobody reads them"},
	    {RULE("level: verify, fingerprints: ['sha256:" HEX64 "']"),
	     "1:50: \"peers[0].fingerprints\" needs \"level: fingerprint\": at any other level nobody reads them"},
	    {RULE("level: dane, fingerprints: ['sha256:" HEX64 "']"),
	     "1:28: \"peers[0].level: dane\" is not available in this version"},
	};
	(void)state;
	assert_cases(cases);
}

static void where_it_connects(void **state)
{
	static const struct config_case cases[] = {
	    {RULE("connect: 192.0.2.1:15270"), ""},
	    {RULE("connect: localhost:15270"), ""}, /* what it means is known later */
	    {RULE("connect: 127.0.0.1:15270"),
	     "1:30: \"peers[0].connect\": 127.0.0.1:15270 is where listeners[0] listens: the proxy would connect to "
	     "itself"},
	    {"peers: [{domain: x, connect: \"[::1]:9\"}]\nlisteners: [{role: c2s-outbound, address: \"[::]:9\"}]\n",
	     "1:30: \"peers[0].connect\": [::1]:9 is where listeners[0] listens: the proxy would connect to itself"},
	};
	(void)state;
	assert_cases(cases);
}

#define RULES(...) "peers: [" __VA_ARGS__ "]\n" S2S
#define HIDDEN(at, n, name, by, pattern)                                                                         \
	at ": warning: \"peers[" n "].domain\": nothing comes to this rule: peers[" by "] (" pattern ") stands " \
	   "before it and takes " name
static void rules_that_nothing_comes_to(void **state)
{
	static const struct config_case cases[] = {
	    {RULES("{domain: x.example}, {domain: y.example}, {domain: \"*.example\"}"), ""},
	    {RULES("{domain: x.example}, {domain: X.Example}"), HIDDEN("1:39", "1", "x.example", "0", "x.example")},
	    {RULES("{domain: \"*.example\"}, {domain: x.example}"), HIDDEN("1:41", "1", "x.example", "0", "*.example")},
	    {RULES("{domain: \"*.example\"}, {domain: \"*.x.example\"}"),
	     HIDDEN("1:41", "1", "*.x.example", "0", "*.example")},
	    {RULES("{domain: \"*.x.example\"}, {domain: x.example}, {domain: \"*.example\"}"), ""},
	    /* One that is over one day lets the next one have its turn. */
	    {RULES("{domain: x, until: 2027-03-31}, {domain: x}"), ""},
	    {RULES("{domain: x, until: 2027-03-31}, {domain: x, until: 2027-03-31}"),
	     HIDDEN("1:50", "1", "x", "0", "x")},
	    {"peers: [{domain: x}]\n" REST,
	     "1:9: warning: \"peers\" speaks to nobody: there are only c2s-inbound listeners"},
	};
	(void)state;
	assert_cases(cases);
}

#define PASSWORDS(level)                                                                                            \
	"1:28: warning: \"peers[0].level: " level "\" holds on c2s-outbound, too, and gives the passwords of "      \
	"clients to whoever answers for their service, with any certificate: set it to verify or fingerprint (RFC " \
	"7590 section 3.4)"
#define CLIENTS "listeners: [{role: c2s-outbound, address: \"127.0.0.1:9\"}]\n"
static void passwords_of_clients(void **state)
{
	static const struct config_case cases[] = {
	    {"peers: [{domain: x, level: encrypt" EXCUSED "}]\n" CLIENTS, PASSWORDS("encrypt")},
	    {"peers: [{domain: x, level: may" EXCUSED "}]\n" CLIENTS, PASSWORDS("may")},
	    {"peers: [{domain: x, level: none" EXCUSED "}]\n" CLIENTS, PASSWORDS("none")},
	    {"peers: [{domain: x, level: verify}]\n" CLIENTS, ""},
	    {"peers: [{domain: x}]\n" CLIENTS, ""},
	    {"peers: [{domain: x, level: fingerprint, fingerprints: ['sha256:" HEX64 "']}]\n" CLIENTS, ""},
	    {RULE("level: encrypt" EXCUSED), ""},
	};
	(void)state;
	assert_cases(cases);
}

/* 2027-03-31T23:59:59Z */
#define LAST 1806537599
#define DAY 86400
static void assert_dates_of(const char *text, int64_t now, const char *expected)
{
	struct diag_list diags;
	diag_init(&diags, "");
	struct config *config = config_from(text, &diags);
	assert_non_null(config);
	config_check_dates(config, now, &diags);
	assert_int_equal(diags.count, *expected ? 1 : 0);
	if (*expected) {
		char *line = diag_format(&diags, &diags.items[0]);
		assert_string_equal(line, expected);
		mem_free(line);
	}
	config_unref(&config);
	diag_fini(&diags);
}

static void assert_dates(int64_t now, const char *expected)
{
	assert_dates_of(RULES("{domain: a}, {domain: b, until: 2027-03-31}, {domain: c, until: 2028-12-31}"), now,
			expected);
}

#define SAID(text) ":1:41: warning: \"peers[1].until\": the rule " text
#define ENDS(days) SAID("ends with 2027-03-31 (" days " days left): then b is held to what all others are")
#define OVER SAID("was over with 2027-03-31 and no longer applies: remove it, or agree on another date")
static void what_the_calendar_says(void **state)
{
	(void)state;
	assert_dates(LAST - 31 * DAY, "");
	assert_dates(LAST - 30 * DAY, "");
	assert_dates(LAST - 30 * DAY + 1, ENDS("29"));
	assert_dates(LAST - DAY, ENDS("1"));
	assert_dates(LAST, ENDS("0"));
	assert_dates(LAST + 1, OVER);
	assert_dates(LAST + 400 * DAY, OVER);
}

#define WEAK_UNTIL "{domain: \"*.f\", level: encrypt, reason: old, until: 2027-03-31}, "
#define ECLIPSED(at, name)                                                                                            \
	":" at ": warning: \"peers[1].domain\": nothing comes to this rule until 2027-03-31 is over: peers[0] (*.f) " \
	"stands before it, takes " name " and asks for less: put the stricter rule first"
static void hidden_for_a_while_by_a_weaker_rule(void **state)
{
	static const struct {
		const char *text;
		int64_t now;
		const char *expected;
	} cases[] = {
	    {RULES(WEAK_UNTIL "{domain: strict.f, tls: {min-version: 1.3}}"), 0, ECLIPSED("1:83", "strict.f")},
	    {RULES(WEAK_UNTIL "{domain: \"*.f\"}"), 0, ECLIPSED("1:83", "*.f")},
	    {RULES(WEAK_UNTIL "{domain: strict.f, until: 2028-12-31}"), 0, ECLIPSED("1:83", "strict.f")},
	    /* By TLS alone; a later rule that is no stricter; one for others; one that has its turn already. */
	    {RULES("{domain: \"*.f\", tls: {profile: compat}, reason: old, until: 2027-03-31}, {domain: a.f}"), 0,
	     ECLIPSED("1:91", "a.f")},
	    {RULES("{domain: \"*.f\", until: 2027-03-31}, {domain: strict.f, tls: {min-version: 1.3}}"), 0,
	     ECLIPSED("1:54", "strict.f")},
	    {RULES("{domain: \"*.f\", until: 2027-03-31}, {domain: a.f, connect: \"192.0.2.1:5269\"}"), 0, ""},
	    {RULES("{domain: \"*.f\", tls: {min-version: 1.3}, until: 2027-03-31}, {domain: a.f}"), 0, ""},
	    {RULES(WEAK_UNTIL "{domain: \"*.f\", level: encrypt, reason: old, until: 2028-12-31}"), 0, ""},
	    {RULES(WEAK_UNTIL "{domain: f}, {domain: g}"), 0, ""},
	    {RULES("{domain: strict.f}, " WEAK_UNTIL "{domain: g}"), 0, ""},
	    {"policy: {s2s-outbound: encrypt}\n" RULES(
		 "{domain: \"*.f\", until: 2027-03-31}, {domain: a.f, level: verify}"),
	     0,
	     ":2:54: warning: \"peers[1].domain\": nothing comes to this rule until 2027-03-31 is over: peers[0] (*.f) "
	     "stands before it, takes a.f and asks for less: put the stricter rule first"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_dates_of(cases[i].text, cases[i].now, cases[i].expected);
	/* To the end of that day, and no longer; that it is over is another warning, or that it ends. */
	struct diag_list diags;
	for (int past = 0; past < 2; past++) {
		diag_init(&diags, "");
		struct config *config = config_from(RULES(WEAK_UNTIL "{domain: strict.f}"), &diags);
		config_check_dates(config, LAST + past, &diags);
		assert_int_equal(diags.count, past ? 1 : 2);
		config_unref(&config);
		diag_fini(&diags);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(weaker_levels),
	    cmocka_unit_test(weaker_tls),
	    cmocka_unit_test(lists_and_the_level_that_reads_them),
	    cmocka_unit_test(where_it_connects),
	    cmocka_unit_test(rules_that_nothing_comes_to),
	    cmocka_unit_test(passwords_of_clients),
	    cmocka_unit_test(hidden_for_a_while_by_a_weaker_rule),
	    cmocka_unit_test(what_the_calendar_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

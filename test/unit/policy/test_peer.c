/* SPDX-License-Identifier: MIT */
/* Which rule speaks for a domain on which day, and what then holds. */
#include "policy/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_lines.h"

static void patterns(void **state)
{
	static const struct {
		const char *pattern, *domain;
		bool matches;
	} rows[] = {
	    {"x.example", "x.example", true},
	    {"x.example", "y.x.example", false},
	    {"x.example", "xx.example", false},
	    {"*.x.example", "y.x.example", true},
	    {"*.x.example", "z.y.x.example", true},
	    {"*.x.example", "x.example", false},
	    {"*.x.example", "yx.example", false},
	    {"*.x.example", ".x.example", false},
	    {"*.x.example", "x.example.y", false},
	    {"*.example", "example", false},
	    {"*.2.1", "192.0.2.1", false},
	    {"192.0.2.1", "192.0.2.1", true},
	    {"*.example", "", false},
	    {"x.example", "", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(policy_pattern_matches(rows[i].pattern, rows[i].domain), rows[i].matches);
}

static void least_versions(void **state)
{
	static const struct {
		int profile, min_version, expected;
	} rows[] = {
	    {TLS_PROFILE_MODERN, 0, 13},  {TLS_PROFILE_BCP195, 0, 12},
	    {TLS_PROFILE_COMPAT, 0, 10},  {TLS_PROFILE_COMPAT, 12, 12},
	    {TLS_PROFILE_MODERN, 12, 12}, {TLS_PROFILE_BCP195, 11, 11},
	    {TLS_PROFILE_COUNT, 0, 13},   {-1, 0, 13},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_tls tls = {.profile = rows[i].profile, .min_version = rows[i].min_version};
		assert_int_equal(policy_min_tls(&tls), rows[i].expected);
	}
}

#define EXCUSED ", reason: old, until: 2027-03-31"
/* 2027-03-31T23:59:59Z */
#define LAST 1806537599
static const char rules[] =
    "policy: {s2s-inbound: encrypt}\ntls: {min-rsa-bits: 3072}\npeers:\n"
    "- {domain: plain.example, level: none" EXCUSED "}\n"
    "- {domain: old.example, tls: {profile: compat}" EXCUSED "}\n"
    "- {domain: small.example, tls: {min-rsa-bits: 2048}" EXCUSED "}\n"
    "- {domain: pinned.example, level: fingerprint,\n"
    "   fingerprints: [\"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"]}\n"
    "- {domain: moved.example, connect: 192.0.2.1:5269}\n"
    "- {domain: \"*.example\", level: encrypt" EXCUSED "}\n"
    "- {domain: plain.example, level: may, reason: still, until: 2028-12-31}\n"
    "listeners: [{role: s2s-outbound, address: \"127.0.0.1:15270\"}, {role: s2s-inbound, address: \"[::]:5269\"}]\n"
    "domains: [{name: a.example, certificate: c, private-key: k, backend: {s2s: \"127.0.0.1:15269\"}}]\n";

static struct config *load(void)
{
	struct diag_list diags;
	diag_init(&diags, "p.yaml");
	struct config *config = config_from(rules, &diags);
	if (config == NULL)
		fail_msg("%s", diags.items[0].text);
	diag_fini(&diags);
	return config;
}

#define NO_RULE 99
static void who_gets_what(void **state)
{
	static const struct {
		const char *domain;
		enum role role;
		int64_t now;
		enum level level;
		size_t rule;
		bool weak;
	} rows[] = {
	    /* No rule: the role's, whatever it is. */
	    {"other.test", ROLE_S2S_OUTBOUND, 0, LEVEL_VERIFY, NO_RULE, false},
	    {"other.test", ROLE_S2S_INBOUND, 0, LEVEL_ENCRYPT, NO_RULE, false},
	    {"example", ROLE_C2S_OUTBOUND, 0, LEVEL_VERIFY, NO_RULE, false},
	    /* The first one counts. */
	    {"plain.example", ROLE_S2S_OUTBOUND, 0, LEVEL_NONE, 0, true},
	    {"plain.example", ROLE_S2S_INBOUND, LAST, LEVEL_NONE, 0, true},
	    {"x.example", ROLE_S2S_OUTBOUND, 0, LEVEL_ENCRYPT, 5, true},
	    {"x.example", ROLE_S2S_INBOUND, 0, LEVEL_ENCRYPT, 5, false},
	    /* Until its day is over; then the next one, or none. */
	    {"x.example", ROLE_S2S_OUTBOUND, LAST, LEVEL_ENCRYPT, 5, true},
	    {"x.example", ROLE_S2S_OUTBOUND, LAST + 1, LEVEL_VERIFY, NO_RULE, false},
	    {"plain.example", ROLE_S2S_OUTBOUND, LAST + 1, LEVEL_MAY, 6, true},
	    {"plain.example", ROLE_S2S_OUTBOUND, INT64_MAX, LEVEL_VERIFY, NO_RULE, false},
	    /* Weaker TLS, in either direction. */
	    {"old.example", ROLE_S2S_OUTBOUND, 0, LEVEL_VERIFY, 1, true},
	    {"old.example", ROLE_S2S_INBOUND, 0, LEVEL_ENCRYPT, 1, true},
	    {"small.example", ROLE_S2S_INBOUND, 0, LEVEL_ENCRYPT, 2, true},
	    /* Another proof is none the weaker, nor is another way. */
	    {"pinned.example", ROLE_S2S_OUTBOUND, INT64_MAX, LEVEL_FINGERPRINT, 3, false},
	    {"pinned.example", ROLE_S2S_INBOUND, 0, LEVEL_FINGERPRINT, 3, false},
	    {"moved.example", ROLE_S2S_OUTBOUND, 0, LEVEL_VERIFY, 4, false},
	    /* A client's domain is our own: no rule is for it. */
	    {"plain.example", ROLE_C2S_INBOUND, 0, LEVEL_ENCRYPT, NO_RULE, false},
	    {"plain.example", ROLE_COUNT, 0, LEVEL_COUNT, NO_RULE, false},
	};
	struct config *c = load();
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct peer_policy p;
		const struct config_peer *rule = rows[i].rule != NO_RULE ? &c->peers[rows[i].rule] : NULL;
		policy_for_peer(&p, c, rows[i].role, rows[i].domain, rows[i].now);
		if (p.level != rows[i].level || p.rule != rule || p.weak != rows[i].weak)
			fail_msg("row %zu: level %s, weak %d", i, level_name(p.level), p.weak);
		assert_ptr_equal(p.tls, rule != NULL ? &rule->tls : &c->tls);
	}
	assert_int_equal(policy_min_tls(&c->peers[1].tls), 10);
	config_unref(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(patterns),
	    cmocka_unit_test(least_versions),
	    cmocka_unit_test(who_gets_what),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

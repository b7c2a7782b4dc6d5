/* SPDX-License-Identifier: MIT */
/* Names and predicates, and the strict answers for values outside the enums. */
#include "policy/level.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void roles(void **state)
{
	(void)state;
	static const struct {
		enum role role;
		const char *name, *ns, *alpn;
		bool inbound, s2s;
	} rows[] = {
	    {ROLE_C2S_INBOUND, "c2s-inbound", "jabber:client", "xmpp-client", true, false},
	    {ROLE_S2S_INBOUND, "s2s-inbound", "jabber:server", "xmpp-server", true, true},
	    {ROLE_S2S_OUTBOUND, "s2s-outbound", "jabber:server", "xmpp-server", false, true},
	    {ROLE_C2S_OUTBOUND, "c2s-outbound", "jabber:client", "xmpp-client", false, false},
	};
	for (size_t i = 0; i < ROLE_COUNT; i++) {
		assert_string_equal(role_name(rows[i].role), rows[i].name);
		assert_string_equal(role_content_ns(rows[i].role), rows[i].ns);
		assert_string_equal(role_alpn(rows[i].role), rows[i].alpn);
		assert_int_equal(role_is_inbound(rows[i].role), rows[i].inbound);
		assert_int_equal(role_is_s2s(rows[i].role), rows[i].s2s);
	}
	assert_string_equal(role_name(ROLE_COUNT), "unknown");
	assert_string_equal(role_content_ns((enum role) - 1), "");
	assert_true(role_is_inbound(ROLE_COUNT));
	assert_true(role_is_s2s(ROLE_COUNT));
}

static void levels(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		bool tls, identity;
	} rows[LEVEL_COUNT + 1] = {
	    {"none", false, false}, {"may", false, false},     {"encrypt", true, false},    {"verify", true, true},
	    {"dane", true, true},   {"dane-only", true, true}, {"fingerprint", true, true}, {"unknown", true, true},
	};
	for (int i = 0; i <= LEVEL_COUNT; i++) {
		assert_string_equal(level_name((enum level)i), rows[i].name);
		assert_int_equal(level_needs_tls((enum level)i), rows[i].tls);
		assert_int_equal(level_needs_identity((enum level)i), rows[i].identity);
	}
	assert_true(level_needs_tls((enum level) - 1));
	assert_true(level_needs_identity((enum level) - 1));
}

static void strength(void **state)
{
	/* Weakest first; those in one group ask for as much as each other. */
	static const struct {
		enum level level;
		int group;
	} order[] = {{LEVEL_NONE, 0},        {LEVEL_MAY, 1},  {LEVEL_ENCRYPT, 2},  {LEVEL_VERIFY, 3},
		     {LEVEL_FINGERPRINT, 3}, {LEVEL_DANE, 4}, {LEVEL_DANE_ONLY, 5}};
	(void)state;
	for (int i = 0; i < LEVEL_COUNT; i++) {
		for (int k = 0; k < LEVEL_COUNT; k++)
			assert_int_equal(level_is_weaker(order[i].level, order[k].level),
					 order[i].group < order[k].group);
	}
	assert_true(level_is_weaker(LEVEL_COUNT, LEVEL_NONE));
	assert_true(level_is_weaker(LEVEL_DANE_ONLY, LEVEL_COUNT));
}

static void plaintext(void **state)
{
	(void)state;
	for (int level = 0; level <= LEVEL_COUNT; level++) {
		assert_int_equal(level_allows_plaintext(MODE_ENFORCE, (enum level)level), level <= LEVEL_MAY);
		assert_true(level_allows_plaintext(MODE_MONITOR, (enum level)level));
	}
}

static void modes(void **state)
{
	(void)state;
	assert_string_equal(mode_name(MODE_ENFORCE), "enforce");
	assert_string_equal(mode_name(MODE_MONITOR), "monitor");
	assert_string_equal(mode_name(MODE_COUNT), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(roles),     cmocka_unit_test(levels), cmocka_unit_test(strength),
	    cmocka_unit_test(plaintext), cmocka_unit_test(modes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* names: the stream-error conditions of RFC 6120 section 4.9.3, and what old servers call them (XML-15). */
#include "xmpp/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* RFC 6120's list, written out again: the order is that of the enum. */
static const char *const conditions[] = {
    "bad-format",
    "bad-namespace-prefix",
    "conflict",
    "connection-timeout",
    "host-gone",
    "host-unknown",
    "improper-addressing",
    "internal-server-error",
    "invalid-from",
    "invalid-namespace",
    "invalid-xml",
    "not-authorized",
    "not-well-formed",
    "policy-violation",
    "remote-connection-failed",
    "reset",
    "resource-constraint",
    "restricted-xml",
    "see-other-host",
    "system-shutdown",
    "undefined-condition",
    "unsupported-encoding",
    "unsupported-feature",
    "unsupported-stanza-type",
    "unsupported-version",
};

static void test_every_condition(void **state)
{
	(void)state;
	assert_int_equal(sizeof(conditions) / sizeof(conditions[0]), XMPP_ERROR_COUNT - 1);
	for (int i = 1; i < XMPP_ERROR_COUNT; i++) {
		assert_string_equal(xmpp_error_name((enum xmpp_error)i), conditions[i - 1]);
		assert_int_equal(xmpp_error_from_name(conditions[i - 1]), i);
	}
}

static void test_nothing_and_nonsense(void **state)
{
	(void)state;
	assert_string_equal(xmpp_error_name(XMPP_ERROR_NONE), "");
	assert_string_equal(xmpp_error_name(XMPP_ERROR_COUNT), "undefined-condition");
	assert_int_equal(xmpp_error_from_name(""), XMPP_ERROR_UNDEFINED_CONDITION);
	assert_int_equal(xmpp_error_from_name(NULL), XMPP_ERROR_UNDEFINED_CONDITION);
	assert_int_equal(xmpp_error_from_name("host-unknow"), XMPP_ERROR_UNDEFINED_CONDITION);
	assert_int_equal(xmpp_error_from_name("Host-Unknown"), XMPP_ERROR_UNDEFINED_CONDITION);
}

static void test_old_names(void **state)
{
	(void)state;
	assert_int_equal(xmpp_error_from_name("xml-not-well-formed"), XMPP_ERROR_NOT_WELL_FORMED);
	assert_int_equal(xmpp_error_from_name("invalid-id"), XMPP_ERROR_INVALID_FROM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_condition),
	    cmocka_unit_test(test_nothing_and_nonsense),
	    cmocka_unit_test(test_old_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

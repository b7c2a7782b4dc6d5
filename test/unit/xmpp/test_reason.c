/* SPDX-License-Identifier: MIT */
/* reason: the table is whole, and says what the error table of the protocol says. */
#include "xmpp/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_every_row_is_whole(void **state)
{
	(void)state;
	for (int i = 0; i < REASON_COUNT; i++) {
		const struct reason_info *info = reason_info((enum reason)i);

		assert_non_null(info->word);
		assert_true(info->word[0] != '\0');
		assert_int_equal(strspn(info->word, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(info->word));
		assert_non_null(info->sentence);
		assert_true(strlen(info->sentence) > 10);
		assert_int_equal(info->sentence[strlen(info->sentence) - 1], '.');
		if (info->peer_text != NULL)
			assert_true(info->condition != XMPP_ERROR_NONE);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(info->word, reason_info((enum reason)j)->word);
	}
}

static void test_unknown_is_internal(void **state)
{
	(void)state;
	assert_ptr_equal(reason_info(REASON_COUNT), reason_info(REASON_INTERNAL));
	assert_ptr_equal(reason_info((enum reason) - 1), reason_info(REASON_INTERNAL));
	assert_string_equal(reason_info(REASON_INTERNAL)->word, "internal");
}

struct row {
	enum reason reason;
	enum xmpp_error condition;
	bool too_big, refusal;
	const char *peer_text;
};

#define NO(x)                                                  \
	{                                                      \
		REASON_##x, XMPP_ERROR_NONE, false, true, NULL \
	}
#define BACKEND(x)                                                                       \
	{                                                                                \
		REASON_BACKEND_##x, XMPP_ERROR_INTERNAL_SERVER_ERROR, false, false, NULL \
	}

static const struct row rows[] = {
    {REASON_NONE, XMPP_ERROR_NONE, false, false, NULL},
    {REASON_CLOSED, XMPP_ERROR_NONE, false, false, NULL},
    {REASON_PEER_GONE, XMPP_ERROR_NONE, false, false, NULL},
    {REASON_PEER_ERROR, XMPP_ERROR_NONE, false, false, NULL},
    NO(CONNECTION_LIMIT),
    NO(PROXY_HEADER),
    NO(SNI_UNKNOWN),
    NO(ALPN),
    NO(STARTTLS_MISUSE),
    NO(STARTTLS_INJECTION),
    NO(TLS_FAILED),
    NO(TLS_TIMEOUT),
    NO(NOT_TLS),
    NO(NO_EMS),
    NO(RENEGOTIATION),
    {REASON_TOTAL_LIMIT, XMPP_ERROR_RESOURCE_CONSTRAINT, false, true, "Too many connections, try again later"},
    {REASON_HEADER_TIMEOUT, XMPP_ERROR_CONNECTION_TIMEOUT, false, true, "No stream header came in time"},
    {REASON_HOST_UNKNOWN, XMPP_ERROR_HOST_UNKNOWN, false, true, NULL},
    {REASON_NAMESPACE, XMPP_ERROR_INVALID_NAMESPACE, false, true, NULL},
    {REASON_PREFIX, XMPP_ERROR_BAD_NAMESPACE_PREFIX, false, true, NULL},
    {REASON_VERSION, XMPP_ERROR_UNSUPPORTED_VERSION, false, true, NULL},
    {REASON_PRE10_INITIATOR, XMPP_ERROR_POLICY_VIOLATION, false, true, "TLS is required and needs version 1.0"},
    {REASON_PLAINTEXT_AUTH, XMPP_ERROR_POLICY_VIOLATION, false, true, "Use of STARTTLS required"},
    {REASON_PLAINTEXT_STANZA, XMPP_ERROR_NOT_AUTHORIZED, false, true, NULL},
    {REASON_TLS_REQUIRED, XMPP_ERROR_POLICY_VIOLATION, false, true, "Use of STARTTLS required"},
    {REASON_HEADER_SWITCH, XMPP_ERROR_NOT_AUTHORIZED, false, true, NULL},
    BACKEND(DOWN),
    BACKEND(TIMEOUT),
    BACKEND(CLOSED),
    BACKEND(INVALID),
    BACKEND(REFUSED),
    BACKEND(MISCONFIGURED),
    {REASON_RESTRICTED_XML, XMPP_ERROR_RESTRICTED_XML, false, true, NULL},
    {REASON_NOT_WELL_FORMED, XMPP_ERROR_NOT_WELL_FORMED, false, true, NULL},
    {REASON_ENCODING, XMPP_ERROR_UNSUPPORTED_ENCODING, false, true, NULL},
    {REASON_SMUGGLING, XMPP_ERROR_BAD_FORMAT, false, true, NULL},
    {REASON_SECOND_HEADER, XMPP_ERROR_INVALID_XML, false, true, NULL},
    {REASON_STRAY_TEXT, XMPP_ERROR_BAD_FORMAT, false, true, NULL},
    {REASON_TOO_BIG, XMPP_ERROR_POLICY_VIOLATION, true, true, "The element is too big"},
    {REASON_TOO_DEEP, XMPP_ERROR_POLICY_VIOLATION, true, true, "The element is nested too deeply"},
    {REASON_AUTH_ATTEMPTS, XMPP_ERROR_POLICY_VIOLATION, false, true, "Too many authentication attempts"},
    {REASON_UNSUPPORTED_ELEMENT, XMPP_ERROR_UNSUPPORTED_STANZA_TYPE, false, true, NULL},
    {REASON_IDLE, XMPP_ERROR_POLICY_VIOLATION, false, false, "The stream was idle for too long"},
    {REASON_AUDIT_UNAVAILABLE, XMPP_ERROR_INTERNAL_SERVER_ERROR, false, false, NULL},
    {REASON_SHUTDOWN, XMPP_ERROR_SYSTEM_SHUTDOWN, false, false, NULL},
    {REASON_INTERNAL, XMPP_ERROR_INTERNAL_SERVER_ERROR, false, false, NULL},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct reason_info *info = reason_info(rows[i].reason);

		assert_int_equal(info->condition, rows[i].condition);
		assert_int_equal(info->too_big, rows[i].too_big);
		assert_int_equal(info->refusal, rows[i].refusal);
		assert_int_equal(info->peer_text == NULL, rows[i].peer_text == NULL);
		if (rows[i].peer_text != NULL)
			assert_string_equal(info->peer_text, rows[i].peer_text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_row_is_whole),
	    cmocka_unit_test(test_unknown_is_internal),
	    cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The stream-error conditions by name. Owns the one table between enum xmpp_error and the words of RFC 6120
 * section 4.9.3. Invariants: every condition has a row; a name nobody knows reads as undefined-condition, so that a
 * peer can never make up a condition that is passed on.
 */
#include "xmpp/names.h"

#include <stddef.h>
#include <string.h>

#include "base/array.h"

static const char *const error_names[] = {
    [XMPP_ERROR_NONE] = "",
    [XMPP_ERROR_BAD_FORMAT] = "bad-format",
    [XMPP_ERROR_BAD_NAMESPACE_PREFIX] = "bad-namespace-prefix",
    [XMPP_ERROR_CONFLICT] = "conflict",
    [XMPP_ERROR_CONNECTION_TIMEOUT] = "connection-timeout",
    [XMPP_ERROR_HOST_GONE] = "host-gone",
    [XMPP_ERROR_HOST_UNKNOWN] = "host-unknown",
    [XMPP_ERROR_IMPROPER_ADDRESSING] = "improper-addressing",
    [XMPP_ERROR_INTERNAL_SERVER_ERROR] = "internal-server-error",
    [XMPP_ERROR_INVALID_FROM] = "invalid-from",
    [XMPP_ERROR_INVALID_NAMESPACE] = "invalid-namespace",
    [XMPP_ERROR_INVALID_XML] = "invalid-xml",
    [XMPP_ERROR_NOT_AUTHORIZED] = "not-authorized",
    [XMPP_ERROR_NOT_WELL_FORMED] = "not-well-formed",
    [XMPP_ERROR_POLICY_VIOLATION] = "policy-violation",
    [XMPP_ERROR_REMOTE_CONNECTION_FAILED] = "remote-connection-failed",
    [XMPP_ERROR_RESET] = "reset",
    [XMPP_ERROR_RESOURCE_CONSTRAINT] = "resource-constraint",
    [XMPP_ERROR_RESTRICTED_XML] = "restricted-xml",
    [XMPP_ERROR_SEE_OTHER_HOST] = "see-other-host",
    [XMPP_ERROR_SYSTEM_SHUTDOWN] = "system-shutdown",
    [XMPP_ERROR_UNDEFINED_CONDITION] = "undefined-condition",
    [XMPP_ERROR_UNSUPPORTED_ENCODING] = "unsupported-encoding",
    [XMPP_ERROR_UNSUPPORTED_FEATURE] = "unsupported-feature",
    [XMPP_ERROR_UNSUPPORTED_STANZA_TYPE] = "unsupported-stanza-type",
    [XMPP_ERROR_UNSUPPORTED_VERSION] = "unsupported-version",
};
_Static_assert(ARRAY_LEN(error_names) == XMPP_ERROR_COUNT, "stream error without a name");

/* RFC 3920 section 4.7.3 had two names that RFC 6120 dropped; old servers still send them (XML-15). */
static const struct {
	const char *name;
	enum xmpp_error error;
} old_names[] = {
    {"xml-not-well-formed", XMPP_ERROR_NOT_WELL_FORMED},
    {"invalid-id", XMPP_ERROR_INVALID_FROM},
};

const char *xmpp_error_name(enum xmpp_error error)
{
	if ((unsigned)error >= XMPP_ERROR_COUNT)
		return error_names[XMPP_ERROR_UNDEFINED_CONDITION];
	return error_names[error];
}

enum xmpp_error xmpp_error_from_name(const char *name)
{
	if (name == NULL)
		return XMPP_ERROR_UNDEFINED_CONDITION;
	for (int i = XMPP_ERROR_NONE + 1; i < XMPP_ERROR_COUNT; i++) {
		if (strcmp(name, error_names[i]) == 0)
			return (enum xmpp_error)i;
	}
	for (size_t i = 0; i < ARRAY_LEN(old_names); i++) {
		if (strcmp(name, old_names[i].name) == 0)
			return old_names[i].error;
	}
	return XMPP_ERROR_UNDEFINED_CONDITION;
}

/* SPDX-License-Identifier: MIT */
/*
 * Names and predicates of roles, modes and levels. A value outside its enum has the name "unknown" and the strictest
 * answer of every predicate, so that a slip elsewhere refuses instead of letting through.
 */
#include "policy/level.h"

#include <limits.h>
#include <stddef.h>

#include "base/array.h"
#include "xmpp/names.h"

static const struct {
	const char *name;
	bool inbound, s2s;
	const char *ns;
	const char *alpn;
} roles[] = {
    [ROLE_C2S_INBOUND] = {"c2s-inbound", true, false, XMPP_NS_CLIENT, "xmpp-client"},
    [ROLE_S2S_INBOUND] = {"s2s-inbound", true, true, XMPP_NS_SERVER, "xmpp-server"},
    [ROLE_S2S_OUTBOUND] = {"s2s-outbound", false, true, XMPP_NS_SERVER, "xmpp-server"},
    [ROLE_C2S_OUTBOUND] = {"c2s-outbound", false, false, XMPP_NS_CLIENT, "xmpp-client"},
};
_Static_assert(ARRAY_LEN(roles) == ROLE_COUNT, "role without a row");

static const char *const modes[] = {[MODE_ENFORCE] = "enforce", [MODE_MONITOR] = "monitor"};
_Static_assert(ARRAY_LEN(modes) == MODE_COUNT, "mode without a name");

static const struct {
	const char *name;
	int strength;
} levels[] = {
    [LEVEL_NONE] = {"none", 0},
    [LEVEL_MAY] = {"may", 1},
    [LEVEL_ENCRYPT] = {"encrypt", 2},
    [LEVEL_VERIFY] = {"verify", 3},
    [LEVEL_DANE] = {"dane", 4},
    [LEVEL_DANE_ONLY] = {"dane-only", 5},
    [LEVEL_FINGERPRINT] = {"fingerprint", 3},
};
_Static_assert(ARRAY_LEN(levels) == LEVEL_COUNT, "level without a name");

static bool known_role(enum role role)
{
	return (size_t)role < ARRAY_LEN(roles);
}

const char *role_name(enum role role)
{
	return known_role(role) ? roles[role].name : "unknown";
}

const char *mode_name(enum mode mode)
{
	return (size_t)mode < ARRAY_LEN(modes) ? modes[mode] : "unknown";
}

const char *level_name(enum level level)
{
	return (size_t)level < ARRAY_LEN(levels) ? levels[level].name : "unknown";
}

bool role_is_inbound(enum role role)
{
	return !known_role(role) || roles[role].inbound;
}

bool role_is_s2s(enum role role)
{
	return !known_role(role) || roles[role].s2s;
}

const char *role_content_ns(enum role role)
{
	return known_role(role) ? roles[role].ns : "";
}

const char *role_alpn(enum role role)
{
	return known_role(role) ? roles[role].alpn : "";
}

bool level_needs_tls(enum level level)
{
	return (size_t)level >= LEVEL_ENCRYPT;
}

bool level_needs_identity(enum level level)
{
	return (size_t)level >= LEVEL_VERIFY;
}

bool level_is_weaker(enum level a, enum level b)
{
	/* What nobody knows is taken for weak on the one side and for strong on the other. */
	int have = (size_t)a < ARRAY_LEN(levels) ? levels[a].strength : -1;
	int want = (size_t)b < ARRAY_LEN(levels) ? levels[b].strength : INT_MAX;
	return have < want;
}

bool level_allows_plaintext(enum mode mode, enum level level)
{
	return mode == MODE_MONITOR || !level_needs_tls(level);
}

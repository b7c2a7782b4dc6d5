/* SPDX-License-Identifier: MIT */
/*
 * The verdict over a leg: a table of demands in the order in which they are asked, the first one that is not met names
 * the reason. A demand applies to the levels its predicate names. What is out of range is refused in every mode: a
 * level nobody knows cannot have been meant to let anything through.
 */
#include "policy/decide.h"

#include <stddef.h>

#include "base/array.h"

static bool is_encrypted(const struct leg_facts *facts)
{
	return facts->encrypted;
}

/* RFC 8996 forbids what is older (TLS-1); a number we do not know is no fact. */
static bool has_current_tls(const struct leg_facts *facts)
{
	return facts->tls_version == 12 || facts->tls_version == 13;
}

/* Without it a TLS 1.2 session can be synchronised with another one: RFC 7627, TLS-11. */
static bool has_ems(const struct leg_facts *facts)
{
	return facts->extended_master_secret;
}

static bool is_identified(const struct leg_facts *facts)
{
	return facts->identity_verified;
}

static const struct demand {
	bool (*applies)(enum level level);
	bool (*met)(const struct leg_facts *facts);
	enum reason reason;
} demands[] = {
    {level_needs_tls, is_encrypted, REASON_TLS_REQUIRED},
    {level_needs_tls, has_current_tls, REASON_TLS_FAILED},
    {level_needs_tls, has_ems, REASON_NO_EMS},
    /* No configuration of this version leads to a level that asks this; whoever gets here was not meant to. */
    {level_needs_identity, is_identified, REASON_INTERNAL},
};

/* The extended master secret is not asked for: it protects client certificates, resumption and channel binding, none of
 * which this leg has, and legacy servers are old. */
struct verdict policy_decide_backend(bool required, bool may_plaintext, const struct leg_facts *facts)
{
	struct verdict refused = {.allow = false, .reason = REASON_BACKEND_TLS};
	if (facts == NULL)
		return refused;
	if (required ? !is_encrypted(facts) || !is_identified(facts) : !is_encrypted(facts) && !may_plaintext)
		return refused;
	if (is_encrypted(facts) && !has_current_tls(facts))
		return refused;
	return (struct verdict){.allow = true, .reason = REASON_NONE};
}

struct verdict policy_decide(enum mode mode, enum level level, const struct leg_facts *facts)
{
	if ((size_t)mode >= MODE_COUNT || (size_t)level >= LEVEL_COUNT || facts == NULL)
		return (struct verdict){.allow = false, .reason = REASON_INTERNAL};
	for (size_t i = 0; i < ARRAY_LEN(demands); i++) {
		if (demands[i].applies(level) && !demands[i].met(facts))
			return (struct verdict){.allow = mode == MODE_MONITOR, .reason = demands[i].reason};
	}
	return (struct verdict){.allow = true, .reason = REASON_NONE};
}

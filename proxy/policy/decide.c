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

/* STRIP-8: who announces TLS has it, so that where it is not to be had somebody keeps it away. */
static bool is_promise_kept(const struct leg_facts *facts)
{
	return facts->encrypted || !facts->announced;
}

/* RFC 8996 forbids what is older (TLS-1); a number we do not know is no fact. */
static bool is_current(const struct leg_facts *facts)
{
	return facts->tls_version == 12 || facts->tls_version == 13;
}

static bool has_current_tls(const struct leg_facts *facts)
{
	return facts->min_version != 0 || is_current(facts);
}

/* What was asked of this peer, which may be more than the handshake was held to, or less (an exception). */
static bool has_asked_tls(const struct leg_facts *facts)
{
	if (facts->min_version == 0)
		return true;
	return facts->tls_version >= 10 && facts->tls_version <= 13 && facts->tls_version >= facts->min_version;
}

/* Without it a TLS 1.2 session can be synchronised with another one: RFC 7627, TLS-11. A peer that is allowed what is
 * older than 1.2 is allowed to be older than that, too. */
static bool has_ems(const struct leg_facts *facts)
{
	return facts->extended_master_secret || (facts->min_version != 0 && facts->min_version < 12);
}

/* STRIP-4: whoever took the offer away is on the path, so that TLS with nobody in particular is TLS with him. */
static bool is_whole(const struct leg_facts *facts)
{
	return !facts->stripped || facts->identity_verified;
}

static bool is_identified(const struct leg_facts *facts)
{
	return facts->identity_verified;
}

static bool is_remembered(const struct leg_facts *facts)
{
	return !facts->refuse_change || !facts->changed || facts->identity_verified;
}

static bool is_memory_there(const struct leg_facts *facts)
{
	return !facts->refuse_change || !facts->memory_missing || facts->identity_verified;
}

static bool level_attempts_tls(enum level level)
{
	return level != LEVEL_NONE;
}

static const struct demand {
	bool (*applies)(enum level level);
	bool (*met)(const struct leg_facts *facts);
	enum reason inbound, outbound;
} demands[] = {
    {level_needs_tls, is_encrypted, REASON_TLS_REQUIRED, REASON_NO_TLS},
    {level_attempts_tls, is_promise_kept, REASON_TLS_REQUIRED, REASON_NO_TLS},
    {level_needs_tls, has_current_tls, REASON_TLS_FAILED, REASON_TLS_FAILED},
    {level_needs_tls, has_asked_tls, REASON_WEAK_TLS, REASON_WEAK_TLS},
    {level_needs_tls, has_ems, REASON_NO_EMS, REASON_NO_EMS},
    {level_attempts_tls, is_whole, REASON_STRIPPED, REASON_STRIPPED},
    {level_needs_identity, is_identified, REASON_PEER_UNVERIFIED, REASON_REMOTE_UNVERIFIED},
    {level_needs_tls, is_remembered, REASON_CERTIFICATE_CHANGED, REASON_CERTIFICATE_CHANGED},
    {level_needs_tls, is_memory_there, REASON_MEMORY_UNAVAILABLE, REASON_MEMORY_UNAVAILABLE},
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
	if (is_encrypted(facts) && !is_current(facts))
		return refused;
	return (struct verdict){.allow = true, .reason = REASON_NONE};
}

struct verdict policy_decide(enum mode mode, enum level level, const struct leg_facts *facts)
{
	if ((size_t)mode >= MODE_COUNT || (size_t)level >= LEVEL_COUNT || facts == NULL)
		return (struct verdict){.allow = false, .reason = REASON_INTERNAL};
	for (size_t i = 0; i < ARRAY_LEN(demands); i++) {
		const struct demand *demand = &demands[i];
		if (!demand->applies(level) || demand->met(facts))
			continue;
		return (struct verdict){.allow = mode == MODE_MONITOR,
					.reason = facts->outbound ? demand->outbound : demand->inbound};
	}
	return (struct verdict){.allow = true, .reason = REASON_NONE};
}

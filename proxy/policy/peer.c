/* SPDX-License-Identifier: MIT */
/*
 * What policy asks of one remote domain. A rule that is over is no rule, whatever stands behind it; a rule weakens only
 * what it says: what it leaves out was laid under it from the common settings when the configuration was loaded.
 */
#include "policy/peer.h"

#include <string.h>

#include "base/array.h"
#include "policy/config_private.h"
#include "xmpp/domain.h"

int policy_min_tls(const struct config_tls *tls)
{
	static const int least[] = {[TLS_PROFILE_MODERN] = 13, [TLS_PROFILE_BCP195] = 12, [TLS_PROFILE_COMPAT] = 10};
	_Static_assert(ARRAY_LEN(least) == TLS_PROFILE_COUNT, "profile without a least version");

	if (tls->min_version != 0)
		return tls->min_version;
	return (size_t)tls->profile < ARRAY_LEN(least) ? least[tls->profile] : 13;
}

bool policy_pattern_matches(const char *pattern, const char *domain)
{
	if (strncmp(pattern, "*.", 2) != 0)
		return strcmp(pattern, domain) == 0;
	const char *tail = pattern + 1;
	size_t tail_len = strlen(tail), len = strlen(domain);
	/* An address has no labels, though its text has dots. */
	return len > tail_len && strcmp(domain + len - tail_len, tail) == 0 && !domain_is_address(domain);
}

static bool other_list(const char *own, const char *common)
{
	return own == NULL || common == NULL ? own != common : strcmp(own, common) != 0;
}

static bool has_weaker_keys(const struct config_tls *tls, const struct config_tls *common)
{
	return tls->min_rsa_bits < common->min_rsa_bits || tls->min_ec_bits < common->min_ec_bits;
}

bool policy_tls_is_weaker(const struct config_tls *tls, const struct config_tls *common)
{
	/* The profiles stand in the order of what they let through. Of two lists nobody can say which is the weaker. */
	return tls->profile > common->profile || policy_min_tls(tls) < policy_min_tls(common) ||
	       has_weaker_keys(tls, common) || other_list(tls->ciphers, common->ciphers) ||
	       other_list(tls->ciphersuites, common->ciphersuites) || other_list(tls->groups, common->groups);
}

bool policy_rule_is_weak(const struct config *config, const struct config_peer *rule, enum role role)
{
	if (role == ROLE_C2S_INBOUND || (size_t)role >= ROLE_COUNT)
		return false;
	if (rule->level >= 0 && level_is_weaker((enum level)rule->level, (enum level)config->policy.level[role]))
		return true;
	/* Inbound, too: the plaintext header gets them for the handshake, and the verdict goes by them. */
	return policy_tls_is_weaker(&rule->tls, &config->tls);
}

static const struct config_peer *find_rule(const struct config *config, const char *domain, int64_t now)
{
	for (size_t i = 0; i < config->peer_count; i++) {
		const struct config_peer *rule = &config->peers[i];
		if (now <= rule->until && policy_pattern_matches(rule->domain, domain))
			return rule;
	}
	return NULL;
}

void policy_for_peer(struct peer_policy *out, const struct config *config, enum role role, const char *domain,
		     int64_t now)
{
	*out = (struct peer_policy){.level = LEVEL_COUNT, .tls = &config->tls};
	if ((size_t)role >= ROLE_COUNT)
		return; /* a level that every verdict refuses */
	out->level = (enum level)config->policy.level[role];
	/* Clients come from nowhere in particular: their `from` names a domain of ours. */
	const struct config_peer *rule = role != ROLE_C2S_INBOUND ? find_rule(config, domain, now) : NULL;
	if (rule == NULL)
		return;
	out->rule = rule;
	out->tls = &rule->tls;
	if (rule->level >= 0)
		out->level = (enum level)rule->level;
	out->weak = policy_rule_is_weak(config, rule, role);
}

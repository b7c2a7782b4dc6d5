/* SPDX-License-Identifier: MIT */
/* What policy asks of one remote domain: the role's level and TLS settings, or those of the first rule in `peers` that
 * names the domain and is not over. Pure; the caller gives the time. */
#ifndef PROXY_POLICY_PEER_H
#define PROXY_POLICY_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/config.h"

struct peer_policy {
	enum level level;
	const struct config_tls *tls;   /* in force for this peer: the rule's, merged into the common ones, or those */
	const struct config_peer *rule; /* NULL: no rule applies */
	/* The rule is weaker than what would hold without it (level, or TLS): recorded on every use, with rule->reason
	 * and rule->until_text. */
	bool weak;
};

/*
 * domain: normalised (an A-label). now: seconds since 1970, for `until`: the rule still holds on that day (UTC).
 * The answer points into config. First match wins; a rule that is over is passed by as if it were not there.
 */
void policy_for_peer(struct peer_policy *out, const struct config *config, enum role role, const char *domain,
		     int64_t now);
/* Is the rule weaker for that role than what would hold without it (level, or TLS)? Whatever the day. */
bool policy_rule_is_weak(const struct config *config, const struct config_peer *rule, enum role role);
/* The least TLS version that the settings allow: 10, 11, 12 or 13 (min-version, else the profile's). */
int policy_min_tls(const struct config_tls *tls);
/* Does pattern ("example.com", "*.example.com": one or more labels before it) name the domain? Both normalised. */
bool policy_pattern_matches(const char *pattern, const char *domain);

#endif

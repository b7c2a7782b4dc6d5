/* SPDX-License-Identifier: MIT */
/*
 * Rules about the rules of `peers`: what is weaker than what all others get says why and until when, a list of
 * fingerprints and the level that reads it come together, and a rule that nothing ever comes to is pointed out. What
 * depends on the day is apart, for this room has no clock.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "policy/config_private.h"
#include "policy/peer.h"

#define DAY 86400
#define SOON (30 * DAY)

/* A role in use whose level asks for more than the rule, or ROLE_COUNT. */
static enum role weakened_role(const struct config *config, const struct config_peer *rule)
{
	for (int role = ROLE_C2S_INBOUND + 1; role < ROLE_COUNT && rule->level >= 0; role++) {
		if (config_has_role(config, (enum role)role) &&
		    level_is_weaker((enum level)rule->level, (enum level)config->policy.level[role]))
			return (enum role)role;
	}
	return ROLE_COUNT;
}

/* What is missing, with the remedy; "" if nothing is. */
static const char *lacks(const struct config_peer *rule, const struct diag_list *diags)
{
	bool reason = rule->reason != NULL;
	/* A date that could not be read has its error. */
	bool until =
	    rule->until_text != NULL || (rule->until_mark.line != 0 && diag_has_error_at(diags, rule->until_mark));
	if (reason && until)
		return "";
	if (reason)
		return "say until when in \"until\" (example: until: 2027-03-31)";
	if (until)
		return "say why in \"reason\" (example: reason: \"renewed in March\")";
	return "say why in \"reason\" and until when in \"until\" (example: reason: \"renewed in March\", until: "
	       "2027-03-31)";
}

static void check_weakness(const struct config *config, size_t at, struct diag_list *diags)
{
	const struct config_peer *rule = &config->peers[at];
	enum role role = weakened_role(config, rule);
	const char *remedy = lacks(rule, diags);
	if (*remedy == '\0')
		return;
	if (role != ROLE_COUNT)
		diag_add(diags, DIAG_ERROR, rule->level_mark,
			 "\"peers[%zu].level: %s\" is weaker than \"policy.%s: %s\": %s", at,
			 level_name((enum level)rule->level), role_name(role),
			 level_name((enum level)config->policy.level[role]), remedy);
	else if (policy_tls_is_weaker(&rule->tls, &config->tls))
		diag_add(diags, DIAG_ERROR, rule->own_tls.mark,
			 "\"peers[%zu].tls\" asks for less than the common \"tls\", or for something else: %s", at,
			 remedy);
}

/* CERT-17; as check_clients_service in config_check.c. What is weaker than its role has its excuse, which does not make
 * anybody's password any safer. */
static void check_passwords(const struct config *config, size_t at, struct diag_list *diags)
{
	const struct config_peer *rule = &config->peers[at];
	if (rule->level < 0 || level_needs_identity((enum level)rule->level) ||
	    !config_has_role(config, ROLE_C2S_OUTBOUND) || diag_has_error_at(diags, rule->level_mark))
		return;
	diag_add(diags, DIAG_WARNING, rule->level_mark,
		 "\"peers[%zu].level: %s\" holds on c2s-outbound, too, and gives the passwords of clients to whoever "
		 "answers for their service, with any certificate: set it to verify or fingerprint (RFC 7590 section "
		 "3.4)",
		 at, level_name((enum level)rule->level));
}

static void check_fingerprints(const struct config *config, size_t at, struct diag_list *diags)
{
	const struct config_peer *rule = &config->peers[at];
	/* A list of which nothing could be read is there all the same. */
	bool listed = rule->fingerprints != NULL;
	if (rule->level == LEVEL_FINGERPRINT && !listed && !diag_has_error_at(diags, rule->fingerprints_mark))
		diag_add(diags, DIAG_ERROR, rule->level_mark,
			 "\"peers[%zu].level: fingerprint\" needs \"fingerprints\": sha256:HEX of the certificate, or "
			 "spki-sha256:HEX of its key",
			 at);
	if (rule->level != LEVEL_FINGERPRINT && listed &&
	    !(rule->level_mark.line != 0 && diag_has_error_at(diags, rule->level_mark)))
		diag_add(
		    diags, DIAG_ERROR, rule->fingerprints_mark,
		    "\"peers[%zu].fingerprints\" needs \"level: fingerprint\": at any other level nobody reads them",
		    at);
}

static void check_connect(const struct config *config, size_t at, struct diag_list *diags)
{
	const struct config_peer *rule = &config->peers[at];
	if (rule->connect_host == NULL)
		return;
	bool v6 = strchr(rule->connect_host, ':') != NULL;
	char *text =
	    mem_printf("%s%s%s:%u", v6 ? "[" : "", rule->connect_host, v6 ? "]" : "", (unsigned)rule->connect_port);
	struct addr addr;
	const char *why;
	/* A name is looked up when it is connected to, and what comes out is held against the listeners then. Our own
	 * inbound listener is no loop: two local domains may federate through it. */
	size_t loop =
	    addr_parse(&addr, text, false, &why) == 0 ? config_find_loop(config, &addr, true) : config->listener_count;
	if (loop < config->listener_count)
		diag_add(
		    diags, DIAG_ERROR, rule->connect_mark,
		    "\"peers[%zu].connect\": %s is where listeners[%zu] listens: the proxy would connect to itself", at,
		    text, loop);
	mem_free(text);
}

/* Does every domain that comes to rule b come to a first, as long as a lasts? */
static bool covers(const struct config_peer *a, const struct config_peer *b)
{
	if (a->domain == NULL || b->domain == NULL)
		return false;
	return strcmp(a->domain, b->domain) == 0 || policy_pattern_matches(a->domain, b->domain);
}

static void check_reach(const struct config *config, size_t at, struct diag_list *diags)
{
	const struct config_peer *rule = &config->peers[at];
	for (size_t i = 0; i < at; i++) {
		if (config->peers[i].until < rule->until || !covers(&config->peers[i], rule))
			continue;
		diag_add(
		    diags, DIAG_WARNING, rule->domain_mark,
		    "\"peers[%zu].domain\": nothing comes to this rule: peers[%zu] (%s) stands before it and takes %s",
		    at, i, config->peers[i].domain, rule->domain);
		return;
	}
}

void config_check_peers(const struct config *config, struct diag_list *diags)
{
	for (size_t i = 0; i < config->peer_count; i++) {
		check_weakness(config, i, diags);
		check_passwords(config, i, diags);
		check_fingerprints(config, i, diags);
		check_connect(config, i, diags);
		check_reach(config, i, diags);
	}
	if (config->peer_count > 0 && !config_has_peers(config))
		diag_add(diags, DIAG_WARNING, config->peers[0].mark,
			 "\"peers\" speaks to nobody: there are only c2s-inbound listeners");
}

static enum level level_in(const struct config *config, const struct config_peer *rule, enum role role)
{
	return (enum level)(rule->level >= 0 ? rule->level : config->policy.level[role]);
}

/* Does rule a ask for less than b, of any role in use? */
static bool asks_less(const struct config *config, const struct config_peer *a, const struct config_peer *b)
{
	for (int role = ROLE_C2S_INBOUND + 1; role < ROLE_COUNT; role++) {
		if (config_has_role(config, (enum role)role) &&
		    level_is_weaker(level_in(config, a, (enum role)role), level_in(config, b, (enum role)role)))
			return true;
	}
	return policy_tls_is_weaker(&a->tls, &b->tls);
}

/* Hidden for good is said by check_reach; for years, by a weaker rule whose end is far, is no better today. */
static void check_eclipse(const struct config *config, size_t at, int64_t now, struct diag_list *diags)
{
	const struct config_peer *rule = &config->peers[at];
	for (size_t i = 0; i < at; i++) {
		const struct config_peer *earlier = &config->peers[i];
		if (earlier->until < now || earlier->until >= rule->until || !covers(earlier, rule) ||
		    !asks_less(config, earlier, rule))
			continue;
		diag_add(diags, DIAG_WARNING, rule->domain_mark,
			 "\"peers[%zu].domain\": nothing comes to this rule until %s is over: peers[%zu] (%s) stands "
			 "before it, takes %s and asks for less: put the stricter rule first",
			 at, earlier->until_text, i, earlier->domain, rule->domain);
		return;
	}
}

void config_check_dates(const struct config *config, int64_t now, struct diag_list *diags)
{
	for (size_t i = 0; i < config->peer_count; i++)
		check_eclipse(config, i, now, diags);
	for (size_t i = 0; i < config->peer_count; i++) {
		const struct config_peer *rule = &config->peers[i];
		if (rule->until_text == NULL)
			continue;
		if (rule->until < now)
			diag_add(diags, DIAG_WARNING, rule->until_mark,
				 "\"peers[%zu].until\": the rule was over with %s and no longer applies: remove it, or "
				 "agree "
				 "on another date",
				 i, rule->until_text);
		else if (rule->until - now < SOON)
			diag_add(diags, DIAG_WARNING, rule->until_mark,
				 "\"peers[%zu].until\": the rule ends with %s (%" PRId64
				 " days left): then %s is held to what all others are",
				 i, rule->until_text, (rule->until - now) / DAY,
				 rule->domain != NULL ? rule->domain : "it");
	}
}

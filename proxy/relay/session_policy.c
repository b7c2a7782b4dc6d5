/* SPDX-License-Identifier: MIT */
/* What policy says of a session, and what mode monitor does with it: record, and let go on. */
#include "relay/session_private.h"

#include "base/mem.h"

enum level session_level(const struct session *s)
{
	enum level level = (enum level)s->config->policy.level[s->role];
	if (s->remote != NULL)
		return s->remote->policy.level;
	/* Who it is comes with the first pair of domains: until then TLS is all that can be asked for (NEG-39). */
	return role_is_s2s(s->role) && level_needs_identity(level) ? LEVEL_ENCRYPT : level;
}

bool session_allows_plaintext(const struct session *s)
{
	return level_allows_plaintext((enum mode)s->config->mode, session_level(s));
}

struct verdict session_verdict(const struct session *s)
{
	enum session_leg outer = session_outer(s);
	struct leg_facts facts = {.encrypted = s->leg[outer] != NULL && leg_is_secured(s->leg[outer])};
	if (facts.encrypted && s->tls[outer] != NULL)
		tls_facts_leg(s->tls[outer], &facts);
	if (s->remote != NULL)
		session_remote_facts(s, &facts);
	return policy_decide((enum mode)s->config->mode, session_level(s), &facts);
}

void session_object(struct session *s, enum reason reason)
{
	if (s->config->mode != MODE_MONITOR || reason == REASON_NONE)
		return;
	shared_count(s->engine->slot, COUNTER_WOULD_REFUSE, 1);
	char *before = s->detail;
	s->detail = mem_strdup("not refused in mode monitor");
	session_record_as(s, "stream-refused", 2, reason, AUDIT_UNKNOWN, NULL);
	mem_free(s->detail);
	s->detail = before;
}

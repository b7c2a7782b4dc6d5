/* SPDX-License-Identifier: MIT */
/* What policy says of a session, and what mode monitor does with it: record, and let go on. */
#include "relay/session_private.h"

#include "base/mem.h"

bool session_allows_plaintext(const struct session *s)
{
	return level_allows_plaintext((enum mode)s->config->mode, (enum level)s->config->policy.level[s->role]);
}

struct verdict session_verdict(const struct session *s)
{
	struct leg_facts facts = {.encrypted = leg_is_secured(s->leg[LEG_ACCEPT])};
	if (facts.encrypted && s->outer != NULL)
		tls_facts_leg(s->outer, &facts);
	return policy_decide((enum mode)s->config->mode, (enum level)s->config->policy.level[s->role], &facts);
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

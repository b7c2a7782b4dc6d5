/* SPDX-License-Identifier: MIT */
/*
 * Pairs of domains on a stream between servers: which may be asked for at all, and what is recorded of them. The pair
 * of the stream's own header was judged when the stream was routed; every further one is held against policy and
 * against the certificate by itself (DB-3, 7, 8, 14), and a header that named nobody gets its domain here (NEG-39).
 */
#include "relay/session_private.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* Refused pairs of one stream that get a record each. */
#define PAIRS_RECORDED 20

/* The stream leads to one backend: a domain that lives on another one is not on it. */
static bool is_hosted_here(const struct session *s, const char *domain)
{
	const struct config_domain *d = config_find_domain(s->config, domain);
	if (d == NULL)
		return false;
	return addr_equal(config_backend_address(d, s->role), config_backend_address(s->domain, s->role));
}

/* What holds for the stream while `f` is looked at or recorded instead of its own remote domain. */
struct aside {
	struct remote *remote;
	char *from, *to;
	char auth_method[sizeof(((struct session *)NULL)->auth_method)];
	char *auth_identity;
};

static void step_aside(struct session *s, struct aside *before, const char *from, const char *to)
{
	*before = (struct aside){.remote = s->remote, .from = s->from, .to = s->to, .auth_identity = s->auth_identity};
	memcpy(before->auth_method, s->auth_method, sizeof(s->auth_method));
	s->from = mem_strdup(from);
	s->to = mem_strdup(to);
	/* What proved the stream's own pair proves no other. */
	s->auth_method[0] = '\0';
	s->auth_identity = NULL;
}

static void step_back(struct session *s, const struct aside *before)
{
	mem_free(s->from);
	mem_free(s->to);
	mem_free(s->auth_identity);
	s->from = before->from;
	s->to = before->to;
	s->auth_identity = before->auth_identity;
	memcpy(s->auth_method, before->auth_method, sizeof(s->auth_method));
	if (s->remote != before->remote)
		session_remote_free(s);
	s->remote = before->remote;
}

static void consider(struct session *s, const char *domain)
{
	s->remote = NULL;
	session_remote_set(s, domain);
	session_remote_judge(s);
}

/* One connection must not fill the log with names of its invention; the operator's log says that there were more. */
static void record_refused(struct session *s, const char *action, enum reason reason)
{
	if (s->pairs_refused++ < PAIRS_RECORDED)
		session_record(s, action, 2, reason, NULL);
	else if (s->pairs_refused == PAIRS_RECORDED + 1)
		log_warn("stream %s: more than %d pairs of domains were refused: those that follow are not recorded",
			 s->id, PAIRS_RECORDED);
}

/*
 * A further domain on a connection: by its own policy and what the certificate proves of it. Memory is not asked; where
 * that would decide, only a certificate that verifies will do.
 */
static enum inspect_pair judge_further(struct session *s, const char *from, const char *to)
{
	struct aside before;
	step_aside(s, &before, from, to);
	consider(s, from);
	struct verdict verdict = session_inbound_verdict(s);
	if (verdict.allow) {
		session_object(s, verdict.reason);
		session_remote_events(s);
	} else {
		record_refused(s, "stream-refused", verdict.reason);
	}
	step_back(s, &before);
	return verdict.allow ? INSPECT_PAIR_ALLOW : INSPECT_PAIR_NOT_AUTHORIZED;
}

/* Nothing else is on the stream yet: it ends where the pair is refused, and that is what records it. */
static void named_late(struct session *s)
{
	struct verdict verdict = session_inbound_verdict(s);
	session_remote_events(s);
	if (verdict.allow)
		session_object(s, verdict.reason);
	else
		s->remote->refused = verdict.reason;
	if (verdict.allow)
		session_remote_settled(s);
	inspect_pair_decide(s->inspector, verdict.allow ? INSPECT_PAIR_ALLOW : INSPECT_PAIR_NOT_AUTHORIZED);
	session_relay_settle(s);
}

static enum inspect_pair inbound_pair(struct session *s, const char *from, const char *to)
{
	if (config_find_domain(s->config, from) != NULL && !session_is_ours(s))
		return INSPECT_PAIR_OWN;
	if (!is_hosted_here(s, to))
		return INSPECT_PAIR_NOT_HOSTED;
	if (s->remote != NULL)
		return strcmp(s->remote->domain, from) == 0 ? INSPECT_PAIR_ALLOW : judge_further(s, from, to);
	mem_free(s->from);
	s->from = mem_strdup(from);
	session_remote_set(s, from);
	session_remote_judge(s);
	session_remote_recall(s, named_late);
	return INSPECT_PAIR_WAIT;
}

/* A target beside the one that was resolved and verified would have to be both again: that needs a connection of its
 * own, which the legacy server has to open. */
static enum inspect_pair outbound_pair(struct session *s, const char *from, const char *to)
{
	if (config_find_domain(s->config, from) == NULL)
		return INSPECT_PAIR_NOT_OURS;
	return strcmp(s->remote->domain, to) == 0 ? INSPECT_PAIR_ALLOW : INSPECT_PAIR_NOT_AUTHORIZED;
}

enum inspect_pair session_pair(struct session *s, const char *from, const char *to)
{
	return role_is_inbound(s->role) ? inbound_pair(s, from, to) : outbound_pair(s, from, to);
}

enum reason session_pair_reason(struct session *s, enum reason reason)
{
	if (reason != REASON_PEER_UNVERIFIED || s->remote == NULL || s->remote->refused == REASON_NONE)
		return reason;
	s->override = reason_info(reason)->condition;
	return s->remote->refused;
}

static void log_pair(const struct session *s, const char *from, const char *to, const char *what)
{
	log_debug("stream %s: the pair %s, %s %s", s->id, from, to, what);
}

static bool is_own_pair(const struct session *s, const char *from, const char *to)
{
	char a[XMPP_DOMAIN_SIZE], b[XMPP_DOMAIN_SIZE];
	bool same_from = s->from == NULL || (jid_domain(s->from, a) && strcmp(a, from) == 0);
	bool same_to = s->to == NULL || (jid_domain(s->to, b) && strcmp(b, to) == 0);
	return same_from && same_to;
}

/* What the header left out the first pair says. */
static void complete(char **name, const char *said)
{
	if (*name == NULL)
		*name = mem_strdup(said);
}

/* The stream's own pair is in its records; each further one gets one of its own. */
void session_pair_proven(struct session *s, const char *from, const char *to, bool external)
{
	struct aside before;
	log_pair(s, from, to, external ? "is proven by SASL" : "is valid");
	if (!external && s->remote != NULL && strcmp(s->remote->domain, from) == 0)
		session_remote_proven(s);
	if (is_own_pair(s, from, to)) {
		complete(&s->from, from);
		complete(&s->to, to);
		return;
	}
	step_aside(s, &before, from, to);
	if (role_is_inbound(s->role))
		consider(s, from);
	snprintf(s->auth_method, sizeof(s->auth_method), "%s", external ? "EXTERNAL" : "dialback");
	s->auth_identity = mem_strdup(from);
	session_record(s, "stream-established", 0, REASON_NONE, NULL);
	step_back(s, &before);
}

/* DB-9: somebody may have tried to pass for that domain. Policy's own refusals have been recorded. */
void session_pair_unproven(struct session *s, const char *from, const char *to, enum reason reason)
{
	struct aside before;
	log_pair(s, from, to, "is refused");
	if (reason != REASON_DIALBACK_FAILED)
		return;
	bool own = is_own_pair(s, from, to);
	step_aside(s, &before, from, to);
	if (!own && role_is_inbound(s->role))
		consider(s, from);
	record_refused(s, "stanza-violation", reason);
	step_back(s, &before);
}

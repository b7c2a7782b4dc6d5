/* SPDX-License-Identifier: MIT */
/*
 * The remote domain of a stream: what policy asks of it, what is remembered of it, what its certificate proves, and
 * what of all that the record must say. Either direction; nothing here knows how the connection came about. Invariants:
 * the policy is that of the moment the stream was routed; memory is asked once a stream and never guessed.
 */
#include "relay/session_private.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

static int64_t now_s(void)
{
	return clock_real_us() / 1000000;
}

static enum peer_service service_of(const struct session *s)
{
	return role_is_s2s(s->role) ? PEER_S2S : PEER_C2S;
}

void session_remote_set(struct session *s, const char *domain)
{
	session_remote_free(s);
	s->remote = mem_zalloc(sizeof(*s->remote));
	snprintf(s->remote->domain, sizeof(s->remote->domain), "%s", domain);
	policy_for_peer(&s->remote->policy, s->config, s->role, s->remote->domain, now_s());
}

void session_remote_stop(struct session *s)
{
	struct remote *r = s->remote;
	const struct peer_recall *recall = &s->engine->p.recall;
	if (r == NULL)
		return;
	if (r->memory_ticket != 0)
		recall->forget(recall->ctx, r->memory_ticket);
	r->memory_ticket = 0;
	lookup_cancel(&r->lookup);
	race_free(&r->race);
}

void session_remote_free(struct session *s)
{
	struct remote *r = s->remote;
	if (r == NULL)
		return;
	session_remote_stop(s);
	session_route_forget(s);
	s->remote = NULL;
	mem_free(r->memory);
	mem_free(r->candidates);
	mem_free(r->identity);
	mem_free(r->why);
	tls_certificate_free(&r->certificate);
	session_route_drop(&r->heaviest);
	mem_free(r);
}

static void remembered(void *ctx, bool ok, const struct peer_memory *memory)
{
	struct session *s = ctx;
	struct remote *r = s->remote;
	struct leg_io *io = s->engine->io;
	r->memory_ticket = 0;
	r->memory_ok = ok;
	mem_free(r->memory);
	r->memory = ok ? mem_dup(memory, sizeof(*memory)) : mem_zalloc(sizeof(*r->memory));
	r->recalled(s);
	leg_io_flush(io);
}

void session_remote_recall(struct session *s, void (*then)(struct session *s))
{
	const struct peer_recall *recall = &s->engine->p.recall;
	struct remote *r = s->remote;
	r->recalled = then;
	r->memory_ticket = recall->ask(recall->ctx, r->domain, service_of(s), remembered, s);
}

void session_remote_judge(struct session *s)
{
	struct remote *r = s->remote;
	struct ssl_st *ssl = leg_ssl(s->leg[session_outer(s)]);
	if (ssl == NULL)
		return;
	tls_certificate_free(&r->certificate);
	mem_free(r->identity);
	r->certificate = tls_certificate_read(ssl);
	r->identity = mem_zalloc(sizeof(*r->identity));
	tls_identify(r->identity, s->store, ssl, s->role, r->domain, &r->policy);
}

void session_remote_faulted(struct session *s)
{
	struct remote *r = s->remote;
	const struct ssl_st *ssl = leg_ssl(s->leg[LEG_CONNECT]);
	tls_certificate_free(&r->certificate);
	mem_free(r->identity);
	r->certificate = tls_certificate_read(ssl);
	r->identity = mem_zalloc(sizeof(*r->identity));
	*r->identity = (struct tls_identity){.method = "none", .unverified = tls_peer_fault(ssl)};
	snprintf(r->identity->reference, sizeof(r->identity->reference), "%s", r->domain);
}

static bool is_verified(const struct remote *r)
{
	return r->identity != NULL && r->identity->verified;
}

/* Dialback proves who came; on a stream of ours it proves us. */
static enum peer_method method_of(const struct session *s)
{
	const struct remote *r = s->remote;
	bool dialback = role_is_inbound(s->role) && strcmp(s->auth_method, "dialback") == 0;
	if (!is_verified(r))
		return dialback ? PEER_METHOD_DIALBACK : PEER_METHOD_NONE;
	return strcmp(r->identity->method, "fingerprint") == 0 ? PEER_METHOD_FINGERPRINT : PEER_METHOD_PKIX;
}

static int version_of(const struct session *s)
{
	const struct tls_facts *tls = s->tls[session_outer(s)];
	return tls != NULL ? tls->version_number : 0;
}

static void put_certificate(struct peer_observation *seen, const struct remote *r)
{
	const struct tls_certificate *c = r->certificate;
	struct peer_certificate *p = &seen->certificate;
	if (c == NULL)
		return;
	seen->has_certificate = true;
	snprintf(p->sha256, sizeof(p->sha256), "%s", c->sha256);
	snprintf(p->spki_sha256, sizeof(p->spki_sha256), "%s", c->spki_sha256);
	snprintf(p->subject, sizeof(p->subject), "%.255s", c->subject);
	snprintf(p->issuer, sizeof(p->issuer), "%.255s", c->issuer);
	p->not_after = c->not_after_s;
	p->accepted = is_verified(r);
	if (seen->inbound)
		snprintf(p->endpoint, sizeof(p->endpoint), "inbound");
	else
		snprintf(p->endpoint, sizeof(p->endpoint), "%s:%u", r->candidate.target, r->candidate.port);
}

/* What is to be seen of this stream. */
static struct peer_observation look(const struct session *s)
{
	const struct remote *r = s->remote;
	struct peer_observation seen = {.service = service_of(s), .when = now_s()};
	snprintf(seen.domain, sizeof(seen.domain), "%s", r->domain);
	seen.inbound = role_is_inbound(s->role);
	seen.version = version_of(s);
	seen.tls = seen.version != 0;
	seen.offered = !seen.inbound && s->starttls_advertised;
	seen.required = !seen.inbound && s->starttls_required;
	seen.direct = !seen.inbound && (s->starttls == STARTTLS_DIRECT || r->direct_offered);
	seen.srv_secure = !seen.inbound && r->srv_secure;
	seen.method = method_of(s);
	put_certificate(&seen, r);
	return seen;
}

/* FIRST also where nothing is shown, or memory could not say. */
static enum peer_standing standing_of(const struct session *s)
{
	const struct remote *r = s->remote;
	const struct peer_observation seen = look(s);
	return r->memory != NULL && seen.has_certificate ? peer_memory_judge(r->memory, &seen) : PEER_FIRST;
}

void session_remote_facts(const struct session *s, struct leg_facts *facts)
{
	const struct remote *r = s->remote;
	facts->outbound = !role_is_inbound(s->role);
	facts->identity_verified = is_verified(r);
	facts->min_version = policy_min_tls(r->policy.tls);
	facts->stripped = s->starttls == STARTTLS_STRIPPED_NEGOTIATED;
	facts->changed = !peer_standing_good(standing_of(s));
	facts->refuse_change = s->config->policy.on_certificate_change == CERTIFICATE_CHANGE_REFUSE;
	facts->memory_missing = !r->memory_ok;
	facts->announced = r->direct_offered;
}

static void event(struct session *s, const char *action, int severity, const char *detail)
{
	char *before = s->detail;
	s->detail = mem_strdup(detail);
	session_record_event(s, action, severity);
	mem_free(s->detail);
	s->detail = before;
}

const struct peer_certificate *session_remote_previous(const struct session *s)
{
	if (s->remote == NULL || s->remote->memory == NULL)
		return NULL;
	const struct peer_observation seen = look(s);
	return peer_memory_previous(s->remote->memory, &seen);
}

/* LOG-6: what of the one before tells a renewal from an attack. */
static void add_previous(char *out, size_t size, const struct session *s)
{
	const struct peer_certificate *before = session_remote_previous(s);
	const struct peer_observation seen = look(s);
	bool same = strcmp(before->issuer, seen.certificate.issuer) == 0;
	int64_t days = (before->not_after - seen.when) / 86400;
	size_t len = (size_t)snprintf(out, size, " The one before is of %s issuer", same ? "the same" : "another");
	if (before->not_after == 0)
		snprintf(out + len, size - len, ".");
	else if (before->not_after < seen.when)
		snprintf(out + len, size - len, " and has expired.");
	else
		snprintf(out + len, size - len, " and expires in %lld day%s.", (long long)days, days == 1 ? "" : "s");
}

/* LOG-6: a renewal that verifies or keeps its key is news, one that nothing vouches for a warning. */
static void tell_certificate(struct session *s)
{
	static const char *const sentences[] = {
	    [PEER_SAME_KEY] = "The certificate is not one that is remembered, but its key is the same",
	    [PEER_STRANGE_SERVER] =
		"The certificate is not one that is remembered, of a server of the domain that was not met before",
	    [PEER_CHANGED] = "The certificate is not one that is remembered",
	};
	enum peer_standing standing = standing_of(s);
	bool verified = is_verified(s->remote);
	bool same_key = standing == PEER_SAME_KEY;
	char why[320], previous[128];
	if (sentences[standing] == NULL)
		return;
	add_previous(previous, sizeof(previous), s);
	snprintf(why, sizeof(why), "%s%s%s", sentences[standing],
		 verified   ? "; it is verified."
		 : same_key ? "; nothing else verifies it."
			    : ", and nothing verifies it.",
		 previous);
	event(s, "certificate-changed", verified || same_key ? 1 : 2, why);
}

/* Its own key or certificate, named by the rule that holds now, is as good as any before. */
static bool proves_less(const struct session *s, enum peer_method before)
{
	enum peer_method now = method_of(s);
	bool asked = s->remote->policy.level == LEVEL_FINGERPRINT && now == PEER_METHOD_FINGERPRINT;
	return now < before && before > PEER_METHOD_DIALBACK && !asked;
}

/* Held against the same direction: as a client a server need not do what it does as a server. */
static void tell_less(struct session *s, const struct peer_way *before)
{
	char why[200];
	int version = version_of(s);
	if (version < before->best_version) {
		snprintf(why, sizeof(why), "TLS %d.%d was used with this peer before, now it is %s.",
			 before->best_version / 10, before->best_version % 10,
			 version == 0 ? "none" : "an older version");
		event(s, "tls-downgraded", version == 0 ? 3 : 2, why);
	} else if (proves_less(s, before->best_method)) {
		snprintf(why, sizeof(why), "This peer was verified by %s before, now it is not.",
			 peer_method_name(before->best_method));
		event(s, "tls-downgraded", 2, why);
	}
}

/* What the same peer did before and does no more (STRIP-7, 12; RFC 7457 section 2.2). */
static void tell_downgrade(struct session *s)
{
	const struct remote *r = s->remote;
	const struct peer_memory *m = r->memory;
	bool inbound = role_is_inbound(s->role);
	if (m == NULL || !m->known)
		return;
	if (m->required && s->starttls_advertised && !s->starttls_required && !inbound)
		event(s, "starttls-required-stripped", 2,
		      "STARTTLS is offered without <required/>, which was there before.");
	tell_less(s, &m->way[inbound ? PEER_INBOUND : PEER_OUTBOUND]);
	if (r->resolved && m->direct && !r->direct_offered && !r->srv_secure)
		event(s, "tls-downgraded", 2,
		      "DNS announced direct TLS before, and no DNSSEC proves that it no longer does.");
}

void session_remote_events(struct session *s)
{
	struct remote *r = s->remote;
	if (r == NULL)
		return;
	tell_certificate(s);
	tell_downgrade(s);
	if (r->policy.weak)
		event(s, "weak-exception-used", 2,
		      "A rule of peers that is weaker than the common policy decided this stream.");
}

static void observe(struct session *s, bool refused)
{
	const struct peer_recall *recall = &s->engine->p.recall;
	struct peer_observation seen = look(s);
	seen.refused = refused;
	recall->observe(recall->ctx, &seen);
}

void session_remote_changed(struct session *s)
{
	session_remote_events(s);
	observe(s, true);
}

void session_remote_settled(struct session *s)
{
	struct remote *r = s->remote;
	if (r == NULL)
		return;
	r->unproven = role_is_inbound(s->role) && !is_verified(r);
	if (!r->unproven)
		observe(s, false);
	mem_free(r->memory);
	r->memory = NULL;
}

void session_remote_proven(struct session *s)
{
	if (!s->remote->unproven)
		return;
	s->remote->unproven = false;
	observe(s, false);
}

/* The settings of a handshake were chosen by a name in plaintext: nobody but their owner may use them (NEG-9). */
struct verdict session_inbound_verdict(const struct session *s)
{
	struct verdict verdict = session_verdict(s);
	if (verdict.allow && s->lender != NULL && s->lender != s->remote->policy.rule)
		return (struct verdict){.allow = false, .reason = REASON_HEADER_SWITCH};
	return verdict;
}

const char *session_remote_why(const struct session *s, enum reason reason)
{
	const struct tls_identity *identity = s->remote != NULL ? s->remote->identity : NULL;
	bool about = reason == REASON_STRIPPED || reason == REASON_REMOTE_UNVERIFIED ||
		     reason == REASON_PEER_UNVERIFIED || reason == REASON_CERTIFICATE_CHANGED;
	return about && identity != NULL ? identity->unverified : NULL;
}

/* Policy refused the stream for what the remote side is: said, and its end. */
static void refuse(struct session *s, enum reason reason)
{
	/* Nothing of it is remembered: whoever comes may show any certificate in any name. Where we go the new one is
	 * met, too, and waits there for `peers accept`. */
	session_remote_events(s);
	if (s->tls[session_outer(s)] != NULL)
		tls_forget_session(leg_ssl(s->leg[session_outer(s)]));
	session_end(s, reason, XMPP_ERROR_NONE, session_remote_why(s, reason));
}

/* Policy has the answer of memory: on to the backend, or the end. */
static void inbound_recalled(struct session *s)
{
	struct verdict verdict = session_inbound_verdict(s);
	if (!verdict.allow) {
		refuse(s, verdict.reason);
		return;
	}
	/* A plaintext stream may still become TLS: its first element tells (session_relay.c). */
	if (leg_is_secured(s->leg[LEG_ACCEPT]))
		session_object(s, verdict.reason);
	session_dial(s);
}

bool session_is_ours(const struct session *s)
{
	struct shared_ends ends = {.own = s->peer};
	if (s->reached != NULL)
		ends.to = *s->reached;
	else
		leg_own_address(s->leg[LEG_ACCEPT], &ends.to);
	return shared_is_own(s->engine->p.shared, &ends);
}

void session_inbound_route(struct session *s)
{
	char from[XMPP_DOMAIN_SIZE];
	if (s->from == NULL || !jid_domain(s->from, from)) {
		/* NEG-39: who it is comes with its first <db:result/>, and is judged then. */
		session_dial(s);
		return;
	}
	session_remote_set(s, from);
	session_remote_judge(s);
	session_enter(s, SESSION_ROUTE);
	session_remote_recall(s, inbound_recalled);
}

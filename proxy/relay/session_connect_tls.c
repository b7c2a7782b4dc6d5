/* SPDX-License-Identifier: MIT */
/*
 * TLS on the connected leg: to a backend or a remote server; and, for a backend, going on without it where backend.tls
 * is opportunistic. Invariants: no byte may stand between <proceed/> and our ClientHello (NEG-8); a stream whose leg
 * was encrypted once never goes on in plaintext; plaintext is taken only where the configuration allows it, on a
 * connection that has heard nothing of TLS. The operator's log is told once a domain and worker, and once more when it
 * gets better: not once a stream.
 */
#include "relay/session_private.h"

#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum news { NEWS_PLAINTEXT = 1 << 0, NEWS_UNVERIFIED = 1 << 1 };

/* Kept by name, not in the configuration: a new one must not make the log say everything again. */
struct told {
	struct told *next;
	unsigned news;
	char domain[XMPP_DOMAIN_SIZE];
};

static struct told *told_of(struct engine *e, const char *domain)
{
	for (struct told *t = e->told; t != NULL; t = t->next)
		if (strcmp(t->domain, domain) == 0)
			return t;
	struct told *t = mem_zalloc(sizeof(*t));
	snprintf(t->domain, sizeof(t->domain), "%s", domain);
	t->next = e->told;
	e->told = t;
	return t;
}

void session_told_free(struct told **told)
{
	while (*told != NULL) {
		struct told *t = *told;
		*told = t->next;
		mem_free(t);
	}
}

/* Is it new? */
static bool tell(struct session *s, enum news news)
{
	struct told *t = told_of(s->engine, s->domain->name);
	bool fresh = (t->news & (unsigned)news) == 0;
	t->news |= (unsigned)news;
	return fresh;
}

/* Was the opposite told before? */
static bool untell(struct session *s, enum news news)
{
	struct told *t = told_of(s->engine, s->domain->name);
	bool was = (t->news & (unsigned)news) != 0;
	t->news &= ~(unsigned)news;
	return was;
}

static bool is_required(const struct session *s)
{
	return s->domain->backend.tls == BACKEND_TLS_REQUIRED;
}

/* Rule 7: what is weaker for this peer is set on this SSL alone. Where the level asks for a proof the handshake fails
 * without one, so that the remote side learns why (CERT-10). */
static struct ssl_st *connect_remote(struct session *s)
{
	const struct remote *r = s->remote;
	const struct tls_peer_params params = {
	    .role = s->role,
	    .domain = r->domain,
	    .local = role_is_s2s(s->role) && s->domain != NULL ? s->domain->name : NULL,
	    .policy = &r->policy,
	    .must_prove = level_needs_identity(session_level(s)) && s->config->mode == MODE_ENFORCE,
	    .direct = r->candidate.direct_tls,
	    .resume = s->config->tls.session_resumption,
	};
	return tls_connect_peer(s->store, &params);
}

void session_connect_start_tls(struct session *s, size_t behind)
{
	struct leg *leg = s->leg[LEG_CONNECT];
	bool direct = !role_is_inbound(s->role) && s->remote->candidate.direct_tls;
	leg_read(leg, false);
	/* Where TLS comes first there is no <proceed/> to stand behind: what is no TLS fails the handshake. */
	if (!direct && (behind > 0 || leg_has_bytes(leg))) {
		negotiate_injected(s->negotiation->connect);
		return;
	}
	struct ssl_st *ssl =
	    role_is_inbound(s->role) ? tls_connect(s->store, s->domain->name, is_required(s)) : connect_remote(s);
	if (ssl == NULL)
		session_end(s, REASON_INTERNAL, XMPP_ERROR_NONE, "cannot make a TLS context");
	else
		leg_start_tls(leg, ssl, NULL, 0);
}

static void remote_secured(struct session *s)
{
	struct leg *leg = s->leg[LEG_CONNECT];
	s->tls[LEG_CONNECT] = mem_zalloc(sizeof(*s->tls[LEG_CONNECT]));
	tls_facts_read(s->tls[LEG_CONNECT], leg_ssl(leg));
	shared_count(s->engine->slot, COUNTER_HANDSHAKES, 1);
	if (s->tls[LEG_CONNECT]->resumed)
		shared_count(s->engine->slot, COUNTER_RESUMED, 1);
	session_remote_judge(s);
	session_route_starttls(s, true);
}

void session_connect_secured(struct session *s)
{
	if (!role_is_inbound(s->role)) {
		remote_secured(s);
		return;
	}
	const char *domain = s->domain->name;
	s->tls[LEG_CONNECT] = mem_zalloc(sizeof(*s->tls[LEG_CONNECT]));
	tls_facts_read(s->tls[LEG_CONNECT], leg_ssl(s->leg[LEG_CONNECT]));
	log_debug("stream %s: backend of %s: TLS %s, %s; STARTTLS was %soffered", s->id, domain,
		  s->tls[LEG_CONNECT]->version,
		  s->tls[LEG_CONNECT]->verified ? "verified" : s->tls[LEG_CONNECT]->unverified,
		  negotiate_starttls(s->negotiation->connect)->advertised ? "" : "not ");
	if (untell(s, NEWS_PLAINTEXT))
		log_info("backend of %s: TLS works again", domain);
	if (s->tls[LEG_CONNECT]->verified && untell(s, NEWS_UNVERIFIED))
		log_info("backend of %s: its certificate is verified again", domain);
	if (!s->tls[LEG_CONNECT]->verified && tell(s, NEWS_UNVERIFIED))
		log_warn("backend of %s: %s; taken all the same, because \"backend.tls\" is opportunistic", domain,
			 s->tls[LEG_CONNECT]->unverified);
}

bool session_connect_without_tls(struct session *s, const char *why)
{
	struct engine *e = s->engine;
	bool may =
	    s->domain->backend.tls == BACKEND_TLS_OPPORTUNISTIC && config_backend_may_plaintext(s->domain, s->role);
	if (!may || s->without_tls || s->tls[LEG_CONNECT] != NULL || s->state != SESSION_CONNECT)
		return false;
	if (tell(s, NEWS_PLAINTEXT))
		log_warn("backend of %s: no TLS: %s; going on in plaintext, because \"backend.tls\" is opportunistic",
			 s->domain->name, why != NULL ? why : "no reason given");
	log_debug("stream %s: backend without TLS: %s", s->id, why != NULL ? why : "no reason given");
	s->without_tls = s->dials_again = true;
	s->starttls_ms = 0;
	s->dialed_ms = clock_ms();
	leg_read(s->leg[LEG_CONNECT], false);
	session_enter(s, SESSION_DIAL);
	/* We may be inside this very leg's callback. */
	s->next_again = e->again;
	e->again = s;
	event_active(e->reaper, EV_TIMEOUT, 0);
	return true;
}

void session_dial_again(struct session *s)
{
	s->dials_again = false;
	if (s->state != SESSION_DIAL && s->state != SESSION_ROUTE)
		return;
	leg_free(&s->leg[LEG_CONNECT]);
	s->leg_closed[LEG_CONNECT] = true;
	if (role_is_inbound(s->role))
		session_dial(s);
	else
		session_route_go_on(s);
}

const char *session_connect_tls_detail(const struct session *s, const char *detail)
{
	const struct leg *leg = s->leg[LEG_CONNECT];
	bool outbound = !role_is_inbound(s->role);
	if (leg_ssl(leg) == NULL || leg_is_secured(leg) || (!outbound && !is_required(s)))
		return detail;
	const char *unverified = outbound ? tls_peer_fault(leg_ssl(leg)) : tls_unverified(leg_ssl(leg));
	return unverified != NULL ? unverified : detail;
}

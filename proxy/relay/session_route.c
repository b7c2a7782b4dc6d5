/* SPDX-License-Identifier: MIT */
/*
 * The way of an outbound stream: may this connection use the listener, where is the remote domain's server, one
 * candidate after another until one is as policy asks, and what is said when none is. The legacy side hears nothing
 * until then (NEG-28). Invariants: a candidate is tried once with TLS; plaintext is tried only where the level allows
 * it, on a new connection, and never after TLS had been up; what is told in the end is the failure that says most.
 */
#include "relay/session_private.h"

#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/intercept.h"

static bool same_host(const struct addr *a, const struct addr *b)
{
	uint8_t x[16], y[16];
	return addr_bytes(a, x) && addr_bytes(b, y) && memcmp(x, y, sizeof(x)) == 0;
}

/*
 * Redirected on this very machine it comes from a network address of the machine, but to loopback. Only where the
 * packet filter is asked next: a kernel with route_localnet lets neighbours connect to loopback addresses, too.
 */
static bool is_redirected_here(const struct session *s)
{
	struct addr own;
	if (s->listener->intercept != INTERCEPT_REDIRECT)
		return false;
	leg_own_address(s->leg[LEG_ACCEPT], &own);
	return own.len > 0 && !addr_is_unix(&own) && addr_is_local(&own);
}

/* Whoever gets in here speaks as our own domains, with their certificates: nobody by default but the legacy side. */
static bool is_legacy_side(const struct session *s)
{
	const struct config_listener *l = s->listener;
	for (size_t i = 0; i < l->accept_from_count; i++)
		if (cidr_contains(&l->accept_from[i], &s->peer))
			return true;
	if (l->accept_from_count > 0)
		return false;
	if (addr_is_local(&s->peer) || is_redirected_here(s))
		return true;
	for (size_t i = 0; i < s->config->domain_count; i++) {
		const struct config_backend *b = &s->config->domains[i].backend;
		if (same_host(&s->peer, &b->s2s) || same_host(&s->peer, &b->c2s))
			return true;
	}
	return false;
}

enum reason session_route_admit(struct session *s, int fd)
{
	struct addr to;
	struct errbuf err = {""};
	if (role_is_inbound(s->role) || s->hub_id != NULL)
		return REASON_NONE; /* a spoke: its hub was asked */
	if (!is_legacy_side(s))
		return REASON_SOURCE;
	if (s->listener->intercept != INTERCEPT_REDIRECT)
		return REASON_NONE;
	switch (intercept_destination(fd, &to, &err)) {
	case INTERCEPT_FOUND:
		s->reached = mem_dup(&to, sizeof(to));
		return REASON_NONE;
	case INTERCEPT_DIRECT:
		return REASON_NOT_INTERCEPTED;
	case INTERCEPT_FAILED:
		break;
	}
	s->detail = mem_strdup(err.text);
	return REASON_NOT_INTERCEPTED;
}

/* How much a failure tells the operator: what policy refused, then what was reached and useless, then the rest. */
static int weight(enum reason reason)
{
	static const enum reason policy[] = {REASON_STRIPPED,
					     REASON_REMOTE_UNVERIFIED,
					     REASON_CERTIFICATE_CHANGED,
					     REASON_WEAK_TLS,
					     REASON_NO_TLS,
					     REASON_REMOTE_INJECTION,
					     REASON_NO_EMS,
					     REASON_REMOTE_TLS,
					     REASON_MEMORY_UNAVAILABLE};
	for (size_t i = 0; i < ARRAY_LEN(policy); i++)
		if (policy[i] == reason)
			return 3;
	return reason == REASON_NONE ? 0 : reason == REASON_REMOTE_DOWN ? 1 : 2;
}

/* Is it the one to be told, if nothing says more? */
static bool remember_failure(struct session *s, enum reason reason, enum xmpp_error said, const char *why)
{
	struct remote *r = s->remote;
	if (weight(reason) <= weight(r->failure))
		return false;
	char *copy = session_starttls_why(s, reason, why);
	mem_free(r->why);
	r->why = copy;
	r->failure = reason;
	r->said = said;
	return true;
}

void session_route_drop(struct attempt *a)
{
	mem_free(a->tls);
	mem_free(a->identity);
	tls_certificate_free(&a->certificate);
	*a = (struct attempt){0};
}

/* What was seen of the present candidate is taken from the session. */
static struct attempt take_attempt(struct session *s)
{
	struct remote *r = s->remote;
	const struct attempt a = {.candidate = r->candidate,
				  .tls = s->tls[LEG_CONNECT],
				  .certificate = r->certificate,
				  .identity = r->identity,
				  .starttls = s->starttls,
				  .advertised = s->starttls_advertised,
				  .required = s->starttls_required};
	s->tls[LEG_CONNECT] = NULL;
	r->certificate = NULL;
	r->identity = NULL;
	return a;
}

/* The record speaks of the candidate whose failure is told, not of the one that came last. */
static void put_heaviest(struct session *s)
{
	struct remote *r = s->remote;
	struct attempt last = take_attempt(s);
	session_route_drop(&last);
	r->candidate = r->heaviest.candidate;
	s->tls[LEG_CONNECT] = r->heaviest.tls;
	r->certificate = r->heaviest.certificate;
	r->identity = r->heaviest.identity;
	s->starttls = r->heaviest.starttls;
	s->starttls_advertised = r->heaviest.advertised;
	s->starttls_required = r->heaviest.required;
	r->heaviest = (struct attempt){0};
}

/* present: it is the candidate under way that failed so. */
static void give_up(struct session *s, bool present)
{
	struct remote *r = s->remote;
	char why[512];
	if (!present && !r->weighty) /* weighty: it is this one, and its turn is not over */
		put_heaviest(s);
	session_explain(r->failure, r->why, why, sizeof(why));
	log_info("stream %s: %s to %s: %s", s->id, role_name(s->role), r->domain, why);
	session_end(s, r->failure, r->said, r->why);
}

static void raced(void *ctx, int fd, size_t index, const char *why)
{
	struct session *s = ctx;
	struct remote *r = s->remote;
	struct leg_io *io = s->engine->io;
	if (fd < 0) {
		give_up(s, remember_failure(s, REASON_REMOTE_DOWN, XMPP_ERROR_NONE, why));
	} else {
		r->candidate = *race_candidate(r->race, index);
		r->strip_told = false;
		s->without_tls = session_level(s) == LEVEL_NONE;
		session_dialed(s, fd, false);
	}
	leg_io_flush(io);
}

/* DNS and memory have answered: to the addresses. */
static void set_out(struct session *s)
{
	struct remote *r = s->remote;
	if (r->lookup != NULL || r->memory_ticket != 0)
		return;
	r->race = race_new(s->engine->p.base, r->candidates, r->candidate_count, (uint64_t)s->config->timeouts.connect,
			   raced, s);
	mem_free(r->candidates);
	r->candidates = NULL;
}

/* Level none does not attempt TLS: what DNS announces for direct TLS only is not for it. */
static void take_candidates(struct session *s, const struct candidate *list, size_t count)
{
	struct remote *r = s->remote;
	r->candidates = mem_array(count, sizeof(*list));
	for (size_t i = 0; i < count; i++)
		if (!list[i].direct_tls || session_level(s) != LEVEL_NONE)
			r->candidates[r->candidate_count++] = list[i];
}

static void resolved(void *ctx, const struct resolved *out)
{
	static const enum reason reasons[RESOLVE_STATUSES] = {
	    [RESOLVE_FOUND] = REASON_NONE,
	    [RESOLVE_NOTHING] = REASON_DNS,
	    [RESOLVE_NO_SERVICE] = REASON_NO_SERVICE,
	    [RESOLVE_BOGUS] = REASON_DNS_BOGUS,
	    [RESOLVE_FAILED] = REASON_DNS,
	};
	struct session *s = ctx;
	struct remote *r = s->remote;
	struct leg_io *io = s->engine->io;
	r->lookup = NULL;
	r->resolved = out->srv;
	r->direct_offered = out->direct_offered;
	r->srv_secure = out->srv_secure;
	if (out->status != RESOLVE_FOUND) {
		give_up(s, remember_failure(s, reasons[out->status], XMPP_ERROR_NONE, out->detail));
	} else {
		take_candidates(s, out->candidates, out->count);
		set_out(s);
	}
	leg_io_flush(io);
}

static void look_up(struct session *s)
{
	struct remote *r = s->remote;
	const struct config_peer *rule = r->policy.rule;
	struct resolver *resolver = s->engine->p.resolver;
	const char *asked = rule != NULL && rule->connect_host != NULL ? rule->connect_host : r->domain;
	r->by_dns = !domain_is_address(asked);
	if (rule != NULL && rule->connect_host != NULL)
		r->lookup = resolver_lookup_host(resolver, rule->connect_host, rule->connect_port, resolved, s);
	else
		r->lookup = resolver_lookup(resolver, role_is_s2s(s->role), r->domain, resolved, s);
}

static void take_destination(struct session *s)
{
	struct candidate c = {.address = *s->reached, .port = addr_port(s->reached)};
	char host[ADDR_TEXT_SIZE];
	addr_host(s->reached, host);
	snprintf(c.target, sizeof(c.target), "%s", host);
	take_candidates(s, &c, 1);
}

void session_route(struct session *s)
{
	const struct negotiator *accept = s->negotiation->accept;
	/* Led back by the packet filter or by DNS. */
	if (session_is_ours(s)) {
		session_end(s, REASON_LOOP, XMPP_ERROR_NONE,
			    s->reached != NULL ? "the packet filter redirects portcullis itself"
					       : "the remote domain's server is this very listener");
		return;
	}
	s->domain = config_find_domain(s->config, negotiate_local(accept));
	session_remote_set(s, negotiate_domain(accept));
	const struct config_peer *rule = s->remote->policy.rule;
	bool fixed = s->listener->next_hop == NEXT_HOP_ORIGINAL_DESTINATION && s->reached != NULL &&
		     (rule == NULL || rule->connect_host == NULL);
	session_enter(s, SESSION_ROUTE);
	if (fixed)
		take_destination(s);
	else
		look_up(s);
	session_remote_recall(s, set_out);
}

enum reason session_remote_reason(const struct session *s, enum reason reason)
{
	const struct negotiator *n = s->negotiation->connect;
	struct ssl_st *ssl = s->leg[LEG_CONNECT] != NULL ? leg_ssl(s->leg[LEG_CONNECT]) : NULL;
	switch ((int)reason) {
	case REASON_BACKEND_DOWN:
		return REASON_REMOTE_DOWN;
	case REASON_BACKEND_TIMEOUT:
		return REASON_REMOTE_TIMEOUT;
	case REASON_BACKEND_CLOSED:
		return REASON_REMOTE_CLOSED;
	case REASON_BACKEND_INVALID:
	case REASON_BACKEND_MISCONFIGURED:
		return REASON_REMOTE_INVALID;
	case REASON_BACKEND_REFUSED:
		return REASON_REMOTE_ERROR;
	case REASON_BACKEND_INJECTION:
		return REASON_REMOTE_INJECTION;
	case REASON_BACKEND_TLS:
		if (ssl == NULL && (n == NULL || !negotiate_in_handshake(n)))
			return REASON_NO_TLS;
		return ssl != NULL && tls_peer_fault(ssl) != NULL ? REASON_REMOTE_UNVERIFIED : REASON_REMOTE_TLS;
	default:
		return reason;
	}
}

bool session_route_judged(const struct session *s)
{
	const struct leg *leg = s->leg[LEG_CONNECT];
	return leg != NULL && leg_ssl(leg) != NULL && tls_peer_fault(leg_ssl(leg)) != NULL;
}

/* STRIP-4: with the offer taken away, who proves nothing is not just a server with a bad certificate. */
static enum reason weigh_strip(const struct session *s, enum reason reason)
{
	bool stripped = s->starttls == STARTTLS_STRIPPED_FAILED || s->starttls == STARTTLS_STRIPPED_NEGOTIATED;
	return stripped && reason == REASON_REMOTE_UNVERIFIED ? REASON_STRIPPED : reason;
}

/* TLS could not be had, and policy (or mode monitor) goes on without it. */
static bool may_do_without(const struct session *s, enum reason reason)
{
	if (s->without_tls || s->tls[LEG_CONNECT] != NULL || s->remote->candidate.direct_tls)
		return false;
	return session_verdict(s).allow &&
	       (reason == REASON_NO_TLS || reason == REASON_REMOTE_TLS || reason == REASON_REMOTE_CLOSED);
}

static bool is_about_domain(enum xmpp_error said)
{
	return said == XMPP_ERROR_HOST_UNKNOWN || said == XMPP_ERROR_HOST_GONE ||
	       said == XMPP_ERROR_RESOURCE_CONSTRAINT || said == XMPP_ERROR_REMOTE_CONNECTION_FAILED ||
	       said == XMPP_ERROR_SYSTEM_SHUTDOWN;
}

void session_candidate_failed(struct session *s, enum reason reason, const char *detail)
{
	struct engine *e = s->engine;
	struct remote *r = s->remote;
	if (s->dials_again || s->state < SESSION_ROUTE || s->state > SESSION_RECORD)
		return;
	if (s->state == SESSION_RECORD) {
		session_end(s, reason, XMPP_ERROR_NONE, detail);
		return;
	}
	bool again = may_do_without(s, reason);
	if (session_route_judged(s))
		session_remote_faulted(s);
	if (s->negotiation->connect != NULL && s->state == SESSION_CONNECT && s->tls[LEG_CONNECT] == NULL &&
	    !s->without_tls)
		session_route_starttls(s, false);
	reason = weigh_strip(s, reason);
	enum xmpp_error said =
	    s->negotiation->connect != NULL ? negotiate_peer_error(s->negotiation->connect) : XMPP_ERROR_NONE;
	log_debug("stream %s: %s at %s:%u is no good: %s%s%s", s->id, r->domain, r->candidate.target, r->candidate.port,
		  reason_info(reason)->word, detail != NULL ? ": " : "", detail != NULL ? detail : "");
	r->weighty =
	    !again &&
	    remember_failure(s, reason, reason == REASON_REMOTE_ERROR && is_about_domain(said) ? said : XMPP_ERROR_NONE,
			     detail);
	s->without_tls = again;
	s->dials_again = true;
	if (s->leg[LEG_CONNECT] != NULL)
		leg_finish(s->leg[LEG_CONNECT], s->tls[LEG_CONNECT] != NULL);
	session_enter(s, SESSION_ROUTE);
	/* We may be inside this very leg's callback. */
	s->next_again = e->again;
	e->again = s;
	event_active(e->reaper, EV_TIMEOUT, 0);
}

void session_route_overdue(struct session *s)
{
	bool tls = session_connect_in_tls(s);
	enum reason reason = tls ? session_remote_reason(s, REASON_BACKEND_TLS) : REASON_REMOTE_TIMEOUT;
	if (tls)
		session_route_starttls(s, false);
	give_up(s, remember_failure(s, reason, XMPP_ERROR_NONE, "negotiation took too long"));
}

/* DNS of a stranger must not lead us to what only we may reach, the legacy servers behind us; a rule of ours may. */
static bool is_backend(const struct session *s)
{
	const struct config_peer *rule = s->remote->policy.rule;
	const struct addr *to = &s->remote->candidate.address;
	if (rule != NULL && rule->connect_host != NULL)
		return false;
	for (size_t i = 0; i < s->config->domain_count; i++)
		if (addr_equal(&s->config->domains[i].backend.s2s, to) ||
		    addr_equal(&s->config->domains[i].backend.c2s, to))
			return true;
	return false;
}

/* Is it one of our own outbound listeners on this very machine, or a backend? */
static bool leads_back(const struct session *s)
{
	const struct remote *r = s->remote;
	if (is_backend(s))
		return true;
	for (size_t i = 0; i < s->config->listener_count; i++) {
		const struct config_listener *l = &s->config->listeners[i];
		if (!role_is_inbound((enum role)l->role) &&
		    addr_port(&l->address) == addr_port(&r->candidate.address) &&
		    (same_host(&l->address, &r->candidate.address) ||
		     (addr_is_any(&l->address) && same_host(&r->own, &r->candidate.address))))
			return true;
	}
	return false;
}

bool session_route_reached(struct session *s)
{
	struct remote *r = s->remote;
	leg_own_address(s->leg[LEG_CONNECT], &r->own);
	r->noted = (struct shared_ends){.own = r->own, .to = r->candidate.address};
	shared_note_own(s->engine->p.shared, s->engine->p.worker, &r->noted);
	if (!leads_back(s))
		return true;
	session_candidate_failed(s, REASON_LOOP, NULL);
	return false;
}

void session_route_forget(struct session *s)
{
	struct remote *r = s->remote;
	/* Not by `candidate`: that may be the one that the record speaks of by now. */
	if (r->noted.own.len > 0)
		shared_forget_own(s->engine->p.shared, s->engine->p.worker, &r->noted);
	r->noted.own.len = 0;
}

void session_route_go_on(struct session *s)
{
	struct remote *r = s->remote;
	struct attempt last = take_attempt(s);
	session_route_drop(r->weighty ? &r->heaviest : &last);
	if (r->weighty)
		r->heaviest = last;
	r->weighty = false;
	session_route_forget(s);
	if (s->without_tls) {
		session_dial(s);
		return;
	}
	s->starttls = STARTTLS_NOT_ATTEMPTED;
	s->starttls_advertised = s->starttls_required = false;
	race_go_on(r->race);
}

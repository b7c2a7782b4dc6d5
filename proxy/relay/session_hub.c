/* SPDX-License-Identifier: MIT */
/*
 * A session whose legacy server named nobody in its header: its accepted leg is given to a hub, it has no connected
 * leg, and each pair of domains gets a session of its own, a spoke, which is a session like any other but for the way
 * it was accepted. Invariant: leg_closed[LEG_CONNECT] stands for the hub's spokes.
 */
#include "relay/session_private.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/shared_ids.h"
#include "relay/hub.h"

/* How long the remote servers may go on after the legacy server has closed its stream. */
#define HALF_CLOSED_MS 10000
/* How often it is looked whether the legacy server is still there, while it is not read. */
#define WATCH_MS 5000
/* What holds where limits.stanza is 0: a hub must read on, or nothing could be dealt out. */
#define STANZA_LIMIT ((size_t)512 * 1024)

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void op_open(void *ctx, int fd)
{
	session_new_spoke(ctx, fd);
}

static void op_paused(void *ctx)
{
	struct session *s = ctx;
	if (s->watch_ms == 0)
		s->watch_ms = clock_ms();
	session_rearm(s);
}

static void op_closing(void *ctx)
{
	struct session *s = ctx;
	s->half_closed_ms = clock_ms();
	session_rearm(s);
}

static void op_over(void *ctx, enum reason reason, const char *detail, bool violation)
{
	struct session *s = ctx;
	if (violation)
		session_record(s, "stanza-violation", 2, reason, NULL);
	s->told = reason_info(reason)->condition != XMPP_ERROR_NONE;
	session_close(s, reason, detail);
}

static void op_quiet(void *ctx)
{
	session_leg_closed(ctx, LEG_CONNECT);
}

static const struct hub_ops ops = {op_open, op_paused, op_closing, op_over, op_quiet};

void session_hub_begin(struct session *s, const char *rest, size_t len)
{
	const struct config_limits *l = &s->config->limits;
	struct negotiation *n = s->negotiation;
	const struct hub_params params = {
	    .base = s->engine->p.base,
	    .io = s->engine->io,
	    .legacy = s->leg[LEG_ACCEPT],
	    .header = n->header.data,
	    .header_len = n->header.len,
	    .id = negotiate_own_id(n->accept),
	    .buffer = (size_t)l->buffer,
	    .unauthenticated_limit = (size_t)l->unauthenticated_stanza,
	    .stanza_limit = l->stanza > 0 ? (size_t)l->stanza : STANZA_LIMIT,
	    .depth = (unsigned)l->depth,
	    .ops = &ops,
	    .ctx = s,
	};
	s->negotiation = NULL;
	s->leg_closed[LEG_CONNECT] = false;
	s->active_ms = clock_ms();
	session_enter(s, SESSION_HUB);
	s->hub = hub_new(&params);
	negotiation_free(&n);
	if (len > 0)
		hub_input(s->hub, rest, len);
}

void session_hub_data(struct session *s, const void *data, size_t len)
{
	s->active_ms = clock_ms();
	hub_input(s->hub, data, len);
}

void session_hub_drained(struct session *s)
{
	hub_drained(s->hub);
}

void session_hub_ended(struct session *s, const char *detail)
{
	session_close(s, hub_is_closing(s->hub) ? REASON_CLOSED : REASON_PEER_GONE, detail);
}

/*
 * While no remote server has ever answered: a question that came late has as much time as one that came at once, but
 * asking does not keep a connection alive for ever.
 */
static uint64_t unserved_deadline(const struct session *s)
{
	uint64_t patience = (uint64_t)s->config->timeouts.authentication, begun = s->accepted_ms;
	uint64_t asked = s->hub != NULL ? hub_asked_ms(s->hub) : 0;
	return asked > begun ? earlier(asked + patience, begun + 2 * patience) : begun + patience;
}

uint64_t session_hub_deadline(const struct session *s)
{
	const struct config_timeouts *t = &s->config->timeouts;
	uint64_t watch = s->watch_ms != 0 ? s->watch_ms + WATCH_MS : UINT64_MAX;
	if (s->half_closed_ms != 0)
		return earlier(watch, s->half_closed_ms + HALF_CLOSED_MS);
	if (s->hub == NULL || !hub_is_served(s->hub))
		return earlier(watch, unserved_deadline(s));
	return t->idle > 0 ? earlier(watch, s->active_ms + (uint64_t)t->idle) : watch;
}

static void refuse(struct session *s, enum reason reason)
{
	session_hub_refuse(s, reason);
	session_close(s, reason, NULL);
}

static void watch(struct session *s)
{
	s->watch_ms = 0;
	hub_watch(s->hub);
	if (!hub_is_reading(s->hub) && leg_hung_up(s->leg[LEG_ACCEPT])) {
		session_close(s, REASON_PEER_GONE, "and a remote server takes nothing");
		return;
	}
	if (!hub_is_reading(s->hub))
		s->watch_ms = clock_ms();
	session_rearm(s);
}

void session_hub_timeout(struct session *s)
{
	if (s->watch_ms != 0 && s->watch_ms + WATCH_MS <= clock_ms())
		watch(s);
	else if (s->half_closed_ms != 0)
		refuse(s, REASON_CLOSED);
	else
		refuse(s, hub_is_served(s->hub) ? REASON_IDLE : REASON_AUTH_TIMEOUT);
}

void session_hub_refuse(struct session *s, enum reason reason)
{
	s->told = reason_info(reason)->condition != XMPP_ERROR_NONE;
	hub_refuse(s->hub, reason);
}

void session_hub_end(struct session *s)
{
	if (s->hub == NULL)
		return;
	hub_end(s->hub, s->reason == REASON_PEER_GONE);
	if (!hub_has_spokes(s->hub))
		s->leg_closed[LEG_CONNECT] = true;
}

/* A remote server that reads slowly is seen in its session's output: that takes more from the spoke by the buffer. */
size_t session_hub_unsent(const struct session *s)
{
	size_t waiting = hub_unsent(s->hub);
	if (waiting == 0)
		return 0;
	for (const struct session *spoke = s->engine->sessions; spoke != NULL; spoke = spoke->next)
		if (spoke->hub_id != NULL && spoke->leg[LEG_CONNECT] != NULL &&
		    strcmp(spoke->hub_id, hub_id(s->hub)) == 0)
			waiting += leg_unsent(spoke->leg[LEG_CONNECT]);
	return waiting;
}

void session_hub_free(struct session *s)
{
	hub_free(&s->hub);
}

void session_publish_id(struct session *s, const char *theirs)
{
	char from[XMPP_DOMAIN_SIZE];
	if (s->hub_id == NULL || theirs == NULL || !jid_domain(s->from, from))
		return;
	if (shared_ids_put(s->engine->p.shared->ids, from, s->remote->domain, theirs, s->hub_id))
		s->known_as = mem_strdup(theirs);
	else
		log_warn("stream %s: the stream id of %s is too long to be translated: dialback with it will fail",
			 s->id, s->remote->domain);
}

void session_withdraw_id(struct session *s)
{
	char from[XMPP_DOMAIN_SIZE];
	if (s->known_as == NULL)
		return;
	if (jid_domain(s->from, from))
		shared_ids_remove(s->engine->p.shared->ids, from, s->remote->domain, s->known_as);
	mem_free(s->known_as);
	s->known_as = NULL;
}

bool session_translate(const struct session *s, const char *id, const char *from, const char *to,
		       char out[INSPECT_ID_SIZE])
{
	_Static_assert(INSPECT_ID_SIZE == SHARED_ID_SIZE, "ids of two sizes");
	return role_is_inbound(s->role) && shared_ids_get(s->engine->p.shared->ids, to, from, id, out);
}

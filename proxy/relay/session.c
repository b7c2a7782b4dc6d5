/* SPDX-License-Identifier: MIT */
/*
 * A session's life and death. session_close is the only way to die: one record, counters, legs ended as the reason
 * demands, freed by the reaper when both legs are done or the linger time is over. Exactly one stream-closed record for
 * every connection that was accepted, also those that were turned away or never spoke.
 */
#include "relay/session_private.h"

#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "relay/hub.h"

/* How long a closed session's output may take to reach its peer, and its peer to close. */
#define LINGER_MS 2000
/* … and in all, where it goes on taking some in every such time. */
#define LINGER_MAX_MS 60000
/* How many connections over the limit are told why; the others are just closed. */
#define TURNED_AWAY_MAX 64
/* How long the other side may go on after one side has closed its stream. */
#define HALF_CLOSED_MS 10000
/* How often a clogged stream is looked at: the second time nothing has moved, its source must still be there. */
#define WATCH_MS 5000

static const char *const state_names[] = {"first-byte", "accept", "route", "dial",    "connect",
					  "record",     "relay",  "hub",   "closing", "dead"};
_Static_assert(ARRAY_LEN(state_names) == SESSION_STATE_COUNT, "state without a name");

const char *session_state_name(enum session_state state)
{
	return state_names[state];
}

void session_enter(struct session *s, enum session_state state)
{
	log_debug("stream %s: %s -> %s", s->id, state_names[s->state], state_names[state]);
	s->state = state;
	session_rearm(s);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t idle_deadline(const struct session *s)
{
	int64_t idle = s->config->timeouts.idle;
	return idle > 0 ? s->active_ms + (uint64_t)idle : UINT64_MAX;
}

static uint64_t relay_deadline(const struct session *s)
{
	const struct config_timeouts *t = &s->config->timeouts;
	uint64_t watch = s->watch_ms != 0 ? s->watch_ms + WATCH_MS : UINT64_MAX;
	if (s->half_closed_ms != 0)
		return earlier(watch, s->half_closed_ms + HALF_CLOSED_MS);
	if (s->ticket != 0)
		watch = earlier(watch, s->asked_ms + (uint64_t)t->negotiation);
	if (!s->authenticated)
		return earlier(watch, s->accepted_ms + (uint64_t)t->authentication);
	return earlier(watch, earlier(idle_deadline(s), s->rest_ms));
}

/* Where only features are due silence ends early: TLS is then asked for without them (STRIP-2). */
static uint64_t remote_patience(const struct session *s)
{
	uint64_t patience = (uint64_t)s->config->timeouts.connect;
	const struct negotiator *n = s->negotiation->connect;
	bool features_due = xmlstream_opened(s->negotiation->connect_xml) && !negotiate_starttls(n)->sent &&
			    !negotiate_in_handshake(n) && s->tls[LEG_CONNECT] == NULL && !s->without_tls;
	return features_due ? patience / 2 : patience;
}

/* When this state's patience ends; UINT64_MAX: never. */
static uint64_t deadline_of(const struct session *s)
{
	const struct config_timeouts *t = &s->config->timeouts;
	uint64_t negotiation = s->accepted_ms + (uint64_t)t->negotiation;
	if (s->turned_away && s->state < SESSION_CLOSING)
		return s->accepted_ms + LINGER_MS;
	switch (s->state) {
	case SESSION_FIRST_BYTE:
	case SESSION_ACCEPT:
	case SESSION_ROUTE:
	case SESSION_RECORD:
		return negotiation;
	case SESSION_CONNECT:
		if (!role_is_inbound(s->role))
			return earlier(negotiation, s->remote->step_ms + remote_patience(s));
		/* Silence must leave time for the plaintext connection that is allowed instead. */
		return s->starttls_ms == 0 ? negotiation : earlier(negotiation, s->starttls_ms + (uint64_t)t->connect);
	case SESSION_DIAL:
		return earlier(negotiation, s->dialed_ms + (uint64_t)t->connect);
	case SESSION_RELAY:
		return relay_deadline(s);
	case SESSION_HUB:
		return session_hub_deadline(s);
	case SESSION_CLOSING:
		return s->half_closed_ms + LINGER_MS;
	case SESSION_DEAD:
	case SESSION_STATE_COUNT:
		break;
	}
	return UINT64_MAX;
}

void session_rearm(struct session *s)
{
	uint64_t deadline = deadline_of(s), now = clock_ms();
	if (deadline == UINT64_MAX)
		janitor_disarm(s->engine->janitor, &s->deadline);
	else
		janitor_arm(s->engine->janitor, &s->deadline, deadline > now ? deadline - now : 0);
}

static void die(struct session *s)
{
	if (s->state == SESSION_DEAD)
		return;
	session_enter(s, SESSION_DEAD);
	s->next_dead = s->engine->dead;
	s->engine->dead = s;
	event_active(s->engine->reaper, EV_TIMEOUT, 0);
}

/* Between servers: questions about keys were asked and answered, and nothing else was wanted (XEP-0220 section 2.2). */
static bool has_only_asked(const struct session *s)
{
	return role_is_s2s(s->role) && s->inspector != NULL && inspect_has_only_asked(s->inspector);
}

static void run_relay_deadline(struct session *s)
{
	if (s->watch_ms != 0 && s->watch_ms + WATCH_MS <= clock_ms()) {
		session_relay_watch(s);
		session_rearm(s);
	} else if (s->half_closed_ms != 0)
		session_close(s, REASON_CLOSED, "one side closed the stream, the other did not in time");
	else if (s->ticket != 0)
		session_plaintext_overdue(s);
	else if (s->authenticated && idle_deadline(s) > clock_ms())
		session_relay_rest(s);
	else if (has_only_asked(s))
		session_end(s, REASON_CLOSED, XMPP_ERROR_NONE, NULL);
	else
		session_end(s, s->authenticated ? REASON_IDLE : REASON_AUTH_TIMEOUT, XMPP_ERROR_NONE, NULL);
}

static size_t unsent(const struct session *s, enum session_leg leg)
{
	if (s->leg_closed[leg])
		return 0;
	if (leg == LEG_CONNECT && s->hub != NULL)
		return session_hub_unsent(s);
	return s->leg[leg] != NULL ? leg_unsent(s->leg[leg]) : 0;
}

/* A slow reader gets the rest of what was accepted for it, as long as it takes any of it. */
static void linger(struct session *s)
{
	bool flows = false;
	for (int i = 0; i < SESSION_LEGS; i++) {
		size_t waiting = unsent(s, (enum session_leg)i);
		flows = flows || (waiting > 0 && waiting != s->stuck[i]);
		s->stuck[i] = waiting;
	}
	if (!flows || clock_ms() > s->closed_ms + LINGER_MAX_MS) {
		die(s);
		return;
	}
	s->half_closed_ms = clock_ms();
	session_rearm(s);
}

static void run_deadline(struct session *s)
{
	switch (s->state) {
	case SESSION_FIRST_BYTE:
		if (s->proxy != NULL && !s->turned_away)
			session_close(s, REASON_PROXY_HEADER, "it did not come in time");
		else
			session_close(s, s->turned_away ? REASON_TOTAL_LIMIT : REASON_HEADER_TIMEOUT,
				      "nothing was sent");
		return;
	case SESSION_ACCEPT:
		session_accept_timeout(s);
		return;
	case SESSION_ROUTE:
	case SESSION_DIAL:
	case SESSION_CONNECT:
		session_connect_timeout(s);
		return;
	case SESSION_RECORD:
		session_record_overdue(s);
		return;
	case SESSION_RELAY:
		run_relay_deadline(s);
		return;
	case SESSION_HUB:
		session_hub_timeout(s);
		return;
	case SESSION_CLOSING:
		linger(s);
		return;
	case SESSION_DEAD:
	case SESSION_STATE_COUNT:
		return;
	}
}

static void on_deadline(void *ctx)
{
	struct session *s = ctx;
	struct leg_io *io = s->engine->io;
	if (deadline_of(s) > clock_ms())
		session_rearm(s); /* it was active meanwhile */
	else
		run_deadline(s);
	leg_io_flush(io);
}

static enum reason admit(struct session *s, int fd)
{
	struct engine *e = s->engine;
	enum reason refused = session_route_admit(s, fd);
	if (refused != REASON_NONE)
		return refused;
	switch (session_proxy_admit(s)) {
	case SHARED_ADMIT:
		s->admitted = true;
		break;
	case SHARED_REFUSE_ADDRESS:
		return REASON_CONNECTION_LIMIT;
	case SHARED_REFUSE_TOTAL:
		return REASON_TOTAL_LIMIT;
	}
	if (e->draining)
		return REASON_SHUTDOWN;
	if (s->config->audit.on_failure == AUDIT_REFUSE && !e->p.trail.available(e->p.trail.ctx))
		return REASON_AUDIT_UNAVAILABLE;
	return REASON_NONE;
}

static struct session *make(struct engine *e, struct config *config, struct tls_store *store,
			    const struct config_listener *listener, const struct addr *peer)
{
	struct session *s = mem_zalloc(sizeof(*s));
	s->engine = e;
	s->config = config_ref(config);
	s->store = tls_store_ref(store);
	s->listener = listener;
	s->role = (enum role)s->listener->role;
	s->peer = *peer;
	s->limit_key = addr_limit_key(peer);
	s->accepted_ns = clock_ns();
	s->accepted_ms = s->accepted_ns / 1000000;
	s->active_ms = s->accepted_ms;
	s->deadline.fire = on_deadline;
	s->deadline.ctx = s;
	random_hex(s->id, 16);
	s->next = e->sessions;
	s->link = &e->sessions;
	if (s->next != NULL)
		s->next->link = &s->next;
	e->sessions = s;
	e->count++;
	shared_count(e->slot, COUNTER_ACCEPTED, 1);
	atomic_fetch_add_explicit(&e->slot->open[s->role], 1, memory_order_relaxed);
	return s;
}

static void begin(struct session *s, int fd)
{
	struct engine *e = s->engine;
	s->leg[LEG_ACCEPT] = leg_new(e->io, fd, false, (size_t)s->config->limits.buffer, session_accept_callbacks(), s);
	s->leg_closed[LEG_CONNECT] = true;
	session_proxy_expect(s);
	enum reason refused = admit(s, fd);
	if (refused == REASON_TOTAL_LIMIT && e->turned_away < TURNED_AWAY_MAX) {
		s->turned_away = true;
		e->turned_away++;
	} else if (refused != REASON_NONE) {
		session_close(s, refused, s->detail);
		return;
	}
	session_enter(s, SESSION_FIRST_BYTE);
	leg_read(s->leg[LEG_ACCEPT], true);
}

void session_new(struct engine *e, size_t listener, int fd, const struct addr *peer)
{
	begin(make(e, e->p.config, e->p.store, &e->p.config->listeners[listener], peer), fd);
}

static const struct config_listener *same_listener(const struct config *config, const struct config_listener *listener)
{
	for (size_t i = 0; i < config->listener_count; i++)
		if (config->listeners[i].role == listener->role &&
		    addr_equal(&config->listeners[i].address, &listener->address))
			return &config->listeners[i];
	return NULL;
}

/* A new stream begins with what is in force now, unless its listener is no longer there. */
void session_new_spoke(struct session *hub, int fd)
{
	struct engine *e = hub->engine;
	const struct config_listener *now = same_listener(e->p.config, hub->listener);
	struct session *s = now != NULL ? make(e, e->p.config, e->p.store, now, &hub->peer)
					: make(e, hub->config, hub->store, hub->listener, &hub->peer);
	s->hub_id = mem_strdup(hub_id(hub->hub));
	if (hub->reached != NULL)
		s->reached = mem_dup(hub->reached, sizeof(*hub->reached));
	log_debug("stream %s: for a pair of domains of stream %s", s->id, hub->id);
	begin(s, fd);
}

void session_free(struct session *s)
{
	struct engine *e = s->engine;
	janitor_disarm(e->janitor, &s->deadline);
	*s->link = s->next;
	if (s->next != NULL)
		s->next->link = s->link;
	e->count--;
	atomic_fetch_sub_explicit(&e->slot->open[s->role], 1, memory_order_relaxed);
	e->turned_away -= s->turned_away ? 1 : 0;
	if (s->admitted)
		shared_release(e->p.shared, e->p.worker, &s->limit_key);
	if (s->ticket != 0)
		e->p.trail.forget(e->p.trail.ctx, s->ticket);
	session_withdraw_id(s);
	session_hub_free(s);
	for (int i = 0; i < SESSION_LEGS; i++)
		leg_free(&s->leg[i]);
	session_proxy_free(s);
	negotiation_free(&s->negotiation);
	inspect_free(&s->inspector);
	session_remote_free(s);
	mem_free(s->tls[LEG_ACCEPT]);
	mem_free(s->tls[LEG_CONNECT]);
	mem_free(s->hub_id);
	mem_free(s->from);
	mem_free(s->to);
	mem_free(s->auth_identity);
	mem_free(s->detail);
	tls_store_unref(&s->store);
	config_unref(&s->config);
	mem_free(s);
}

/*
 * Does this reason end a leg without close_notify? Where the peer vanished or TLS itself broke, a clean close would be
 * invented (NEG-21, row 48).
 */
static bool is_abrupt(enum reason reason)
{
	return reason == REASON_PEER_GONE || reason == REASON_BACKEND_CLOSED || reason == REASON_REMOTE_CLOSED ||
	       reason == REASON_TLS_FAILED || reason == REASON_TLS_TIMEOUT || reason == REASON_RENEGOTIATION ||
	       reason == REASON_SNI_UNKNOWN || reason == REASON_ALPN || reason == REASON_NO_EMS ||
	       reason == REASON_NOT_TLS;
}

static void end_legs(struct session *s)
{
	/* A client that was told <internal-server-error/> gets a proper TLS end too. */
	bool notify = s->told || !is_abrupt(s->reason);
	session_hub_end(s);
	for (int i = 0; i < SESSION_LEGS; i++) {
		if (s->leg[i] == NULL)
			continue;
		if (s->reason == REASON_RENEGOTIATION)
			leg_discard_output(s->leg[i]);
		leg_finish(s->leg[i], notify);
	}
}

static bool legs_are_closed(const struct session *s)
{
	return s->leg_closed[LEG_ACCEPT] && s->leg_closed[LEG_CONNECT];
}

void session_leg_closed(struct session *s, enum session_leg leg)
{
	s->leg_closed[leg] = true;
	if (s->state == SESSION_CLOSING && legs_are_closed(s))
		die(s);
}

void session_close(struct session *s, enum reason reason, const char *detail)
{
	struct engine *e = s->engine;
	if (s->state >= SESSION_CLOSING)
		return;
	s->reason = reason;
	char *copy = mem_strdup(detail);
	mem_free(s->detail);
	s->detail = copy;
	log_debug("stream %s: closed in state %s: %s%s%s", s->id, state_names[s->state], reason_info(reason)->word,
		  copy != NULL ? ": " : "", copy != NULL ? copy : "");
	if (s->ticket != 0)
		e->p.trail.forget(e->p.trail.ctx, s->ticket);
	s->ticket = 0;
	session_remote_stop(s);
	session_withdraw_id(s);
	session_record_closed(s);
	shared_count(e->slot, COUNTER_CLOSED, 1);
	if (reason < SHARED_REASONS_MAX)
		atomic_fetch_add_explicit(&e->slot->reason[reason], 1, memory_order_relaxed);
	s->half_closed_ms = s->closed_ms = clock_ms();
	session_enter(s, SESSION_CLOSING);
	if (reason == REASON_CONNECTION_LIMIT || reason == REASON_SOURCE ||
	    (reason == REASON_TOTAL_LIMIT && !s->told)) {
		/* Row 1: closed at once, and no descriptor is lent to whoever floods us. */
		die(s);
		return;
	}
	end_legs(s);
	if (legs_are_closed(s))
		die(s);
}

void session_end(struct session *s, enum reason reason, enum xmpp_error condition, const char *detail)
{
	switch (s->state) {
	case SESSION_ACCEPT:
	case SESSION_ROUTE:
	case SESSION_DIAL:
	case SESSION_CONNECT:
	case SESSION_RECORD:
		s->override = condition;
		s->detail = mem_strdup(detail);
		if (reason == REASON_SHUTDOWN)
			session_connect_refuse(s, reason);
		negotiate_refuse(s->negotiation->accept, reason, condition);
		session_accept_actions(s, NULL, 0);
		break;
	case SESSION_RELAY:
		session_relay_end(s, reason);
		break;
	case SESSION_HUB:
		session_hub_refuse(s, reason);
		break;
	case SESSION_FIRST_BYTE:
	case SESSION_CLOSING:
	case SESSION_DEAD:
	case SESSION_STATE_COUNT:
		break;
	}
	session_close(s, reason, detail);
}

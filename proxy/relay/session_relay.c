/* SPDX-License-Identifier: MIT */
/*
 * The joined legs: bytes pass as they came, through the inspector or past it; back-pressure both ways; closes mirrored
 * as they happened (NEG-21, row 48): a clean close is never invented, a vanished peer is mirrored by a bare TCP close.
 */
#include "relay/session_private.h"

#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define AUTH_ATTEMPTS 5
/* A stream that was silent for so long gives its parsers back; it may last twice as long until that is noticed. */
#define REST_MS 10000

static enum session_leg leg_of(enum inspect_side side)
{
	return side == INSPECT_INITIATOR ? LEG_ACCEPT : LEG_CONNECT;
}

static enum inspect_side side_of(enum session_leg leg)
{
	return leg == LEG_ACCEPT ? INSPECT_INITIATOR : INSPECT_RESPONDER;
}

static enum session_leg other(enum session_leg leg)
{
	return leg == LEG_ACCEPT ? LEG_CONNECT : LEG_ACCEPT;
}

static void forward(struct session *s, enum session_leg from, const void *data, size_t len)
{
	s->bytes[from] += len;
	shared_count(s->engine->slot, from == LEG_ACCEPT ? COUNTER_BYTES_IN : COUNTER_BYTES_OUT, len);
	leg_send(s->leg[other(from)], data, len);
}

static void op_pass(void *ctx, enum inspect_side from, const void *data, size_t len)
{
	forward(ctx, leg_of(from), data, len);
}

static void op_reply(void *ctx, enum inspect_side to, const void *data, size_t len)
{
	struct session *s = ctx;
	enum session_leg leg = leg_of(to);
	leg_send(s->leg[leg], data, len);
	s->answered[leg] = leg_is_clogged(s->leg[leg]);
}

/* Who the operator's log speaks of. */
static const char *responder(const struct session *s)
{
	return role_is_inbound(s->role) ? s->domain->name : s->remote->domain;
}

static void op_note(void *ctx, enum inspect_note note)
{
	struct session *s = ctx;
	unsigned bit = 1u << note;
	if (note == INSPECT_NOTE_MECHANISM_REFUSED)
		shared_count(s->engine->slot, COUNTER_MECHANISMS_REFUSED, 1);
	if ((s->noted & bit) != 0)
		return;
	s->noted |= bit;
	switch (note) {
	case INSPECT_NOTE_CHANNEL_BINDING:
		session_record(s, "channel-binding-conflict", 2, REASON_NONE, NULL);
		return;
	case INSPECT_NOTE_STANZA_VIOLATION:
		return; /* recorded with its reason when fail follows */
	case INSPECT_NOTE_IDENTITY_MISMATCH:
		log_warn("stream %s: authenticated as another identity than its header named", s->id);
		return;
	case INSPECT_NOTE_STARTTLS_CUT:
		log_debug("stream %s: the server of %s offers STARTTLS inside TLS: cut out", s->id, responder(s));
		return;
	case INSPECT_NOTE_COMPRESSION_CUT:
		log_debug("stream %s: the server of %s offers compression: cut out", s->id, responder(s));
		return;
	case INSPECT_NOTE_CREDENTIALS_EXPOSED:
		session_record(s, "credentials-exposed", 3, REASON_PLAINTEXT_AUTH, NULL);
		return;
	case INSPECT_NOTE_STEERING:
		log_warn("stream %s: the server of %s names another place to connect to: nobody is told", s->id,
			 responder(s));
		return;
	case INSPECT_NOTE_MECHANISM_REFUSED:
		log_warn("stream %s: a mechanism of policy.mechanisms-refused was asked for", s->id);
		return;
	case INSPECT_NOTE_COUNT:
		return;
	}
}

static void op_authenticated(void *ctx, const char *method, const char *identity)
{
	struct session *s = ctx;
	if (!s->authenticated)
		shared_count(s->engine->slot, COUNTER_AUTHENTICATED, 1);
	s->authenticated = true;
	s->rest_ms = clock_ms() + REST_MS;
	snprintf(s->auth_method, sizeof(s->auth_method), "%s", method);
	mem_free(s->auth_identity);
	s->auth_identity = mem_strdup(identity);
	session_rearm(s);
}

static void op_closed(void *ctx, enum inspect_side side)
{
	struct session *s = ctx;
	(void)side;
	s->half_closed_ms = clock_ms();
	session_rearm(s);
}

static void op_blind(void *ctx)
{
	struct session *s = ctx;
	s->blind = true;
}

/* Nothing follows the close tag that the backend sent it. */
static bool can_be_told(const struct session *s)
{
	return !inspect_is_closed(s->inspector, INSPECT_RESPONDER);
}

static void op_fail(void *ctx, enum inspect_side culprit, enum reason reason)
{
	struct session *s = ctx;
	bool inbound = role_is_inbound(s->role);
	bool said = culprit == INSPECT_RESPONDER || reason_info(reason)->condition != XMPP_ERROR_NONE;
	s->told = said && can_be_told(s);
	if (culprit == INSPECT_RESPONDER)
		s->override =
		    inbound ? XMPP_ERROR_INTERNAL_SERVER_ERROR : reason_info(REASON_REMOTE_INVALID)->condition;
	if ((s->noted & (1u << INSPECT_NOTE_STANZA_VIOLATION)) != 0)
		session_record(s, "stanza-violation", 2, reason, NULL);
	reason = session_pair_reason(s, reason);
	session_close(s, reason,
		      culprit == INSPECT_INITIATOR ? session_remote_why(s, reason)
		      : inbound                    ? "caused by the backend"
						   : "caused by the remote server");
}

static void update_reading(struct session *s);

static bool closed_well(struct session *s);

static void plaintext_recorded(void *ctx, bool ok)
{
	struct session *s = ctx;
	struct leg_io *io = s->engine->io;
	s->ticket = 0;
	if (!ok && s->config->audit.on_failure == AUDIT_REFUSE) {
		session_end(s, REASON_AUDIT_UNAVAILABLE, XMPP_ERROR_NONE, NULL);
	} else {
		inspect_go_on(s->inspector);
		if (!closed_well(s))
			update_reading(s);
	}
	leg_io_flush(io);
}

void session_plaintext_overdue(struct session *s)
{
	const struct audit_trail *trail = &s->engine->p.trail;
	trail->forget(trail->ctx, s->ticket);
	plaintext_recorded(s, false);
	if (s->state == SESSION_RELAY)
		session_rearm(s);
}

/* The client goes on without TLS: decided and recorded before any of it passes. */
static void op_plaintext(void *ctx)
{
	struct session *s = ctx;
	struct verdict verdict = session_verdict(s);
	if (!verdict.allow) {
		session_end(s, verdict.reason, XMPP_ERROR_NONE, NULL);
		return;
	}
	session_object(s, s->version10 ? verdict.reason : REASON_PRE10_INITIATOR);
	session_remote_events(s);
	session_remote_settled(s);
	shared_count(s->engine->slot, COUNTER_ESTABLISHED, 1);
	s->ticket = session_record(s, "stream-established", 1, REASON_NONE, plaintext_recorded);
	s->asked_ms = clock_ms();
	session_rearm(s);
}

static void op_starttls(void *ctx, bool clean)
{
	session_upgrade_later(ctx, clean);
}

static enum inspect_pair op_pair(void *ctx, const char *from, const char *to)
{
	return session_pair(ctx, from, to);
}

static void op_proven(void *ctx, const char *from, const char *to, bool external)
{
	session_pair_proven(ctx, from, to, external);
}

static void op_unproven(void *ctx, const char *from, const char *to, enum reason reason)
{
	session_pair_unproven(ctx, from, to, reason);
}

static bool op_translate(void *ctx, const char *id, const char *from, const char *to, char out[INSPECT_ID_SIZE])
{
	return session_translate(ctx, id, from, to, out);
}

static const struct inspect_ops ops = {
    .pair = op_pair,
    .proven = op_proven,
    .unproven = op_unproven,
    .translate = op_translate,
    .pass = op_pass,
    .reply = op_reply,
    .note = op_note,
    .authenticated = op_authenticated,
    .closed = op_closed,
    .blind = op_blind,
    .plaintext = op_plaintext,
    .starttls = op_starttls,
    .fail = op_fail,
};

/* Who asks and never reads the answers must not fill our memory with them; what the other side sends it is no reason to
 * stop listening to it. */
static bool is_choked(struct session *s, enum session_leg leg)
{
	s->answered[leg] = s->answered[leg] && leg_is_clogged(s->leg[leg]);
	return s->answered[leg];
}

/* A leg is read while the other can take more and the inspector does not hold it back. */
static void update_reading(struct session *s)
{
	if (s->state != SESSION_RELAY || s->upgrade_due)
		return;
	for (int i = 0; i < SESSION_LEGS; i++) {
		enum session_leg leg = (enum session_leg)i;
		/* Also a leg that is held back, until something has come, and one that has closed its stream: the end
		 * of the connection must be seen. */
		bool wanted =
		    s->blind || inspect_wants(s->inspector, side_of(leg)) || !inspect_keeps(s->inspector, side_of(leg));
		leg_read(s->leg[leg], wanted && !is_choked(s, leg) && !leg_is_clogged(s->leg[other(leg)]));
		if (s->watch_ms == 0 && leg_is_clogged(s->leg[leg])) {
			s->watch_ms = clock_ms();
			session_rearm(s);
		}
	}
}

/* Both sides have closed their streams: nothing is owed any more. */
static bool closed_well(struct session *s)
{
	if (s->state != SESSION_RELAY || s->blind || !inspect_is_closed(s->inspector, INSPECT_INITIATOR) ||
	    !inspect_is_closed(s->inspector, INSPECT_RESPONDER))
		return false;
	session_close(s, REASON_CLOSED, NULL);
	return true;
}

static void feed(struct session *s, enum session_leg from, const void *data, size_t len)
{
	if (s->state != SESSION_RELAY || s->upgrade_due || len == 0)
		return;
	if (s->blind)
		forward(s, from, data, len);
	else
		inspect_feed(s->inspector, side_of(from), data, len);
	if (s->blind && s->inspector != NULL) {
		s->stanzas[LEG_ACCEPT] = inspect_elements(s->inspector, INSPECT_INITIATOR);
		s->stanzas[LEG_CONNECT] = inspect_elements(s->inspector, INSPECT_RESPONDER);
		inspect_free(&s->inspector);
	}
}

/* Nothing on the way of a byte but a mark: the janitor looks at it. */
static void stir(struct session *s)
{
	s->stirred = true;
	if (!s->resting)
		return;
	s->resting = false;
	s->rest_ms = clock_ms() + REST_MS;
	session_rearm(s);
}

void session_relay_rest(struct session *s)
{
	if (s->stirred || s->blind) {
		s->stirred = false;
		s->rest_ms = s->blind ? UINT64_MAX : clock_ms() + REST_MS;
	} else {
		inspect_rest(s->inspector);
		s->resting = true;
		s->rest_ms = UINT64_MAX;
	}
	session_rearm(s);
}

void session_relay_data(struct session *s, enum session_leg from, const void *data, size_t len)
{
	stir(s);
	if (s->config->timeouts.idle > 0)
		s->active_ms = clock_ms();
	feed(s, from, data, len);
	if (!closed_well(s))
		update_reading(s);
}

void session_relay_settle(struct session *s)
{
	if (!closed_well(s))
		update_reading(s);
}

void session_relay_drained(struct session *s)
{
	update_reading(s);
}

/* One side has ended in good order; what the other still sends goes on until it closes too. */
static void half_close(struct session *s, enum session_leg ended)
{
	if (s->half_closed_ms == 0) {
		s->half_closed_ms = clock_ms();
		session_rearm(s);
	}
	leg_half_close(s->leg[other(ended)]);
}

static bool stream_closed(const struct session *s, enum session_leg leg)
{
	return !s->blind && inspect_is_closed(s->inspector, side_of(leg));
}

static void backend_ended(struct session *s, const char *detail)
{
	enum reason reason = role_is_inbound(s->role) ? REASON_BACKEND_CLOSED : REASON_REMOTE_CLOSED;
	if (!s->blind && inspect_mid_element(s->inspector, INSPECT_RESPONDER))
		session_end(s, reason, XMPP_ERROR_NONE, "in the middle of a stanza");
	else
		session_close(s, reason, detail);
}

/* A connection has ended in good order: its stream was closed before, or nobody looks at streams, or the other side had
 * ended and this is the answer. */
static void ended_well(struct session *s, enum session_leg leg, enum leg_end how)
{
	/* A hub that has let go of its spoke hears no answer. */
	bool deserted = leg == LEG_ACCEPT && s->hub_id != NULL;
	bool over = s->peer_ended || deserted || how == LEG_END_RESET || stream_closed(s, other(leg));
	s->peer_ended = true;
	if (over)
		session_close(s, REASON_CLOSED, NULL);
	else
		half_close(s, leg);
}

void session_relay_ended(struct session *s, enum session_leg leg, enum leg_end how, const char *detail)
{
	if (leg == LEG_CONNECT && (how == LEG_END_RENEGOTIATION || how == LEG_END_TLS))
		session_end(s, role_is_inbound(s->role) ? REASON_BACKEND_TLS : REASON_REMOTE_TLS, XMPP_ERROR_NONE,
			    detail);
	else if (how == LEG_END_RENEGOTIATION)
		session_close(s, REASON_RENEGOTIATION, NULL);
	else if (how == LEG_END_TLS)
		session_close(s, REASON_TLS_FAILED, detail);
	else if (stream_closed(s, leg) || s->peer_ended || (s->blind && how == LEG_END_CLOSED))
		ended_well(s, leg, how);
	else if (leg == LEG_ACCEPT)
		session_close(s, REASON_PEER_GONE, detail);
	else
		backend_ended(s, detail);
}

/* Output of this leg waits and has not moved since the last look. */
static bool is_stuck(struct session *s, enum session_leg leg)
{
	size_t waiting = leg_is_clogged(s->leg[leg]) ? leg_unsent(s->leg[leg]) : 0;
	bool stuck = waiting > 0 && waiting == s->stuck[leg];
	s->stuck[leg] = waiting;
	return stuck;
}

void session_relay_watch(struct session *s)
{
	for (int i = 0; i < SESSION_LEGS && s->state == SESSION_RELAY; i++) {
		enum session_leg leg = (enum session_leg)i;
		if (is_stuck(s, leg) && leg_hung_up(s->leg[other(leg)]))
			session_relay_ended(s, other(leg), LEG_END_RESET, "and the other side takes nothing");
	}
	s->watch_ms = s->stuck[LEG_ACCEPT] + s->stuck[LEG_CONNECT] > 0 ? clock_ms() : 0;
}

void session_relay_end(struct session *s, enum reason reason)
{
	if (s->blind)
		return; /* where elements begin and end is not known: nothing can be said */
	s->told = can_be_told(s);
	inspect_end(s->inspector, INSPECT_INITIATOR, reason);
	inspect_end(s->inspector, INSPECT_RESPONDER, reason == REASON_SHUTDOWN ? reason : REASON_CLOSED);
}

void session_join(struct session *s)
{
	struct negotiation *n = s->negotiation;
	const struct config_limits *l = &s->config->limits;
	/* The line this program exists for: no byte is relayed on a leg the level wants encrypted and that is not. */
	bool inbound = role_is_inbound(s->role);
	bool secured = leg_is_secured(s->leg[session_outer(s)]);
	assert(secured || session_allows_plaintext(s));
	bool undecided = inbound && !secured;
	bool offer = undecided && s->listener->tls != LISTENER_TLS_NONE && session_level(s) != LEVEL_NONE;
	s->starttls_advertised = s->starttls_advertised || offer;
	assert(!inbound || leg_is_secured(s->leg[LEG_CONNECT]) || config_backend_may_plaintext(s->domain, s->role));
	char from[XMPP_DOMAIN_SIZE];
	bool named = role_is_s2s(s->role) && s->from != NULL && jid_domain(s->from, from);
	struct inspect_params params = {
	    .content_ns = role_content_ns(s->role),
	    .domain = inbound ? s->domain->name : s->remote->domain,
	    .remote_from = named ? from : NULL,
	    .remote = !inbound,
	    .unauthenticated_limit = (size_t)l->unauthenticated_stanza,
	    .stanza_limit = (size_t)l->stanza,
	    .depth = (unsigned)l->depth,
	    .auth_attempts = AUTH_ATTEMPTS,
	    .strip_compression = s->config->policy.compression == COMPRESSION_STRIP,
	    .undecided = undecided,
	    .offer_starttls = offer,
	    .idle_seconds = (unsigned)((s->config->timeouts.idle + 999) / 1000),
	    .mechanisms_refused = s->config->policy.mechanisms_refused,
	    .mechanisms_refused_count = s->config->policy.mechanisms_refused_count,
	    .monitor = s->config->mode == MODE_MONITOR,
	    .initiator_header = n->header.data,
	    .initiator_header_len = n->header.len,
	    .ops = &ops,
	    .ctx = s,
	};
	s->inspector = inspect_new(&params);
	session_publish_id(s, negotiate_header(n->connect)->id);
	s->negotiation = NULL;
	s->active_ms = clock_ms();
	session_enter(s, SESSION_RELAY);
	shared_count(s->engine->slot, COUNTER_ESTABLISHED, undecided ? 0 : 1);
	if (!undecided)
		session_remote_settled(s);
	feed(s, LEG_CONNECT, n->backend.data, n->backend.len);
	feed(s, LEG_ACCEPT, n->early.data, n->early.len);
	negotiation_free(&n);
	if (!closed_well(s))
		update_reading(s);
}

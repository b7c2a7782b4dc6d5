/* SPDX-License-Identifier: MIT */
/*
 * What the session*.c files and engine.c share. A session is an accepted leg, a connected leg and everything decided
 * about them: one audit id. Life: FIRST_BYTE -> ACCEPT -> DIAL -> CONNECT -> RECORD -> RELAY -> CLOSING -> DEAD; any
 * state may go to CLOSING by session_close, the one way to die; a dead session is freed by the reaper at the end of the
 * loop turn.
 */
#ifndef PROXY_RELAY_SESSION_PRIVATE_H
#define PROXY_RELAY_SESSION_PRIVATE_H

#include "base/strbuf.h"
#include "relay/engine.h"
#include "relay/janitor.h"
#include "relay/leg.h"
#include "tls/facts.h"
#include "xmpp/inspect.h"
#include "xmpp/negotiate.h"

struct event;
struct session;

struct engine {
	struct engine_params p;
	struct shared_slot *slot;
	struct leg_io *io;
	struct janitor *janitor;
	struct event *reaper;
	struct session *sessions; /* all that are not freed */
	struct session *dead;     /* of those, the ones the reaper frees; linked by next_dead */
	size_t count;
	bool draining;
	size_t turned_away; /* sessions over the limit that are still being told so */
	struct janitor_entry drain;
};

enum session_state {
	SESSION_FIRST_BYTE, /* nothing has come yet */
	SESSION_ACCEPT,     /* the accept negotiator is at work */
	SESSION_DIAL,       /* connecting to the backend */
	SESSION_CONNECT,    /* the connect negotiator is at work */
	SESSION_RECORD,     /* stream-established is on its way to the log */
	SESSION_RELAY,      /* the legs are joined */
	SESSION_CLOSING,    /* ended and recorded; output is being flushed */
	SESSION_DEAD,
	SESSION_STATE_COUNT
};

enum session_leg { LEG_ACCEPT, LEG_CONNECT, SESSION_LEGS };

/* How STARTTLS went on the network-facing leg, for xmpp.starttls.*. */
enum starttls_result {
	STARTTLS_NOT_ATTEMPTED,
	STARTTLS_DIRECT,
	STARTTLS_NEGOTIATED,
	STARTTLS_REFUSED,
	STARTTLS_RESULTS
};

/* Only needed until the legs are joined: freed then. */
struct negotiation {
	struct negotiator *accept, *connect;
	struct xmlstream *accept_xml, *connect_xml;
	struct strbuf header;  /* the initiating entity's last header, byte for byte */
	struct strbuf early;   /* what it sent behind that before we could take it */
	struct strbuf backend; /* everything the backend has sent: the inspector reads it again */
	bool ready;            /* the negotiator whose actions were just run said READY */
};

struct session {
	struct engine *engine;
	struct session *next, **link, *next_dead;
	struct config *config;
	struct tls_store *store;
	const struct config_listener *listener;
	const struct config_domain *domain; /* NULL until routed */
	enum role role;
	enum session_state state;
	struct addr peer;
	struct addr_key limit_key;
	bool admitted;    /* holds a place in the connection limits */
	bool turned_away; /* over the limit in all: lives only to say <resource-constraint/> (NEG-37) */
	char id[33];
	struct leg *leg[SESSION_LEGS];
	bool leg_closed[SESSION_LEGS];
	struct negotiation *negotiation;
	struct inspector *inspector; /* NULL before joining, and once blind */
	bool blind;
	bool peer_ended;             /* one leg has ended in good order while joined; the other goes on */
	bool answered[SESSION_LEGS]; /* replies of our own were queued on a leg that does not take them */
	struct tls_facts *outer;     /* NULL until the handshake is complete */
	struct janitor_entry deadline;
	uint64_t accepted_ns;
	uint64_t accepted_ms, dialed_ms, active_ms, half_closed_ms;
	uint64_t watch_ms;          /* a leg was clogged then; 0: none is watched */
	size_t stuck[SESSION_LEGS]; /* output that waited when it was looked at last */
	uint64_t rest_ms; /* once authenticated: when to see whether it has come to rest; UINT64_MAX: no need to */
	bool stirred;     /* bytes came since it was last looked at */
	bool resting;     /* its inspector was told to rest, and nothing has come since */
	uint64_t ticket;  /* of stream-established, 0: none waited for */
	char *from, *to;
	bool version10;
	bool authenticated;
	char auth_method[24];
	char *auth_identity;
	bool starttls_advertised;
	enum starttls_result starttls;
	uint64_t bytes[SESSION_LEGS]; /* plaintext received from that leg and relayed */
	uint64_t stanzas[SESSION_LEGS];
	unsigned noted;           /* bit per inspect note, told once a stream */
	enum xmpp_error override; /* sent instead of the reason's own condition */
	bool told;                /* the initiating entity was sent an error */
	enum reason reason;
	char *detail; /* plain words for the record */
};

/* session.c: life and death. */
void session_new(struct engine *engine, size_t listener, int fd, const struct addr *peer);
void session_free(struct session *s);
void session_enter(struct session *s, enum session_state state);
const char *session_state_name(enum session_state state);
/* Arms the janitor for whatever this state waits for. */
void session_rearm(struct session *s);
/*
 * The one way to die; idempotent. What the peers must be told has been sent before. detail (copied, may be NULL) goes
 * into the record. Records, counts, ends the legs as the reason demands.
 */
void session_close(struct session *s, enum reason reason, const char *detail);
/* Ends it in any state, telling the peers first (drain, timeout, policy). condition NONE: the reason's own. */
void session_end(struct session *s, enum reason reason, enum xmpp_error condition, const char *detail);

/* A finished leg has come to rest. */
void session_leg_closed(struct session *s, enum session_leg leg);

/* session_accept.c */
const struct leg_callbacks *session_accept_callbacks(void);
void session_accept_timeout(struct session *s);
/* Runs what the accept negotiator wants done. rest: bytes of this turn behind what it has seen. */
void session_accept_actions(struct session *s, const char *rest, size_t len);

/* session_connect.c */
void session_dial(struct session *s);
/* The audit log has not answered in time. */
void session_record_overdue(struct session *s);
/* Tells a backend that is not joined yet why its stream ends (row 49). */
void session_connect_refuse(struct session *s, enum reason reason);

/* session_relay.c */
void session_join(struct session *s);
void session_relay_data(struct session *s, enum session_leg from, const void *data, size_t len);
void session_relay_ended(struct session *s, enum session_leg leg, enum leg_end how, const char *detail);
void session_relay_drained(struct session *s);
/* rest_ms has come: frees what a stream at rest does not need, or looks again later. */
void session_relay_rest(struct session *s);
void session_relay_end(struct session *s, enum reason reason);
/* Looks after legs that take nothing: their source is not read, so its end would never be noticed. */
void session_relay_watch(struct session *s);

/* session_record.c */
uint64_t session_record(struct session *s, const char *action, int severity, enum reason reason, audit_done_fn *done);
void session_record_closed(struct session *s);
/* The reason's sentence with the detail behind it, for records and the operator's log. */
void session_explain(enum reason reason, const char *detail, char *out, size_t size);
void session_describe(const struct session *s, struct engine_stream *out);

/* negotiation.c: the part of a session that is freed when the legs are joined. */
struct negotiation *negotiation_new(size_t limit);
void negotiation_free(struct negotiation **n);

#endif

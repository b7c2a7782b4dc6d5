/* SPDX-License-Identifier: MIT */
/*
 * What the session*.c files and engine.c share. A session is an accepted leg, a connected leg and everything decided
 * about them: one audit id. Life: FIRST_BYTE -> ACCEPT -> [ROUTE ->] DIAL -> CONNECT -> RECORD -> RELAY -> CLOSING ->
 * DEAD; any state may go to CLOSING by session_close, the one way to die; a dead session is freed by the reaper at the
 * end of the loop turn.
 */
#ifndef PROXY_RELAY_SESSION_PRIVATE_H
#define PROXY_RELAY_SESSION_PRIVATE_H

#include "base/strbuf.h"
#include "memory/peer.h"
#include "net/race.h"
#include "policy/decide.h"
#include "policy/peer.h"
#include "relay/engine.h"
#include "relay/janitor.h"
#include "relay/leg.h"
#include "tls/facts.h"
#include "tls/peer.h"
#include "xmpp/inspect.h"
#include "xmpp/negotiate.h"

struct event;
struct hub;
struct proxy_parser;
struct session;
struct told;

struct engine {
	struct engine_params p;
	struct shared_slot *slot;
	struct leg_io *io;
	struct janitor *janitor;
	struct event *reaper;
	struct session *sessions; /* all that are not freed */
	struct session *dead;     /* of those, the ones the reaper frees; linked by next_dead */
	struct session *again;    /* those that dial their backend once more; linked by next_again */
	struct told *told;        /* what the operator's log was told of backends' TLS */
	size_t count;
	bool draining;
	struct session
	    *upgrades;      /* sessions whose client sent <starttls/> to the joined plaintext legs; by next_upgrade */
	size_t turned_away; /* sessions over the limit that are still being told so */
	struct janitor_entry drain;
};

enum session_state {
	SESSION_FIRST_BYTE, /* nothing has come yet */
	SESSION_ACCEPT,     /* the accept negotiator is at work */
	SESSION_ROUTE,      /* DNS, peer memory, or connecting to one of a remote domain's addresses */
	SESSION_DIAL,       /* connecting to the backend */
	SESSION_CONNECT,    /* the connect negotiator is at work */
	SESSION_RECORD,     /* stream-established is on its way to the log */
	SESSION_RELAY,      /* the legs are joined */
	SESSION_HUB,        /* outbound, and the header named nobody: a stream for each pair of domains */
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
	STARTTLS_STRIPPED_NEGOTIATED, /* it was not offered, and worked */
	STARTTLS_STRIPPED_FAILED,     /* it was not offered, and did not work */
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
	bool nameless;         /* … or NAMELESS */
};

/* What a record says of one attempt at a remote domain's server. Pointers owned. */
struct attempt {
	struct candidate candidate;
	struct tls_facts *tls;
	struct tls_certificate *certificate;
	struct tls_identity *identity;
	enum starttls_result starttls;
	bool advertised, required;
};

/*
 * The remote domain of a stream (s2s, c2s-outbound): what policy asks of it, what is remembered and seen of it, and for
 * outbound roles the way there.
 */
struct remote {
	char domain[XMPP_DOMAIN_SIZE];
	struct peer_policy policy;
	/* Peer memory: asked once, freed when the legs are joined. */
	uint64_t memory_ticket; /* 0: not waited for */
	void (*recalled)(struct session *s);
	bool memory_ok;             /* it could be asked */
	struct peer_memory *memory; /* NULL before the answer */
	/* The certificate of the network-facing leg; NULL: no TLS there, or none presented. */
	struct tls_certificate *certificate;
	struct tls_identity *identity; /* NULL: not judged yet */
	enum reason refused;           /* inbound: policy's word on the domain that the first pair named */
	/* Outbound: the way. */
	struct lookup *lookup;
	struct candidate *candidates; /* until the race has them */
	size_t candidate_count;
	struct race *race;
	bool by_dns;   /* the candidates came from there */
	bool resolved; /* by SRV records */
	bool direct_offered, srv_secure;
	struct candidate candidate; /* the one under way or reached; target "" before the first */
	struct addr own;            /* our end of the connection to it */
	struct shared_ends noted;   /* that connection, as shared_note_own knows it; own.len 0: not */
	enum reason failure;        /* why the candidates tried so far were no good; NONE: none was tried */
	enum xmpp_error said;       /* the stream error that came with it, where it is L's business (row 32) */
	char *why;                  /* plain words for the record */
	uint64_t step_ms;           /* since then the present answer of the remote server is waited for */
	const char *step;           /* the connect negotiator's state since then */
	bool strip_told;            /* starttls-stripped was recorded for this candidate */
	bool weighty;               /* `failure` is of this candidate */
	struct attempt heaviest;    /* what `failure` was seen on, once another candidate's turn has come */
	bool unproven;              /* inbound: peer memory hears of it once dialback has proven the name */
};

struct session {
	struct engine *engine;
	struct session *next, **link, *next_dead, *next_again, *next_upgrade;
	struct config *config;
	struct tls_store *store;
	const struct config_listener *listener;
	const struct config_domain *domain; /* NULL until routed */
	enum role role;
	enum session_state state;
	struct addr peer;           /* the initiating entity: behind a PROXY header, the one it names */
	struct proxy_parser *proxy; /* a PROXY header is due; NULL otherwise */
	struct addr *reached;       /* where that header says the client connected to; NULL: our own end. Outbound with
				       interception: where the legacy side wanted to go */
	struct addr_key limit_key;
	bool admitted;  /* holds a place in the connection limits */
	char *hub_id;   /* made by a hub, whose connection counts for its address: the id the legacy server knows. NULL:
			   not */
	char *known_as; /* … and what the remote server calls it, while that can be translated; NULL: not */
	struct hub *hub;  /* NULL but in state HUB and after */
	bool turned_away; /* over the limit in all: lives only to say <resource-constraint/> (NEG-37) */
	char id[33];
	struct leg *leg[SESSION_LEGS];
	bool leg_closed[SESSION_LEGS];
	struct negotiation *negotiation;
	struct inspector *inspector; /* NULL before joining, and once blind */
	bool blind;
	bool upgrade_due, upgrade_clean;     /* see engine.upgrades; clean: nothing stood behind <starttls/> */
	bool peer_ended;                     /* one leg has ended in good order while joined; the other goes on */
	bool answered[SESSION_LEGS];         /* replies of our own were queued on a leg that does not take them */
	struct tls_facts *tls[SESSION_LEGS]; /* NULL until that leg's handshake is complete */
	struct remote *remote;               /* the remote domain; NULL: c2s-inbound, or not known yet */
	/* Accepted: the rule whose TLS settings the plaintext header's `from` got for the handshake; NULL: none. */
	const struct config_peer *lender;
	bool without_tls; /* TLS on the connected leg may be done without, and could not be had */
	bool dials_again; /* the connected leg is given up; the next one is made in a turn of its own */
	struct janitor_entry deadline;
	uint64_t accepted_ns;
	uint64_t accepted_ms, dialed_ms, active_ms, half_closed_ms, closed_ms;
	uint64_t asked_ms;          /* joined in plaintext: since then `ticket` is waited for */
	uint64_t starttls_ms;       /* <starttls/> went to a backend that may do without; 0: no, or TLS is up */
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
	bool starttls_advertised, starttls_required; /* on the network-facing leg */
	bool starttls_differs; /* what was said inside TLS contradicts what was said before (STRIP-9) */
	enum starttls_result starttls;
	uint64_t bytes[SESSION_LEGS]; /* plaintext received from that leg and relayed */
	uint64_t stanzas[SESSION_LEGS];
	unsigned noted; /* bit per inspect note, told once a stream */
	unsigned pairs_refused;
	enum xmpp_error override; /* sent instead of the reason's own condition */
	bool told;                /* the initiating entity was sent an error */
	enum reason reason;
	char *detail; /* plain words for the record */
};

/* session.c: life and death. */
void session_new(struct engine *engine, size_t listener, int fd, const struct addr *peer);
/* As if who connected to `hub` had connected once more. fd is a socket pair's. */
void session_new_spoke(struct session *hub, int fd);
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

/* The server side of STARTTLS for the domain `to`. The caller owns it; NULL on exhaustion. */
struct ssl_st *session_accept_tls(struct session *s, const char *to);
/* A fresh accept negotiator; direct: TLS comes before anything else. */
void session_accept_begin(struct session *s, bool direct);

/* session_proxy.c: PROXY headers, from a trusted proxy in front and to the backend. */
void session_proxy_expect(struct session *s);
enum shared_admit session_proxy_admit(struct session *s);
/*
 * Takes from *data what belongs to a PROXY header that is due. True when the initiating entity's own bytes may be
 * looked at; false when more must come or the session has been closed.
 */
bool session_proxy_input(struct session *s, const char **data, size_t *len);
/* The connection has ended in the middle of a header: closes and returns true, if so. */
bool session_proxy_cut(struct session *s);
/* The very first bytes on the connection to the backend, where it wants them. */
void session_proxy_announce(struct session *s);
void session_proxy_free(struct session *s);

/* session_connect.c */
/* Inbound: to the backend. Outbound: to remote->candidate. */
void session_dial(struct session *s);
/* fd is connected, or connecting, to the responding entity. */
void session_dialed(struct session *s, int fd, bool connecting);
void session_connect_timeout(struct session *s);
/* Is TLS what is waited for now: the answer to <starttls/>, or a handshake, direct TLS too? */
bool session_connect_in_tls(const struct session *s);
/* The audit log has not answered in time. */
void session_record_overdue(struct session *s);
/* Tells a backend that is not joined yet why its stream ends (row 49). */
void session_connect_refuse(struct session *s, enum reason reason);

/* session_connect_tls.c: TLS on the leg to the backend. */
/* behind: bytes of this turn that stood behind <proceed/>. */
void session_connect_start_tls(struct session *s, size_t behind);
void session_connect_secured(struct session *s);
/* False: the stream cannot go on without TLS. Otherwise it goes on in plaintext, on a new connection. */
bool session_connect_without_tls(struct session *s, const char *why);
/* The reaper: gives up the old connection and dials. */
void session_dial_again(struct session *s);
/* Why the leg's end is an end of TLS, in plain words. */
const char *session_connect_tls_detail(const struct session *s, const char *detail);
void session_told_free(struct told **told);

/* session_remote.c: the remote domain of a stream, either direction. */
void session_remote_set(struct session *s, const char *domain);
void session_remote_free(struct session *s);
/* Nothing is waited for any more. */
void session_remote_stop(struct session *s);
/* Asks peer memory; then (never from inside) is called once it has answered or cannot be asked. */
void session_remote_recall(struct session *s, void (*then)(struct session *s));
/* The network-facing leg's certificate and what it proves, now that its handshake is complete. */
void session_remote_judge(struct session *s);
/* Facts for policy_decide about the network-facing leg. */
void session_remote_facts(const struct session *s, struct leg_facts *facts);
/* What is new or noteworthy of a stream that is about to be established or refused for it: certificate-changed,
 * tls-downgraded, starttls-required-stripped, weak-exception-used. */
void session_remote_events(struct session *s);
/* What certificate-changed says was there before; NULL: nothing is remembered. Points into what memory answered. */
const struct peer_certificate *session_remote_previous(const struct session *s);
/* Plain words for policy's refusal; NULL: the reason says all. */
const char *session_remote_why(const struct session *s, enum reason reason);
/* Outbound: the candidate is refused for its certificate, which is said, and waits in peer memory to be accepted. */
void session_remote_changed(struct session *s);
/* Has one of our own workers opened that connection? It was noted before its header went out. Outbound that is a loop;
 * inbound a domain of ours may be at its other end (NEG-33): two local domains meet through the inbound listener. */
bool session_is_ours(const struct session *s);
/* The stream goes on: it is remembered, and what was remembered is needed no more. Of who came to us and proved nothing
 * yet it is remembered once dialback has (session_remote_proven): anybody may claim any name. */
void session_remote_settled(struct session *s);
void session_remote_proven(struct session *s);
/* The handshake was ended for what the certificate is: what a record says of it. */
void session_remote_faulted(struct session *s);
/* Inbound: of the domain that the stream is of, once memory has answered. */
struct verdict session_inbound_verdict(const struct session *s);
/* Inbound between servers: the header is there; policy, certificate and memory decide before the backend is dialled. */
void session_inbound_route(struct session *s);

/* session_route.c: the way to a remote domain. */
/* May that connection use an outbound listener at all? REASON_NONE, or why not. */
enum reason session_route_admit(struct session *s, int fd);
void session_route(struct session *s);
/* The candidate that was connected to is no good: the next, or the end. reason: of remote servers. */
void session_candidate_failed(struct session *s, enum reason reason, const char *detail);
/* timeouts.negotiation is over. */
void session_route_overdue(struct session *s);
/* There is a connection to the candidate. False: it leads back to us (NEG-34), and is given up. */
bool session_route_reached(struct session *s);
/* There is no connection of ours any more. */
void session_route_forget(struct session *s);
void session_route_drop(struct attempt *attempt);
/* From the reaper: the leg may be freed now. */
void session_route_go_on(struct session *s);
/* The reason for remote servers that stands for one of the connect negotiator's. */
enum reason session_remote_reason(const struct session *s, enum reason reason);
/* It got as far as the certificate, and we ended it for that. */
bool session_route_judged(const struct session *s);

/* session_route_starttls.c: how STARTTLS went with a remote server. */
/* … with this candidate, for the session's record. */
void session_route_starttls(struct session *s, bool secured);
/* Plain words for a candidate that failed (STRIP-5): where there is no TLS what was missing and what was answered, else
 * `why` (may be NULL); and that TLS was announced. Allocated; the caller frees with mem_free. NULL: there are none. */
char *session_starttls_why(const struct session *s, enum reason reason, const char *why);
/* "it answered <failure/>" */
const char *session_starttls_answer(enum neg_answer answer);

/* session_pairs.c: domain pairs of a stream between servers (inspector operations). */
enum inspect_pair session_pair(struct session *s, const char *from, const char *to);
void session_pair_proven(struct session *s, const char *from, const char *to, bool external);
void session_pair_unproven(struct session *s, const char *from, const char *to, enum reason reason);
/* The stream ends for `reason`, of the inspector: what policy had said, where that is behind it. */
enum reason session_pair_reason(struct session *s, enum reason reason);

/* session_relay.c */
void session_join(struct session *s);
void session_relay_data(struct session *s, enum session_leg from, const void *data, size_t len);
void session_relay_ended(struct session *s, enum session_leg leg, enum leg_end how, const char *detail);
void session_relay_drained(struct session *s);
/* The inspector was told something from outside: reads what may be read now, or closes. */
void session_relay_settle(struct session *s);
/* rest_ms has come: frees what a stream at rest does not need, or looks again later. */
void session_relay_rest(struct session *s);
void session_relay_end(struct session *s, enum reason reason);
/* Looks after legs that take nothing: their source is not read, so its end would never be noticed. */
void session_relay_watch(struct session *s);
/* The audit log has not said in time that plaintext going on is recorded. */
void session_plaintext_overdue(struct session *s);

/* session_hub.c: streams whose header named nobody. */
/* rest: bytes of this turn behind the header. */
void session_hub_begin(struct session *s, const char *rest, size_t len);
void session_hub_data(struct session *s, const void *data, size_t len);
void session_hub_drained(struct session *s);
/* The legacy server's connection has ended. */
void session_hub_ended(struct session *s, const char *detail);
uint64_t session_hub_deadline(const struct session *s);
void session_hub_timeout(struct session *s);
/* Tells the legacy server why its stream ends. */
void session_hub_refuse(struct session *s, enum reason reason);
/* The session is closed: so are its spokes. */
void session_hub_end(struct session *s);
/* Closed: bytes that are on their way to the remote servers of its pairs; 0: its spokes have taken all. */
size_t session_hub_unsent(const struct session *s);
void session_hub_free(struct session *s);
/*
 * Of a spoke: from here on dialback keys made from the hub's id are found by the id that the remote server gave
 * (`theirs`, its header's; NULL: none). Before anything passes, for a remote server asks about a key as soon as it has
 * it.
 */
void session_publish_id(struct session *s, const char *theirs);
/* Idempotent; with session_close at the latest. */
void session_withdraw_id(struct session *s);
/* For the inspector of s2s-inbound: the id that our legacy server knows the remote server's stream by, if another. */
bool session_translate(const struct session *s, const char *id, const char *from, const char *to,
		       char out[INSPECT_ID_SIZE]);

/* session_record.c */
uint64_t session_record_as(struct session *s, const char *action, int severity, enum reason reason,
			   enum audit_outcome outcome, audit_done_fn *done);
uint64_t session_record(struct session *s, const char *action, int severity, enum reason reason, audit_done_fn *done);
/* Something that happened to a stream that goes on: outcome unknown, s->detail is its sentence. */
void session_record_event(struct session *s, const char *action, int severity);
void session_record_closed(struct session *s);
/* The reason's sentence with the detail behind it, for records and the operator's log. */
void session_explain(enum reason reason, const char *detail, char *out, size_t size);
void session_describe(const struct session *s, struct engine_stream *out);

/* session_policy.c */
/* The leg on the untrusted network. */
static inline enum session_leg session_outer(const struct session *s)
{
	return role_is_inbound(s->role) ? LEG_ACCEPT : LEG_CONNECT;
}
enum level session_level(const struct session *s);
bool session_allows_plaintext(const struct session *s);
/* Of the network-facing leg as it is now. */
struct verdict session_verdict(const struct session *s);
/* Mode monitor: records what enforce would have refused; nothing in mode enforce. */
void session_object(struct session *s, enum reason reason);

/* session_upgrade.c: STARTTLS on a plaintext leg that had been joined (level may, mode monitor). */
void session_upgrade_later(struct session *s, bool clean);
void session_upgrade(struct session *s);

/* negotiation.c: the part of a session that is freed when the legs are joined. */
struct negotiation *negotiation_new(size_t limit);
void negotiation_free(struct negotiation **n);

#endif

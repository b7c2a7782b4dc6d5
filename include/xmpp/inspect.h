/* SPDX-License-Identifier: MIT */
/*
 * The inspector reads along while two joined legs talk and decides which bytes pass: whole first-level elements as they
 * came (NEG-36), features with byte ranges left out or put in (NEG-12, 13, 24, 31), the header and features that a
 * backend older than 1.0 does not send (NEG-40), nothing that steers clients around us (NEG-25), the stream restart
 * after SASL success and none after SASL2 (NEG-22), the initiating side held back while a SASL step is unanswered
 * (NEG-23), compression and a second STARTTLS refused, attempts counted (SASL-10), mechanism and identity learnt,
 * secrets never kept. Between servers stanzas pass for proven pairs of domains only (DB-3, STZ-2), dialback as it came
 * and only where it was asked for (DB-1, 2). No I/O: it calls the operations given to it, never from inside the XML
 * parser.
 */
#ifndef PROXY_XMPP_INSPECT_H
#define PROXY_XMPP_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xmpp/features.h"
#include "xmpp/reason.h"

#define INSPECT_ID_SIZE 64

enum inspect_side { INSPECT_INITIATOR, INSPECT_RESPONDER, INSPECT_SIDES };

enum inspect_note {
	INSPECT_NOTE_CHANNEL_BINDING,   /* the inner leg offers -PLUS or a channel-binding list (SASL-3) */
	INSPECT_NOTE_STANZA_VIOLATION,  /* followed by fail; forged addresses and unsolicited dialback are some, too */
	INSPECT_NOTE_IDENTITY_MISMATCH, /* authenticated as somebody else than the header's `from` said (SASL-9) */
	INSPECT_NOTE_STARTTLS_CUT,      /* the backend offered STARTTLS inside: cut out */
	INSPECT_NOTE_COMPRESSION_CUT,
	INSPECT_NOTE_CREDENTIALS_EXPOSED, /* a password crossed the initiator's plaintext leg */
	INSPECT_NOTE_STEERING,            /* the backend named another place to connect to: it was not told (NEG-25) */
	INSPECT_NOTE_MECHANISM_REFUSED,   /* one of policy.mechanisms-refused was asked for (SASL-5), each time */
	INSPECT_NOTE_COUNT
};

/*
 * Between servers (content_ns jabber:server): every pair of domains on a stream is proven by itself. A pair is written
 * (from, to) as the initiating entity sends stanzas: `from` is on its side. What a <db:result> request for a pair that
 * nobody asked about yet leads to. Once both sides agreed on XEP-0288 the responder may ask, too: `from` is on its side
 * then, and anything but ALLOW, WAIT and NOT_HOSTED is NOT_AUTHORIZED, which never ends the stream. A stream has a
 * bounded number of pairs and of unanswered requests; one more is answered resource-constraint, and nobody is asked.
 */
enum inspect_pair {
	INSPECT_PAIR_ALLOW,      /* the request passes; the responder decides */
	INSPECT_PAIR_WAIT,       /* not known yet: who asked is held until inspect_pair_decide; no other pair is asked
				    about meanwhile */
	INSPECT_PAIR_NOT_HOSTED, /* `to` is nobody's here: answered item-not-found, the stream lives (DB-8) */
	INSPECT_PAIR_NOT_AUTHORIZED, /* policy wants a proof and has none: answered not-authorized, the stream lives
					while another pair does or may, else REASON_PEER_UNVERIFIED (DB-7), with
					params.remote REASON_REMOTE_UNVERIFIED */
	INSPECT_PAIR_OWN,            /* `from` is a domain of ours: REASON_SELF_CLAIM */
	INSPECT_PAIR_NOT_OURS,       /* outbound: the legacy side may not speak for `from`: REASON_NOT_OURS */
};

/* The session's side of it. None may free or feed the inspector; `fail` is the last call it makes. */
struct inspect_ops {
	/* Bytes that came from `from`, to be sent to the other side unchanged. */
	void (*pass)(void *ctx, enum inspect_side from, const void *data, size_t len);
	/* Bytes of our own, back to the side named. */
	void (*reply)(void *ctx, enum inspect_side to, const void *data, size_t len);
	void (*note)(void *ctx, enum inspect_note note);
	/* method: SASL mechanism or "jabber:iq:auth". identity: bare JID, "" if it could not be learnt. May come a
	 * second time when the bind result tells the identity better. */
	void (*authenticated)(void *ctx, const char *method, const char *identity);
	/* `side` closed its stream; its close tag has been passed. Nothing more is read from it. */
	void (*closed)(void *ctx, enum inspect_side side);
	/*
	 * Only with `undecided`: the initiator goes on in plaintext. It is held back until inspect_go_on; nothing of it
	 * has been passed. Called once.
	 */
	void (*plaintext)(void *ctx);
	/*
	 * Only with `offer_starttls`: the initiator sent <starttls/>, which has not been answered. Last call. clean:
	 * nothing but white space stood behind it.
	 */
	void (*starttls)(void *ctx, bool clean);
	/*
	 * Between servers only; from and to normalised. Asked once a pair, before anything of it has passed; the answer
	 * is kept. Not asked of the header's own pair that SASL EXTERNAL proves: it was judged before the legs were
	 * joined.
	 */
	enum inspect_pair (*pair)(void *ctx, const char *from, const char *to);
	/* The responder said that the pair is valid, or (external) SASL proved it: its stanzas may pass from here on.
	 * `authenticated` comes before the first one, with method "dialback" or "EXTERNAL" and the domain `from`; not
	 * before one that the responder claimed (XEP-0288). */
	void (*proven)(void *ctx, const char *from, const char *to, bool external);
	/* The pair was refused, by us (HOST_UNKNOWN, PEER_UNVERIFIED, REMOTE_UNVERIFIED; once) or by an answer of type
	 * invalid (DIALBACK_FAILED) or error (NONE). The stream lives, or `fail` follows. */
	void (*unproven)(void *ctx, const char *from, const char *to, enum reason reason);
	/*
	 * The initiator asks the responder about a key (<db:verify/>). True: the id that the responder knows it by is
	 * another one, in `out`; it is put in its place, and the answer's is put back (design: names-nobody headers).
	 * NULL: never.
	 */
	bool (*translate)(void *ctx, const char *id, const char *from, const char *to, char out[INSPECT_ID_SIZE]);
	/* Nothing is left to inspect: whatever comes now passes without this inspector (limits.stanza: 0). Last call.
	 */
	void (*blind)(void *ctx);
	/*
	 * The stream must end: `culprit` broke it. What either side must still be told (stream error to the culprit,
	 * close tag or error to the other: section 4) has already been given to `reply`.
	 */
	void (*fail)(void *ctx, enum inspect_side culprit, enum reason reason);
};

struct inspect_params {
	const char *content_ns;
	const char *domain;      /* that the header's `to` names; one after SASL must name it again (NEG-9) */
	const char *remote_from; /* between servers: the domain of the header's `from`, normalised; NULL: none */
	/* The responder is a remote server: what it breaks is told to the initiator with the reasons of remote servers
	 * (REASON_REMOTE_INVALID …), and its features' absence means dialback or jabber:iq:auth by content_ns. */
	bool remote;
	size_t unauthenticated_limit; /* limits.unauthenticated-stanza */
	size_t stanza_limit;          /* limits.stanza; 0: blind after authentication; between servers never blind: 0 is
					 then the default of 512 KiB */
	unsigned depth;
	unsigned auth_attempts;          /* failures allowed; the next is policy-violation */
	bool strip_compression;          /* between servers always */
	bool undecided;                  /* the initiator's leg is plaintext: its first element tells how it goes on */
	bool offer_starttls;             /* with undecided: STARTTLS is added to the features and taken */
	unsigned idle_seconds;           /* timeouts.idle, said after authentication (XEP-0478); 0: none */
	char *const *mechanisms_refused; /* not copied: must outlive the inspector */
	size_t mechanisms_refused_count;
	bool monitor; /* policy is noted, not enforced: mechanisms-refused */
	/* The initiator's header as it sent it, which the responder has had already, be it with a version put in: read,
	 * not passed again. */
	const void *initiator_header;
	size_t initiator_header_len;
	const struct inspect_ops *ops;
	void *ctx;
};

struct inspector;

/* The responder's stream begins at its header: everything it sent goes through inspect_feed. params' strings are
 * copied but for mechanisms_refused. */
struct inspector *inspect_new(const struct inspect_params *params);
void inspect_free(struct inspector **ins);

/*
 * Bytes that came from `side`. All are taken: what may not pass yet is kept (bounded by the element limit plus what was
 * fed while held back). No-op after fail or blind.
 */
void inspect_feed(struct inspector *ins, enum inspect_side side, const void *data, size_t len);
/* The plaintext was allowed (ops->plaintext): what the initiator sent is read now. */
void inspect_go_on(struct inspector *ins);
/*
 * Gives back what an authenticated stream at rest needs least: the parser of each side that is not within an element.
 * The next byte makes a new one, so whoever calls this should have seen nothing for a while. Cheap where there is
 * nothing to give back. Not from inside an operation.
 */
void inspect_rest(struct inspector *ins);
/* The answer that INSPECT_PAIR_WAIT is waiting for (not WAIT again). Not from inside an operation; afterwards either
 * side may be wanted again (inspect_wants). */
void inspect_pair_decide(struct inspector *ins, enum inspect_pair answer);
/* False while `side` is held back or closed: what it sends now is kept, or goes nowhere (ask after every feed of the
 * other side). */
bool inspect_wants(const struct inspector *ins, enum inspect_side side);
/* Is something of `side` kept that came while it was held back? The caller reads no more from that leg until it is not.
 */
bool inspect_keeps(const struct inspector *ins, enum inspect_side side);
/* Ends the stream from outside (shutdown, timeout): tells `side` through ops->reply, with its own prefix, by stream
 * error and close tag, or by the close tag alone where the reason has no condition. Once a side; nothing passes to it
 * afterwards. */
void inspect_end(struct inspector *ins, enum inspect_side side, enum reason reason);

bool inspect_is_authenticated(const struct inspector *ins);
/* Between servers: keys were asked about and answered, and nobody has claimed a pair or tried to authenticate. */
bool inspect_has_only_asked(const struct inspector *ins);
/* Between servers: the initiator asked about a key, and the responder said that it is valid (DB-11). */
bool inspect_has_vouched(const struct inspector *ins);
bool inspect_is_closed(const struct inspector *ins, enum inspect_side side);
/* First-level elements passed from that side. */
uint64_t inspect_elements(const struct inspector *ins, enum inspect_side side);
/* Does an incomplete element of `side` wait here? */
bool inspect_mid_element(const struct inspector *ins, enum inspect_side side);

#endif

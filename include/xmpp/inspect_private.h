/* SPDX-License-Identifier: MIT */
/*
 * What the inspector's files share. The parser's handlers (inspect_steps.c, inspect_sasl.c, between servers
 * inspect_server.c and inspect_dialback.c) look at an element and fill in a verdict; the core (inspect.c,
 * inspect_verdict.c) carries verdicts out after the parser has returned and is, with inspect_reply.c and
 * inspect_offer.c, the only caller of the operations.
 */
#ifndef PROXY_XMPP_INSPECT_PRIVATE_H
#define PROXY_XMPP_INSPECT_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "xmpp/features.h"
#include "xmpp/inspect.h"
#include "xmpp/xmlstream.h"

/* What a read may bring on top of an element that is not complete. */
#define INSPECT_HOLD_SLACK (256u * 1024u)
#define INSPECT_ATTRIBUTES_MAX 256
/* Elements after authentication that are read with their children, in search of the bind result. */
#define INSPECT_SETTLE_ELEMENTS 20
/* Places at which one element may be changed. */
#define INSPECT_EDITS_MAX 64

struct inspect_claim;
struct inspect_verify;

/* A <db:result/> request whose pair must be judged before anything else of this side is read. */
struct inspect_question {
	struct inspect_claim *claim; /* NULL: none */
	char *from, *to;             /* as they were written */
	uint64_t start, end;
	bool repeated; /* the pair was judged before: nobody is asked */
};

struct inspect_dir {
	struct inspector *ins;
	enum inspect_side side; /* whose bytes these are */
	struct xmlstream *xs;
	/* Offsets in xs: what was passed or dropped <= what the parser has read. hold has [passed, chunk_at). */
	uint64_t passed, fed, chunk_at;
	const char *chunk;
	struct strbuf hold;  /* read by the parser, belongs to an element that is not complete (NEG-36) */
	struct strbuf later; /* not read by the parser yet: arrived while held back (NEG-23) */
	char *prefix;        /* streams prefix of this side's last header (NEG-19) */
	bool opened;         /* this stream's header has been passed to the other side */
	bool closed;         /* the close tag has been passed, nothing more is read */
	bool errored;        /* a stream error has been passed: only the close tag may follow */
	bool muted;          /* the other side has been told the end by us: nothing more passes to it */
	struct inspect_question question;
	uint64_t elements;
};

enum inspect_hold {
	INSPECT_HOLD_NONE,
	INSPECT_HOLD_FEATURES, /* its header was passed; the responder's features were not yet */
	INSPECT_HOLD_ANSWER,   /* a SASL step is unanswered (NEG-23) */
	INSPECT_HOLD_DECISION, /* it goes on in plaintext, and whether it may is being decided */
};

enum inspect_what {
	INSPECT_PASS,
	INSPECT_DROP,
	INSPECT_FAIL, /* the element is not passed; `reason` and `culprit` say why the stream ends */
	INSPECT_ASK,  /* it is kept until the session has judged the pair in dir.question */
};

/* A question about a key, whose stream may have another id on the other side. */
struct inspect_translate {
	struct inspect_verify *verify; /* NULL: none */
	uint64_t start, open_end;
};

/* [start, end) of the stream is left out and `text` stands there instead. */
struct inspect_edit {
	uint64_t start, end;
	size_t text_at, text_len;
};

/* What is changed of one element, by byte range: ascending, not overlapping. Made where something is, which is seldom.
 */
struct inspect_edits {
	struct strbuf text;
	size_t count;
	bool broken; /* too many, or they overlap: refuse the element */
	struct inspect_edit edit[INSPECT_EDITS_MAX];
};

/* What is to be done about the event that stopped the parser. */
struct inspect_verdict {
	enum inspect_what what;
	uint64_t start, end;
	struct inspect_edits *edits; /* pass so changed; owned, NULL: as it came */
	bool note[INSPECT_NOTE_COUNT];
	void (*put_reply)(struct strbuf *out); /* DROP: the answer of our own */
	const char *sasl_failure;              /* DROP: the SASL failure of our own, its condition */
	bool sasl2;                            /* it answers SASL2 */
	struct strbuf *answer;                 /* DROP: the answer of our own; owned */
	bool header;                           /* the stream header: this direction is open from here on */
	bool close;                            /* the close tag */
	bool authenticated;                    /* call the operation */
	bool restart;                          /* both parsers are replaced behind this event (NEG-22) */
	bool then_fail;                        /* pass, then end the stream for `reason` */
	bool tls_failure;                      /* FAIL: told by {tls}failure instead of a stream error (NEG-10) */
	bool compressed;                       /* the element starts compression: bytes behind it are no XML */
	const struct inspect_claim *proven;    /* call the operation; `authenticated` before it where that is set */
	bool external;                         /* by SASL */
	const struct inspect_claim *unproven;  /* call the operation */
	enum reason why_unproven;
	struct inspect_translate translate; /* ask the session for the id */
	enum inspect_side culprit;
	enum reason reason;
};

struct inspector {
	struct inspect_dir dir[INSPECT_SIDES];
	struct inspect_verdict verdict;
	const struct inspect_ops *ops;
	void *ctx;
	char *content_ns;
	char *domain;
	size_t unauthenticated_limit, stanza_limit;
	unsigned depth, auth_attempts;
	bool strip_compression, monitor;
	bool remote;                 /* the responder is a remote server */
	struct inspect_pairs *pairs; /* between servers; NULL: the initiator is a client */
	struct inspect_dir *asking;  /* whose question is with the session; NULL: nobody's */
	unsigned idle_seconds;
	char *const *mechanisms_refused;
	size_t mechanisms_refused_count;

	/* The plaintext leg of an initiator that may still send <starttls/> (inspect_offer.c). */
	bool plaintext; /* the leg is not encrypted, undecided or gone on */
	bool offer_starttls;
	struct xmlstream *peek; /* reads ahead of the initiator's own parser; NULL once decided */
	size_t peeked;          /* bytes of dir[INITIATOR].later that it has read */
	enum { INSPECT_UNDECIDED, INSPECT_WANTS_TLS, INSPECT_WANTS_PLAINTEXT } choice;

	bool ended; /* fail or blind has been called */
	bool authenticated;
	bool reading_first; /* the initiator's first header is being read: it was judged and passed before */
	bool nested;        /* kept bytes of the initiator are read from within a feed of the responder */
	bool settled;       /* children are no longer looked at */
	bool pre10;         /* the initiating entity's stream is older than 1.0: no version and no features go to it */
	bool features_due;
	bool channel_binding; /* noted already */
	bool mismatch;        /* noted already */
	enum inspect_hold hold;
	unsigned after_auth; /* elements seen since authentication */

	/* authentication; never a secret */
	unsigned failures;
	bool sasl_failed; /* SASL was tried in vain: jabber:iq:auth may not follow (SASL-2) */
	char *method;     /* of the attempt going on, fit to be shown */
	bool digest;      /* it is DIGEST-MD5: may negotiate a layer */
	bool responded;   /* its first client message has been seen */
	char *identity;   /* claimed by the attempt, or told by the responder: bare JID, "" if unknown */
	char *reported;   /* last told to `authenticated`; NULL before */
	char *claimed;    /* bare JID of the header's from, or NULL */
	char *iq_id;      /* of the jabber:iq:auth request outstanding, NULL if none */
};

/* inspect_verdict.c */
void inspect_emit(struct inspect_dir *d, const char *data, size_t len);
/* Passes or drops everything before stream offset `upto`. */
void inspect_take(struct inspect_dir *d, uint64_t upto, bool pass);
void inspect_wipe(struct strbuf *b);
void inspect_new_parser(struct inspect_dir *d);
void inspect_mark_opened(struct inspect_dir *d);
/* The parser stopped at an event; everything behind it is still unread. */
void inspect_carry_out(struct inspect_dir *d);
/* Of d->question, which there is. */
void inspect_ask(struct inspect_dir *d);
void inspect_answer_question(struct inspect_dir *d, enum inspect_pair answer);
void inspect_drop_question(struct inspect_dir *d);

/* inspect_steps.c: the parser's handlers; ctx is a struct inspect_dir. */
const struct xmlstream_handlers *inspect_handlers(void);
void inspect_refuse(struct inspect_dir *d, enum inspect_side culprit, enum reason reason);
/* From now on only names are looked at, where the bind result was seen or does not come. */
void inspect_settle(struct inspector *ins);
bool inspect_is_stanza(const char *name);

/* inspect_server.c: between servers. True if the core must act on it. */
bool inspect_server_element(struct inspect_dir *d, const struct xml_node *element);

/* inspect_dialback.c */
void inspect_dialback(struct inspect_dir *d, const struct xml_node *element);
/* Makes a verdict of d->question and the answer that its claim has. */
void inspect_dialback_judge(struct inspect_dir *d);
/* SASL succeeded between servers. */
void inspect_external_success(struct inspect_dir *d);

/* inspect_edit.c: changes to what the responder sends, put into the verdict. False: they cannot be made, refuse it. */
void inspect_edits_free(struct inspect_edits **edits);
/* The version that the header of an older server lacks, and features behind it (NEG-40). */
bool inspect_edit_upgrade(struct inspect_dir *d, const struct xml_node *root);
/* No version towards an initiating entity that sent none (NEG-15). */
bool inspect_edit_downgrade(struct inspect_dir *d, const struct xml_node *root);
/* Leaves out what f says (NEG-12, 24); says our limits where they are lower than the responder's (NEG-31). */
bool inspect_edit_features(struct inspect_dir *d, const struct xml_node *element, const struct features *f, bool offer);
/* Leaves out where else to connect to (NEG-25), in the element and all below it. */
bool inspect_edit_location(struct inspect_dir *d, const struct xml_node *element);
/* Another value for an attribute of the start tag [start, open_end), which has it. */
bool inspect_edit_value(struct inspect_dir *d, uint64_t start, uint64_t open_end, const char *name, const char *value);

/* inspect_sasl.c: elements of authentication, true if it was one and the verdict is filled in. */
bool inspect_sasl_initiator(struct inspect_dir *d, const struct xml_node *element);
bool inspect_sasl_responder(struct inspect_dir *d, const struct xml_node *element);
bool inspect_iq_initiator(struct inspect_dir *d, const struct xml_node *element);
bool inspect_iq_responder(struct inspect_dir *d, const struct xml_node *element);
/* Is it the response that carries the password of a plain mechanism begun without a payload? */
bool inspect_plain_response(const struct inspector *ins, const struct xml_node *element);
/* The responder told the full or bare JID: the identity from here on (SASL-9). */
void inspect_learn_jid(struct inspector *ins, const char *jid);

/* inspect_offer.c: the choice between STARTTLS and plaintext. */
void inspect_offer_begin(struct inspector *ins, const void *header, size_t len);
/* Looks at what the initiator has sent so far; calls ops->plaintext or ops->starttls once it is clear. */
void inspect_offer_peek(struct inspector *ins);
void inspect_offer_end(struct inspector *ins);

/* inspect_identity.c: who a mechanism's first message says it is, as a bare JID, "" if it cannot be told. */
void inspect_identity(char **identity, const char *method, const char *domain, const char *text, size_t len);
/* Does an EXTERNAL payload speak for that domain, or for nobody else than the stream's header (XEP-0178 section 3)? */
bool inspect_external_is(const char *domain, const char *text, size_t len);
/* Does a DIGEST-MD5 response choose a security layer (SASL-6)? */
bool inspect_digest_has_layer(const char *text, size_t len);
/* The mechanism if it is a name fit to be shown, else "invalid". */
const char *inspect_method_name(const char *mechanism);

/* inspect_reply.c: what the sides are told at the end. */
/* A header of our own where the initiator has had none on this stream (NEG-17). */
void inspect_put_header(struct inspector *ins, struct strbuf *out);
void inspect_tell_error(struct inspector *ins, enum inspect_side to, enum reason reason);
void inspect_tell_close(struct inspector *ins, enum inspect_side to);
void inspect_tell_tls_failure(struct inspector *ins);
/* Tells both sides, then ops->fail; nothing happens after it. */
void inspect_fail(struct inspector *ins, enum inspect_side culprit, enum reason reason, bool tls_failure);

static inline enum inspect_side inspect_other(enum inspect_side side)
{
	return side == INSPECT_INITIATOR ? INSPECT_RESPONDER : INSPECT_INITIATOR;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Who may speak for whom on a stream between servers: the pairs of domains that were claimed, the keys that were asked
 * about, and what a stanza may say of itself. For inspect*.c only. Domains are normalised in here, but for the JIDs
 * that are to be judged. `side` is the side that claims, asks or sends.
 */
#ifndef PROXY_XMPP_INSPECT_PAIRS_PRIVATE_H
#define PROXY_XMPP_INSPECT_PAIRS_PRIVATE_H

#include "base/siphash.h"
#include "xmpp/header.h"
#include "xmpp/inspect.h"

/* What one stream may claim and ask; more is answered resource-constraint. */
#define INSPECT_CLAIMS_MAX 1000
#define INSPECT_VERIFIES_MAX 1000
/* Requests of one pair that wait for their answers. */
#define INSPECT_PENDING_MAX 16
/* An id that is longer is no stream's of a server that exists. */
#define INSPECT_VERIFY_ID_MAX 256

/* `side` wants to send stanzas from -> to. */
struct inspect_claim {
	enum inspect_side side;
	const char *from, *to;
	bool judged; /* the session has been asked */
	enum inspect_pair answer;
	unsigned pending; /* requests that passed and are unanswered (DB-2) */
	bool proven;
};

/* A <db:verify/> that passed and is unanswered. */
struct inspect_verify {
	enum inspect_side side;
	const char *from, *to;
	char *theirs; /* the id as it was asked */
	char *ours;   /* as it was passed on; NULL: the same */
};

struct inspect_table {
	uint64_t *hash;
	void **item; /* oldest first */
	size_t count, room;
};

/* Most streams have one pair: its domains as they were written last, so that they need not be normalised again. */
struct inspect_recent {
	const struct inspect_claim *claim; /* NULL: none */
	char from[XMPP_DOMAIN_SIZE], to[XMPP_DOMAIN_SIZE];
};

struct inspect_pairs {
	struct siphash_key key;
	struct inspect_table claims, verifies;
	size_t proven;           /* claims of the initiator that are */
	size_t pending;          /* requests for claims of the initiator that are unanswered */
	bool told;               /* a key that was asked about has been answered */
	bool vouched;            /* … by the responder, with valid */
	bool bidi_offered, bidi; /* XEP-0288 */
	char *remote_from;       /* params.remote_from */
	bool external;           /* the SASL attempt going on is EXTERNAL, for remote_from */
	struct inspect_recent recent[INSPECT_SIDES];
};

struct inspect_pairs *inspect_pairs_new(const char *remote_from);
void inspect_pairs_free(struct inspect_pairs **pairs);

/* NULL: nobody claimed that yet. */
struct inspect_claim *inspect_claim_find(const struct inspect_pairs *p, enum inspect_side side, const char *from,
					 const char *to);
/* Finds or makes. NULL: no room. */
struct inspect_claim *inspect_claim_make(struct inspect_pairs *p, enum inspect_side side, const char *from,
					 const char *to);
/* Another request for it has passed. False: too many wait already. */
bool inspect_claim_ask(struct inspect_pairs *p, struct inspect_claim *claim);
/* The answer to one of them. proven: what the pair is from here on. */
void inspect_claim_answer(struct inspect_pairs *p, struct inspect_claim *claim, bool proven);
void inspect_claim_prove(struct inspect_pairs *p, struct inspect_claim *claim, bool proven);

/* NULL: no room. */
struct inspect_verify *inspect_verify_add(struct inspect_pairs *p, enum inspect_side side, const char *from,
					  const char *to, const char *id);
/* It is passed on with another id. */
void inspect_verify_rename(struct inspect_pairs *p, struct inspect_verify *verify, const char *ours);
/* The oldest that was passed on so, or NULL. */
struct inspect_verify *inspect_verify_find(const struct inspect_pairs *p, enum inspect_side side, const char *from,
					   const char *to, const char *id);
void inspect_verify_remove(struct inspect_pairs *p, struct inspect_verify *verify);

/* STZ-1, STZ-2, DB-3: may a stanza with these addresses (NULL: none) be sent by that side? */
enum reason inspect_pairs_judge(struct inspect_pairs *p, enum inspect_side side, const char *from, const char *to);

#endif

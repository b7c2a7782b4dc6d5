/* SPDX-License-Identifier: MIT */
/* What the hub*.c files share: hub.c (the legacy side, the table of pairs), hub_pair.c (what is asked and answered of a
 * pair), hub_spoke.c (its connection), hub_reader.c (elements as they came), hub_words.c (the bytes of our own). */
#ifndef PROXY_RELAY_HUB_PRIVATE_H
#define PROXY_RELAY_HUB_PRIVATE_H

#include <stdint.h>

#include "base/siphash.h"
#include "base/strbuf.h"
#include "relay/hub.h"
#include "xmpp/header.h"
#include "xmpp/xmlstream.h"

struct event;

#define HUB_BUCKETS 256u
/* Keys that the legacy server asks one remote server about at one time. */
#define HUB_VERIFIES_MAX 256
/* What a read may bring on top of an element that is not complete. */
#define HUB_HOLD_SLACK (256u * 1024u)
#define HUB_ATTRIBUTES_MAX 256
/* How long a pair may hold up all others, in milliseconds; and how many times longer it takes to get that time back. */
#define HUB_HELD_MAX_MS 60000u
#define HUB_GIVEN_BACK 5u
/* An answer of dialback, or a stream error, of a remote server. */
#define HUB_ANSWER_MAX (64u * 1024u)

/* One direction of a stream; calls are made from inside its parser. */
struct hub_reader_ops {
	void (*open)(void *ctx, const struct xml_node *root, const struct xml_decl *decls, size_t count);
	/* raw: the element's bytes, valid during the call. */
	void (*element)(void *ctx, const struct xml_node *element, const char *raw, size_t len);
	void (*close)(void *ctx);
	void (*failed)(void *ctx, enum reason reason, const char *detail);
};

struct hub_reader {
	const struct hub_reader_ops *ops;
	void *ctx;
	struct xmlstream *xs;
	struct strbuf hold; /* of an element that is not complete, from stream offset hold_at on */
	uint64_t hold_at;
	const char *chunk; /* what is being fed, from stream offset chunk_at on */
	uint64_t chunk_at;
	bool stopped; /* nothing more is read */
};

void hub_reader_init(struct hub_reader *r, const struct xmlstream_limits *limits, size_t hold_max,
		     const struct hub_reader_ops *ops, void *ctx);
void hub_reader_fini(struct hub_reader *r);
void hub_reader_feed(struct hub_reader *r, const char *data, size_t len);
/* Callable inside an operation. */
void hub_reader_stop(struct hub_reader *r);

/* <db:verify/> that is not answered yet. */
struct hub_verify {
	struct hub_verify *next;
	char id[];
};

struct pair {
	struct hub *hub;
	struct pair *next, **link; /* in its bucket */
	char *from, *to;           /* normalised: the local and the remote domain */
	char *from_said, *to_said; /* as the legacy server writes them, for what it is told */
	struct spoke *spoke;       /* NULL: none now */
	uint64_t used;             /* when the legacy server named it last: hub->uses of then */
	bool asked;                /* <db:result/> is not answered yet */
	bool proven;               /* it was answered: valid */
	bool flows;                /* … on the stream that `spoke` is: stanzas may pass */
	/* It was proven and could not be renewed, which the legacy server was told. What it sent before it knew is
	 * lost, and no offence that would end its other pairs (DB-3). */
	bool lapsed;
	/*
	 * It is asked anew, by us: a remote server may end a proven stream at any time (an idle one, a restart), and
	 * nothing could tell the legacy server that one pair of its connection has ended. The key is as good as on the
	 * first day, for it was made from the hub's id.
	 */
	bool renewing;
	/*
	 * Its stream was given up for the others' sake: the pair stays proven, and what the legacy server sends to it
	 * is lost until its time is whole again or it is asked for anew.
	 */
	bool given_up;
	/* How long it has held up all others, not given back yet, in HUB_GIVEN_BACK parts of a millisecond; and when
	 * that was reckoned. Streams come and go, the account stays. */
	uint64_t held, held_ms;
	struct strbuf request; /* its last <db:result/> as it came */
	struct strbuf waiting; /* stanzas held back while renewing */
	struct hub_verify *verifies;
	unsigned verify_count;
};

struct spoke {
	struct hub *hub;
	struct spoke *next, **link; /* all of the hub, the newest first; or the dead, which the reaper frees */
	struct pair *pair;          /* NULL: given up, its end is waited for */
	struct leg *leg;
	struct hub_reader reader;
	enum xmpp_error error; /* of the stream error that came */
	bool closed;           /* our close tag has been sent */
	bool blocked;          /* too much waits for it */
};

struct hub {
	struct hub_params p;
	char *id;
	struct hub_reader reader; /* of the legacy leg */
	struct strbuf decls;      /* the namespaces of its header, as attributes */
	char *prefix;             /* its prefix for streams; NULL before the header */
	struct siphash_key hash_key;
	struct pair *bucket[HUB_BUCKETS];
	unsigned pair_count; /* HUB_PAIRS_MAX; twice that with those that were made for questions about keys */
	uint64_t uses;
	/* A pair was forgotten that the legacy server may hold for proven: a stanza of a pair that is not known is lost
	 * from then on, and no offence that would end all others. */
	bool evicted;
	struct spoke *spokes, *dead;
	unsigned spoke_count; /* of `spokes`, bounded as pairs are, those included that have parted */
	struct event *reaper;
	uint64_t asked_ms; /* a <db:result/> or a <db:verify/> went out last */
	unsigned blocked;  /* spokes that are */
	bool reading;      /* the legacy leg */
	bool choked;       /* it takes no more: spokes are not read */
	bool served, closing, over, ended;
};

/* The addresses of an element. */
struct hub_addresses {
	char from[XMPP_DOMAIN_SIZE], to[XMPP_DOMAIN_SIZE]; /* normalised domains */
	const char *from_said, *to_said;                   /* as they stand there */
};
struct hub_answer;

/* hub.c */
void hub_update_reading(struct hub *hub);
/* To the legacy server: the bytes of a remote server, and an answer of ours. */
void hub_pass(struct hub *hub, const char *data, size_t len);
void hub_tell(struct hub *hub, const struct hub_answer *answer);
void hub_link(struct hub *hub, struct pair *pair);
void hub_unlink(struct hub *hub, struct pair *pair);
/* A pair was proven: elements may be larger. */
void hub_raise_limit(struct hub *hub);

/* hub_pair.c */
struct pair *pair_new(struct hub *hub, const struct hub_addresses *addresses);
void pair_free(struct pair *pair);
void pair_request(struct pair *pair, const char *raw, size_t len);
void pair_verify(struct pair *pair, const char *id, const char *raw, size_t len);
/* Not NONE: the legacy server's stream must end for it. */
enum reason pair_stanza(struct pair *pair, const char *raw, size_t len);
/* An element that came from the pair's remote server. The pair may be freed. */
void pair_answer(struct pair *pair, const struct xml_node *element, const char *raw, size_t len);
/* Before its spoke becomes blocked, or is so no longer: what of its time has gone until now is reckoned. */
void pair_reckon(struct pair *pair);
/* It has no spoke any more: whoever waits for an answer gets one. The pair may be freed. */
void pair_lost(struct pair *pair, enum xmpp_error error);

/* hub_spoke.c */
/* NULL: no descriptor is left. */
struct spoke *spoke_new(struct pair *pair);
void spoke_send(struct spoke *spoke, const char *data, size_t len);
/* The pair goes on without it. */
void spoke_part(struct spoke *spoke);
/* Our close tag; its end is waited for. */
void spoke_close(struct spoke *spoke);
/* Parted, closed (not where the legacy server vanished), and nothing more is read. */
void spoke_finish(struct spoke *spoke, bool vanished);
/* Too much or no longer too much may be waiting for it. */
void spoke_update(struct spoke *spoke);
/* One remote server that takes nothing must not hold up all others for good: it may be freed of its pair. */
void spoke_watch(struct spoke *spoke);
void spoke_free(struct spoke *spoke);

/* hub_words.c */
/* The declarations of a header as attributes, each behind a space; `db` always among them (NEG-20). */
void hub_words_decls(struct strbuf *out, const struct xml_decl *decls, size_t count);
/* No version: the session speaks to us as to a server older than XMPP 1.0, without features. */
void hub_words_header(struct strbuf *out, const char *prefix, const struct strbuf *decls, const char *from,
		      const char *to);
struct hub_answer {
	const char *from, *to;
	const char *id;        /* of <db:verify/>; NULL: <db:result/> */
	const char *type;      /* NULL: error, and why is said */
	enum xmpp_error error; /* the stream error that stands behind it */
};
void hub_words_answer(struct strbuf *out, const struct hub_answer *answer);

#endif

/* SPDX-License-Identifier: MIT */
/* What the negotiation engine and its two tables share; nothing else includes this. */
#ifndef PROXY_XMPP_NEGOTIATE_PRIVATE_H
#define PROXY_XMPP_NEGOTIATE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"
#include "xmpp/negotiate.h"

/* A row of a table. A handler that is NULL makes its event a violation in that state (default deny). */
struct neg_state {
	const char *name;
	bool awaits_tls; /* connect: <starttls/> is out, TLS is not up */
	void (*on_open)(struct negotiator *n);
	void (*on_element)(struct negotiator *n, const struct xml_node *element);
	void (*on_close)(struct negotiator *n);
	void (*on_secured)(struct negotiator *n, const char *certificate_domain);
	void (*on_timeout)(struct negotiator *n, bool begun);
	void (*on_xml_failed)(struct negotiator *n, enum reason reason);
	void (*on_injected)(struct negotiator *n);
	/* Ends it from outside; present in every row but the last. */
	void (*on_refuse)(struct negotiator *n, enum reason reason, enum xmpp_error condition);
	/* What an event without a handler does. */
	void (*on_violation)(struct negotiator *n);
};

/* The longest way through a table (open, starttls, secured, open, refuse) takes 8; FAIL is always the last. */
#define NEG_ACTIONS_MAX 16

struct negotiator {
	const struct neg_state *states;
	unsigned state, ready, failed; /* rows of `states` */
	void (*log_state)(void *ctx, const char *from, const char *to);
	void *ctx;
	char *content_ns;

	struct neg_action action[NEG_ACTIONS_MAX]; /* data owned */
	size_t action_count, action_taken;
	size_t proceed_at; /* where START_TLS, and <proceed/> before it, were queued: taken back on injection */

	struct stream_header header; /* received last */
	bool header_received;
	bool header_sent; /* on the stream as it is now */
	char domain[XMPP_DOMAIN_SIZE];

	/* accept */
	bool (*hosts)(void *ctx, const char *domain);
	void (*new_id)(void *ctx, char out[NEG_ID_SIZE]);
	char *default_domain;
	bool (*is_own)(void *ctx, const char *domain);
	bool outbound, plaintext_allowed, switch_allowed;
	bool (*takes_plaintext)(void *ctx, const char *from);
	char certificate_domain[XMPP_DOMAIN_SIZE]; /* "" before TLS */
	char local[XMPP_DOMAIN_SIZE];              /* outbound between servers: of the header's `from` */
	char own_id[NEG_ID_SIZE];

	/* connect */
	bool strip_compression;
	struct neg_starttls starttls;
	char *remote;     /* NULL: our own legacy server */
	char *own_header; /* sent inside TLS, and before it where there is no first header */
	size_t own_header_len;
	char *own_prefix;               /* streams prefix of the header we sent last (NEG-19) */
	char *plain_from;               /* of its header before TLS, for neg_starttls.differs alone */
	struct strbuf plain_mechanisms; /* what it offered then, likewise */
	struct features features;
	bool features_received;
	enum xmpp_error peer_error;
};

struct negotiator *neg_new(const struct neg_state *states, unsigned ready, unsigned failed);
/* The only writer of `state`; reports old -> new. */
void neg_enter(struct negotiator *n, unsigned state);
/* Appends a SEND with the buffer's bytes, if any, and frees the buffer. */
void neg_send(struct negotiator *n, struct strbuf *out);
void neg_add(struct negotiator *n, enum neg_action_kind kind);
void neg_note(struct negotiator *n, enum neg_note note);
/* Appends FAIL and enters the failed state. */
void neg_fail(struct negotiator *n, enum reason reason);
void neg_forget_header(struct negotiator *n);
/* What the features before TLS say of STARTTLS and how (STRIP-3, 6). */
void neg_offer_read(struct negotiator *n, const struct xml_node *features);
/* Is there something in or below an element that is like an offer of STARTTLS, but stands where none can? */
bool neg_offer_is_mangled(const struct xml_node *top);
/* Compares what the server says inside TLS with what it said before (STRIP-9). features: NULL if it sends none. */
void neg_offer_compare(struct negotiator *n, const struct xml_node *features);
/* Bytes stood behind <starttls/> or <proceed/>: what was queued at proceed_at and has not left is taken back, noted. */
void neg_take_back(struct negotiator *n);

/* Room for a header that names what the peer sent (bounded by the element limit before) and an error. */
#define NEG_SEND_MAX (256u * 1024u)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A hub: the connection of a legacy server whose stream header names nobody (jabberd2), so that the domains stand in
 * the elements and one connection carries several pairs of them. Each pair (from, to) has a spoke: a socket pair, the
 * far end of which becomes a session of its own, as if the legacy server had connected once more with a header that
 * says where to. So each pair has its own onward stream, policy and record, and the hub only deals elements out, as
 * they came.
 *
 * The legacy server makes its dialback keys from the one id that it was given (hub_id); the remote server of each pair
 * knows its own. The pair's session tells shared_ids which is which before anything passes (session_publish_id), for
 * who translates <db:verify/> coming back.
 */
#ifndef PROXY_RELAY_HUB_H
#define PROXY_RELAY_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xmpp/reason.h"

struct event_base;
struct hub;
struct leg;
struct leg_io;

#define HUB_PAIRS_MAX 1000

struct hub_ops {
	/* fd becomes the accepted connection of a session of its own. */
	void (*open)(void *ctx, int fd);
	/* The legacy leg is not read now: nothing would tell that its far end has gone. */
	void (*paused)(void *ctx);
	/* The legacy server has closed its stream; what is still on its way is waited for. */
	void (*closing)(void *ctx);
	/*
	 * It is over, hub_end is due. The legacy server has been told: by the reason's stream error, or by our close
	 * tag where it has none. violation: what it sent is an offence in itself (stanza-violation is recorded).
	 */
	void (*over)(void *ctx, enum reason reason, const char *detail, bool violation);
	/* After hub_end: the last spoke is gone. */
	void (*quiet)(void *ctx);
};

struct hub_params {
	struct event_base *base;
	struct leg_io *io;
	struct leg *legacy; /* stays the caller's, and outlives the hub; the hub turns its reading on and off */
	const void *header; /* the legacy server's header as it came: its prefixes are in scope for all that follows */
	size_t header_len;
	const char *id;               /* ours, that it was answered with; copied */
	size_t buffer;                /* bytes that wait for one spoke, past which the legacy leg is not read */
	size_t unauthenticated_limit; /* one element before any pair is proven */
	size_t stanza_limit;          /* and after */
	unsigned depth;
	const struct hub_ops *ops;
	void *ctx;
};

/* Free with hub_free, not from inside an operation. */
struct hub *hub_new(const struct hub_params *params);
/* Whatever has not left is lost. */
void hub_free(struct hub **hub);

/* What came on the legacy leg behind the header. */
void hub_input(struct hub *hub, const void *data, size_t len);
/* Every few seconds while the legacy leg is not read: who takes nothing for too long is given up. */
void hub_watch(struct hub *hub);
/* The legacy leg takes output again. */
void hub_drained(struct hub *hub);
/* Ends it from outside (shutdown, timeout): the legacy server is told. hub_end is due. */
void hub_refuse(struct hub *hub, enum reason reason);
/*
 * The legacy leg takes part no more: every spoke is closed, with a close tag or, where the legacy server vanished,
 * without (NEG-21). Nothing is sent to the legacy leg after it.
 */
void hub_end(struct hub *hub, bool vanished);

/* The id that the legacy server knows its stream by. Valid while the hub lives. */
const char *hub_id(const struct hub *hub);
/* Has any remote server ever answered a dialback request? */
bool hub_is_served(const struct hub *hub);
/* When (clock_ms) a remote server was asked last, while none has ever answered and an answer is due; 0: none is. */
uint64_t hub_asked_ms(const struct hub *hub);
/* Has the legacy server closed its stream? */
bool hub_is_closing(const struct hub *hub);
/* Is the legacy leg read? */
bool hub_is_reading(const struct hub *hub);
/* Are there spokes whose end is waited for? */
bool hub_has_spokes(const struct hub *hub);
/* Bytes that its spokes have not taken yet. */
size_t hub_unsent(const struct hub *hub);

#endif

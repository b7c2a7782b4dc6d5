/* SPDX-License-Identifier: MIT */
/* How a session asks what is remembered of a peer and says what it saw. That a keeper in another process stands behind
 * it only `daemon` knows. */
#ifndef PROXY_MEMORY_RECALL_H
#define PROXY_MEMORY_RECALL_H

#include "memory/peer.h"

/* ok false: it could not be asked (the store is broken, or no keeper); memory is then unknown. */
typedef void peer_answer_fn(void *ctx, bool ok, const struct peer_memory *memory);

struct peer_recall {
	/* answer is called once, later, never from inside ask; within a few seconds in any case. Returns a ticket,
	 * never 0. domain: normalised. */
	uint64_t (*ask)(void *ctx, const char *domain, enum peer_service service, peer_answer_fn *answer,
			void *answer_ctx);
	/* The asker goes away: answer will not be called. */
	void (*forget)(void *ctx, uint64_t ticket);
	/* Copies. Carried like a record: kept until the keeper has stored it, sent again to a restarted one. */
	void (*observe)(void *ctx, const struct peer_observation *seen);
	void *ctx;
};

#endif

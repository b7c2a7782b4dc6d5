/* SPDX-License-Identifier: MIT */
/* One `portcullis peers …` while the keeper's answers come in. */
#ifndef PROXY_DAEMON_PEERS_QUERY_H
#define PROXY_DAEMON_PEERS_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "daemon/message.h"
#include "daemon/peer_message.h"

struct peers_query {
	uint64_t client; /* 0: not in use */
	uint64_t number;
	uint64_t deadline_ms;
	uint32_t keeper;                /* the incarnation that was asked; 0: none yet */
	struct peers_question question; /* as it goes to the keeper next */
	char domain[PEER_DOMAIN_SIZE];
	struct strbuf text;
};

/* domain: normalised, "" for LIST. sha256: "" but for ACCEPT. */
void peers_query_begin(struct peers_query *q, uint64_t client, enum peers_verb verb, const char *domain,
		       const char *sha256);
/* A MESSAGE_PEERS_ANSWER. NULL: the question is to be asked again, for the next page; else the answer, allocated, and
 * the query is free again. */
char *peers_query_take(struct peers_query *q, const struct message *m);
/* The answer that says why there is none; the query is free again. */
char *peers_query_fail(struct peers_query *q, const char *why);

#endif

/* SPDX-License-Identifier: MIT */
/* Peer memory as JSON, in pages that fit a message. */
#ifndef PROXY_DAEMON_PEER_LIST_H
#define PROXY_DAEMON_PEER_LIST_H

#include <stdbool.h>

#include "base/strbuf.h"
#include "daemon/peer_message.h"
#include "memory/store.h"

/* One peer's object, with its certificates or only their number. Allocated (mem_free). */
char *peer_list_json(const char *domain, enum peer_service service, const struct peer_memory *memory,
		     bool certificates);
/* Answers LIST or SHOW into out and text (objects with commas between); -1 with err set. */
int peer_list_page(struct peer_store *store, const struct peers_question *question, struct peers_answer *out,
		   struct strbuf *text, struct errbuf *err);

#endif

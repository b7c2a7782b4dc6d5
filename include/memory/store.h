/* SPDX-License-Identifier: MIT */
/*
 * Peer memory on disk: SQLite, WAL, one writer process (the keeper). Schema versions migrate forward; bounded in
 * domains and in certificates of each; survives a kill at any moment. Errors are returned in words that name the file
 * and the remedy. No function blocks for longer than a local commit.
 */
#ifndef PROXY_MEMORY_STORE_H
#define PROXY_MEMORY_STORE_H

#include "base/errbuf.h"
#include "memory/peer.h"

struct peer_store;

/* The most (domain, service) pairs kept; past it the one not seen for longest is forgotten, never one just written, and
 * one that has been seen for a week or more only where there is no other: a flood of new names pushes out itself. */
#define PEER_STORE_MAX 100000

/* directory/peers.db. NULL with err set: cannot be opened, is no database, is damaged, is of a newer program. */
struct peer_store *peer_store_open(const char *directory, struct errbuf *err);
void peer_store_close(struct peer_store **store);

/* 0 with *out set (known or not), or -1 with err set. */
int peer_store_get(struct peer_store *store, const char *domain, enum peer_service service, struct peer_memory *out,
		   struct errbuf *err);
/*
 * Adds to the open batch; nothing is durable before peer_store_commit. The same observation twice changes nothing more;
 * one older than what is known does not undo what was seen last. seen: valid. -1: the whole batch is dropped.
 */
int peer_store_observe(struct peer_store *store, const struct peer_observation *seen, struct errbuf *err);
/* Makes the batch durable against a crash of the processes (not of the machine). 0, also when there is none. -1: it is
 * dropped; or the file at that path is not the one in use any more. */
int peer_store_commit(struct peer_store *store, struct errbuf *err);

/*
 * Peers by domain, then service, at most limit of them, from behind the pair named (after NULL: from the first); each
 * may not call the store. *count_out < limit: that was the last of them.
 */
typedef void peer_each_fn(void *ctx, const char *domain, enum peer_service service, const struct peer_memory *memory);
int peer_store_list(struct peer_store *store, const char *after, enum peer_service after_service, size_t limit,
		    peer_each_fn *each, void *ctx, size_t *count_out, struct errbuf *err);
/* (domain, service) pairs remembered now. */
size_t peer_store_count(const struct peer_store *store);
/* The certificate, or (sha256 "") all certificates remembered of it count as accepted. *count_out: how many were not
 * before. Durable on return, as is the batch that was open. */
int peer_store_accept(struct peer_store *store, const char *domain, const char *sha256, unsigned *count_out,
		      struct errbuf *err);
/* *count_out: (domain, service) pairs forgotten. Durable on return, likewise. */
int peer_store_forget(struct peer_store *store, const char *domain, unsigned *count_out, struct errbuf *err);

#endif

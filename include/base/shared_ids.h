/* SPDX-License-Identifier: MIT */
/*
 * Stream ids that two sides of a dialback know by different names, for all workers: a legacy server whose header names
 * nobody made its key from an id of ours, and the remote server asks about that key by an id of its own, on a
 * connection that any worker may have accepted. Bounded: an entry that was not used for long makes room. A worker that
 * is killed in the middle leaves nothing locked for good.
 */
#ifndef PROXY_BASE_SHARED_IDS_H
#define PROXY_BASE_SHARED_IDS_H

#include <stdbool.h>
#include <stddef.h>

#define SHARED_ID_SIZE 64
#define SHARED_ID_DOMAIN_SIZE 256

struct shared_ids; /* lies in the shared mapping: shared.h */

size_t shared_ids_size(void);
/* The memory is zero. */
void shared_ids_init(struct shared_ids *ids);
/*
 * On a stream from `from` (the local domain) to `to` the remote server calls it `theirs`, the legacy server knows it as
 * `ours`. False: one of them does not fit.
 */
bool shared_ids_put(struct shared_ids *ids, const char *from, const char *to, const char *theirs, const char *ours);
/* What `theirs` is called by the legacy server; false: no such stream. */
bool shared_ids_get(struct shared_ids *ids, const char *from, const char *to, const char *theirs,
		    char ours[SHARED_ID_SIZE]);
void shared_ids_remove(struct shared_ids *ids, const char *from, const char *to, const char *theirs);

#endif

/* SPDX-License-Identifier: MIT */
/* The keeper's peer memory: the open store, whether it can be written, and the answers to who asks. */
#ifndef PROXY_DAEMON_KEEPER_MEMORY_H
#define PROXY_DAEMON_KEEPER_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/errbuf.h"
#include "base/shared.h"
#include "daemon/message.h"
#include "daemon/outbox.h"

/* What an operator changes when he mends a store, as far as it costs nothing to see. */
struct keeper_sight {
	struct keeper_place {
		dev_t device;
		ino_t inode;
		struct timespec changed;
	} file, directory;   /* all zero: not there */
	bool room, writable; /* of the file system */
};

struct keeper_memory {
	struct shared_keeper *shared;
	char *directory;          /* NULL: not in use */
	struct peer_store *store; /* NULL: not in use, or failing */
	size_t batch;             /* observations in the open batch */
	uint64_t look_at;         /* failing: when the next look at it is due */
	uint64_t open_at;         /* … and when the store is opened again, unless something is seen to change */
	uint64_t wait_ms;         /* between two openings; 0: something was written since the last one */
	struct keeper_sight sight;
	bool failing;
};

/* Opens the store there, unless it is open. -1 with err set: everything is as before. */
int keeper_memory_open(struct keeper_memory *memory, const char *directory, struct errbuf *err);
/* Can that directory be used by a configuration that is about to be taken? Also where it is in use already and fails:
 * the streams under way do without it, too, and it is said. Otherwise as keeper_memory_open. */
int keeper_memory_prepare(struct keeper_memory *memory, const char *directory, struct errbuf *err);
/* The same where nobody can be refused any more: if it cannot be opened, that is said, and tried again. */
void keeper_memory_need(struct keeper_memory *memory, const char *directory);
void keeper_memory_close(struct keeper_memory *memory);

/* A MESSAGE_OBSERVATION: into the batch, or lost. */
void keeper_memory_observe(struct keeper_memory *memory, const struct message *m);
/* Before anything in the batch is acknowledged; what could not be written is lost, and said once. */
void keeper_memory_commit(struct keeper_memory *memory);
/* A MESSAGE_PEER_ASK; the answer goes into the box. */
void keeper_memory_answer(struct keeper_memory *memory, const struct message *m, struct outbox *box);
/* A MESSAGE_PEERS, likewise. */
void keeper_memory_tell(struct keeper_memory *memory, const struct message *m, struct outbox *box);
/* Opens a failing store again when it is time. */
void keeper_memory_tick(struct keeper_memory *memory, uint64_t now_ms);
/* When the tick is wanted; UINT64_MAX: not. */
uint64_t keeper_memory_due(const struct keeper_memory *memory);

#endif

/* SPDX-License-Identifier: MIT */
/* Starting, linking, watching and ending keeper and workers. The master's own, one of it. */
#ifndef PROXY_DAEMON_CHILDREN_H
#define PROXY_DAEMON_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/shared.h"
#include "daemon/courier.h"
#include "daemon/message.h"
#include "daemon/pollset.h"
#include "daemon/privileges.h"
#include "policy/config.h"

struct child {
	struct children *all;
	bool is_keeper;
	unsigned slot;   /* of a worker */
	pid_t pid;       /* 0: not running */
	int control;     /* -1: not running */
	bool ready;      /* it said so */
	bool complained; /* it said why it cannot start */
	uint32_t incarnation;
	uint64_t started_ms;
	uint64_t restart_ms; /* when its successor is to start; 0: it is not */
	unsigned backoff_s;
};

struct children_events {
	void (*ready)(void *ctx, struct child *child);
	/* Said by the child, or found when it died before it was ready. */
	void (*failed)(void *ctx, struct child *child, const char *why);
	/* A worker was forked: what it is told now it finds once it is set up. */
	void (*forked)(void *ctx, struct child *worker);
	/* PREPARED, UNFIT and COMMITTED of a worker or (slot BALLOT_KEEPER) the keeper. */
	void (*vote)(void *ctx, unsigned slot, const struct message *m);
	/* STREAMS_PART and STREAMS_END of a worker. */
	void (*answer)(void *ctx, unsigned slot, const struct message *m);
	/* PEERS_ANSWER of the keeper. */
	void (*peers)(void *ctx, const struct message *m);
	void (*worker_gone)(void *ctx, unsigned slot);
	void *ctx;
};

struct children {
	struct config *config;
	const char *config_path;
	struct shared *shared;
	struct account account;
	char run_id[9];
	int bundle_fd;
	int *listeners; /* [slot * listener_count + listener] */
	size_t listener_count;
	struct courier *courier; /* the master's own records */
	struct children_events events;
	struct child keeper;
	struct child *workers;
	unsigned worker_count;
	bool workers_needed, keeper_needed; /* a dead one gets a successor */
	uint8_t buffer[MESSAGE_SIZE_MAX];
};

/* The caller has filled the members up to events, and worker_count. */
void children_init(struct children *all);
void children_fini(struct children *all);

/* Forks it. On failure the reason is on the log and it is tried again as after a death. */
void child_start(struct child *child);
/* Never blocks; a child that does not read what it is told is killed. */
void child_tell(struct child *child, enum message_type type, uint64_t number);
/* The same with a descriptor (-1: none) and a payload. */
void child_send(struct child *child, const struct message *m, int pass_fd);
/* Ends the conversation: the keeper then finishes, a worker leaves at once. */
void child_hang_up(struct child *child);
void child_kill(struct child *child);

void children_poll(struct children *all, struct pollset *set);
/* After SIGCHLD. */
void children_reap(struct children *all);
/* Starts successors that are due. */
void children_tick(struct children *all, uint64_t now_ms);
/* When children_tick is wanted next; UINT64_MAX: not. */
uint64_t children_due(const struct children *all);
unsigned children_workers_alive(const struct children *all);
bool children_all_ready(const struct children *all);
/* Streams open in all workers. */
int64_t children_open_streams(const struct children *all);

#endif

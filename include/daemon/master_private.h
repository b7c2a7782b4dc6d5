/* SPDX-License-Identifier: MIT */
/* The master's state, shared by master.c (its life) and master_start.c (what happens before the first turn). */
#ifndef PROXY_DAEMON_MASTER_PRIVATE_H
#define PROXY_DAEMON_MASTER_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/children.h"
#include "daemon/control_server.h"
#include "daemon/courier.h"
#include "daemon/pollset.h"
#include "daemon/streams_query.h"
#include "policy/config.h"

#define MASTER_QUERIES 16

/* Only ever moves on. */
enum master_state {
	MASTER_STARTING, /* children are setting up */
	MASTER_RUNNING,
	MASTER_DRAINING, /* workers finish their streams */
	MASTER_CLOSING,  /* no worker is left; the last record is on its way */
	MASTER_LEAVING,  /* the keeper finishes */
	MASTER_ENDED,
	MASTER_STATE_COUNT
};

struct master {
	enum master_state state;
	int status;
	bool hurry; /* a second signal came */
	int64_t since_us;
	uint64_t started_ms;
	uint64_t deadline_ms; /* of the present state; UINT64_MAX: none */
	uint64_t tickets_ms;  /* when keys are looked at next */
	int signal_fd;
	struct config *config;
	struct shared *shared;
	struct courier *courier;
	struct children *children;
	struct control_server *control;
	struct pollset set;
	struct streams_query queries[MASTER_QUERIES];
	uint64_t last_query;
};

/* Configuration, bundle, log, shared memory. 0, or the exit status with everything said. */
int master_prepare(struct master *m, const char *config_path);
/* Opens the listeners; not before the control socket is ours, for a second portcullis could bind the same ports and
 * take connections away from the first. -1 with err set. */
int master_listen(struct master *m, struct errbuf *err);
void master_release(struct master *m);

#endif

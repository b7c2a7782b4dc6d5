/* SPDX-License-Identifier: MIT */
/* The process that owns the audit log and peer memory: their single writer. */
#ifndef PROXY_DAEMON_KEEPER_H
#define PROXY_DAEMON_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/shared.h"
#include "daemon/privileges.h"
#include "policy/config.h"

/* The slot number of the master's own channel. */
#define KEEPER_SLOT_MASTER UINT64_MAX
#define KEEPER_PATH_SIZE 4096

struct keeper_params {
	const struct config_audit *audit;
	struct shared *shared;
	const struct account *account;
	const char *state_directory; /* of peer memory; NULL: not in use */
	bool restarted;              /* what goes wrong with peer memory must not stop the log any more */
	int control;                 /* to the master */
};

/* What a reload changes for it: payload of MESSAGE_SETTINGS. */
struct keeper_settings {
	int on_failure; /* enum audit_on_failure */
	int log_output, log_level;
	char state_directory[KEEPER_PATH_SIZE]; /* "": no listener has peers */
};

/* Runs in its own process until the master and all workers have closed their channels; returns the exit status. */
int keeper_main(const struct keeper_params *params);

#endif

/* SPDX-License-Identifier: MIT */
/* The process that owns a share of the streams: one thread, one event loop. */
#ifndef PROXY_DAEMON_WORKER_H
#define PROXY_DAEMON_WORKER_H

#include <stddef.h>
#include <sys/types.h>

#include "base/shared.h"
#include "daemon/privileges.h"

struct worker_params {
	unsigned slot;
	const char *run_id;      /* eight hex digits, one for each run of the program */
	const char *config_path; /* its name in the bundle */
	const struct account *account;
	struct shared *shared;
	pid_t master;
	int control;   /* to the master */
	int bundle_fd; /* closed once read */
	const int *listener_fds;
	size_t listener_count;
};

/* Runs in its own process until drained; returns the exit status. */
int worker_main(const struct worker_params *params);

#endif

/* SPDX-License-Identifier: MIT */
/* What `portcullis status` and `streams` tell: made by the master, shown to people by the command line. */
#ifndef PROXY_DAEMON_STATUS_H
#define PROXY_DAEMON_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/errbuf.h"
#include "base/shared.h"
#include "daemon/reload.h"

struct status_facts {
	const struct shared *shared;
	const char *config_path, *state;
	int64_t since_us;  /* real time of the start */
	int64_t loaded_us; /* when the configuration in force was loaded */
	struct reload_outcome reload;
	bool memory; /* peer memory is in use */
	uint64_t uptime_ms;
};

/* The answer to {"command":"status"}, allocated. */
char *status_json(const struct status_facts *facts);

/* Print an answer for people. -1 with err set if it is an error answer or none of ours. */
int status_print(FILE *out, const char *json, size_t len, struct errbuf *err);
int streams_print(FILE *out, const char *json, size_t len, struct errbuf *err);
/* Prints the answer as it came, for machines; -1 as above. */
int answer_print(FILE *out, const char *json, size_t len, struct errbuf *err);

#endif

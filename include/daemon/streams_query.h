/* SPDX-License-Identifier: MIT */
/* One `portcullis streams` while the workers' answers come in. */
#ifndef PROXY_DAEMON_STREAMS_QUERY_H
#define PROXY_DAEMON_STREAMS_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shared.h"
#include "base/strbuf.h"

struct streams_query {
	uint64_t client; /* 0: not in use */
	uint64_t number;
	uint64_t deadline_ms;
	unsigned outstanding;
	bool asked[SHARED_WORKERS_MAX]; /* and has not answered yet */
	struct strbuf text;
};

void streams_query_begin(struct streams_query *q, uint64_t client, uint64_t number, uint64_t deadline_ms);
void streams_query_ask(struct streams_query *q, unsigned slot);
void streams_query_part(struct streams_query *q, const void *text, size_t len);
/* That worker has said everything. */
void streams_query_end(struct streams_query *q, unsigned slot);
/* The answer, naming the workers that said nothing; the query is free again. Allocated. */
char *streams_query_finish(struct streams_query *q, size_t *len_out);

#endif

/* SPDX-License-Identifier: MIT */
/* A worker's streams as JSON, in chunks that fit a message. */
#ifndef PROXY_DAEMON_STREAM_LIST_H
#define PROXY_DAEMON_STREAM_LIST_H

#include <stdint.h>

#include "daemon/outbox.h"
#include "relay/engine.h"

/* Adds the answer to question `number` to the box: STREAMS_PART messages of at most 60 KiB, then STREAMS_END. */
void stream_list_answer(const struct engine *engine, unsigned worker, uint64_t number, struct outbox *box);
/* One stream's object, allocated (mem_free). */
char *stream_list_json(const struct engine_stream *stream, unsigned worker);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Puts the chunks of several workers together: each chunk is JSON objects with commas between, so that commas between
 * chunks and brackets around are all there is to add. A worker that does not answer in time is named, never left out
 * silently.
 */
#include "daemon/streams_query.h"

#include <string.h>

#include "base/mem.h"

#define ANSWER_MAX ((size_t)128 << 20)

void streams_query_begin(struct streams_query *q, uint64_t client, uint64_t number, uint64_t deadline_ms)
{
	memset(q, 0, sizeof(*q));
	q->client = client;
	q->number = number;
	q->deadline_ms = deadline_ms;
	strbuf_init(&q->text, ANSWER_MAX);
	strbuf_puts(&q->text, "{\"streams\":[");
}

void streams_query_ask(struct streams_query *q, unsigned slot)
{
	q->asked[slot] = true;
	q->outstanding++;
}

void streams_query_part(struct streams_query *q, const void *text, size_t len)
{
	if (len == 0)
		return;
	if (q->text.data[q->text.len - 1] != '[')
		strbuf_puts(&q->text, ",");
	strbuf_add(&q->text, text, len);
}

void streams_query_end(struct streams_query *q, unsigned slot)
{
	if (!q->asked[slot])
		return;
	q->asked[slot] = false;
	q->outstanding--;
}

char *streams_query_finish(struct streams_query *q, size_t *len_out)
{
	const char *comma = "";
	char *out;

	strbuf_puts(&q->text, "],\"unanswered\":[");
	for (unsigned i = 0; i < SHARED_WORKERS_MAX; i++) {
		if (!q->asked[i])
			continue;
		strbuf_printf(&q->text, "%s%u", comma, i);
		comma = ",";
	}
	strbuf_puts(&q->text, "]}\n");
	out = q->text.overflow ? mem_strdup("{\"error\":\"too many streams for one answer\"}\n")
			       : mem_strndup(q->text.data, q->text.len);
	*len_out = strlen(out);
	strbuf_fini(&q->text);
	q->client = 0;
	return out;
}

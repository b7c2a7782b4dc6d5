/* SPDX-License-Identifier: MIT */
/*
 * The one writer of the audit log. Records wait in the batch as bodies; a flush makes lines of them from the chain as
 * it stands on the disk and writes them all at once. Invariant: w->chain is what the last whole line in the file says,
 * so a write that failed and was taken back needs no undoing. A regular file gets all of a batch or nothing of it; a
 * pipe keeps the unsent end and goes on from there. Not synced to the disk: this outlives a crash of the process, not
 * of the machine, for which a remote collector is the answer anyway.
 */
#include "audit/writer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit/ids_private.h"
#include "audit/record.h"
#include "audit/tail_private.h"
#include "audit/writer_private.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"

#define BATCH_FULL ((size_t)256 * 1024)
/* A ceiling that only a caller who never asks audit_writer_full can meet. */
#define BATCH_MAX ((size_t)64 * 1024 * 1024)

struct audit_writer *audit_writer_open(const struct config_audit *config, int fd_stdout, struct errbuf *err)
{
	struct audit_writer *w = mem_zalloc(sizeof(*w));

	w->output = config->output;
	w->chained = config->output == AUDIT_FILE && config->chain;
	w->fd = -1;
	w->ids = audit_ids_new();
	strbuf_init(&w->batch, BATCH_MAX);
	strbuf_init(&w->unsent, 2 * BATCH_MAX);
	audit_chain_init(&w->chain);
	if (config->output == AUDIT_SYSLOG) {
		audit_sink_syslog_open();
	} else if (config->output == AUDIT_FILE) {
		w->path = mem_strdup(config->file_path);
		w->fd = audit_file_open(w, err);
		if (w->fd < 0)
			audit_writer_free(&w);
	} else {
		/* journald collects what a service writes to its standard output: one way for both. */
		w->fd = fd_stdout;
	}
	return w;
}

void audit_writer_free(struct audit_writer **w)
{
	struct audit_writer *old = *w;

	if (!old)
		return;
	if (old->output == AUDIT_FILE && old->fd >= 0)
		(void)close(old->fd);
	audit_ids_free(&old->ids);
	strbuf_fini(&old->batch);
	strbuf_fini(&old->unsent);
	mem_free(old->path);
	mem_free(old);
	*w = NULL;
}

/* One object on one line: the shape that keeps a worker's words from becoming somebody else's record. */
static bool is_one_line(const char *json, size_t len)
{
	size_t i;

	if (len < 2 || json[0] != '{' || json[len - 1] != '}')
		return false;
	for (i = 0; i < len; i++)
		if ((unsigned char)json[i] < 0x20)
			return false;
	return true;
}

bool audit_writer_add(struct audit_writer *w, const char *json, size_t len)
{
	bool added;

	if (!is_one_line(json, len) || audit_ids_knows(w->ids, json, len))
		return false;
	added = strbuf_add(&w->batch, json, len) && strbuf_add(&w->batch, "\n", 1);
	assert(added);
	w->pending++;
	return true;
}

size_t audit_writer_pending(const struct audit_writer *w)
{
	return w->pending;
}

bool audit_writer_full(const struct audit_writer *w)
{
	return w->batch.len >= BATCH_FULL;
}

uint64_t audit_writer_seq(const struct audit_writer *w)
{
	return w->chain.seq;
}

const struct audit_chain *audit_writer_chain(const struct audit_writer *w)
{
	return &w->chain;
}

void audit_writer_resume(struct audit_writer *w, const struct audit_chain *chain)
{
	if (w->chained && w->chain.seq == 0)
		w->chain = *chain;
}

bool audit_writer_deleted(const struct audit_writer *w)
{
	return w->output == AUDIT_FILE && w->regular && audit_file_is_deleted(w);
}

/* A file that begins in the middle of the chain says where it comes from. */
static void add_checkpoint(struct audit_chain *chain, struct strbuf *out)
{
	char id[33], hex[65], extra[96];
	struct audit_record r;
	size_t len;
	char *body;

	random_hex(id, 16);
	audit_chain_hex(chain, hex);
	audit_record_init(&r);
	r.time_us = clock_real_us();
	r.id = id;
	r.action = "checkpoint";
	r.outcome = AUDIT_SUCCESS;
	body = audit_record_json(&r, &len);
	(void)snprintf(extra, sizeof(extra), "\"previous\":\"%s\"", hex);
	audit_chain_line(chain, out, body, len, extra);
	mem_free(body);
}

/* The batch as it will stand in the log; chain moves on with it. */
static void make_lines(const struct audit_writer *w, struct audit_chain *chain, struct strbuf *out)
{
	const char *body = strbuf_text(&w->batch), *end = body + w->batch.len, *newline;

	for (; body < end; body = newline + 1) {
		newline = memchr(body, '\n', (size_t)(end - body));
		if (w->chained) {
			audit_chain_line(chain, out, body, (size_t)(newline - body), NULL);
			continue;
		}
		(void)strbuf_add(out, body, (size_t)(newline + 1 - body));
		chain->seq++;
	}
}

static void batch_done(struct audit_writer *w, const struct audit_chain *chain)
{
	w->chain = *chain;
	w->pending = 0;
	strbuf_clear(&w->batch);
	/* A burst's storage is not kept for good. */
	if (w->batch.size > 2 * BATCH_FULL)
		strbuf_fini(&w->batch);
}

/* With `start` set also where there is nothing to write but the first line of a new file. */
static int flush_file(struct audit_writer *w, bool start, struct errbuf *err)
{
	struct audit_chain chain = w->chain;
	struct strbuf out;
	off_t before;
	int rc;

	if (audit_file_is_deleted(w)) {
		errbuf_set(err, "%s: the file was deleted", w->path);
		return -1;
	}
	if (audit_file_ready(w, &before, err))
		return -1;
	strbuf_init(&out, 2 * BATCH_MAX);
	/* Also after somebody has emptied the file under us. */
	if (w->chained && before == 0 && chain.seq > 0)
		add_checkpoint(&chain, &out);
	if (!start)
		make_lines(w, &chain, &out);
	rc = audit_file_append(w, &out, before, err);
	strbuf_fini(&out);
	if (rc)
		return -1;
	if (start)
		w->chain = chain;
	else
		batch_done(w, &chain);
	return 0;
}

static int flush_stream(struct audit_writer *w, struct errbuf *err)
{
	/* What is half sent must go out first; only a sent batch moves the count. */
	if (!w->unsent.len) {
		w->unsent_chain = w->chain;
		w->unsent_records = w->pending;
		make_lines(w, &w->unsent_chain, &w->unsent);
		w->unsent_batch = w->batch.len;
	}
	if (audit_stream_send(w, err))
		return -1;
	w->chain = w->unsent_chain;
	strbuf_drain(&w->batch, w->unsent_batch);
	w->pending -= w->unsent_records;
	/* Records that came while the rest was stuck. */
	return w->pending ? flush_stream(w, err) : 0;
}

static int flush_syslog(struct audit_writer *w)
{
	struct audit_chain chain = w->chain;
	struct strbuf out;

	strbuf_init(&out, BATCH_MAX);
	make_lines(w, &chain, &out);
	audit_sink_syslog_lines(&out);
	strbuf_fini(&out);
	batch_done(w, &chain);
	return 0;
}

int audit_writer_flush(struct audit_writer *w, struct errbuf *err)
{
	if (!w->pending)
		return 0;
	if (w->output == AUDIT_SYSLOG)
		return flush_syslog(w);
	return w->output == AUDIT_FILE && w->regular ? flush_file(w, false, err) : flush_stream(w, err);
}

/* The name now means another file: take that one, or keep the old. */
static int switch_file(struct audit_writer *w, struct errbuf *err)
{
	struct audit_writer next = *w;
	off_t before;

	/* A torn write that cannot be taken back must not be left behind in a file that we let go of. */
	if (w->regular && audit_file_ready(w, &before, err))
		return -1;
	next.taken_back = -1;
	next.fd = audit_file_open(&next, err);
	if (next.fd < 0)
		return -1;
	if (next.chained && (next.chain.seq != w->chain.seq || memcmp(next.chain.hash, w->chain.hash, 32) != 0)) {
		(void)close(next.fd);
		errbuf_set(err, "%s: a file that is not the continuation of this log is there; move it away", w->path);
		return -1;
	}
	(void)close(w->fd);
	*w = next;
	/* A pipe's unsent lines are in the batch still. */
	strbuf_clear(&w->unsent);
	return 0;
}

int audit_writer_reopen(struct audit_writer *w, struct errbuf *err)
{
	struct errbuf ignored;

	if (w->output != AUDIT_FILE || audit_file_is_current(w))
		return 0;
	/* What waits belongs into the old file if that still takes it; else it goes into the new one. */
	if (w->pending)
		(void)audit_writer_flush(w, &ignored);
	if (switch_file(w, err))
		return -1;
	if (w->chained && w->regular)
		return flush_file(w, true, err);
	return 0;
}

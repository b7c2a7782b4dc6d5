/* SPDX-License-Identifier: MIT */
/*
 * Reading logs back as an auditor does: files in order as one chain, from the first record to the first bad one. Trusts
 * nothing it reads: a line is at most 1 MiB, must be a JSON object without doubled names, and must be the successor of
 * the line before by sequence and hash.
 */
#include "audit/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "audit/chain_private.h"
#include "base/mem.h"

#define LINE_MAX_BYTES ((size_t)1024 * 1024)

/* Lines of one file through one buffer. */
struct reader {
	int fd;
	char *data;
	size_t start, end; /* of what is read and not yet returned */
	bool at_eof;
};

struct verify {
	struct audit_chain chain;
	bool begun; /* a record was seen: there is a chain to go on from */
	uint64_t records;
	const char *file;
	uint64_t line;
	audit_bad_fn *bad;
	void *ctx;
};

enum read_result { READ_LINE, READ_END, READ_TORN, READ_TOO_LONG, READ_FAILED };

static enum read_result refill(struct reader *r)
{
	ssize_t n;

	memmove(r->data, r->data + r->start, r->end - r->start);
	r->end -= r->start;
	r->start = 0;
	if (r->end == LINE_MAX_BYTES)
		return READ_TOO_LONG;
	do
		n = read(r->fd, r->data + r->end, LINE_MAX_BYTES - r->end);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return READ_FAILED;
	r->end += (size_t)n;
	r->at_eof = n == 0;
	return READ_LINE;
}

static enum read_result next_line(struct reader *r, const char **line, size_t *len)
{
	enum read_result result;
	char *newline;

	while (!(newline = memchr(r->data + r->start, '\n', r->end - r->start))) {
		if (r->at_eof)
			return r->start == r->end ? READ_END : READ_TORN;
		result = refill(r);
		if (result != READ_LINE)
			return result;
	}
	*line = r->data + r->start;
	*len = (size_t)(newline - *line);
	r->start += *len + 1;
	return READ_LINE;
}

static int say(const struct verify *v, const char *why)
{
	v->bad(v->ctx, v->file, v->line, why);
	return -1;
}

static const char *string_at(const json_t *root, const char *outer, const char *inner)
{
	return json_string_value(json_object_get(json_object_get(root, outer), inner));
}

/* A checkpoint with audit.previous: what may begin a file that is not the first of all. */
static bool is_start(const json_t *root, uint8_t previous[32])
{
	const char *action = string_at(root, "event", "action"), *hex = string_at(root, "audit", "previous");

	return action && hex && !strcmp(action, "checkpoint") && strlen(hex) == 64 && audit_chain_unhex(previous, hex);
}

/* Before the first record of a file: where must the chain stand? */
static const char *begin_file(struct verify *v, const json_t *root, const char *line, size_t len)
{
	struct audit_chain read;
	uint8_t previous[32];
	bool start = is_start(root, previous);
	size_t hashed;

	if (!audit_chain_read(line, len, &read, &hashed))
		return "not a record of a chained log";
	if (v->begun)
		return start && !memcmp(previous, v->chain.hash, 32)
			   ? NULL
			   : "the file does not begin with a checkpoint that repeats the chain of the file before it";
	v->begun = true;
	if (start) {
		memcpy(v->chain.hash, previous, 32);
		v->chain.seq = read.seq - 1;
	}
	return start || read.seq == 1 ? NULL : "the first file begins neither at sequence 1 nor with a checkpoint";
}

static int check_line(struct verify *v, const char *line, size_t len)
{
	const char *why = NULL;
	json_error_t error;
	json_t *root;

	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(root))
		why = "not a JSON object";
	else if (v->line == 1)
		why = begin_file(v, root, line, len);
	json_decref(root);
	if (!why && !audit_chain_check(&v->chain, line, len, &why))
		v->records++;
	return why ? say(v, why) : 0;
}

static int check_lines(struct verify *v, struct reader *r)
{
	const char *line = NULL;
	enum read_result result;
	size_t len = 0;

	for (;;) {
		result = next_line(r, &line, &len);
		if (result == READ_END)
			return 0;
		v->line++;
		if (result == READ_TORN)
			return say(v, "the last record is not whole: its line has no end");
		if (result == READ_TOO_LONG)
			return say(v, "the line is longer than 1 MiB");
		if (result == READ_FAILED)
			return say(v, strerror(errno));
		if (check_line(v, line, len))
			return -1;
	}
}

static int check_file(struct verify *v, char *buffer)
{
	struct reader r = {.data = buffer};
	int rc;

	v->line = 0;
	r.fd = open(v->file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (r.fd < 0)
		return say(v, strerror(errno));
	rc = check_lines(v, &r);
	(void)close(r.fd);
	return rc;
}

int audit_verify_files(char *const *files, size_t count, uint64_t *records_out, audit_bad_fn *bad, void *ctx)
{
	struct verify v = {.bad = bad, .ctx = ctx};
	char *buffer = mem_alloc(LINE_MAX_BYTES);
	size_t i;
	int rc = 0;

	audit_chain_init(&v.chain);
	for (i = 0; i < count && !rc; i++) {
		v.file = files[i];
		rc = check_file(&v, buffer);
	}
	mem_free(buffer);
	*records_out = v.records;
	return rc;
}

/* SPDX-License-Identifier: MIT */
/*
 * Reading back the end of a log file at start. A process killed in the middle of a write leaves a line without its end:
 * that line was never acknowledged and is cut off. Anything else that we did not write is left alone and refused; a
 * path mistyped in the configuration must not cost somebody a file.
 */
#include "audit/tail_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/chain_private.h"
#include "base/mem.h"

struct tail {
	char *data;
	size_t len;
	off_t start; /* of data in the file */
};

static const char line_start[] = "{\"@timestamp\":\"";

static int read_tail(int fd, struct tail *tail)
{
	struct stat st;
	size_t done = 0;
	ssize_t n;

	if (fstat(fd, &st))
		return -1;
	tail->len = st.st_size < (off_t)AUDIT_TAIL_SIZE ? (size_t)st.st_size : AUDIT_TAIL_SIZE;
	tail->start = st.st_size - (off_t)tail->len;
	tail->data = mem_alloc(tail->len);
	while (done < tail->len) {
		n = pread(fd, tail->data + done, tail->len - done, tail->start + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	tail->len = done;
	return 0;
}

/* Begins as our lines do, as far as it goes. */
static bool looks_ours(const char *line, size_t len)
{
	size_t n = len < sizeof(line_start) - 1 ? len : sizeof(line_start) - 1;

	return !memcmp(line, line_start, n);
}

/* Is there a last whole line (it ends before `whole`), and is it one to go on from? */
static bool last_line_is_ours(const struct tail *tail, size_t whole, bool chained, struct audit_chain *chain)
{
	const char *before = memrchr(tail->data, '\n', whole - 1);
	const char *line = before ? before + 1 : tail->data;
	size_t len = (size_t)(tail->data + whole - 1 - line), hashed;
	struct audit_chain read;

	if (!before && tail->start)
		return false;
	if (len < sizeof(line_start) - 1 || !looks_ours(line, len))
		return false;
	if (!chained)
		return true;
	if (!audit_chain_read(line, len, &read, &hashed))
		return false;
	*chain = read;
	return true;
}

static void remember_lines(struct audit_ids *ids, const struct tail *tail, size_t whole)
{
	const char *line = tail->data, *end = tail->data + whole, *newline;

	/* Where the file is longer than the tail, the first line has lost its beginning. */
	if (tail->start)
		line = (const char *)memchr(line, '\n', whole) + 1;
	for (; line < end; line = newline + 1) {
		newline = memchr(line, '\n', (size_t)(end - line));
		audit_ids_remember(ids, line, (size_t)(newline - line));
	}
}

static int refuse(const char *path, bool chained, struct errbuf *err)
{
	errbuf_set(err,
		   "%s: the file does not end with a record of %s; move it away (a new one is made), or name another "
		   "file in audit.output",
		   path, chained ? "a chained audit log" : "an audit log");
	return -1;
}

static int recover(int fd, const char *path, bool chained, const struct tail *tail, struct audit_chain *chain,
		   struct audit_ids *ids, struct errbuf *err)
{
	const char *last = memrchr(tail->data, '\n', tail->len);
	size_t whole = last ? (size_t)(last - tail->data) + 1 : 0;
	struct audit_chain found = *chain;

	if (!whole && tail->start)
		return refuse(path, chained, err);
	if (whole && !last_line_is_ours(tail, whole, chained, &found))
		return refuse(path, chained, err);
	if (!looks_ours(tail->data + whole, tail->len - whole))
		return refuse(path, chained, err);
	if (whole < tail->len && ftruncate(fd, tail->start + (off_t)whole)) {
		errbuf_set(err, "%s: cannot cut off the unfinished last record: %s", path, strerror(errno));
		return -1;
	}
	if (whole)
		remember_lines(ids, tail, whole);
	*chain = found;
	return 0;
}

int audit_tail_recover(int fd, const char *path, bool chained, struct audit_chain *chain, struct audit_ids *ids,
		       struct errbuf *err)
{
	struct tail tail = {0};
	int rc;

	if (read_tail(fd, &tail)) {
		errbuf_set(err, "%s: cannot read its end: %s", path, strerror(errno));
		rc = -1;
	} else {
		rc = tail.len ? recover(fd, path, chained, &tail, chain, ids, err) : 0;
	}
	mem_free(tail.data);
	return rc;
}

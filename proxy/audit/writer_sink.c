/* SPDX-License-Identifier: MIT */
/*
 * Where the writer's bytes go. A file is opened for appending only, is locked against a second writer (two chains in
 * one file would be none) and is never left with half a batch: what a full disk took of it is cut off again, at the
 * latest before the next write.
 */
#include "audit/writer_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "audit/tail_private.h"

/* How long a reader of a stream may be busy with something else before the log counts as one that cannot be written. */
#define STREAM_WAIT_MS 500

static const char *said_by(const struct audit_writer *w)
{
	return w->path ? w->path : "standard output";
}

static int file_adopt(struct audit_writer *w, int fd, struct errbuf *err)
{
	struct stat st;

	if (fstat(fd, &st)) {
		errbuf_set(err, "%s: %s", w->path, strerror(errno));
		return -1;
	}
	w->regular = S_ISREG(st.st_mode);
	if (!w->regular)
		return 0;
	/* A file system without locks is no reason to go without a log. */
	if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
		errbuf_set(err, "%s: another process is writing this audit log", w->path);
		return -1;
	}
	return audit_tail_recover(fd, w->path, w->chained, &w->chain, w->ids, err);
}

int audit_file_open(struct audit_writer *w, struct errbuf *err)
{
	int fd = open(w->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);

	w->taken_back = -1;
	if (fd < 0) {
		errbuf_set(err, "%s: %s", w->path, strerror(errno));
		return -1;
	}
	if (file_adopt(w, fd, err)) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

bool audit_file_is_current(const struct audit_writer *w)
{
	struct stat named, ours;

	if (stat(w->path, &named) || fstat(w->fd, &ours))
		return false;
	return named.st_dev == ours.st_dev && named.st_ino == ours.st_ino;
}

bool audit_file_is_deleted(const struct audit_writer *w)
{
	struct stat ours;

	return fstat(w->fd, &ours) == 0 && ours.st_nlink == 0;
}

static int take_back(struct audit_writer *w, struct errbuf *err)
{
	struct stat st;

	if (w->taken_back < 0)
		return 0;
	/* Never upwards: somebody may have emptied the file since. */
	if (fstat(w->fd, &st) == 0 && st.st_size <= w->taken_back) {
		w->taken_back = -1;
		return 0;
	}
	if (ftruncate(w->fd, w->taken_back)) {
		errbuf_set(err, "%s: cannot take back an unfinished write: %s", w->path, strerror(errno));
		return -1;
	}
	w->taken_back = -1;
	return 0;
}

int audit_file_ready(struct audit_writer *w, off_t *size_out, struct errbuf *err)
{
	struct stat st;

	if (take_back(w, err))
		return -1;
	if (fstat(w->fd, &st)) {
		errbuf_set(err, "%s: %s", w->path, strerror(errno));
		return -1;
	}
	*size_out = st.st_size;
	return 0;
}

int audit_file_append(struct audit_writer *w, const struct strbuf *out, off_t size, struct errbuf *err)
{
	struct errbuf ignored;
	int saved;
	ssize_t n;

	assert(!out->overflow);
	if (!out->len)
		return 0;
	do
		n = write(w->fd, out->data, out->len);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)out->len)
		return 0;
	saved = n < 0 ? errno : ENOSPC;
	if (n > 0) {
		w->taken_back = size;
		(void)take_back(w, &ignored);
	}
	errbuf_set(err, "%s: %s", w->path, strerror(saved));
	return -1;
}

/* The descriptor may be shared with others, so it stays blocking: a reader that sleeps must not make the keeper, and
 * with it everybody who waits for a record, sleep too. */
static bool stream_takes(const struct audit_writer *w)
{
	struct pollfd wait = {.fd = w->fd, .events = POLLOUT};
	int n;

	do
		n = poll(&wait, 1, STREAM_WAIT_MS);
	while (n < 0 && errno == EINTR);
	return n != 0;
}

int audit_stream_send(struct audit_writer *w, struct errbuf *err)
{
	ssize_t n;

	assert(!w->unsent.overflow);
	while (w->unsent.len) {
		if (!stream_takes(w)) {
			errbuf_set(err, "%s: whoever reads it does not go on", said_by(w));
			return -1;
		}
		/* What a pipe that has room at all takes without waiting. */
		n = write(w->fd, w->unsent.data, w->unsent.len < PIPE_BUF ? w->unsent.len : PIPE_BUF);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errbuf_set(err, "%s: %s", said_by(w), n ? strerror(errno) : "nothing was taken");
			return -1;
		}
		strbuf_drain(&w->unsent, (size_t)n);
	}
	return 0;
}

/* LOG_NDELAY: a sandboxed process could not connect later. */
void audit_sink_syslog_open(void)
{
	openlog("portcullis", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

/*
 * LOG_AUTHPRIV: the records name people and addresses, which is not for everybody's eyes. syslog(3) does not say
 * whether a line arrived, so this output can lose records unseen; a file cannot.
 */
void audit_sink_syslog_lines(const struct strbuf *lines)
{
	const char *line = strbuf_text(lines), *end = line + lines->len, *newline;

	for (; line < end; line = newline + 1) {
		newline = memchr(line, '\n', (size_t)(end - line));
		syslog(LOG_AUTHPRIV | LOG_INFO, "%.*s", (int)(newline - line), line);
	}
}

/* SPDX-License-Identifier: MIT */
/* A directory of its own for each test, and small helpers over files in it. */
#ifndef TEST_AUDIT_FILES_H
#define TEST_AUDIT_FILES_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/writer.h"

static char dir[64], log_path[96], other_path[96];

static inline int files_setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/portcullis-test-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(log_path, sizeof(log_path), "%s/audit.log", dir);
	(void)snprintf(other_path, sizeof(other_path), "%s/audit.log.1", dir);
	return 0;
}

static inline int files_teardown(void **state)
{
	(void)state;
	(void)unlink(log_path);
	(void)unlink(other_path);
	return rmdir(dir);
}

static inline void put_file(const char *path, const char *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	(void)close(fd);
}

/* The whole file, NUL-terminated, in a static buffer. */
static inline char *get_file(const char *path, size_t *len_out)
{
	static char data[4 * 1024 * 1024];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t n;

	assert_true(fd >= 0);
	while ((n = read(fd, data + done, sizeof(data) - 1 - done)) > 0)
		done += (size_t)n;
	(void)close(fd);
	data[done] = '\0';
	if (len_out)
		*len_out = done;
	return data;
}

static inline off_t file_size(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static inline struct audit_writer *open_log(bool chain, struct errbuf *err)
{
	struct config_audit config = {.output = AUDIT_FILE, .file_path = log_path, .chain = chain};

	return audit_writer_open(&config, 1, err);
}

static inline struct audit_writer *must_open(bool chain)
{
	struct errbuf err = {""};
	struct audit_writer *w = open_log(chain, &err);

	if (!w)
		fail_msg("%s", err.text);
	return w;
}

/* A record with that id, as the record module would begin it. */
static inline bool add(struct audit_writer *w, const char *id)
{
	char json[256];

	(void)snprintf(json, sizeof(json),
		       "{\"@timestamp\":\"t\",\"event\":{\"kind\":\"event\",\"id\":\"%s\",\"action\":\"x\"},\"n\":1}",
		       id);
	return audit_writer_add(w, json, strlen(json));
}

static inline void must_flush(struct audit_writer *w)
{
	struct errbuf err = {""};

	if (audit_writer_flush(w, &err))
		fail_msg("%s", err.text);
	assert_int_equal(audit_writer_pending(w), 0);
}

struct bad {
	unsigned calls;
	char file[96], why[128];
	uint64_t line;
};

static inline void note_bad(void *ctx, const char *file, uint64_t line, const char *why)
{
	struct bad *bad = ctx;

	bad->calls++;
	bad->line = line;
	(void)snprintf(bad->file, sizeof(bad->file), "%s", file);
	(void)snprintf(bad->why, sizeof(bad->why), "%s", why);
}

/* Verifies one or two files; fails unless all is well with that many records. */
static inline void must_verify(char *first, char *second, uint64_t want)
{
	char *files[] = {first, second};
	struct bad bad = {0};
	uint64_t records = 0;

	if (audit_verify_files(files, second ? 2 : 1, &records, note_bad, &bad))
		fail_msg("%s:%u: %s", bad.file, (unsigned)bad.line, bad.why);
	assert_int_equal(records, want);
	assert_int_equal(bad.calls, 0);
}

#endif

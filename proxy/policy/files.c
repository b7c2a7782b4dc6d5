/* SPDX-License-Identifier: MIT */
/*
 * Files straight from the disk. Only regular files, only up to a fixed size: a path in a configuration must not make
 * the master wait for a FIFO, take a terminal or read a device until memory ends. What was read of a secret file is
 * wiped when it cannot be handed over.
 */
#include "policy/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define FILE_MAX (1024 * 1024)

static int check_regular(int fd, struct errbuf *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0) {
		errbuf_set(err, "%s", strerror(errno));
		return -1;
	}
	if (S_ISDIR(st.st_mode)) {
		errbuf_set(err, "%s", strerror(EISDIR));
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		errbuf_set(err, "not a regular file");
		return -1;
	}
	return 0;
}

/* Bytes read, at most FILE_MAX + 1 (which tells that there is more), or -1. The size from fstat is not trusted: the
 * file may grow meanwhile. */
static ssize_t read_all(int fd, char *data, struct errbuf *err)
{
	size_t len = 0;
	while (len <= FILE_MAX) {
		ssize_t n = read(fd, data + len, FILE_MAX + 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			errbuf_set(err, "%s", strerror(errno));
			return -1;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static char *read_open(int fd, size_t *len_out, struct errbuf *err)
{
	if (check_regular(fd, err) != 0)
		return NULL;
	char *data = mem_alloc(FILE_MAX + 1);
	ssize_t len = read_all(fd, data, err);
	if (len > FILE_MAX)
		errbuf_set(err, "larger than %d bytes", FILE_MAX);
	char *result = NULL;
	if (len >= 0 && len <= FILE_MAX) {
		result = mem_alloc((size_t)len + 1);
		memcpy(result, data, (size_t)len);
		result[len] = '\0';
		*len_out = (size_t)len;
	}
	if (len > 0)
		mem_wipe(data, (size_t)len);
	mem_free(data);
	return result;
}

static char *disk_read(void *ctx, const char *path, int secret, size_t *len_out, struct errbuf *err)
{
	(void)ctx;
	(void)secret;
	/* O_NONBLOCK: opening a FIFO must not wait for its writer; it has no effect on regular files. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		errbuf_set(err, "%s", strerror(errno));
		return NULL;
	}
	char *data = read_open(fd, len_out, err);
	close(fd);
	return data;
}

struct file_source file_source_disk(void)
{
	return (struct file_source){.read = disk_read};
}

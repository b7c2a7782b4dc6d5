/* SPDX-License-Identifier: MIT */
/*
 * Where the loader gets files from: the master reads the disk and keeps what it read in the bundle, a worker reads the
 * bundle and never opens a file.
 */
#ifndef PROXY_POLICY_FILES_H
#define PROXY_POLICY_FILES_H

#include <stddef.h>

#include "base/errbuf.h"

struct file_source {
	/*
	 * Content of the file of that path, allocated with mem_alloc and NUL-terminated behind *len_out bytes; NULL
	 * with the reason in err ("No such file or directory"). secret: the caller says the file holds a private key.
	 */
	char *(*read)(void *ctx, const char *path, int secret, size_t *len_out, struct errbuf *err);
	void *ctx;
};

/* Straight from the disk; at most 1 MiB a file. */
struct file_source file_source_disk(void);

#endif

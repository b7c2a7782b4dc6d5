/* SPDX-License-Identifier: MIT */
/* A file_source over a table in memory, for the tests of this room: nothing they load is on the disk. */
#ifndef TEST_UNIT_POLICY_MEMORY_SOURCE_H
#define TEST_UNIT_POLICY_MEMORY_SOURCE_H

#include <string.h>

#include "base/mem.h"
#include "policy/files.h"

struct memory_file {
	const char *path; /* NULL ends the table */
	const char *data;
	size_t len;
	int secret; /* what the loader said of it */
};

static inline char *memory_source_read(void *ctx, const char *path, int secret, size_t *len_out, struct errbuf *err)
{
	for (struct memory_file *file = ctx; file->path != NULL; file++) {
		if (strcmp(file->path, path) != 0)
			continue;
		file->secret = secret;
		*len_out = file->len;
		char *copy = mem_alloc(file->len + 1);
		memcpy(copy, file->data, file->len);
		copy[file->len] = '\0';
		return copy;
	}
	errbuf_set(err, "No such file or directory");
	return NULL;
}

#endif

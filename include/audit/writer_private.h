/* SPDX-License-Identifier: MIT */
/* The writer's state, and the sinks of writer_sink.c that move its bytes. */
#ifndef PROXY_AUDIT_WRITER_PRIVATE_H
#define PROXY_AUDIT_WRITER_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "audit/chain.h"
#include "audit/ids_private.h"
#include "audit/writer.h"
#include "base/strbuf.h"

struct audit_writer {
	int output; /* enum audit_output */
	bool chained;
	char *path; /* for AUDIT_FILE */
	int fd;
	bool regular;             /* a file proper: can be read back and cut */
	off_t taken_back;         /* where a torn write began that could not be taken back yet; -1: none */
	struct audit_chain chain; /* of the last line in the log; without a chain only seq counts */
	struct audit_ids *ids;
	struct strbuf batch; /* bodies, a newline behind each */
	size_t pending;      /* records in batch */
	/* Streams: the lines of the first unsent_records of the batch, from the first byte not yet sent. */
	struct strbuf unsent;
	size_t unsent_batch, unsent_records;
	struct audit_chain unsent_chain;
};

/* Opens w->path, sets w->regular and, from an existing file's end, w->chain and w->ids. The descriptor, or -1. */
int audit_file_open(struct audit_writer *w, struct errbuf *err);
/* Does the path still name the open file? */
bool audit_file_is_current(const struct audit_writer *w);
/* Has the open file lost its last name? */
bool audit_file_is_deleted(const struct audit_writer *w);
/* Takes back what an earlier write left torn, and tells the file's size. */
int audit_file_ready(struct audit_writer *w, off_t *size_out, struct errbuf *err);
/* One write of all of out, or the file as it was before, `size` bytes long. */
int audit_file_append(struct audit_writer *w, const struct strbuf *out, off_t size, struct errbuf *err);
/* Sends w->unsent; -1 while some of it is left. */
int audit_stream_send(struct audit_writer *w, struct errbuf *err);
void audit_sink_syslog_open(void);
void audit_sink_syslog_lines(const struct strbuf *lines);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The single writer of the audit log: file with chain, stdout, syslog, journald. Whole lines or nothing: a write that
 * stops half way (full disk) is taken back, and the same records are tried again. Opening a file finds where its chain
 * ended and which records it holds, cuts off a last line that is not whole, and refuses a file whose end is not ours.
 */
#ifndef PROXY_AUDIT_WRITER_H
#define PROXY_AUDIT_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/chain.h"
#include "base/errbuf.h"
#include "policy/config.h"

struct audit_writer;

/* NULL with err set (naming the path) when the log cannot be opened. fd_stdout: where `stdout` output goes (normally
 * 1). */
struct audit_writer *audit_writer_open(const struct config_audit *config, int fd_stdout, struct errbuf *err);
void audit_writer_free(struct audit_writer **w);

/*
 * Appends records to the batch (`{…}` each); nothing is written before flush. Returns false when the record's event.id
 * is already in the log (a worker sent it again after a crash of the keeper), or when it is not one object on one line
 * (only a worker that was taken over sends that): it counts as written.
 */
bool audit_writer_add(struct audit_writer *w, const char *json, size_t len);
/*
 * Writes the batch with one write(2). 0: all of it is in the log. -1: none of it is (err says why); the batch is kept
 * and the next flush tries again.
 */
int audit_writer_flush(struct audit_writer *w, struct errbuf *err);
size_t audit_writer_pending(const struct audit_writer *w); /* records in the batch */
/* The batch holds 256 KiB: flush before adding more, and while flush fails take no more from the workers. */
bool audit_writer_full(const struct audit_writer *w);
uint64_t audit_writer_seq(const struct audit_writer *w);

/*
 * Where the chain stands, and where an earlier writer of the same run left it: a file that is empty now (it was moved
 * away, and the keeper died before it was told) then goes on from there instead of beginning anew.
 */
const struct audit_chain *audit_writer_chain(const struct audit_writer *w);
void audit_writer_resume(struct audit_writer *w, const struct audit_chain *chain);
/* Nobody can read the open file any more: it has no name. flush then fails until reopen. */
bool audit_writer_deleted(const struct audit_writer *w);

/* Log rotation: closes and opens the path again; the chain goes on, and a new file begins with a `checkpoint`. */
int audit_writer_reopen(struct audit_writer *w, struct errbuf *err);

/* `portcullis audit verify`: reads files in order as one chain. Calls bad for the first bad record; returns 0 if all is
 * well, else -1. */
typedef void audit_bad_fn(void *ctx, const char *file, uint64_t line, const char *why);
int audit_verify_files(char *const *files, size_t count, uint64_t *records_out, audit_bad_fn *bad, void *ctx);

#endif

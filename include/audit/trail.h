/* SPDX-License-Identifier: MIT */
/* Where a session hands its records. That a keeper in another process stands behind it only `daemon` knows. */
#ifndef PROXY_AUDIT_TRAIL_H
#define PROXY_AUDIT_TRAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/record.h"

/* The record is in the log (ok), or was given up because audit.on-failure is `continue` (not ok). */
typedef void audit_done_fn(void *ctx, bool ok);

struct audit_trail {
	/*
	 * Takes the record (sets its time and id, copies everything). done (may be NULL) is called later, never from
	 * inside submit. Returns a ticket for forget, never 0.
	 */
	uint64_t (*submit)(void *ctx, struct audit_record *record, audit_done_fn *done, void *done_ctx);
	/* The caller of that submit goes away: its done will not be called; the record is kept all the same. */
	void (*forget)(void *ctx, uint64_t ticket);
	/* Can records be written now? false: with on-failure `refuse` no new stream may be taken. */
	bool (*available)(void *ctx);
	void *ctx;
};

#endif

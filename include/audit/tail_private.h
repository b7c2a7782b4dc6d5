/* SPDX-License-Identifier: MIT */
/* What the end of an existing log file says: where to go on, and what is there already. */
#ifndef PROXY_AUDIT_TAIL_PRIVATE_H
#define PROXY_AUDIT_TAIL_PRIVATE_H

#include <stdbool.h>

#include "audit/chain.h"
#include "audit/ids_private.h"
#include "base/errbuf.h"

/* How much is read: several batches of the writer, whatever they hold. */
#define AUDIT_TAIL_SIZE ((size_t)1024 * 1024)

/*
 * Reads the end of the file, cuts off a last line that is not whole, sets *chain from the last whole one (chained
 * files; untouched by an empty file) and adds the ids found. -1, with nothing cut, when the end is not ours.
 */
int audit_tail_recover(int fd, const char *path, bool chained, struct audit_chain *chain, struct audit_ids *ids,
		       struct errbuf *err);

#endif

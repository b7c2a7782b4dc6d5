/* SPDX-License-Identifier: MIT */
/* What a process of ours may do: its account, its descriptors, its limits. */
#ifndef PROXY_DAEMON_PRIVILEGES_H
#define PROXY_DAEMON_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/errbuf.h"
#include "policy/config.h"

struct account {
	bool change; /* started as root: uid and gid are to be taken */
	uid_t uid;
	gid_t gid;
};

/* The account workers and keeper run under. -1 with err set (with the remedy) if `user` does not exist. */
int account_find(const struct config *config, struct account *out, struct errbuf *err);

/* Takes the account for good, no new privileges, no core dump, not to be traced. */
int privileges_drop(const struct account *account, struct errbuf *err);
/* The kernel kills this process with its parent. After privileges_drop: a change of account forgets the wish. false:
 * the parent is gone already. */
bool privileges_die_with(pid_t parent);

/* Raises the limit of open descriptors as far as the kernel lets this process; returns it. */
uint64_t descriptors_raise(void);
/* Closes every descriptor above 2 that is not in keep (sorts keep; -1 entries are skipped). */
void descriptors_keep_only(int *keep, size_t count);

#endif

/* SPDX-License-Identifier: MIT */
/* The master's event loop: who waits for what is said anew each turn, so that nothing is ever registered stale. */
#ifndef PROXY_DAEMON_POLLSET_H
#define PROXY_DAEMON_POLLSET_H

#include <stddef.h>

/* revents: as poll(2) says. May close its own descriptor and free its own ctx, nobody else's. */
typedef void pollset_fn(void *ctx, short revents);

struct pollset {
	struct pollfd *fds;
	struct pollset_entry *entries;
	size_t count, size;
};

void pollset_fini(struct pollset *set);
void pollset_clear(struct pollset *set);
/* fd -1 is left out. */
void pollset_add(struct pollset *set, int fd, short events, pollset_fn *fn, void *ctx);
/* Waits at most timeout_ms (-1: for ever) and calls those that have something. */
void pollset_run(struct pollset *set, int timeout_ms);

#endif

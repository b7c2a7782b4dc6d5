/* SPDX-License-Identifier: MIT */
/*
 * A list of descriptors with their handlers around one poll(2). The master has few descriptors and few events, and
 * forks: a library's event base would be shared with its children.
 */
#include "daemon/pollset.h"

#include <poll.h>

#include "base/mem.h"

struct pollset_entry {
	pollset_fn *fn;
	void *ctx;
};

void pollset_fini(struct pollset *set)
{
	mem_free(set->fds);
	mem_free(set->entries);
	*set = (struct pollset){.fds = NULL};
}

void pollset_clear(struct pollset *set)
{
	set->count = 0;
}

void pollset_add(struct pollset *set, int fd, short events, pollset_fn *fn, void *ctx)
{
	if (fd < 0)
		return;
	if (set->count == set->size) {
		set->size = set->size ? set->size * 2 : 16;
		set->fds = mem_realloc(set->fds, set->size * sizeof(*set->fds));
		set->entries = mem_realloc(set->entries, set->size * sizeof(*set->entries));
	}
	set->fds[set->count] = (struct pollfd){.fd = fd, .events = events};
	set->entries[set->count] = (struct pollset_entry){.fn = fn, .ctx = ctx};
	set->count++;
}

void pollset_run(struct pollset *set, int timeout_ms)
{
	if (poll(set->fds, set->count, timeout_ms) <= 0)
		return;
	for (size_t i = 0; i < set->count; i++)
		if (set->fds[i].revents)
			set->entries[i].fn(set->entries[i].ctx, set->fds[i].revents);
}

/* SPDX-License-Identifier: MIT */
/*
 * Connecting to the first of many addresses that answers (RFC 8305 section 5): within a group (one SRV target) the next
 * attempt starts 250 ms after the one before, or as soon as it failed; the next group starts once the group has failed,
 * or 2 s after its last attempt began. Every candidate is tried before the race is lost; one that is won can go on
 * with those that are left, for what was won may prove useless.
 */
#ifndef PROXY_NET_RACE_H
#define PROXY_NET_RACE_H

#include <stddef.h>
#include <stdint.h>

#include "net/resolver.h"

struct event_base;
struct race;

/*
 * fd >= 0: connected, non-blocking, close-on-exec, TCP_NODELAY and keepalive set, the callee's; index: which candidate.
 * The other attempts under way were given up and count as not tried yet. fd -1: nobody is left; why: the last failure
 * in plain words. Never called from inside race_new or race_go_on; race_free may be called from inside it.
 */
typedef void race_done_fn(void *ctx, int fd, size_t index, const char *why);

/* candidates are copied. attempt_ms: how long one attempt may take (timeouts.connect). Starts at once. */
struct race *race_new(struct event_base *base, const struct candidate *candidates, size_t count, uint64_t attempt_ms,
		      race_done_fn *done, void *ctx);
/* After a win: on to the candidates not tried yet, in their order. done is called again (also with fd -1). */
void race_go_on(struct race *race);
/* How many candidates there are that were not tried in full. */
size_t race_left(const struct race *race);
const struct candidate *race_candidate(const struct race *race, size_t index);
void race_free(struct race **race);

#endif

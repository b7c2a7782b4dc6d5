/* SPDX-License-Identifier: MIT */
/* The connection table and our own addresses in the shared mapping, between shared.c, shared_table.c and shared_own.c
 * only. */
#ifndef PROXY_BASE_SHARED_PRIVATE_H
#define PROXY_BASE_SHARED_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/shared.h"

struct shared_table;

size_t shared_table_size(unsigned workers, uint32_t connections_max);
/* The memory is zero. */
void shared_table_init(struct shared_table *t, unsigned workers, uint32_t connections_max, uint32_t per_address_max);
enum shared_admit shared_table_admit(struct shared_table *t, unsigned worker, const struct addr_key *key);
enum shared_admit shared_table_admit_uncounted(struct shared_table *t, unsigned worker, const struct addr_key *key);
enum shared_admit shared_table_move(struct shared_table *t, unsigned worker, const struct addr_key *from,
				    const struct addr_key *to);
void shared_table_release(struct shared_table *t, unsigned worker, const struct addr_key *key);
/* connections_max: at most what it was made for. */
void shared_table_set_limits(struct shared_table *t, uint32_t connections_max, uint32_t per_address_max);
void shared_table_reap(struct shared_table *t, unsigned worker);

struct shared_own;

size_t shared_own_size(unsigned workers);
/* The memory is zero. */
void shared_own_init(struct shared_own *own, unsigned workers);
void shared_own_put(struct shared_own *own, unsigned worker, const struct shared_ends *ends);
void shared_own_drop(struct shared_own *own, unsigned worker, const struct shared_ends *ends);
bool shared_own_holds(struct shared_own *own, const struct shared_ends *ends);
void shared_own_reap(struct shared_own *own, unsigned worker);

#endif

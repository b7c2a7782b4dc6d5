/* SPDX-License-Identifier: MIT */
/*
 * The mapping that master, keeper and workers share: construction, sums, and the limits on connections, which hold over
 * all workers together. The connection table itself is shared_table.c's, the table of ids shared_ids.c's; they lie in
 * the same mapping, behind this struct. Invariant: a slot is written by its worker alone, so its counters need no lock.
 */
#include "base/shared.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/shared_ids.h"
#include "base/shared_private.h"

static const char *const counter_names[] = {
    [COUNTER_ACCEPTED] = "accepted",
    [COUNTER_CLOSED] = "closed",
    [COUNTER_ESTABLISHED] = "established",
    [COUNTER_HANDSHAKES] = "handshakes",
    [COUNTER_RESUMED] = "handshakes_resumed",
    [COUNTER_HANDSHAKES_FAILED] = "handshakes_failed",
    [COUNTER_AUTHENTICATED] = "authenticated",
    [COUNTER_MECHANISMS_REFUSED] = "mechanisms_refused",
    [COUNTER_BYTES_IN] = "bytes_in",
    [COUNTER_BYTES_OUT] = "bytes_out",
    [COUNTER_WOULD_REFUSE] = "would_refuse",
    [COUNTER_ACCEPT_ERRORS] = "accept_errors",
    [COUNTER_AUDIT_RECORDS] = "audit_records",
    [COUNTER_AUDIT_LOST] = "audit_lost",
    [COUNTER_OBSERVATIONS_LOST] = "observations_lost",
};
_Static_assert(sizeof(counter_names) / sizeof(counter_names[0]) == COUNTER_COUNT, "counter without a name");

const char *shared_counter_name(enum shared_counter counter)
{
	return counter < COUNTER_COUNT ? counter_names[counter] : "unknown";
}

/* Both tables begin at a page of their own, so that no counter shares a cache line with a lock. */
static size_t whole_pages(size_t size)
{
	return (size + 4095) & ~(size_t)4095;
}

static size_t ids_offset(void)
{
	return whole_pages(sizeof(struct shared));
}

static size_t own_offset(void)
{
	return ids_offset() + whole_pages(shared_ids_size());
}

static size_t table_offset(unsigned workers)
{
	return own_offset() + whole_pages(shared_own_size(workers));
}

static struct shared_own *own_of(struct shared *shared)
{
	return (struct shared_own *)(void *)((char *)shared + own_offset());
}

static struct shared_table *table_of(struct shared *shared)
{
	return (struct shared_table *)(void *)((char *)shared + table_offset(shared->workers));
}

struct shared *shared_new(unsigned workers, uint32_t connections_max, uint32_t per_address_max)
{
	size_t size = table_offset(workers) + shared_table_size(workers, connections_max);
	struct shared *shared;

	assert(workers >= 1 && workers <= SHARED_WORKERS_MAX);
	/* Not reserved: a row of counts per worker is large, and hardly any of its pages is ever touched. */
	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (shared == MAP_FAILED) {
		log_error("out of memory: %zu bytes to share between processes", size);
		abort();
	}
	shared->workers = workers;
	shared->connections_max = connections_max;
	shared->ids = (struct shared_ids *)(void *)((char *)shared + ids_offset());
	shared_ids_init(shared->ids);
	shared_own_init(own_of(shared), workers);
	shared_table_init(table_of(shared), workers, connections_max, per_address_max);
	return shared;
}

void shared_free(struct shared **shared)
{
	if (!*shared)
		return;
	(void)munmap(*shared, table_offset((*shared)->workers) +
				  shared_table_size((*shared)->workers, (*shared)->connections_max));
	*shared = NULL;
}

enum shared_admit shared_admit(struct shared *shared, unsigned worker, const struct addr_key *key)
{
	assert(worker < shared->workers);
	return shared_table_admit(table_of(shared), worker, key);
}

enum shared_admit shared_admit_uncounted(struct shared *shared, unsigned worker, const struct addr_key *key)
{
	assert(worker < shared->workers);
	return shared_table_admit_uncounted(table_of(shared), worker, key);
}

enum shared_admit shared_move(struct shared *shared, unsigned worker, const struct addr_key *from,
			      const struct addr_key *to)
{
	assert(worker < shared->workers);
	return shared_table_move(table_of(shared), worker, from, to);
}

void shared_release(struct shared *shared, unsigned worker, const struct addr_key *key)
{
	assert(worker < shared->workers);
	shared_table_release(table_of(shared), worker, key);
}

void shared_reap(struct shared *shared, unsigned worker)
{
	struct shared_slot *slot = &shared->slot[worker];
	unsigned role;

	assert(worker < shared->workers);
	shared_table_reap(table_of(shared), worker);
	shared_own_reap(own_of(shared), worker);
	for (role = 0; role < SHARED_ROLES; role++)
		atomic_store_explicit(&slot->open[role], 0, memory_order_relaxed);
	atomic_store_explicit(&slot->pid, 0, memory_order_release);
}

void shared_note_own(struct shared *shared, unsigned worker, const struct shared_ends *ends)
{
	assert(worker < shared->workers);
	shared_own_put(own_of(shared), worker, ends);
}

void shared_forget_own(struct shared *shared, unsigned worker, const struct shared_ends *ends)
{
	assert(worker < shared->workers);
	shared_own_drop(own_of(shared), worker, ends);
}

bool shared_is_own(struct shared *shared, const struct shared_ends *ends)
{
	return shared_own_holds(own_of(shared), ends);
}

bool shared_set_limits(struct shared *shared, uint32_t connections_max, uint32_t per_address_max)
{
	if (connections_max > shared->connections_max)
		return false;
	shared_table_set_limits(table_of(shared), connections_max, per_address_max);
	return true;
}

uint64_t shared_total(const struct shared *shared, enum shared_counter counter)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < shared->workers; i++)
		sum += atomic_load_explicit(&shared->slot[i].counter[counter], memory_order_relaxed);
	return sum;
}

uint64_t shared_total_reason(const struct shared *shared, unsigned reason)
{
	uint64_t sum = 0;
	unsigned i;

	assert(reason < SHARED_REASONS_MAX);
	for (i = 0; i < shared->workers; i++)
		sum += atomic_load_explicit(&shared->slot[i].reason[reason], memory_order_relaxed);
	return sum;
}

int64_t shared_total_open(const struct shared *shared, unsigned role)
{
	int64_t sum = 0;
	unsigned i;

	assert(role < SHARED_ROLES);
	for (i = 0; i < shared->workers; i++)
		sum += atomic_load_explicit(&shared->slot[i].open[role], memory_order_relaxed);
	return sum;
}

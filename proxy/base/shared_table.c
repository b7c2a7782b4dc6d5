/* SPDX-License-Identifier: MIT */
/*
 * Who is connected how often, over all workers. Entries have fixed places (their keys and, for each worker, a row of
 * counts); an open-addressed index finds them by a keyed hash, and deletion shifts back, so it never fills with graves.
 *
 * The rows are the truth: one store to a row admits or releases a connection, everything else can be counted again from
 * them. A worker killed with the lock in its hand therefore costs a rebuild and never a wrong count, and its row says
 * exactly what is to be given back.
 */
#include "base/shared_private.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/siphash.h"

#define NO_ENTRY UINT32_MAX

struct entry {
	struct addr_key key;
	uint32_t total;
	uint32_t next_free; /* where total is 0: the next entry to use */
};

struct shared_table {
	pthread_mutex_t lock;
	struct siphash_key hash_key;
	unsigned workers;
	uint32_t max;                    /* entries */
	uint32_t limit, per_address_max; /* in force now; limit <= max */
	uint32_t mask;                   /* of the index */
	uint32_t total;                  /* connections */
	uint32_t touched;                /* entries ever used: those behind are all zero */
	uint32_t free_head;
	_Alignas(16) unsigned char memory[]; /* entries, index, rows */
};

static uint32_t index_size(uint32_t connections_max)
{
	uint32_t size = 2;

	while (size / 2 < connections_max)
		size *= 2;
	return size;
}

size_t shared_table_size(unsigned workers, uint32_t connections_max)
{
	assert(connections_max < UINT32_MAX / 4);
	return sizeof(struct shared_table) + connections_max * sizeof(struct entry) +
	       index_size(connections_max) * sizeof(uint32_t) + (size_t)workers * connections_max * sizeof(uint32_t);
}

static struct entry *entries(struct shared_table *t)
{
	return (struct entry *)(void *)t->memory;
}

/* A place holds the entry's number plus one; 0 is empty. */
static uint32_t *index_of(struct shared_table *t)
{
	return (uint32_t *)(void *)(entries(t) + t->max);
}

static _Atomic uint32_t *row(struct shared_table *t, unsigned worker)
{
	uint32_t *rows = index_of(t) + t->mask + 1;

	return (_Atomic uint32_t *)(void *)(rows + (size_t)worker * t->max);
}

void shared_table_init(struct shared_table *t, unsigned workers, uint32_t connections_max, uint32_t per_address_max)
{
	pthread_mutexattr_t attr;

	t->workers = workers;
	t->max = t->limit = connections_max;
	t->per_address_max = per_address_max;
	t->mask = index_size(connections_max) - 1;
	t->free_head = NO_ENTRY;
	siphash_key_random(&t->hash_key);
	if (pthread_mutexattr_init(&attr) || pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) ||
	    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) || pthread_mutex_init(&t->lock, &attr)) {
		log_error("no lock can be shared between processes");
		abort();
	}
	(void)pthread_mutexattr_destroy(&attr);
}

static uint32_t home(const struct shared_table *t, const struct addr_key *key)
{
	return (uint32_t)siphash13(&t->hash_key, key, sizeof(*key)) & t->mask;
}

/* The place of key, or the empty one where it would go. Half of the index is always empty, so this ends. */
static uint32_t find_place(struct shared_table *t, const struct addr_key *key)
{
	const uint32_t *index = index_of(t);
	uint32_t place = home(t, key);

	while (index[place] && memcmp(&entries(t)[index[place] - 1].key, key, sizeof(*key)) != 0)
		place = (place + 1) & t->mask;
	return place;
}

/* Empties a place and moves up whoever stood behind it only because of it. */
static void remove_place(struct shared_table *t, uint32_t hole)
{
	uint32_t *index = index_of(t);
	uint32_t next, want;

	for (next = (hole + 1) & t->mask; index[next]; next = (next + 1) & t->mask) {
		want = home(t, &entries(t)[index[next] - 1].key);
		if (((next - want) & t->mask) < ((next - hole) & t->mask))
			continue;
		index[hole] = index[next];
		hole = next;
	}
	index[hole] = 0;
}

static void free_entry(struct shared_table *t, uint32_t id)
{
	entries(t)[id].total = 0;
	entries(t)[id].next_free = t->free_head;
	t->free_head = id;
}

static uint32_t take_entry(struct shared_table *t)
{
	uint32_t id = t->free_head;

	if (id == NO_ENTRY) {
		assert(t->touched < t->max);
		return t->touched++;
	}
	t->free_head = entries(t)[id].next_free;
	return id;
}

static uint32_t rows_total(struct shared_table *t, uint32_t id)
{
	uint32_t sum = 0;
	unsigned w;

	for (w = 0; w < t->workers; w++)
		sum += atomic_load_explicit(&row(t, w)[id], memory_order_acquire);
	return sum;
}

/* After the death of the lock's owner: everything but keys and rows is made anew. */
static void rebuild(struct shared_table *t)
{
	uint32_t id, sum;

	memset(index_of(t), 0, ((size_t)t->mask + 1) * sizeof(uint32_t));
	t->free_head = NO_ENTRY;
	t->total = 0;
	for (id = 0; id < t->touched; id++) {
		sum = rows_total(t, id);
		if (!sum) {
			free_entry(t, id);
			continue;
		}
		entries(t)[id].total = sum;
		t->total += sum;
		index_of(t)[find_place(t, &entries(t)[id].key)] = id + 1;
	}
}

static void table_lock(struct shared_table *t)
{
	int rc = pthread_mutex_lock(&t->lock);

	if (rc == EOWNERDEAD) {
		rebuild(t);
		rc = pthread_mutex_consistent(&t->lock);
	}
	if (rc) {
		log_error("the connection table cannot be locked: %s", strerror(rc));
		abort();
	}
}

static void table_unlock(struct shared_table *t)
{
	if (pthread_mutex_unlock(&t->lock))
		abort();
}

/* What follows a row's change by -n: the sums, and the entry's end when nobody is left. */
static void subtract(struct shared_table *t, uint32_t id, uint32_t n)
{
	struct entry *e = &entries(t)[id];

	t->total -= n;
	e->total -= n;
	if (e->total)
		return;
	remove_place(t, find_place(t, &e->key));
	free_entry(t, id);
}

static enum shared_admit admit(struct shared_table *t, unsigned worker, const struct addr_key *key, uint32_t most)
{
	uint32_t place, id;

	if (t->total >= t->limit)
		return SHARED_REFUSE_TOTAL;
	place = find_place(t, key);
	id = index_of(t)[place] ? index_of(t)[place] - 1 : NO_ENTRY;
	if ((id == NO_ENTRY ? 0 : entries(t)[id].total) >= most)
		return SHARED_REFUSE_ADDRESS;
	if (id == NO_ENTRY) {
		id = take_entry(t);
		entries(t)[id].key = *key;
		entries(t)[id].total = 0;
		index_of(t)[place] = id + 1;
	}
	/* The commit: ordered behind the key, so that a rebuild finds both or neither. */
	atomic_fetch_add_explicit(&row(t, worker)[id], 1, memory_order_acq_rel);
	entries(t)[id].total++;
	t->total++;
	return SHARED_ADMIT;
}

static void release(struct shared_table *t, unsigned worker, const struct addr_key *key)
{
	uint32_t id = index_of(t)[find_place(t, key)];

	/* What was never admitted must not take away somebody else's count. */
	assert(id && row(t, worker)[id - 1]);
	atomic_fetch_sub_explicit(&row(t, worker)[id - 1], 1, memory_order_acq_rel);
	subtract(t, id - 1, 1);
}

enum shared_admit shared_table_admit(struct shared_table *t, unsigned worker, const struct addr_key *key)
{
	enum shared_admit result;

	table_lock(t);
	result = admit(t, worker, key, t->per_address_max);
	table_unlock(t);
	return result;
}

enum shared_admit shared_table_admit_uncounted(struct shared_table *t, unsigned worker, const struct addr_key *key)
{
	enum shared_admit result;

	table_lock(t);
	result = admit(t, worker, key, UINT32_MAX);
	table_unlock(t);
	return result;
}

void shared_table_release(struct shared_table *t, unsigned worker, const struct addr_key *key)
{
	table_lock(t);
	release(t, worker, key);
	table_unlock(t);
}

static uint32_t count_of(struct shared_table *t, const struct addr_key *key)
{
	uint32_t number = index_of(t)[find_place(t, key)];

	return number ? entries(t)[number - 1].total : 0;
}

enum shared_admit shared_table_move(struct shared_table *t, unsigned worker, const struct addr_key *from,
				    const struct addr_key *to)
{
	enum shared_admit result = SHARED_REFUSE_ADDRESS;

	table_lock(t);
	if (count_of(t, to) < t->per_address_max) {
		/* Whoever gives a place back finds one: this cannot fail half-way. */
		release(t, worker, from);
		result = admit(t, worker, to, UINT32_MAX);
	}
	table_unlock(t);
	return result;
}

void shared_table_set_limits(struct shared_table *t, uint32_t connections_max, uint32_t per_address_max)
{
	assert(connections_max <= t->max);
	table_lock(t);
	t->limit = connections_max;
	t->per_address_max = per_address_max;
	table_unlock(t);
}

void shared_table_reap(struct shared_table *t, unsigned worker)
{
	_Atomic uint32_t *counts = row(t, worker);
	uint32_t id, n;

	table_lock(t);
	for (id = 0; id < t->touched; id++) {
		n = atomic_load_explicit(&counts[id], memory_order_acquire);
		if (!n)
			continue;
		atomic_store_explicit(&counts[id], 0, memory_order_release);
		subtract(t, id, n);
	}
	table_unlock(t);
}

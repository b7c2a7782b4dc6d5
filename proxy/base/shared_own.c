/* SPDX-License-Identifier: MIT */
/*
 * The connections that the workers have opened, by their two ends, so that any of them knows a connection that comes
 * back to itself (a packet filter that redirects us, too). A row of places for each worker, written by it alone, read
 * by all: no lock. A connection is a keyed hash of 64 bits. Where a row has no place left near by it is not noted, and
 * such a loop ends by the limits of connections instead.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/shared_private.h"
#include "base/siphash.h"

#define PLACES 8192u /* of a worker */
#define PROBES 16u

struct shared_own {
	struct siphash_key key;
	unsigned workers;
	_Atomic uint64_t place[]; /* [worker * PLACES + …]; 0: free */
};

size_t shared_own_size(unsigned workers)
{
	return sizeof(struct shared_own) + (size_t)workers * PLACES * sizeof(uint64_t);
}

void shared_own_init(struct shared_own *own, unsigned workers)
{
	siphash_key_random(&own->key);
	own->workers = workers;
}

struct end {
	uint8_t host[16];
	uint16_t port;
};

/* 0: not both of them are addresses of a network. */
static uint64_t hash_of(const struct shared_own *own, const struct shared_ends *ends)
{
	struct end key[2];

	memset(key, 0, sizeof(key));
	if (!addr_bytes(&ends->own, key[0].host) || !addr_bytes(&ends->to, key[1].host))
		return 0;
	key[0].port = addr_port(&ends->own);
	key[1].port = addr_port(&ends->to);
	return siphash13(&own->key, key, sizeof(key)) | 1;
}

/* The place in the worker's row that holds `wanted` (a hash, or 0 for a free one) near where `hash` belongs, or NULL.
 */
static _Atomic uint64_t *find(struct shared_own *own, unsigned worker, uint64_t hash, uint64_t wanted)
{
	for (unsigned i = 0; i < PROBES; i++) {
		_Atomic uint64_t *place = &own->place[worker * PLACES + ((hash >> 8) + i) % PLACES];

		if (atomic_load_explicit(place, memory_order_acquire) == wanted)
			return place;
	}
	return NULL;
}

void shared_own_put(struct shared_own *own, unsigned worker, const struct shared_ends *ends)
{
	uint64_t hash = hash_of(own, ends);
	_Atomic uint64_t *place = hash ? find(own, worker, hash, 0) : NULL;

	if (place)
		atomic_store_explicit(place, hash, memory_order_release);
}

void shared_own_drop(struct shared_own *own, unsigned worker, const struct shared_ends *ends)
{
	uint64_t hash = hash_of(own, ends);
	_Atomic uint64_t *place = hash ? find(own, worker, hash, hash) : NULL;

	if (place)
		atomic_store_explicit(place, 0, memory_order_release);
}

bool shared_own_holds(struct shared_own *own, const struct shared_ends *ends)
{
	uint64_t hash = hash_of(own, ends);

	for (unsigned worker = 0; hash && worker < own->workers; worker++)
		if (find(own, worker, hash, hash))
			return true;
	return false;
}

void shared_own_reap(struct shared_own *own, unsigned worker)
{
	for (unsigned i = 0; i < PLACES; i++)
		atomic_store_explicit(&own->place[worker * PLACES + i], 0, memory_order_relaxed);
}

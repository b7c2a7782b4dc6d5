/* SPDX-License-Identifier: MIT */
/*
 * Session-ticket keys in shared memory: the master is their only writer, workers copy them out under a sequence lock
 * (version odd while being written). A key that encrypted is kept for one more lifetime to decrypt, then overwritten:
 * forward secrecy of resumed sessions ends with the key (RFC 9325 section 3.4). A reader never waits for ever: without
 * a consistent copy there is no resumption, only a full handshake.
 */
#include "tls/tickets.h"

#include <string.h>

#include "base/mem.h"
#include "base/random.h"

#define READ_TRIES 10000

/* A key made "in the future" comes from before the clock was set back; its age cannot be known. */
static bool is_older(const struct shared_ticket_key *key, int64_t age_s, int64_t now_s)
{
	return key->made > now_s || now_s - key->made >= age_s;
}

static void make_key(struct shared_ticket_key *key, int64_t now_s)
{
	random_bytes(key->name, sizeof(key->name));
	random_bytes(key->aes, sizeof(key->aes));
	random_bytes(key->hmac, sizeof(key->hmac));
	key->made = now_s;
}

static void publish(struct shared_tickets *tickets, const struct shared_ticket_key key[SHARED_TICKET_KEYS])
{
	uint32_t version = atomic_load_explicit(&tickets->version, memory_order_relaxed);

	atomic_store_explicit(&tickets->version, version + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	memcpy(tickets->key, key, sizeof(tickets->key));
	atomic_store_explicit(&tickets->version, version + 2, memory_order_release);
}

bool tickets_rotate(struct shared_tickets *tickets, int64_t lifetime_s, int64_t now_s)
{
	struct shared_ticket_key key[SHARED_TICKET_KEYS];
	bool changed = false;

	memcpy(key, tickets->key, sizeof(key));
	if (key[0].made == 0 || is_older(&key[0], lifetime_s, now_s)) {
		memmove(&key[1], &key[0], sizeof(key) - sizeof(key[0]));
		make_key(&key[0], now_s);
		changed = true;
	}
	for (size_t i = 1; i < SHARED_TICKET_KEYS; i++) {
		if (key[i].made != 0 && is_older(&key[i], 2 * lifetime_s, now_s)) {
			mem_wipe(&key[i], sizeof(key[i]));
			changed = true;
		}
	}
	if (changed)
		publish(tickets, key);
	mem_wipe(key, sizeof(key));
	return changed;
}

bool tickets_read(const struct shared_tickets *tickets, struct shared_ticket_key out[SHARED_TICKET_KEYS])
{
	for (int i = 0; i < READ_TRIES; i++) {
		uint32_t before = atomic_load_explicit(&tickets->version, memory_order_acquire);

		if (before & 1)
			continue;
		memcpy(out, tickets->key, sizeof(tickets->key));
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&tickets->version, memory_order_relaxed) == before)
			return out[0].made != 0;
	}
	mem_wipe(out, sizeof(tickets->key));
	return false;
}

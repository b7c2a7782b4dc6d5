/* SPDX-License-Identifier: MIT */
/*
 * What the processes share: one anonymous mapping made by the master before it forks. A slot per worker, written by
 * that worker only (the keeper has its own); readers add up. Counters never go down, gauges do; a slot whose worker
 * died has its gauges and connection counts taken back by the master (shared_reap).
 */
#ifndef PROXY_BASE_SHARED_H
#define PROXY_BASE_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define SHARED_WORKERS_MAX 256
#define SHARED_REASONS_MAX 96
#define SHARED_ROLES 4

enum shared_counter {
	COUNTER_ACCEPTED,    /* connections accepted */
	COUNTER_CLOSED,      /* sessions ended */
	COUNTER_ESTABLISHED, /* sessions whose legs were joined */
	COUNTER_HANDSHAKES,  /* TLS handshakes completed on the outer leg */
	COUNTER_RESUMED,     /* of those, resumed */
	COUNTER_HANDSHAKES_FAILED,
	COUNTER_AUTHENTICATED,
	COUNTER_MECHANISMS_REFUSED, /* SASL attempts with one of policy.mechanisms-refused */
	COUNTER_BYTES_IN,           /* plaintext bytes relayed from initiating entities */
	COUNTER_BYTES_OUT,
	COUNTER_WOULD_REFUSE,      /* mode monitor: what enforce would have refused */
	COUNTER_ACCEPT_ERRORS,     /* accept(2) failed: EMFILE and the like */
	COUNTER_AUDIT_RECORDS,     /* handed to the keeper */
	COUNTER_AUDIT_LOST,        /* only where audit.on-failure is `continue` */
	COUNTER_OBSERVATIONS_LOST, /* of peers, likewise */
	COUNTER_COUNT
};

/* Row of names for status and metrics, indexed by enum shared_counter. */
const char *shared_counter_name(enum shared_counter counter);

struct shared_slot {
	_Atomic uint64_t counter[COUNTER_COUNT];
	_Atomic uint64_t reason[SHARED_REASONS_MAX]; /* sessions ended by reason (enum reason of the xmpp room) */
	_Atomic int64_t open[SHARED_ROLES];          /* gauge: sessions alive, by role */
	_Atomic int32_t pid;                         /* 0: no such process now */
	_Atomic uint32_t incarnation;                /* counts the workers that have had this slot, from 1 */
	_Atomic uint64_t
	    audit_written; /* written by the keeper: highest record number of this incarnation in the log */
	_Atomic uint32_t audit_written_incarnation;
};

/* Session-ticket keys, written by the master, read by workers under `version` (odd while being written). */
#define SHARED_TICKET_KEYS 3
struct shared_ticket_key {
	uint8_t name[16];
	uint8_t aes[32];
	uint8_t hmac[32];
	int64_t made; /* seconds since 1970; 0: no key here */
};
struct shared_tickets {
	_Atomic uint32_t version;
	struct shared_ticket_key key[SHARED_TICKET_KEYS]; /* [0] encrypts, the others only decrypt */
};

/* Where the audit log's chain stood after the keeper's last write; seq 0: nothing was written. */
struct shared_chain {
	uint64_t seq;
	uint8_t hash[32];
};

struct shared_keeper {
	_Atomic int32_t pid;
	_Atomic uint32_t incarnation;
	_Atomic uint32_t failing; /* 1: the audit log cannot be written now */
	_Atomic uint64_t written; /* records written since the start */
	_Atomic uint64_t seq;     /* last audit.seq */
	_Atomic uint32_t
	    chain_at; /* the one that counts: a keeper killed while it writes the other leaves this whole */
	struct shared_chain chain[2];
	_Atomic uint32_t memory_failing;    /* 1: peer memory is in use and cannot be written now */
	_Atomic uint64_t peers;             /* (domain, service) pairs remembered */
	_Atomic uint64_t observations;      /* written since the start */
	_Atomic uint64_t observations_lost; /* that could not be */
};

struct shared_ids;

struct shared {
	unsigned workers;
	uint32_t connections_max; /* the mapping has room for these */
	struct shared_keeper keeper;
	struct shared_tickets tickets;
	struct shared_ids *ids; /* in this mapping, which is at one address in every process */
	struct shared_slot slot[SHARED_WORKERS_MAX];
	/* the table of ids and the connection table follow; private to shared.c */
};

/* Makes the mapping for that many workers and those limits. Aborts when the kernel refuses. Free with shared_free. */
struct shared *shared_new(unsigned workers, uint32_t connections_max, uint32_t per_address_max);
void shared_free(struct shared **shared);

static inline void shared_count(struct shared_slot *slot, enum shared_counter counter, uint64_t n)
{
	atomic_fetch_add_explicit(&slot->counter[counter], n, memory_order_relaxed);
}

enum shared_admit { SHARED_ADMIT, SHARED_REFUSE_ADDRESS, SHARED_REFUSE_TOTAL };
/*
 * Counts one more connection of `key` for `worker` unless a limit is reached (limits hold over all workers exactly).
 * Every SHARED_ADMIT must be given back by shared_release with the same worker and key.
 */
enum shared_admit shared_admit(struct shared *shared, unsigned worker, const struct addr_key *key);
void shared_release(struct shared *shared, unsigned worker, const struct addr_key *key);
/* As shared_admit, but only the total counts: for connections of a trusted proxy, whose clients are not known yet. */
enum shared_admit shared_admit_uncounted(struct shared *shared, unsigned worker, const struct addr_key *key);
/*
 * An admitted connection of `from` turns out to be one of `to`: it keeps its place in the total. SHARED_REFUSE_ADDRESS:
 * `to` has too many already, and nothing has changed.
 */
enum shared_admit shared_move(struct shared *shared, unsigned worker, const struct addr_key *from,
			      const struct addr_key *to);
/*
 * A connection that `worker` has opened to a remote server, by its two ends: noted before anything is said on it, so
 * that whichever worker gets it, when a packet filter leads it back to us, knows it by its peer and its original
 * destination (NEG-34). Both ends, for the kernel gives one port to several connections with different destinations.
 */
struct shared_ends {
	struct addr own, to;
};
void shared_note_own(struct shared *shared, unsigned worker, const struct shared_ends *ends);
void shared_forget_own(struct shared *shared, unsigned worker, const struct shared_ends *ends);
bool shared_is_own(struct shared *shared, const struct shared_ends *ends);
/* Master only, when `worker` is known dead: takes back its connections and gauges, sets pid 0. */
void shared_reap(struct shared *shared, unsigned worker);
/*
 * Master only: other limits, from now on. What is connected already stays. false, and nothing changed: more connections
 * than the mapping was made for.
 */
bool shared_set_limits(struct shared *shared, uint32_t connections_max, uint32_t per_address_max);
/* Sums over all slots. */
uint64_t shared_total(const struct shared *shared, enum shared_counter counter);
uint64_t shared_total_reason(const struct shared *shared, unsigned reason);
int64_t shared_total_open(const struct shared *shared, unsigned role);

#endif

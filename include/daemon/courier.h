/* SPDX-License-Identifier: MIT */
/*
 * Carries audit records and what was seen of peers to the keeper: gives each record its id, keeps it until the keeper
 * has acknowledged it, sends everything unacknowledged again, in order, to a keeper that was restarted. Asks the keeper
 * what is remembered of peers. Knows no event loop: the owner waits on courier_fd and calls.
 */
#ifndef PROXY_DAEMON_COURIER_H
#define PROXY_DAEMON_COURIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/trail.h"
#include "base/shared.h"
#include "memory/recall.h"

/* Unacknowledged records a worker may owe before it takes no new streams (`refuse`) or drops records (`continue`). */
#define COURIER_RECORDS_MAX 20000
#define COURIER_BYTES_MAX ((size_t)32 << 20)

struct courier_params {
	const char *id_prefix; /* "3fa9c201.w0.1": the record's number is put behind it */
	uint32_t incarnation;
	const struct shared_keeper *keeper;
	struct shared_slot *slot; /* its counters; NULL: not counted */
	bool refuse;              /* audit.on-failure */
	size_t max_records, max_bytes;
	void (*wake)(void *ctx); /* something is to be sent or called back: come to courier_write and courier_call_back
				  */
	void *ctx;
};

struct courier;

struct courier *courier_new(const struct courier_params *params);
/* No done is called any more. */
void courier_free(struct courier **courier);
struct audit_trail courier_trail(struct courier *courier);
struct peer_recall courier_recall(struct courier *courier);

/* A channel to a (new) keeper, the courier's from now on; everything unacknowledged will be sent. -1: there is none. */
void courier_attach(struct courier *courier, int fd);
int courier_fd(const struct courier *courier); /* -1: none */
bool courier_wants_write(const struct courier *courier);
/* Sends what the channel takes. */
void courier_write(struct courier *courier);
/* Takes acknowledgements and answers. false: the channel is at its end and was closed. */
bool courier_read(struct courier *courier);
/* Calls the done of every record that is settled, and the answer of every question. */
void courier_call_back(struct courier *courier);
/* Once a second with `continue`, and while courier_asks: nobody waits for a log that cannot be written, or for an
 * answer that does not come. */
void courier_tick(struct courier *courier);

/* audit.on-failure of a new configuration: for what is submitted and answered from now on. */
void courier_set_refuse(struct courier *courier, bool refuse);

/* Too much is owed: with `refuse` no connection is to be accepted. */
bool courier_full(const struct courier *courier);
/* Questions wait for their answers. */
bool courier_asks(const struct courier *courier);
/* Records and observations not acknowledged yet. */
size_t courier_pending(const struct courier *courier);

#endif

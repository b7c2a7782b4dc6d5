/* SPDX-License-Identifier: MIT */
/*
 * Who of the workers and the keeper has still to answer: the two votes of a reload, "could you?" and "have you?".
 * Counts answers and deaths; what follows from them the master decides.
 */
#ifndef PROXY_DAEMON_BALLOT_H
#define PROXY_DAEMON_BALLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/shared.h"

/* The keeper votes, too, where it has something to open: its slot. */
#define BALLOT_KEEPER SHARED_WORKERS_MAX

enum ballot_phase { BALLOT_IDLE, BALLOT_PREPARING, BALLOT_COMMITTING, BALLOT_PHASE_COUNT };

struct ballot {
	enum ballot_phase phase;
	uint64_t number; /* of the reload: an answer to another one does not count */
	unsigned deaths; /* of workers that had been asked, while preparing */
	uint8_t voter[SHARED_WORKERS_MAX + 1];
};

/* Nobody is asked yet. */
void ballot_begin(struct ballot *b, enum ballot_phase phase, uint64_t number);
void ballot_end(struct ballot *b);
/* That worker was asked and owes an answer; also the successor of one that died. */
void ballot_ask(struct ballot *b, unsigned slot);
/* It said yes. false: nobody had asked for that. */
bool ballot_answer(struct ballot *b, enum ballot_phase phase, unsigned slot, uint64_t number);
/*
 * It died. While preparing its successor is waited for: what killed it may be what it was given. When committing there
 * is nothing left to answer: its successor begins with the new configuration.
 */
void ballot_gone(struct ballot *b, unsigned slot);
/* Is that worker, not yet asked anew, being waited for? */
bool ballot_awaits(const struct ballot *b, unsigned slot);
/* Everybody that was asked has answered. */
bool ballot_complete(const struct ballot *b);
/* The lowest slot that still owes an answer, or -1. */
int ballot_debtor(const struct ballot *b);

#endif

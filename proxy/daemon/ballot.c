/* SPDX-License-Identifier: MIT */
/* A state for each slot: not asked, owes an answer, has given it, or died and its successor is to be asked. */
#include "daemon/ballot.h"

#include <string.h>

enum voter { VOTER_OUT, VOTER_OWES, VOTER_DONE, VOTER_AWAITED };

void ballot_begin(struct ballot *b, enum ballot_phase phase, uint64_t number)
{
	memset(b, 0, sizeof(*b));
	b->phase = phase;
	b->number = number;
}

void ballot_end(struct ballot *b)
{
	ballot_begin(b, BALLOT_IDLE, b->number);
}

void ballot_ask(struct ballot *b, unsigned slot)
{
	if (b->phase != BALLOT_IDLE)
		b->voter[slot] = VOTER_OWES;
}

bool ballot_answer(struct ballot *b, enum ballot_phase phase, unsigned slot, uint64_t number)
{
	if (b->phase != phase || b->number != number || b->voter[slot] != VOTER_OWES)
		return false;
	b->voter[slot] = VOTER_DONE;
	return true;
}

void ballot_gone(struct ballot *b, unsigned slot)
{
	if (b->voter[slot] == VOTER_OUT || b->voter[slot] == VOTER_AWAITED)
		return;
	b->voter[slot] = b->phase == BALLOT_PREPARING ? VOTER_AWAITED : VOTER_OUT;
	b->deaths += b->phase == BALLOT_PREPARING;
}

bool ballot_awaits(const struct ballot *b, unsigned slot)
{
	return b->voter[slot] == VOTER_AWAITED;
}

int ballot_debtor(const struct ballot *b)
{
	for (int i = 0; i <= BALLOT_KEEPER; i++)
		if (b->voter[i] == VOTER_OWES || b->voter[i] == VOTER_AWAITED)
			return i;
	return -1;
}

bool ballot_complete(const struct ballot *b)
{
	return ballot_debtor(b) < 0;
}

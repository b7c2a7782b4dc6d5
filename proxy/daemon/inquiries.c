/* SPDX-License-Identifier: MIT */
/*
 * A ring of questions in the order they were asked; a question's number is its ticket. Invariants: first <= next_send
 * <= first + count; waiting and due count those of that state. All wait equally long, so that those whose time is up
 * stand in front.
 */
#include "daemon/inquiries.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "daemon/peer_message.h"

enum inquiry_state { INQUIRY_WAITING, INQUIRY_DUE, INQUIRY_ANSWERED };

struct inquiry {
	enum inquiry_state state;
	char *domain;
	enum peer_service service;
	uint64_t deadline_ms;
	struct peer_memory *memory; /* due: NULL: memory cannot say */
	peer_answer_fn *answer;     /* NULL: forgotten */
	void *ctx;
};

struct inquiries {
	struct inquiry *ring;
	size_t size; /* a power of two */
	uint64_t first, next_send;
	size_t count, waiting, due, max;
};

struct inquiries *inquiries_new(size_t max)
{
	struct inquiries *q = mem_zalloc(sizeof(*q));

	q->size = 16;
	q->ring = mem_array(q->size, sizeof(*q->ring));
	q->first = q->next_send = 1;
	q->max = max;
	return q;
}

static struct inquiry *inquiry_of(struct inquiries *q, uint64_t number)
{
	return &q->ring[number & (q->size - 1)];
}

static bool holds(const struct inquiries *q, uint64_t number)
{
	return number >= q->first && number < q->first + q->count;
}

static void clear(struct inquiry *i)
{
	mem_free(i->domain);
	mem_free(i->memory);
	memset(i, 0, sizeof(*i));
}

void inquiries_free(struct inquiries **q_io)
{
	struct inquiries *q = *q_io;

	*q_io = NULL;
	if (!q)
		return;
	for (uint64_t n = q->first; n < q->first + q->count; n++)
		clear(inquiry_of(q, n));
	mem_free(q->ring);
	mem_free(q);
}

static void grow(struct inquiries *q)
{
	size_t size = q->size * 2;
	struct inquiry *ring = mem_array(size, sizeof(*ring));

	for (uint64_t n = q->first; n < q->first + q->count; n++)
		ring[n & (size - 1)] = *inquiry_of(q, n);
	mem_free(q->ring);
	q->ring = ring;
	q->size = size;
}

/* memory: the inquiry's from now on. */
static void settle(struct inquiries *q, struct inquiry *i, struct peer_memory *memory)
{
	i->state = INQUIRY_DUE;
	i->memory = memory;
	q->waiting--;
	q->due++;
}

uint64_t inquiries_ask(struct inquiries *q, const char *domain, enum peer_service service, bool hopeless,
		       peer_answer_fn *answer, void *ctx)
{
	uint64_t number = q->first + q->count;
	bool full = q->waiting >= q->max;
	struct inquiry *i;

	if (q->count == q->size)
		grow(q);
	i = inquiry_of(q, number);
	*i = (struct inquiry){.domain = mem_strdup(domain),
			      .service = service,
			      .deadline_ms = clock_ms() + INQUIRIES_WAIT_MS,
			      .answer = answer,
			      .ctx = ctx};
	q->count++;
	q->waiting++;
	if (hopeless || full)
		settle(q, i, NULL);
	return number;
}

void inquiries_forget(struct inquiries *q, uint64_t ticket)
{
	if (holds(q, ticket))
		inquiry_of(q, ticket)->answer = NULL;
}

void inquiries_resend(struct inquiries *q)
{
	q->next_send = q->first;
}

bool inquiries_unsent(const struct inquiries *q)
{
	return q->waiting > 0 && q->next_send < q->first + q->count;
}

bool inquiries_send(struct inquiries *q, int fd, uint32_t incarnation)
{
	struct peer_question question;
	struct message m = {
	    .type = MESSAGE_PEER_ASK, .incarnation = incarnation, .payload = &question, .len = sizeof(question)};

	for (; q->next_send < q->first + q->count; q->next_send++) {
		const struct inquiry *i = inquiry_of(q, q->next_send);

		if (i->state != INQUIRY_WAITING)
			continue;
		memset(&question, 0, sizeof(question));
		snprintf(question.domain, sizeof(question.domain), "%s", i->domain);
		question.service = i->service;
		m.number = q->next_send;
		if (message_send(fd, &m, -1) != MESSAGE_OK)
			return false;
	}
	return true;
}

void inquiries_take(struct inquiries *q, const struct message *m)
{
	bool said = m->len == sizeof(struct peer_memory);

	if (holds(q, m->number) && inquiry_of(q, m->number)->state == INQUIRY_WAITING)
		settle(q, inquiry_of(q, m->number), said ? mem_dup(m->payload, m->len) : NULL);
}

void inquiries_tick(struct inquiries *q, uint64_t now_ms)
{
	for (uint64_t n = q->first; n < q->first + q->count; n++) {
		struct inquiry *i = inquiry_of(q, n);

		if (i->deadline_ms > now_ms)
			return;
		if (i->state == INQUIRY_WAITING)
			settle(q, i, NULL);
	}
}

/* An answer may ask, and the ring move under it. */
static void give_answer(struct inquiries *q, uint64_t number)
{
	static const struct peer_memory nothing;
	struct inquiry given = *inquiry_of(q, number);

	*inquiry_of(q, number) = (struct inquiry){.state = INQUIRY_ANSWERED};
	q->due--;
	if (given.answer)
		given.answer(given.ctx, given.memory != NULL, given.memory ? given.memory : &nothing);
	given.answer = NULL;
	clear(&given);
}

void inquiries_call_back(struct inquiries *q)
{
	uint64_t last = q->first + q->count;

	/* What is asked meanwhile is for the next call. */
	for (uint64_t n = q->first; n < last && q->due > 0; n++)
		if (inquiry_of(q, n)->state == INQUIRY_DUE)
			give_answer(q, n);
	while (q->count > 0 && inquiry_of(q, q->first)->state == INQUIRY_ANSWERED) {
		q->first++;
		q->count--;
	}
	if (q->next_send < q->first)
		q->next_send = q->first;
}

size_t inquiries_waiting(const struct inquiries *q)
{
	return q->waiting;
}

/* SPDX-License-Identifier: MIT */
/*
 * A ring of parcels, one for each record submitted and each peer observed, in order of their numbers; a record's number
 * is its ticket. A parcel holds the record until the keeper has it, and its caller's wish to be told until it was told:
 * the front is given back when both are over. Invariants: first <= next_send <= first + count; kept and bytes count the
 * records still held. With `refuse` the bounds stop new streams, not records: what open streams still owe is always
 * taken. A record that cannot be kept gets no parcel, or a log that fails for days would cost memory for every one:
 * only its caller, if he waits, is remembered until the next courier_call_back.
 */
#include "daemon/courier.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "audit/record.h"
#include "base/clock.h"
#include "base/mem.h"
#include "daemon/inquiries.h"
#include "daemon/message.h"

enum answer { ANSWER_WAITING, ANSWER_DUE_OK, ANSWER_DUE_LOST, ANSWER_GIVEN };

struct parcel {
	enum message_type type;
	void *payload; /* NULL: written, or given up */
	size_t len;
	audit_done_fn *done; /* NULL: nobody waits */
	void *done_ctx;
	enum answer answer;
};

/* Tickets of records without a parcel begin here. */
#define LOST_TICKETS ((uint64_t)1 << 63)

struct lost {
	uint64_t ticket;
	audit_done_fn *done; /* NULL: forgotten */
	void *done_ctx;
};

struct courier {
	struct courier_params params;
	char *id_prefix;
	int fd;
	struct parcel *ring;
	size_t size;        /* of the ring, a power of two */
	uint64_t first;     /* number of the front parcel */
	uint64_t next_send; /* number of the parcel to send next */
	size_t count;
	size_t kept, bytes;
	uint64_t due_low, due_high; /* answers are due between these numbers; low > high: none */
	struct lost *lost;          /* callers to be told that theirs is not kept */
	size_t lost_count, lost_size;
	uint64_t lost_tickets; /* given so far */
	bool full;
	struct inquiries *inquiries;
	uint8_t buffer[MESSAGE_SIZE_MAX];
};

struct courier *courier_new(const struct courier_params *params)
{
	struct courier *c = mem_zalloc(sizeof(*c));

	c->params = *params;
	c->id_prefix = mem_strdup(params->id_prefix);
	c->fd = -1;
	c->size = 64;
	c->ring = mem_array(c->size, sizeof(*c->ring));
	c->first = c->next_send = 1;
	c->due_low = UINT64_MAX;
	c->inquiries = inquiries_new(INQUIRIES_MAX);
	return c;
}

static bool holds(const struct courier *c, uint64_t number)
{
	return number >= c->first && number < c->first + c->count;
}

static struct parcel *parcel_of(struct courier *c, uint64_t number)
{
	assert(holds(c, number));
	return &c->ring[number & (c->size - 1)];
}

void courier_free(struct courier **c_io)
{
	struct courier *c = *c_io;

	*c_io = NULL;
	if (!c)
		return;
	for (uint64_t n = c->first; n < c->first + c->count; n++)
		mem_free(parcel_of(c, n)->payload);
	if (c->fd >= 0)
		close(c->fd);
	inquiries_free(&c->inquiries);
	mem_free(c->ring);
	mem_free(c->lost);
	mem_free(c->id_prefix);
	mem_free(c);
}

static bool log_failing(const struct courier *c)
{
	return atomic_load_explicit(&c->params.keeper->failing, memory_order_relaxed) != 0;
}

/* Room comes back only with a quarter free, or accepting would flap at the edge. */
static void measure(struct courier *c)
{
	if (c->kept >= c->params.max_records || c->bytes >= c->params.max_bytes)
		c->full = true;
	else if (c->kept < c->params.max_records - c->params.max_records / 4 &&
		 c->bytes < c->params.max_bytes - c->params.max_bytes / 4)
		c->full = false;
}

static void grow(struct courier *c)
{
	size_t size = c->size * 2;
	struct parcel *ring = mem_array(size, sizeof(*ring));

	for (uint64_t n = c->first; n < c->first + c->count; n++)
		ring[n & (size - 1)] = c->ring[n & (c->size - 1)];
	mem_free(c->ring);
	c->ring = ring;
	c->size = size;
}

static void settle(struct courier *c, uint64_t number, bool ok)
{
	struct parcel *p = parcel_of(c, number);

	if (p->answer != ANSWER_WAITING)
		return;
	p->answer = ok ? ANSWER_DUE_OK : ANSWER_DUE_LOST;
	if (number < c->due_low)
		c->due_low = number;
	if (number > c->due_high)
		c->due_high = number;
}

static void drop_settled_front(struct courier *c)
{
	while (c->count > 0) {
		struct parcel *p = parcel_of(c, c->first);

		if (p->payload || p->answer != ANSWER_GIVEN)
			break;
		c->first++;
		c->count--;
	}
	if (c->next_send < c->first)
		c->next_send = c->first;
}

static void count(struct courier *c, enum shared_counter counter)
{
	if (c->params.slot)
		shared_count(c->params.slot, counter, 1);
}

/* Counted, and its caller is told later. */
static uint64_t lose_record(struct courier *c, audit_done_fn *done, void *done_ctx)
{
	uint64_t ticket = LOST_TICKETS + c->lost_tickets++;

	count(c, COUNTER_AUDIT_LOST);
	if (!done)
		return ticket;
	if (c->lost_count == c->lost_size) {
		c->lost_size = c->lost_size ? c->lost_size * 2 : 16;
		c->lost = mem_realloc(c->lost, c->lost_size * sizeof(*c->lost));
	}
	c->lost[c->lost_count++] = (struct lost){.ticket = ticket, .done = done, .done_ctx = done_ctx};
	return ticket;
}

static void keep(struct courier *c, uint64_t number, const struct parcel *parcel)
{
	if (c->count == c->size)
		grow(c);
	c->count++;
	*parcel_of(c, number) = *parcel;
	c->kept++;
	c->bytes += parcel->len;
	measure(c);
	if (!c->params.refuse && log_failing(c))
		settle(c, number, false);
}

static uint64_t courier_submit(void *ctx, struct audit_record *record, audit_done_fn *done, void *done_ctx)
{
	struct courier *c = ctx;
	uint64_t number = c->first + c->count;
	char *id = mem_printf("%s.%" PRIu64, c->id_prefix, number);
	struct parcel parcel = {.type = MESSAGE_RECORD, .done = done, .done_ctx = done_ctx};

	record->time_us = clock_real_us();
	record->id = id;
	parcel.payload = audit_record_json(record, &parcel.len);
	record->id = NULL;
	mem_free(id);
	if (!parcel.payload || parcel.len > MESSAGE_PAYLOAD_MAX || (c->full && !c->params.refuse)) {
		mem_free(parcel.payload);
		number = lose_record(c, done, done_ctx);
	} else {
		count(c, COUNTER_AUDIT_RECORDS);
		keep(c, number, &parcel);
	}
	c->params.wake(c->params.ctx);
	return number;
}

static void courier_forget(void *ctx, uint64_t ticket)
{
	struct courier *c = ctx;

	if (holds(c, ticket))
		parcel_of(c, ticket)->done = NULL;
	for (size_t i = 0; ticket >= LOST_TICKETS && i < c->lost_count; i++)
		if (c->lost[i].ticket == ticket)
			c->lost[i].done = NULL;
}

static bool courier_available(void *ctx)
{
	const struct courier *c = ctx;

	return !c->params.refuse || (!log_failing(c) && !c->full);
}

static void courier_observe(void *ctx, const struct peer_observation *seen)
{
	struct courier *c = ctx;
	struct parcel parcel = {.type = MESSAGE_OBSERVATION, .len = sizeof(*seen)};

	if (c->full && !c->params.refuse) {
		count(c, COUNTER_OBSERVATIONS_LOST);
		return;
	}
	parcel.payload = mem_dup(seen, sizeof(*seen));
	keep(c, c->first + c->count, &parcel);
	c->params.wake(c->params.ctx);
}

/* While the log fails its keeper reads nothing: nobody is to wait for that. */
static uint64_t courier_ask(void *ctx, const char *domain, enum peer_service service, peer_answer_fn *answer,
			    void *answer_ctx)
{
	struct courier *c = ctx;
	uint64_t ticket = inquiries_ask(c->inquiries, domain, service, log_failing(c), answer, answer_ctx);

	c->params.wake(c->params.ctx);
	return ticket;
}

static void courier_forget_question(void *ctx, uint64_t ticket)
{
	inquiries_forget(((struct courier *)ctx)->inquiries, ticket);
}

struct peer_recall courier_recall(struct courier *c)
{
	return (struct peer_recall){
	    .ask = courier_ask, .forget = courier_forget_question, .observe = courier_observe, .ctx = c};
}

struct audit_trail courier_trail(struct courier *c)
{
	return (struct audit_trail){
	    .submit = courier_submit, .forget = courier_forget, .available = courier_available, .ctx = c};
}

void courier_attach(struct courier *c, int fd)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = fd;
	c->next_send = c->first;
	inquiries_resend(c->inquiries);
}

int courier_fd(const struct courier *c)
{
	return c->fd;
}

bool courier_wants_write(const struct courier *c)
{
	return c->fd >= 0 && (c->next_send < c->first + c->count || inquiries_unsent(c->inquiries));
}

void courier_write(struct courier *c)
{
	/* Somebody waits for an answer; behind all that the log is owed it could come too late. */
	if (c->fd < 0 || !inquiries_send(c->inquiries, c->fd, c->params.incarnation))
		return;
	while (c->next_send < c->first + c->count) {
		const struct parcel *p = parcel_of(c, c->next_send);
		struct message m = {.type = p->type,
				    .incarnation = c->params.incarnation,
				    .number = c->next_send,
				    .payload = p->payload,
				    .len = p->len};

		/* A channel that is gone is noticed by courier_read; until then the parcel stays where it is. */
		if (p->payload && message_send(c->fd, &m, -1) != MESSAGE_OK)
			return;
		c->next_send++;
	}
}

static void acknowledge(struct courier *c, uint64_t number)
{
	if (number >= c->next_send)
		number = c->next_send - 1;
	for (uint64_t n = c->first; n <= number; n++) {
		struct parcel *p = parcel_of(c, n);

		if (p->payload) {
			c->kept--;
			c->bytes -= p->len;
			mem_free(p->payload);
			p->payload = NULL;
		}
		settle(c, n, true);
	}
	measure(c);
	c->params.wake(c->params.ctx);
}

static void take_message(struct courier *c, const struct message *m)
{
	if (m->type == MESSAGE_WRITTEN)
		acknowledge(c, m->number);
	if (m->type != MESSAGE_PEER_KNOWN)
		return;
	inquiries_take(c->inquiries, m);
	c->params.wake(c->params.ctx);
}

bool courier_read(struct courier *c)
{
	enum message_result result = MESSAGE_AGAIN;
	struct message m;

	while (c->fd >= 0 && (result = message_receive(c->fd, &m, c->buffer, NULL)) == MESSAGE_OK)
		if (m.incarnation == c->params.incarnation)
			take_message(c, &m);
	if (result != MESSAGE_GONE)
		return c->fd >= 0;
	courier_attach(c, -1);
	return false;
}

/* The parcel may have moved when done returns: what done submits can make the ring grow. */
static void give_answer(struct parcel *p)
{
	audit_done_fn *done = p->done;
	bool ok = p->answer == ANSWER_DUE_OK;

	if (p->answer != ANSWER_DUE_OK && p->answer != ANSWER_DUE_LOST)
		return;
	p->answer = ANSWER_GIVEN;
	p->done = NULL;
	if (done)
		done(p->done_ctx, ok);
}

/* A done may submit: what is lost thereby is for the next call. */
static void tell_lost(struct courier *c)
{
	size_t told = c->lost_count;

	for (size_t i = 0; i < told; i++) {
		struct lost lost = c->lost[i];

		c->lost[i].done = NULL;
		if (lost.done)
			lost.done(lost.done_ctx, false);
	}
	c->lost_count -= told;
	if (told > 0)
		memmove(c->lost, c->lost + told, c->lost_count * sizeof(*c->lost));
}

void courier_call_back(struct courier *c)
{
	uint64_t low, high;

	inquiries_call_back(c->inquiries);
	tell_lost(c);
	low = c->due_low;
	high = c->due_high;

	/* A done may submit: what that makes due is for the next call. */
	c->due_low = UINT64_MAX;
	c->due_high = 0;
	for (uint64_t n = low; n <= high && low != UINT64_MAX; n++)
		if (holds(c, n))
			give_answer(parcel_of(c, n));
	drop_settled_front(c);
}

void courier_tick(struct courier *c)
{
	if (inquiries_waiting(c->inquiries) > 0) {
		inquiries_tick(c->inquiries, clock_ms());
		c->params.wake(c->params.ctx);
	}
	if (c->params.refuse || !log_failing(c) || c->count == 0)
		return;
	for (uint64_t n = c->first; n < c->first + c->count; n++)
		settle(c, n, false);
	c->params.wake(c->params.ctx);
}

void courier_set_refuse(struct courier *c, bool refuse)
{
	c->params.refuse = refuse;
}

bool courier_full(const struct courier *c)
{
	return c->full;
}

bool courier_asks(const struct courier *c)
{
	return inquiries_waiting(c->inquiries) > 0;
}

size_t courier_pending(const struct courier *c)
{
	return c->kept;
}

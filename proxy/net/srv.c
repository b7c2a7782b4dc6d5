/* SPDX-License-Identifier: MIT */
/*
 * The draw of RFC 2782: records of weight 0 stand first, a number up to the sum of all weights is drawn, and the record
 * at which the running sum reaches it is the next one. Records that the draw cannot tell apart (all of weight 0, say)
 * are shuffled beforehand, or the first of them would carry the load of all.
 */
#include "net/srv.h"

#include <stdlib.h>

static void swap(struct srv_record *a, struct srv_record *b)
{
	struct srv_record kept = *a;

	*a = *b;
	*b = kept;
}

static void shuffle(struct srv_record *records, size_t count, srv_random_fn *chance, void *ctx)
{
	for (size_t i = count; i > 1; i--)
		swap(&records[i - 1], &records[chance(ctx, (uint32_t)(i - 1))]);
}

static int by_priority(const void *a, const void *b)
{
	const struct srv_record *x = a, *y = b;

	return (x->priority > y->priority) - (x->priority < y->priority);
}

/* The two ends of the list are exchanged only across the boundary: what was shuffled stays shuffled. */
static void zero_weights_first(struct srv_record *records, size_t count)
{
	size_t zeros = 0;

	for (size_t i = 0; i < count; i++)
		if (records[i].weight == 0)
			swap(&records[zeros++], &records[i]);
}

static size_t draw(const struct srv_record *records, size_t count, srv_random_fn *chance, void *ctx)
{
	uint32_t sum = 0, reached = 0, drawn;
	size_t i;

	for (i = 0; i < count; i++)
		sum += records[i].weight;
	drawn = chance(ctx, sum);
	for (i = 0; i + 1 < count; i++) {
		reached += records[i].weight;
		if (reached >= drawn)
			break;
	}
	return i;
}

/* RFC 9325 section 3.2 prefers direct TLS; between equal weights that changes nobody's share. */
static size_t prefer_direct(const struct srv_record *records, size_t count, size_t drawn)
{
	for (size_t i = 0; i < count && !records[drawn].direct_tls; i++)
		if (records[i].direct_tls && records[i].weight == records[drawn].weight)
			return i;
	return drawn;
}

/* One drawn record comes to the front; the rest keep their order, so that the zeros stay first. */
static void bring_forward(struct srv_record *records, size_t at)
{
	for (; at > 0; at--)
		swap(&records[at - 1], &records[at]);
}

static void order_equals(struct srv_record *records, size_t count, srv_random_fn *chance, void *ctx)
{
	shuffle(records, count, chance, ctx);
	zero_weights_first(records, count);
	for (; count > 1; records++, count--)
		bring_forward(records, prefer_direct(records, count, draw(records, count, chance, ctx)));
}

void srv_order(struct srv_record *records, size_t count, srv_random_fn *chance, void *ctx)
{
	size_t begin = 0;

	if (count > 0)
		qsort(records, count, sizeof(*records), by_priority);
	for (size_t i = 1; i <= count; i++) {
		if (i < count && records[i].priority == records[begin].priority)
			continue;
		order_equals(records + begin, i - begin, chance, ctx);
		begin = i;
	}
}

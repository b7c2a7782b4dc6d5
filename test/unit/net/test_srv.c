/* SPDX-License-Identifier: MIT */
/* The order of SRV records: by a scripted draw exactly, by many draws with their shares. */
#include "net/srv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"

/* Draws the highest number each time: no shuffling, and the last record of a priority that has a weight wins. */
static uint32_t highest(void *ctx, uint32_t max)
{
	(void)ctx;
	return max;
}

static uint32_t lowest(void *ctx, uint32_t max)
{
	(void)ctx;
	(void)max;
	return 0;
}

/* Repeatable and even enough for shares. */
static uint32_t seeded(void *ctx, uint32_t max)
{
	uint64_t *state = ctx;

	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*state >> 33) % ((uint64_t)max + 1));
}

#define STARTTLS(p, w, t)                                              \
	{                                                              \
		.priority = (p), .weight = (w), .port = 1, .target = t \
	}
#define DIRECT(p, w, t)                                                                    \
	{                                                                                  \
		.priority = (p), .weight = (w), .port = 1, .direct_tls = true, .target = t \
	}

#define RECORDS_MAX 6
struct order_case {
	srv_random_fn *random;
	struct srv_record records[RECORDS_MAX];
	const char *expected;
};

static size_t length(const struct srv_record *records)
{
	size_t count = 0;

	while (count < RECORDS_MAX && records[count].port)
		count++;
	return count;
}

static void test_orders(void **state)
{
	static const struct order_case cases[] = {
	    {lowest, {STARTTLS(1, 0, "a")}, "a"},
	    {highest, {STARTTLS(20, 9, "c"), STARTTLS(0, 1, "a"), STARTTLS(10, 0, "b")}, "a b c"},
	    {highest, {STARTTLS(65535, 0, "z"), DIRECT(1, 0, "y"), STARTTLS(0, 65535, "x")}, "x y z"},
	    /* highest draws the last that has a weight, lowest the first zero */
	    {highest, {STARTTLS(0, 1, "a"), STARTTLS(0, 1, "b"), STARTTLS(0, 1, "c")}, "c b a"},
	    {highest, {STARTTLS(0, 0, "zero"), STARTTLS(0, 1, "b"), STARTTLS(0, 9, "c")}, "c b zero"},
	    {highest, {STARTTLS(0, 9, "c"), STARTTLS(0, 0, "zero"), STARTTLS(0, 1, "b")}, "b c zero"},
	    {lowest, {STARTTLS(0, 9, "c"), STARTTLS(0, 0, "zero")}, "zero c"},
	    {highest, {STARTTLS(0, 65535, "a"), STARTTLS(0, 65535, "b"), STARTTLS(0, 65535, "c")}, "c b a"},
	    /* equal priority and weight: direct TLS first, whichever was drawn */
	    {highest, {DIRECT(0, 0, "d"), STARTTLS(0, 0, "s")}, "d s"},
	    {lowest, {DIRECT(0, 0, "d"), STARTTLS(0, 0, "s")}, "d s"},
	    {highest, {STARTTLS(0, 5, "s"), DIRECT(0, 5, "d")}, "d s"},
	    {highest, {DIRECT(0, 5, "d"), STARTTLS(0, 5, "s")}, "d s"},
	    /* another weight is another share: the draw decides */
	    {highest, {DIRECT(0, 5, "d"), STARTTLS(0, 6, "s")}, "s d"},
	    {highest, {DIRECT(1, 0, "d"), STARTTLS(0, 0, "s")}, "s d"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct srv_record records[RECORDS_MAX];
		size_t count = length(cases[i].records);
		char text[64] = "";

		memcpy(records, cases[i].records, sizeof(records));
		srv_order(records, count, cases[i].random, NULL);
		for (size_t k = 0; k < count; k++)
			(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", k ? " " : "",
				       records[k].target);
		if (strcmp(text, cases[i].expected) != 0)
			fail_msg("case %zu: %s", i, text);
	}
	srv_order(NULL, 0, lowest, NULL);
}

#define DRAWS 20000
static void count_first(const struct srv_record *records, unsigned seen[RECORDS_MAX])
{
	uint64_t seed = 42;

	for (unsigned i = 0; i < DRAWS; i++) {
		struct srv_record copy[RECORDS_MAX];
		size_t count = length(records);

		memcpy(copy, records, sizeof(copy));
		srv_order(copy, count, seeded, &seed);
		seen[copy[0].target[0] - 'a']++;
	}
}

static void assert_share(unsigned seen, double percent)
{
	double share = 100.0 * seen / DRAWS;

	if (share < percent - 1.5 || share > percent + 1.5)
		fail_msg("%f percent, not %f", share, percent);
}

static void test_shares(void **state)
{
	static const struct srv_record weights[RECORDS_MAX] = {STARTTLS(0, 60, "a"), STARTTLS(0, 30, "b"),
							       STARTTLS(0, 10, "c")};
	static const struct srv_record zeros[RECORDS_MAX] = {STARTTLS(0, 0, "a"), STARTTLS(0, 0, "b"),
							     STARTTLS(0, 0, "c"), STARTTLS(0, 0, "d")};
	static const struct srv_record mixed[RECORDS_MAX] = {DIRECT(0, 25, "a"), STARTTLS(0, 25, "b"),
							     DIRECT(0, 25, "c"), STARTTLS(0, 25, "d")};
	unsigned seen[RECORDS_MAX] = {0}, equal[RECORDS_MAX] = {0}, direct[RECORDS_MAX] = {0};

	(void)state;
	count_first(weights, seen);
	assert_share(seen[0], 60);
	assert_share(seen[1], 30);
	assert_share(seen[2], 10);
	count_first(zeros, equal);
	for (int i = 0; i < 4; i++)
		assert_share(equal[i], 25);
	count_first(mixed, direct);
	assert_share(direct[0], 50);
	assert_share(direct[2], 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_orders), cmocka_unit_test(test_shares)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

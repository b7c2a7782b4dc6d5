/* SPDX-License-Identifier: MIT */
/* slab: pieces do not overlap, keep what is written, and go back to the system when all of a slab are free. */
#include "base/slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PIECES 4000

static unsigned char *piece[PIECES];
static size_t length[PIECES];

static void fill(size_t i, size_t size)
{
	piece[i] = slab_alloc(size);
	length[i] = size;
	assert_non_null(piece[i]);
	assert_int_equal((uintptr_t)piece[i] % 16, 0);
	memset(piece[i], (int)(i % 251), size);
}

static void check(size_t i, size_t size)
{
	for (size_t k = 0; k < size; k++)
		assert_int_equal(piece[i][k], i % 251);
}

/* Sizes of every class and around their bounds, freed in another order than made. */
static void test_nothing_overlaps(void **state)
{
	size_t sizes[] = {0, 1, 31, 32, 33, 48, 49, 100, 1000, 1024, 1025, 4096, 6144, 12289, 16384, 16385, 70000};

	(void)state;
	for (size_t i = 0; i < PIECES; i++)
		fill(i, sizes[i % (sizeof(sizes) / sizeof(sizes[0]))]);
	for (size_t i = 0; i < PIECES; i += 2) {
		check(i, length[i]);
		slab_free(piece[i]);
	}
	for (size_t i = 0; i < PIECES; i += 2)
		fill(i, sizes[(i + 5) % (sizeof(sizes) / sizeof(sizes[0]))]);
	for (size_t i = 0; i < PIECES; i++) {
		size_t at = (i * 1777) % PIECES;

		check(at, length[at]);
		slab_free(piece[at]);
	}
}

/* All but the few empty slabs that are kept. */
static void test_memory_goes_back(void **state)
{
	size_t most;

	(void)state;
	for (size_t i = 0; i < PIECES; i++)
		fill(i, 1024);
	most = slab_held();
	assert_true(most >= PIECES * 1024);
	assert_true(most <= PIECES * 1024 + PIECES * 64 + (size_t)32 * 65536);
	for (size_t i = 0; i < PIECES; i++)
		slab_free(piece[i]);
	assert_true(slab_held() <= (size_t)16 * 65536);
}

/* What is free is used again before more is taken. */
static void test_holes_are_filled(void **state)
{
	size_t most;

	(void)state;
	for (size_t i = 0; i < PIECES; i++)
		fill(i, 200);
	most = slab_held();
	for (size_t round = 0; round < 10; round++) {
		for (size_t i = round; i < PIECES; i += 10)
			slab_free(piece[i]);
		for (size_t i = round; i < PIECES; i += 10)
			fill(i, 200);
	}
	assert_int_equal(slab_held(), most);
	for (size_t i = 0; i < PIECES; i++) {
		check(i, 200);
		slab_free(piece[i]);
	}
}

static void test_growing_and_shrinking(void **state)
{
	static const size_t sizes[] = {1, 20, 40, 39, 500, 16384, 16385, 300000, 300001, 1000000, 20000, 100, 7};
	unsigned char *at = NULL;
	size_t before = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		at = slab_realloc(at, sizes[i]);
		assert_non_null(at);
		for (size_t k = 0; k < (before < sizes[i] ? before : sizes[i]); k++)
			assert_int_equal(at[k], (unsigned char)(k * 7));
		for (size_t k = 0; k < sizes[i]; k++)
			at[k] = (unsigned char)(k * 7);
		before = sizes[i];
	}
	slab_free(at);
	slab_free(NULL);
}

static void test_no_memory(void **state)
{
	unsigned char *at = slab_alloc(10);

	(void)state;
	assert_null(slab_alloc(SIZE_MAX));
	assert_null(slab_alloc(SIZE_MAX / 4));
	assert_null(slab_realloc(at, SIZE_MAX - 100));
	slab_free(at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_overlaps), cmocka_unit_test(test_memory_goes_back),
	    cmocka_unit_test(test_holes_are_filled), cmocka_unit_test(test_growing_and_shrinking),
	    cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

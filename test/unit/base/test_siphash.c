/* SPDX-License-Identifier: MIT */
/* siphash: vectors of another implementation of SipHash-1-3 (CPython's, seeds 0 and 1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/siphash.h"

static void vectors(void **state)
{
	static const struct siphash_key zero = {0, 0}, one = {0xaed66ce184be2329, 0xebe9bbf1f1499052};
	unsigned char count[63];
	const struct {
		const void *data;
		size_t len;
		uint64_t with_zero, with_one;
	} rows[] = {
	    {"a", 1, 0x407448d2b89b1813, 0xd6300bc9f7cc0e73},
	    {"abcdefg", 7, 0x6db12aae9070f506, 0x2cc75771f0205010},
	    {"abcdefgh", 8, 0x3f7b849c0b8e35ea, 0xfd3011ff3947e7f4},
	    {"0123456789abcdef", 16, 0x1d42b30f7e060c24, 0x32fb2aa9e1a93942},
	    {count, 17, 0x4883c49a2c009c1d, 0x9f5bb4237f61907f},
	    {count, 63, 0x385d3e39e5f37359, 0x542052345bc68274},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(count); i++)
		count[i] = (unsigned char)i;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(siphash13(&zero, rows[i].data, rows[i].len) == rows[i].with_zero);
		assert_true(siphash13(&one, rows[i].data, rows[i].len) == rows[i].with_one);
	}
}

static void keys_differ(void **state)
{
	struct siphash_key a, b;

	(void)state;
	siphash_key_random(&a);
	siphash_key_random(&b);
	assert_true(a.k0 != b.k0 && a.k1 != b.k1 && a.k0 != a.k1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(vectors), cmocka_unit_test(keys_differ)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

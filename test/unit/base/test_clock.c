/* SPDX-License-Identifier: MIT */
/* clock: RFC 3339 texts of known instants, the fake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/clock.h"

static void known_instants(void **state)
{
	static const struct {
		int64_t us;
		const char *text;
	} rows[] = {
	    {0, "1970-01-01T00:00:00.000000Z"},
	    {1795336069123456, "2026-11-22T08:27:49.123456Z"},
	    {951782400000001, "2000-02-29T00:00:00.000001Z"},
	    {-1, "1969-12-31T23:59:59.999999Z"},
	    {253402300799999999, "9999-12-31T23:59:59.999999Z"},
	    {INT64_MAX, "9999-12-31T23:59:59.000000Z"},
	    {INT64_MIN, "0001-01-01T00:00:00.000000Z"},
	};
	char out[CLOCK_RFC3339_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		clock_rfc3339(rows[i].us, out);
		assert_string_equal(out, rows[i].text);
	}
}

static void fake_stands_still(void **state)
{
	uint64_t before = clock_ns();

	(void)state;
	clock_fake(5000000, 77);
	assert_int_equal(clock_ns(), 5000000);
	assert_int_equal(clock_ms(), 5);
	assert_int_equal(clock_real_us(), 77);
	clock_unfake();
	assert_true(clock_ns() >= before);
	assert_true(clock_real_us() > 1700000000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(known_instants), cmocka_unit_test(fake_stands_still)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

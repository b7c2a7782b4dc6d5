/* SPDX-License-Identifier: MIT */
/* errbuf: replacing, truncating, its own text as argument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/errbuf.h"

static void replaces(void **state)
{
	struct errbuf err;

	(void)state;
	errbuf_set(&err, "%s: %d", "first", 1);
	assert_string_equal(err.text, "first: 1");
	errbuf_set(&err, "outer: %s", err.text);
	assert_string_equal(err.text, "outer: first: 1");
	errbuf_set(NULL, "nobody asks");
}

static void truncates(void **state)
{
	struct errbuf err;
	char text[1000];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	errbuf_set(&err, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, text, sizeof(err.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(replaces), cmocka_unit_test(truncates)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * --version: our version and three libraries, a line each.
 */
#include "daemon/about.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_lines(void **state)
{
	char *text = NULL, *line, *save = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	static const char *const begins[] = {"portcullis " PORTCULLIS_VERSION, "OpenSSL 3.", "libexpat 2.",
					     "libevent 2."};

	(void)state;
	about_print(out);
	fclose(out);
	line = strtok_r(text, "\n", &save);
	for (size_t i = 0; i < 4; i++) {
		assert_non_null(line);
		assert_memory_equal(line, begins[i], strlen(begins[i]));
		line = strtok_r(NULL, "\n", &save);
	}
	assert_null(line);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The answer to `streams` put together from several workers' chunks, and the workers that did not answer.
 */
#include "daemon/streams_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static void test_streams_query(void **state)
{
	struct streams_query q;
	size_t len;
	char *text;

	(void)state;
	streams_query_begin(&q, 5, 9, 1000);
	streams_query_ask(&q, 0);
	streams_query_ask(&q, 1);
	streams_query_ask(&q, 3);
	assert_int_equal(q.outstanding, 3);
	streams_query_part(&q, "{\"a\":1},{\"a\":2}", 15);
	streams_query_part(&q, "", 0);
	streams_query_part(&q, "{\"a\":3}", 7);
	streams_query_end(&q, 0);
	streams_query_end(&q, 0);
	streams_query_end(&q, 2);
	assert_int_equal(q.outstanding, 2);
	text = streams_query_finish(&q, &len);
	assert_string_equal(text, "{\"streams\":[{\"a\":1},{\"a\":2},{\"a\":3}],\"unanswered\":[1,3]}\n");
	assert_int_equal(len, strlen(text));
	assert_true(q.client == 0);
	mem_free(text);
	streams_query_begin(&q, 6, 10, 1000);
	text = streams_query_finish(&q, &len);
	assert_string_equal(text, "{\"streams\":[],\"unanswered\":[]}\n");
	mem_free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_streams_query)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

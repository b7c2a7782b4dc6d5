/* SPDX-License-Identifier: MIT */
/*
 * One stream as JSON: exact text, members that do not apply left out, a peer's text escaped.
 */
#include "daemon/stream_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static void test_object(void **state)
{
	struct engine_stream s = {.id = "abc",
				  .role = "c2s-inbound",
				  .state = "relaying",
				  .from = "a@example.com",
				  .to = "example.com",
				  .source = "192.0.2.1:4000",
				  .outer_tls = "1.3",
				  .outer_cipher = "TLS_AES_256_GCM_SHA384",
				  .inner_tls = "",
				  .inner_cipher = "",
				  .verification = "none",
				  .auth_method = "",
				  .auth_identity = NULL,
				  .age_ms = 5,
				  .bytes_in = 6,
				  .bytes_out = 7};
	char *text = stream_list_json(&s, 3);

	(void)state;
	assert_string_equal(text,
			    "{\"id\":\"abc\",\"worker\":3,\"role\":\"c2s-inbound\",\"state\":\"relaying\",\"from\":"
			    "\"a@example.com\",\"to\":\"example.com\",\"source\":\"192.0.2.1:4000\",\"outer\":{"
			    "\"version\":\"1.3\",\"cipher\":\"TLS_AES_256_GCM_SHA384\"},\"inner\":{},\"verification\":"
			    "\"none\",\"age_ms\":5,\"bytes_in\":6,\"bytes_out\":7}");
	mem_free(text);
}

static void test_hostile(void **state)
{
	static char large[5000];
	struct engine_stream s = {.id = "x", .from = "a\n\x1b[31m\xff", .to = large};
	char *text;

	(void)state;
	memset(large, 0xc3, sizeof(large) - 1);
	text = stream_list_json(&s, 0);
	assert_non_null(text);
	assert_null(strchr(text, '\n'));
	assert_null(strchr(text, '\x1b'));
	assert_null(strchr(text, '\xff'));
	assert_true(strlen(text) < 4096);
	mem_free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_object), cmocka_unit_test(test_hostile)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The outbox against a socket that is full and one that is gone: order kept, nothing lost while anybody reads.
 */
#include "daemon/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_outbox(void **state)
{
	static uint8_t buffer[MESSAGE_SIZE_MAX];
	static char text[60000];
	struct outbox box = {.head = NULL};
	struct message m = {.type = MESSAGE_STREAMS_PART, .payload = text, .len = sizeof(text)}, in;
	uint64_t expected = 0;
	int pair[2];

	(void)state;
	assert_int_equal(message_pair(pair), 0);
	for (m.number = 0; m.number < 40; m.number++) {
		memset(text, 'a' + (int)(m.number % 26), sizeof(text));
		outbox_add(&box, &m);
	}
	assert_false(outbox_flush(&box, pair[0]));
	while (expected < 40) {
		enum message_result result = message_receive(pair[1], &in, buffer, NULL);

		if (result == MESSAGE_AGAIN) {
			outbox_flush(&box, pair[0]);
			continue;
		}
		assert_int_equal(result, MESSAGE_OK);
		assert_true(in.number == expected);
		assert_int_equal(((const char *)in.payload)[59999], 'a' + (int)(expected % 26));
		expected++;
	}
	assert_true(outbox_flush(&box, pair[0]));
	assert_null(box.head);
	/* Nobody there any more: what waits is dropped. */
	outbox_add(&box, &m);
	close(pair[1]);
	assert_true(outbox_flush(&box, pair[0]));
	assert_null(box.head);
	close(pair[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_outbox)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

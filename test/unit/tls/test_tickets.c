/* SPDX-License-Identifier: MIT */
/* Key rotation in shared memory: which key encrypts, which are kept, which are destroyed, and the sequence lock. */
#include "tls/tickets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define T0 1700000000
#define LIFE 3600

static void test_no_keys_at_first(void **state)
{
	struct shared_tickets t = {0};
	struct shared_ticket_key keys[SHARED_TICKET_KEYS];

	(void)state;
	assert_false(tickets_read(&t, keys));
	assert_true(tickets_rotate(&t, LIFE, T0));
	assert_true(tickets_read(&t, keys));
	assert_int_equal(keys[0].made, T0);
	assert_int_equal(keys[1].made, 0);
	assert_int_equal(t.version, 2);
}

static void test_rotation_keeps_then_destroys(void **state)
{
	static const struct shared_ticket_key none;
	struct shared_tickets t = {0};
	struct shared_ticket_key first[SHARED_TICKET_KEYS], now[SHARED_TICKET_KEYS];

	(void)state;
	tickets_rotate(&t, LIFE, T0);
	tickets_read(&t, first);
	assert_false(tickets_rotate(&t, LIFE, T0 + LIFE - 1));
	assert_true(tickets_rotate(&t, LIFE, T0 + LIFE));
	assert_true(tickets_read(&t, now));
	assert_memory_equal(&now[1], &first[0], sizeof(now[1]));
	assert_memory_not_equal(now[0].name, first[0].name, sizeof(now[0].name));
	assert_memory_not_equal(now[0].aes, first[0].aes, sizeof(now[0].aes));
	assert_memory_not_equal(now[0].hmac, first[0].hmac, sizeof(now[0].hmac));
	assert_true(tickets_rotate(&t, LIFE, T0 + 2 * LIFE));
	assert_true(tickets_read(&t, now));
	assert_int_equal(now[1].made, T0 + LIFE);
	assert_memory_equal(&now[2], &none, sizeof(none));
	for (size_t i = 0; i < SHARED_TICKET_KEYS; i++)
		assert_memory_not_equal(t.key[i].aes, first[0].aes, sizeof(first[0].aes));
}

static void test_old_key_destroyed_between_rotations(void **state)
{
	struct shared_tickets t = {0};
	struct shared_ticket_key keys[SHARED_TICKET_KEYS];

	(void)state;
	tickets_rotate(&t, LIFE, T0);
	tickets_rotate(&t, LIFE, T0 + LIFE + 500);
	assert_false(tickets_rotate(&t, LIFE, T0 + 2 * LIFE - 1));
	assert_true(tickets_rotate(&t, LIFE, T0 + 2 * LIFE));
	tickets_read(&t, keys);
	assert_int_equal(keys[0].made, T0 + LIFE + 500);
	assert_int_equal(keys[1].made, 0);
}

static void test_clock_set_back_replaces(void **state)
{
	struct shared_tickets t = {0};
	struct shared_ticket_key keys[SHARED_TICKET_KEYS];

	(void)state;
	tickets_rotate(&t, LIFE, T0);
	assert_true(tickets_rotate(&t, LIFE, T0 - 10));
	tickets_read(&t, keys);
	assert_int_equal(keys[0].made, T0 - 10);
	assert_int_equal(keys[1].made, 0);
}

static void test_reader_gives_up_on_a_torn_write(void **state)
{
	static const struct shared_ticket_key none[SHARED_TICKET_KEYS];
	struct shared_tickets t = {0};
	struct shared_ticket_key keys[SHARED_TICKET_KEYS];

	(void)state;
	tickets_rotate(&t, LIFE, T0);
	atomic_store(&t.version, 3);
	memset(keys, 0x55, sizeof(keys));
	assert_false(tickets_read(&t, keys));
	assert_memory_equal(keys, none, sizeof(keys));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_keys_at_first),
	    cmocka_unit_test(test_rotation_keeps_then_destroys),
	    cmocka_unit_test(test_old_key_destroyed_between_rotations),
	    cmocka_unit_test(test_clock_set_back_replaces),
	    cmocka_unit_test(test_reader_gives_up_on_a_torn_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

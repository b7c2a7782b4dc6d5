/* SPDX-License-Identifier: MIT */
/* shared: exact limits over processes, a killed worker's counts given back, its lock too; sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/shared.h"

static struct addr_key key_of(uint32_t n)
{
	struct addr_key key = {{0}};

	memcpy(key.bytes, &n, sizeof(n));
	return key;
}

static void limits(void **state)
{
	struct shared *s = shared_new(2, 5, 3);
	struct addr_key a = key_of(1), b = key_of(2), c = key_of(0);
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(shared_admit(s, (unsigned)i % 2, &a), SHARED_ADMIT);
	assert_int_equal(shared_admit(s, 0, &a), SHARED_REFUSE_ADDRESS);
	assert_int_equal(shared_admit(s, 1, &b), SHARED_ADMIT);
	assert_int_equal(shared_admit(s, 1, &c), SHARED_ADMIT);
	assert_int_equal(shared_admit(s, 1, &b), SHARED_REFUSE_TOTAL);
	shared_release(s, 1, &a);
	assert_int_equal(shared_admit(s, 0, &b), SHARED_ADMIT);
	assert_int_equal(shared_admit(s, 0, &a), SHARED_REFUSE_TOTAL);
	shared_free(&s);
	assert_null(s);
}

/* Behind a trusted proxy: only the total holds until the client is known, then the client's own limit does. */
static void moves(void **state)
{
	struct shared *s = shared_new(2, 6, 2);
	struct addr_key proxy = key_of(1), a = key_of(2), b = key_of(3);
	int i;

	(void)state;
	for (i = 0; i < 5; i++)
		assert_int_equal(shared_admit_uncounted(s, (unsigned)i % 2, &proxy), SHARED_ADMIT);
	assert_int_equal(shared_admit(s, 0, &proxy), SHARED_REFUSE_ADDRESS);
	assert_int_equal(shared_move(s, 0, &proxy, &a), SHARED_ADMIT);
	assert_int_equal(shared_admit(s, 1, &a), SHARED_ADMIT);
	assert_int_equal(shared_admit_uncounted(s, 1, &proxy), SHARED_REFUSE_TOTAL);
	assert_int_equal(shared_move(s, 0, &proxy, &a), SHARED_REFUSE_ADDRESS);
	/* In a full table, and to a key that has no entry yet. */
	assert_int_equal(shared_move(s, 0, &proxy, &b), SHARED_ADMIT);
	assert_int_equal(shared_move(s, 1, &proxy, &b), SHARED_ADMIT);
	assert_int_equal(shared_move(s, 1, &proxy, &b), SHARED_REFUSE_ADDRESS);
	shared_release(s, 0, &b);
	assert_int_equal(shared_move(s, 1, &proxy, &b), SHARED_ADMIT);
	shared_release(s, 0, &proxy);
	shared_reap(s, 0);
	shared_release(s, 1, &a);
	shared_release(s, 1, &b);
	shared_release(s, 1, &b);
	/* Every place is free again. */
	for (i = 0; i < 6; i++)
		assert_int_equal(shared_admit_uncounted(s, 0, &b), SHARED_ADMIT);
	assert_int_equal(shared_admit_uncounted(s, 0, &b), SHARED_REFUSE_TOTAL);
	shared_free(&s);
}

/* Other limits while connections are open: they stay, and count. */
static void changed_limits(void **state)
{
	struct shared *s = shared_new(1, 4, 4);
	struct addr_key a = key_of(1), b = key_of(2);
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(shared_admit(s, 0, &a), SHARED_ADMIT);
	assert_false(shared_set_limits(s, 5, 1));
	assert_int_equal(shared_admit(s, 0, &a), SHARED_ADMIT);
	shared_release(s, 0, &a);
	assert_true(shared_set_limits(s, 3, 2));
	assert_int_equal(shared_admit(s, 0, &b), SHARED_REFUSE_TOTAL);
	shared_release(s, 0, &a);
	assert_int_equal(shared_admit(s, 0, &a), SHARED_REFUSE_ADDRESS);
	assert_int_equal(shared_admit(s, 0, &b), SHARED_ADMIT);
	assert_true(shared_set_limits(s, 4, 200));
	assert_int_equal(shared_admit(s, 0, &a), SHARED_ADMIT);
	assert_int_equal(shared_admit(s, 0, &a), SHARED_REFUSE_TOTAL);
	shared_free(&s);
}

/* Many keys come and go in a full table: every key must be found until it is released, and never after. */
static void churn(void **state)
{
	enum { MAX = 300 };
	struct shared *s = shared_new(3, MAX, 2);
	struct addr_key key;
	uint32_t round, i;

	(void)state;
	for (round = 0; round < 20; round++) {
		for (i = 0; i < MAX; i++) {
			key = key_of(round * 7 + i);
			assert_int_equal(shared_admit(s, i % 3, &key), SHARED_ADMIT);
		}
		key = key_of(99999);
		assert_int_equal(shared_admit(s, 0, &key), SHARED_REFUSE_TOTAL);
		for (i = 0; i < MAX; i += 2) {
			key = key_of(round * 7 + i);
			shared_release(s, i % 3, &key);
		}
		for (i = 1; i < MAX; i += 2) {
			key = key_of(round * 7 + i);
			assert_int_equal(shared_admit(s, 0, &key), SHARED_ADMIT);
			assert_int_equal(shared_admit(s, 0, &key), SHARED_REFUSE_ADDRESS);
			shared_release(s, 0, &key);
			shared_release(s, i % 3, &key);
		}
	}
	shared_free(&s);
}

static void reap_is_exact(void **state)
{
	struct shared *s = shared_new(3, 100, 10);
	struct addr_key a = key_of(1), b = key_of(2);
	int i;

	(void)state;
	for (i = 0; i < 4; i++)
		assert_int_equal(shared_admit(s, 0, &a), SHARED_ADMIT);
	for (i = 0; i < 6; i++)
		assert_int_equal(shared_admit(s, 1, &a), SHARED_ADMIT);
	for (i = 0; i < 9; i++)
		assert_int_equal(shared_admit(s, 1, &b), SHARED_ADMIT);
	atomic_store(&s->slot[1].pid, 77);
	atomic_store(&s->slot[1].open[2], 5);
	atomic_store(&s->slot[0].open[2], 2);
	shared_count(&s->slot[1], COUNTER_ACCEPTED, 15);
	assert_int_equal(shared_admit(s, 2, &a), SHARED_REFUSE_ADDRESS);
	shared_reap(s, 1);
	assert_int_equal(atomic_load(&s->slot[1].pid), 0);
	assert_int_equal(shared_total_open(s, 2), 2);
	assert_int_equal(shared_total(s, COUNTER_ACCEPTED), 15);
	for (i = 0; i < 6; i++)
		assert_int_equal(shared_admit(s, 2, &a), SHARED_ADMIT);
	assert_int_equal(shared_admit(s, 2, &a), SHARED_REFUSE_ADDRESS);
	for (i = 0; i < 10; i++)
		assert_int_equal(shared_admit(s, 2, &b), SHARED_ADMIT);
	assert_int_equal(shared_admit(s, 2, &b), SHARED_REFUSE_ADDRESS);
	/* Twice is once. */
	shared_reap(s, 1);
	assert_int_equal(shared_admit(s, 2, &a), SHARED_REFUSE_ADDRESS);
	shared_free(&s);
}

/* A worker admits and releases over 40 keys until it is killed, in whatever line that is. */
static pid_t busy_worker(struct shared *s, unsigned worker)
{
	bool held[40] = {false};
	struct addr_key key;
	pid_t pid = fork();
	uint32_t i;

	if (pid)
		return pid;
	for (i = worker;; i = (i * 1103515245 + 12345) & 0x7fffffff) {
		key = key_of(i / 65536 % 40);
		if (held[i / 65536 % 40])
			shared_release(s, worker, &key);
		held[i / 65536 % 40] = !held[i / 65536 % 40] && shared_admit(s, worker, &key) == SHARED_ADMIT;
	}
}

static void kill_and_reap(struct shared *s, unsigned worker, pid_t pid)
{
	int status;

	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	shared_reap(s, worker);
}

/* Nobody is left: the whole of both limits must be there to have. */
static void assert_empty(struct shared *s)
{
	struct addr_key key;
	uint32_t i;

	for (i = 0; i < 60; i++) {
		key = key_of(i % 40);
		assert_int_equal(shared_admit(s, 2, &key), SHARED_ADMIT);
	}
	key = key_of(1000);
	assert_int_equal(shared_admit(s, 2, &key), SHARED_REFUSE_TOTAL);
	for (i = 0; i < 60; i++) {
		key = key_of(i % 40);
		shared_release(s, 2, &key);
	}
}

/* Killed again and again, often with the lock held: what stays must be exact every time. */
static void killed_while_contending(void **state)
{
	struct shared *s = shared_new(3, 60, 2);
	pid_t first, second;
	unsigned round;

	(void)state;
	for (round = 0; round < 60; round++) {
		first = busy_worker(s, 0);
		second = busy_worker(s, 1);
		(void)usleep(1000 + round * 131 % 2000);
		kill_and_reap(s, 0, first);
		(void)usleep(500);
		kill_and_reap(s, 1, second);
		assert_empty(s);
	}
	shared_free(&s);
}

static int admit_many(struct shared *s, unsigned worker, int tries)
{
	struct addr_key key = key_of(7);
	int got = 0;

	while (tries--)
		got += shared_admit(s, worker, &key) == SHARED_ADMIT;
	return got;
}

/* Two processes race for one address: together exactly the limit. */
static void race_is_exact(void **state)
{
	struct shared *s = shared_new(2, 10000, 1000);
	struct addr_key key = key_of(7);
	int fds[2], theirs = 0, mine, status, i;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		theirs = admit_many(s, 1, 5000);
		_exit(write(fds[1], &theirs, sizeof(theirs)) == sizeof(theirs) ? 0 : 1);
	}
	mine = admit_many(s, 0, 5000);
	assert_int_equal(read(fds[0], &theirs, sizeof(theirs)), sizeof(theirs));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(mine + theirs, 1000);
	shared_reap(s, 1);
	for (i = 0; i < theirs; i++)
		assert_int_equal(shared_admit(s, 0, &key), SHARED_ADMIT);
	assert_int_equal(shared_admit(s, 0, &key), SHARED_REFUSE_ADDRESS);
	(void)close(fds[0]);
	(void)close(fds[1]);
	shared_free(&s);
}

static void sums_and_names(void **state)
{
	struct shared *s = shared_new(SHARED_WORKERS_MAX, 100000, 200);
	unsigned i;

	(void)state;
	for (i = 0; i < SHARED_WORKERS_MAX; i++) {
		shared_count(&s->slot[i], COUNTER_CLOSED, i);
		atomic_fetch_add(&s->slot[i].reason[3], 2);
		atomic_fetch_add(&s->slot[i].open[1], 1);
	}
	assert_int_equal(shared_total(s, COUNTER_CLOSED), 255 * 128);
	assert_int_equal(shared_total(s, COUNTER_ACCEPTED), 0);
	assert_int_equal(shared_total_reason(s, 3), 512);
	assert_int_equal(shared_total_open(s, 1), 256);
	for (i = 0; i < COUNTER_COUNT; i++)
		assert_true(strlen(shared_counter_name((enum shared_counter)i)) > 3);
	assert_string_equal(shared_counter_name(COUNTER_BYTES_IN), "bytes_in");
	shared_free(&s);
	shared_free(&s);
}

static struct shared_ends ends_of(const char *own, const char *to)
{
	struct shared_ends ends;
	const char *why;

	assert_int_equal(addr_parse(&ends.own, own, false, &why), 0);
	assert_int_equal(addr_parse(&ends.to, to, false, &why), 0);
	return ends;
}

/* Any process knows the connection, until the worker forgets it or is reaped. */
static void own_connections(void **state)
{
	struct shared *shared = shared_new(2, 8, 8);
	const struct shared_ends a = ends_of("192.0.2.1:40000", "198.51.100.1:5269");
	const struct shared_ends b = ends_of("[2001:db8::1]:40000", "[2001:db8::2]:5269");
	const struct shared_ends elsewhere = ends_of("192.0.2.1:40000", "198.51.100.2:5269");
	const struct shared_ends local = ends_of("unix:/x", "198.51.100.2:5269");

	(void)state;
	assert_false(shared_is_own(shared, &a));
	shared_note_own(shared, 0, &a);
	shared_note_own(shared, 1, &b);
	assert_true(shared_is_own(shared, &a));
	assert_true(shared_is_own(shared, &b));
	assert_false(shared_is_own(shared, &elsewhere));
	shared_forget_own(shared, 1, &a); /* not that worker's */
	assert_true(shared_is_own(shared, &a));
	shared_forget_own(shared, 0, &a);
	assert_false(shared_is_own(shared, &a));
	shared_reap(shared, 1);
	assert_false(shared_is_own(shared, &b));
	shared_note_own(shared, 0, &local); /* no address of a network */
	assert_false(shared_is_own(shared, &local));
	shared_free(&shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(own_connections),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(moves),
	    cmocka_unit_test(changed_limits),
	    cmocka_unit_test(churn),
	    cmocka_unit_test(reap_is_exact),
	    cmocka_unit_test(killed_while_contending),
	    cmocka_unit_test(race_is_exact),
	    cmocka_unit_test(sums_and_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* shared_ids: what one process puts another gets; bounded by use; a holder killed in the middle costs nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/shared.h"
#include "base/shared_ids.h"

static int setup(void **state)
{
	*state = shared_new(1, 1, 1);
	return 0;
}

static int teardown(void **state)
{
	struct shared *s = *state;

	shared_free(&s);
	return 0;
}

static void assert_id(struct shared_ids *ids, const char *from, const char *to, const char *theirs, const char *ours)
{
	char got[SHARED_ID_SIZE] = "untouched";

	assert_int_equal(shared_ids_get(ids, from, to, theirs, got), ours != NULL);
	assert_string_equal(got, ours != NULL ? ours : "untouched");
}

static void each_part_counts(void **state)
{
	struct shared_ids *ids = ((struct shared *)*state)->ids;

	assert_id(ids, "a.example", "b.example", "y1", NULL);
	assert_true(shared_ids_put(ids, "a.example", "b.example", "y1", "x1"));
	assert_id(ids, "a.example", "b.example", "y1", "x1");
	assert_id(ids, "b.example", "a.example", "y1", NULL);
	assert_id(ids, "a.example", "c.example", "y1", NULL);
	assert_id(ids, "c.example", "b.example", "y1", NULL);
	assert_id(ids, "a.example", "b.example", "y", NULL);
	/* No text runs into the next. */
	assert_id(ids, "a.exampleb.example", "", "y1", NULL);
	assert_true(shared_ids_put(ids, "a.example", "b.example", "y2", "x2"));
	assert_true(shared_ids_put(ids, "a.example", "b.example", "y1", "x3"));
	assert_id(ids, "a.example", "b.example", "y1", "x3");
	shared_ids_remove(ids, "a.example", "b.example", "y1");
	shared_ids_remove(ids, "a.example", "b.example", "never");
	assert_id(ids, "a.example", "b.example", "y1", NULL);
	assert_id(ids, "a.example", "b.example", "y2", "x2");
}

static void what_does_not_fit(void **state)
{
	struct shared_ids *ids = ((struct shared *)*state)->ids;
	char id[SHARED_ID_SIZE + 1], domain[SHARED_ID_DOMAIN_SIZE + 1];

	memset(id, 'i', SHARED_ID_SIZE);
	memset(domain, 'd', SHARED_ID_DOMAIN_SIZE);
	id[SHARED_ID_SIZE] = domain[SHARED_ID_DOMAIN_SIZE] = '\0';
	assert_false(shared_ids_put(ids, "a", "b", id, "x"));
	assert_false(shared_ids_put(ids, "a", "b", "y", id));
	assert_false(shared_ids_put(ids, "a", domain, "y", "x"));
	assert_false(shared_ids_put(ids, domain, "b", "y", "x"));
	assert_id(ids, "a", "b", id, NULL);
	shared_ids_remove(ids, "a", "b", id);
	id[SHARED_ID_SIZE - 1] = domain[SHARED_ID_DOMAIN_SIZE - 1] = '\0';
	assert_true(shared_ids_put(ids, domain, domain, id, id));
	assert_id(ids, domain, domain, id, id);
}

static void put_number(struct shared_ids *ids, unsigned n)
{
	char theirs[16], ours[16];

	snprintf(theirs, sizeof(theirs), "y%u", n);
	snprintf(ours, sizeof(ours), "x%u", n);
	assert_true(shared_ids_put(ids, "a.example", "b.example", theirs, ours));
}

/* Many times more than there is room for: what is in use stays, the newest is there, most of the old is gone. */
static void bounded(void **state)
{
	struct shared_ids *ids = ((struct shared *)*state)->ids;
	unsigned n, left = 0;

	put_number(ids, 0);
	for (n = 1; n < 20000; n++) {
		char theirs[16], ours[16], got[SHARED_ID_SIZE];

		put_number(ids, n);
		snprintf(theirs, sizeof(theirs), "y%u", n);
		snprintf(ours, sizeof(ours), "x%u", n);
		assert_id(ids, "a.example", "b.example", theirs, ours);
		assert_true(shared_ids_get(ids, "a.example", "b.example", "y0", got));
	}
	for (n = 0; n < 20000; n++) {
		char theirs[16], got[SHARED_ID_SIZE];

		snprintf(theirs, sizeof(theirs), "y%u", n);
		left += shared_ids_get(ids, "a.example", "b.example", theirs, got) ? 1 : 0;
	}
	assert_true(left <= 4096);
	assert_true(left > 3500);
}

static pid_t busy_child(struct shared_ids *ids, int ready)
{
	pid_t pid = fork();
	unsigned n;

	if (pid != 0)
		return pid;
	for (n = 0;; n++) {
		put_number(ids, n % 50);
		if (n == 50 && write(ready, "r", 1) != 1)
			_exit(1);
	}
}

/* Killed at whatever it was doing, often enough that it held the lock at some time. */
static void killed_holder(void **state)
{
	struct shared_ids *ids = ((struct shared *)*state)->ids;
	int pipes[2], status, round;
	char byte;

	assert_true(shared_ids_put(ids, "keep.example", "b.example", "y", "x"));
	for (round = 0; round < 40; round++) {
		pid_t pid;

		assert_int_equal(pipe(pipes), 0);
		pid = busy_child(ids, pipes[1]);
		assert_true(pid > 0);
		assert_int_equal(read(pipes[0], &byte, 1), 1);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		close(pipes[0]);
		close(pipes[1]);
		put_number(ids, 7);
		assert_id(ids, "a.example", "b.example", "y7", "x7");
		assert_id(ids, "keep.example", "b.example", "y", "x");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(each_part_counts, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_does_not_fit, setup, teardown),
	    cmocka_unit_test_setup_teardown(bounded, setup, teardown),
	    cmocka_unit_test_setup_teardown(killed_holder, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

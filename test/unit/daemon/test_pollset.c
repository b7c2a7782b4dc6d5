/* SPDX-License-Identifier: MIT */
/*
 * The master's loop: only what is ready is called, a descriptor of -1 is nothing, and adding past the first size works.
 */
#include "daemon/pollset.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	unsigned calls;
	short revents;
};

static void note(void *ctx, short revents)
{
	struct seen *seen = ctx;

	seen->calls++;
	seen->revents = revents;
}

static void test_ready_only(void **state)
{
	struct pollset set = {.fds = NULL};
	struct seen seen[40];
	int fds[2];

	(void)state;
	memset(seen, 0, sizeof(seen));
	assert_int_equal(pipe(fds), 0);
	for (int i = 0; i < 40; i++)
		pollset_add(&set, i == 33 ? fds[1] : fds[0], i == 33 ? POLLOUT : POLLIN, note, &seen[i]);
	pollset_add(&set, -1, POLLIN, note, &seen[0]);
	assert_int_equal(set.count, 40);
	pollset_run(&set, 0);
	for (int i = 0; i < 40; i++)
		assert_int_equal(seen[i].calls, i == 33);
	assert_int_equal(seen[33].revents, POLLOUT);
	assert_int_equal(write(fds[1], "x", 1), 1);
	pollset_clear(&set);
	pollset_add(&set, fds[0], POLLIN, note, &seen[5]);
	pollset_run(&set, 1000);
	assert_int_equal(seen[5].calls, 1);
	assert_int_equal(seen[5].revents, POLLIN);
	assert_int_equal(seen[33].calls, 1);
	pollset_fini(&set);
	assert_null(set.fds);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_ready_only)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

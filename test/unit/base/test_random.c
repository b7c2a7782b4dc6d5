/* SPDX-License-Identifier: MIT */
/* random: no repetition, none across fork, hex form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"

static void never_the_same(void **state)
{
	unsigned char seen[200][16], big[4096], zero[4096] = {0};
	size_t i, j;

	(void)state;
	for (i = 0; i < 200; i++) {
		random_bytes(seen[i], 16);
		for (j = 0; j < i; j++)
			assert_memory_not_equal(seen[i], seen[j], 16);
	}
	memcpy(big, zero, sizeof(big));
	random_bytes(big, sizeof(big));
	assert_memory_not_equal(big + 4080, zero, 16);
	random_bytes(big, 0);
}

static void not_shared_with_a_child(void **state)
{
	unsigned char mine[16], theirs[16];
	int fds[2], status;
	pid_t pid;

	(void)state;
	random_bytes(mine, 1);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		random_bytes(theirs, sizeof(theirs));
		_exit(write(fds[1], theirs, sizeof(theirs)) == sizeof(theirs) ? 0 : 1);
	}
	random_bytes(mine, sizeof(mine));
	assert_int_equal(read(fds[0], theirs, sizeof(theirs)), sizeof(theirs));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_memory_not_equal(mine, theirs, sizeof(mine));
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void hex_form(void **state)
{
	char out[34], again[34], longer[130];

	(void)state;
	memset(out, 'Z', sizeof(out));
	random_hex(out, 16);
	random_hex(again, 16);
	assert_int_equal(strlen(out), 32);
	assert_int_equal(strspn(out, "0123456789abcdef"), 32);
	assert_int_equal(out[33], 'Z');
	assert_string_not_equal(out, again);
	memset(longer, 'Z', sizeof(longer));
	random_hex(longer, 64);
	assert_int_equal(strspn(longer, "0123456789abcdef"), 128);
	assert_int_equal(longer[128], '\0');
	assert_int_equal(longer[129], 'Z');
	assert_memory_not_equal(longer, longer + 64, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(never_the_same),
	    cmocka_unit_test(not_shared_with_a_child),
	    cmocka_unit_test(hex_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* mem: sizes of zero, copies, the abort on overflow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

static void zero_size_is_a_pointer(void **state)
{
	void *p = mem_alloc(0), *q = mem_zalloc(0), *r = mem_array(0, 8);

	(void)state;
	assert_non_null(p);
	assert_non_null(q);
	assert_non_null(r);
	p = mem_realloc(p, 0);
	assert_non_null(p);
	mem_free(p);
	mem_free(q);
	mem_free(r);
	mem_free(NULL);
}

static void zalloc_is_zeroed(void **state)
{
	static const char zero[100];
	char *p = mem_zalloc(100), *q = mem_array(10, 10);

	(void)state;
	assert_memory_equal(p, zero, 100);
	assert_memory_equal(q, zero, 100);
	mem_free(p);
	mem_free(q);
}

static void copies(void **state)
{
	char *a = mem_strdup("abc"), *b = mem_strndup("abcdef", 3), *c = mem_strndup("ab", 9);
	char *d = mem_dup("a\0b", 3), *e = mem_printf("%s-%d", "x", 42);

	(void)state;
	assert_string_equal(a, "abc");
	assert_string_equal(b, "abc");
	assert_string_equal(c, "ab");
	assert_memory_equal(d, "a\0b", 3);
	assert_string_equal(e, "x-42");
	assert_null(mem_strdup(NULL));
	assert_null(mem_strndup(NULL, 3));
	assert_null(mem_dup(NULL, 3));
	mem_free(a);
	mem_free(b);
	mem_free(c);
	mem_free(d);
	mem_free(e);
}

static void wipe_clears(void **state)
{
	char secret[8] = "secret!";

	(void)state;
	mem_wipe(secret, 4);
	assert_memory_equal(secret, "\0\0\0\0et!", 8);
	mem_wipe(NULL, 0);
}

static void overflow_aborts(void **state)
{
	const struct rlimit none = {0, 0};
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(SIGABRT, SIG_DFL);
		(void)close(STDERR_FILENO);
		mem_free(mem_array(SIZE_MAX / 2, 3));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(zero_size_is_a_pointer),
	    cmocka_unit_test(zalloc_is_zeroed),
	    cmocka_unit_test(copies),
	    cmocka_unit_test(wipe_clears),
	    cmocka_unit_test(overflow_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* log: the line filter, levels, prefix, journald form, the cap; read back from a pipe in place of stderr. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static int fds[2], saved_stderr;

static int setup(void **state)
{
	(void)state;
	saved_stderr = dup(STDERR_FILENO);
	if (pipe2(fds, O_NONBLOCK) || dup2(fds[1], STDERR_FILENO) < 0)
		return -1;
	log_setup(LOG_OUTPUT_STDERR, LOG_LEVEL_INFO);
	log_set_prefix(NULL, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)dup2(saved_stderr, STDERR_FILENO);
	(void)close(saved_stderr);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return 0;
}

/* What was written since; "" if nothing. */
static const char *written(void)
{
	static char text[8192];
	ssize_t n = read(fds[0], text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void level_first(void **state)
{
	(void)state;
	log_info("ready");
	assert_string_equal(written(), "info: ready\n");
	log_warn("%d of %s", 3, "x");
	assert_string_equal(written(), "warn: 3 of x\n");
	log_error("e");
	assert_string_equal(written(), "error: e\n");
	log_debug("not shown");
	assert_string_equal(written(), "");
	assert_false(log_enabled(LOG_LEVEL_DEBUG));
	log_setup(LOG_OUTPUT_STDERR, LOG_LEVEL_DEBUG);
	log_debug("shown");
	assert_string_equal(written(), "debug: shown\n");
	log_setup(LOG_OUTPUT_STDERR, LOG_LEVEL_ERROR);
	log_warn("not shown");
	assert_string_equal(written(), "");
}

static void cannot_be_forged(void **state)
{
	(void)state;
	log_info("from %s", "x\nerror: forged\r\x1b[2J\xe2\x80\xae\xff");
	assert_string_equal(written(), "info: from x\\x0aerror: forged\\x0d\\x1b[2J\\u{202E}\\xff\n");
}

static void put_prefix(void *ctx, char *out, size_t size)
{
	assert_true(size > 20);
	strncat(out, ctx, size - 1);
}

static void with_prefix(void **state)
{
	char prefix[] = "worker 3: ";

	(void)state;
	log_set_prefix(put_prefix, prefix);
	log_info("up");
	assert_string_equal(written(), "info: worker 3: up\n");
}

static void journald(void **state)
{
	(void)state;
	log_setup(LOG_OUTPUT_JOURNALD, LOG_LEVEL_DEBUG);
	log_error("a");
	log_warn("b");
	log_info("c\nd");
	log_debug("e");
	assert_string_equal(written(), "<3>a\n<4>b\n<6>c\\x0ad\n<7>e\n");
}

static void capped(void **state)
{
	char text[5001];
	const char *line;

	(void)state;
	memset(text, '\n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	line = written();
	assert_in_range(strlen(line), 1000, 2100);
	assert_string_equal(line + strlen(line) - 5, "\\x0a\n");
	assert_null(strchr(line, '\n')[1] ? line : NULL);
}

static void errno_survives(void **state)
{
	(void)state;
	errno = ENOSPC;
	log_info("%s", strerror(EIO));
	assert_int_equal(errno, ENOSPC);
}

static void safe(void **state)
{
	char out[16];

	(void)state;
	assert_string_equal(log_safe(out, sizeof(out), "a\nb", 3, 100), "a\\x0ab");
	assert_string_equal(log_safe(out, sizeof(out), "abcdef", 6, 3), "abc");
	assert_string_equal(log_safe(out, 4, "abcdef", 6, 100), "abc");
	assert_string_equal(log_safe(out, 5, "ab\ncd", 5, 100), "ab");
	assert_string_equal(log_safe(out, sizeof(out), NULL, 0, 10), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(level_first, setup, teardown),
	    cmocka_unit_test_setup_teardown(cannot_be_forged, setup, teardown),
	    cmocka_unit_test_setup_teardown(with_prefix, setup, teardown),
	    cmocka_unit_test_setup_teardown(journald, setup, teardown),
	    cmocka_unit_test_setup_teardown(capped, setup, teardown),
	    cmocka_unit_test_setup_teardown(errno_survives, setup, teardown),
	    cmocka_unit_test(safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

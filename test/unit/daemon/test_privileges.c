/* SPDX-License-Identifier: MIT */
/*
 * Which descriptors a child keeps, and that a dropped account is gone for good (the latter only where the test runs as
 * root).
 */
#include "daemon/privileges.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int keep_two(void)
{
	int keep[] = {30, -1, 12};

	for (int fd = 10; fd < 40; fd++)
		dup2(0, fd);
	descriptors_keep_only(keep, 3);
	for (int fd = 0; fd < 60; fd++)
		if (is_open(fd) != (fd < 3 || fd == 12 || fd == 30))
			return fd + 1;
	return 0;
}

static int keep_none(void)
{
	dup2(0, 20);
	descriptors_keep_only(NULL, 0);
	return is_open(3) || is_open(20) || !is_open(2);
}

static void test_descriptors(void **state)
{
	(void)state;
	assert_int_equal(in_child(keep_two), 0);
	assert_int_equal(in_child(keep_none), 0);
	assert_true(descriptors_raise() >= 64);
}

static int drop(void)
{
	struct account account = {.change = true, .uid = 65534, .gid = 65534};
	struct errbuf err = {.text = ""};

	if (privileges_drop(&account, &err) < 0)
		return 1;
	if (getuid() != 65534 || geteuid() != 65534 || getgid() != 65534 || getgroups(0, NULL) != 0)
		return 2;
	if (setuid(0) == 0 || seteuid(0) == 0)
		return 3;
	return prctl(PR_GET_NO_NEW_PRIVS, 0L, 0L, 0L, 0L) == 1 ? 0 : 4;
}

static void test_drop(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(drop), 0);
}

static int orphan(void)
{
	return privileges_die_with(getpid()) ? 1 : 0;
}

static void test_die_with(void **state)
{
	(void)state;
	/* That pid is not its parent: it is an orphan already. */
	assert_int_equal(in_child(orphan), 0);
}

static void test_account(void **state)
{
	char name[] = "no-such-account-here", root[] = "root";
	struct config config;
	struct account account;
	struct errbuf err = {.text = ""};

	(void)state;
	memset(&config, 0, sizeof(config));
	config.user = name;
	if (geteuid() != 0) {
		assert_int_equal(account_find(&config, &account, &err), 0);
		assert_false(account.change);
		return;
	}
	assert_int_equal(account_find(&config, &account, &err), -1);
	assert_string_equal(err.text,
			    "no account \"no-such-account-here\" on this machine; create it: adduser --system "
			    "--group no-such-account-here");
	config.user = root;
	assert_int_equal(account_find(&config, &account, &err), 0);
	assert_true(account.change);
	assert_int_equal(account.uid, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_descriptors), cmocka_unit_test(test_drop),
					   cmocka_unit_test(test_die_with), cmocka_unit_test(test_account)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

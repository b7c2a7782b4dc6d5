/* SPDX-License-Identifier: MIT */
/*
 * The original destination, from a kernel that redirects: in a network namespace of the test's own, with a rule of
 * netfilter. Where neither is to be had only the refusals are tested.
 */
#include "net/intercept.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int listen_on(const char *text)
{
	struct addr a;
	const char *why;
	int fd, off = 0, on = 1;

	assert_int_equal(addr_parse(&a, text, true, &why), 0);
	fd = socket(a.ss.ss_family, SOCK_STREAM, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a.ss.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	assert_int_equal(bind(fd, (const struct sockaddr *)&a.ss, a.len), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/* What the kernel says of a connection to that place, taken by `listening`. */
static void assert_destination(int listening, const char *to, enum intercept_result expected, const char *destination)
{
	struct addr a, out;
	struct errbuf err = {{0}};
	char text[ADDR_TEXT_SIZE];
	const char *why;
	int client, fd;

	assert_int_equal(addr_parse(&a, to, false, &why), 0);
	client = socket(a.ss.ss_family, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (const struct sockaddr *)&a.ss, a.len), 0);
	fd = accept(listening, NULL, NULL);
	assert_true(fd >= 0);
	assert_int_equal(intercept_destination(fd, &out, &err), expected);
	addr_text(&out, text);
	assert_string_equal(text, destination);
	assert_string_equal(err.text, "");
	close(fd);
	close(client);
}

/* A command line of words between single spaces, quietly. */
static bool run(const char *line)
{
	char copy[256], *words[24] = {NULL}, *rest = copy;
	pid_t child;
	int status;

	(void)snprintf(copy, sizeof(copy), "%s", line);
	for (size_t i = 0; i + 1 < sizeof(words) / sizeof(words[0]) && rest; i++)
		words[i] = strsep(&rest, " ");
	child = fork();
	if (child == 0) {
		(void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		(void)execvp(words[0], words);
		_exit(127);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

/* As root, or as root of a user namespace. */
static bool enter_namespace(void)
{
	char map[64];
	uid_t uid = getuid();

	if (unshare(CLONE_NEWNET) == 0)
		return true;
	(void)snprintf(map, sizeof(map), "0 %u 1", (unsigned)uid);
	return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && write_file("/proc/self/uid_map", map);
}

#define RULE " -t nat -A OUTPUT -p tcp --dport 5269 -j REDIRECT --to-ports 15269 -d "
static bool redirect(void)
{
	return enter_namespace() && run("ip link set lo up") && run("iptables" RULE "192.0.2.1") &&
	       run("ip6tables" RULE "2001:db8::1") && run("ip route add 192.0.2.0/24 dev lo") &&
	       run("ip route add 2001:db8::/32 dev lo");
}

#define NO_REDIRECT 77
static void in_namespace(void)
{
	int both;

	if (!redirect())
		_exit(NO_REDIRECT);
	both = listen_on("[::]:15269");
	assert_destination(both, "192.0.2.1:5269", INTERCEPT_FOUND, "192.0.2.1:5269");
	assert_destination(both, "[2001:db8::1]:5269", INTERCEPT_FOUND, "[2001:db8::1]:5269");
	assert_destination(both, "127.0.0.1:15269", INTERCEPT_DIRECT, "127.0.0.1:15269");
	assert_destination(both, "[::1]:15269", INTERCEPT_DIRECT, "[::1]:15269");
	close(both);
	both = listen_on("127.0.0.1:15269");
	assert_destination(both, "192.0.2.1:5269", INTERCEPT_FOUND, "192.0.2.1:5269");
	assert_destination(both, "127.0.0.1:15269", INTERCEPT_DIRECT, "127.0.0.1:15269");
	close(both);
}

static void test_redirected(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		in_namespace();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NO_REDIRECT)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_no_connection(void **state)
{
	struct addr out;
	struct errbuf err = {{0}};
	int pair[2];

	(void)state;
	assert_int_equal(intercept_destination(-1, &out, &err), INTERCEPT_FAILED);
	assert_string_equal(err.text, "no original destination: Bad file descriptor");
	assert_int_equal(out.len, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(intercept_destination(pair[0], &out, &err), INTERCEPT_FAILED);
	assert_non_null(strstr(err.text, "no original destination: "));
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_redirected),
	    cmocka_unit_test(test_no_connection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Starting connections: success, refusal at once and later, Unix sockets and their full backlog, self-connection. */
#include "net/dialer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int listen_on(struct addr *a, const char *text, int backlog)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	const char *why;
	int fd;

	assert_int_equal(addr_parse(a, text, true, &why), 0);
	fd = socket(a->ss.ss_family, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a->ss, a->len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	addr_from_sockaddr(a, (const struct sockaddr *)&ss, len);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static int outcome(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	assert_int_equal(poll(&p, 1, 2000), 1);
	return dialer_result(fd);
}

static void test_tcp(void **state)
{
	struct addr a;
	struct errbuf err = {{0}};
	int listening = listen_on(&a, "127.0.0.1:0", 5), fd = dialer_start(&a, &err), on = 0;
	socklen_t len = sizeof(on);

	(void)state;
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	assert_int_equal(on, 1);
	assert_int_equal(outcome(fd), 0);
	close(fd);
	close(listening);
}

static void test_tcp_refused(void **state)
{
	struct addr a;
	struct errbuf err = {{0}};
	int bound = listen_on(&a, "127.0.0.1:0", -1), fd = dialer_start(&a, &err);
	char want[200], text[ADDR_TEXT_SIZE];

	(void)state;
	addr_text(&a, text);
	(void)snprintf(want, sizeof(want), "cannot connect to %s: Connection refused", text);
	if (fd < 0)
		assert_string_equal(err.text, want);
	else
		assert_int_equal(outcome(fd), ECONNREFUSED);
	if (fd >= 0)
		close(fd);
	close(bound);
}

static void test_unix(void **state)
{
	char dir[] = "/tmp/test_dialer.XXXXXX", text[200], want[400];
	struct addr a, none;
	struct errbuf err = {{0}};
	const char *why;
	int listening, first, second;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(text, sizeof(text), "unix:%s/none", dir);
	assert_int_equal(addr_parse(&none, text, false, &why), 0);
	assert_int_equal(dialer_start(&none, &err), -1);
	(void)snprintf(want, sizeof(want), "cannot connect to %s: No such file or directory", text);
	assert_string_equal(err.text, want);
	(void)snprintf(text, sizeof(text), "unix:%s/s", dir);
	listening = listen_on(&a, text, 0);
	first = dialer_start(&a, &err);
	assert_true(first >= 0);
	assert_int_equal(outcome(first), 0);
	second = dialer_start(&a, &err);
	assert_int_equal(second, -1);
	(void)snprintf(want, sizeof(want),
		       "cannot connect to %s: Resource temporarily unavailable: its backlog is full", text);
	assert_string_equal(err.text, want);
	close(first);
	close(listening);
	unlink(text + 5);
	rmdir(dir);
}

static void test_self_connection_is_a_refusal(void **state)
{
	struct addr a;
	int fd = listen_on(&a, "127.0.0.1:0", -1);

	(void)state;
	assert_int_equal(connect(fd, (const struct sockaddr *)&a.ss, a.len), 0);
	assert_int_equal(dialer_result(fd), ECONNREFUSED);
	close(fd);
}

static void test_no_address(void **state)
{
	struct addr a = {0};
	struct errbuf err;

	(void)state;
	assert_int_equal(dialer_start(&a, &err), -1);
	assert_string_equal(err.text, "no address to connect to");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tcp),        cmocka_unit_test(test_tcp_refused),
	    cmocka_unit_test(test_unix),       cmocka_unit_test(test_self_connection_is_a_refusal),
	    cmocka_unit_test(test_no_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

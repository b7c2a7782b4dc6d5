/* SPDX-License-Identifier: MIT */
/* What the options are, and that an accepted connection has those of the listening socket. */
#include "net/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_option(int fd, int level, int name, int expected)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	assert_int_equal(value, expected);
}

static void assert_options(int fd)
{
	assert_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	assert_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	assert_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 120);
	assert_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 30);
	assert_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
}

static void test_options(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	int listening = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), fd;

	(void)state;
	socket_set_options(listening);
	assert_options(listening);
	assert_int_equal(bind(listening, (const struct sockaddr *)&in, len), 0);
	assert_int_equal(listen(listening, 1), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&in, &len), 0);
	assert_int_equal(connect(client, (const struct sockaddr *)&in, len), 0);
	assert_option(client, IPPROTO_TCP, TCP_NODELAY, 0);
	fd = accept(listening, NULL, NULL);
	assert_true(fd >= 0);
	assert_options(fd);
	close(fd);
	close(client);
	close(listening);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_options)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

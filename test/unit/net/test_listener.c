/* SPDX-License-Identifier: MIT */
/* Listening sockets: their options, and that failures come with a remedy. */
#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct addr address(const char *text)
{
	struct addr a;
	const char *why;

	assert_int_equal(addr_parse(&a, text, true, &why), 0);
	return a;
}

static struct addr bound(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	addr_from_sockaddr(&a, (const struct sockaddr *)&ss, len);
	return a;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void test_options(void **state)
{
	struct addr any = address("127.0.0.1:0");
	struct errbuf err;
	int fd = listener_open(&any, &err), second;
	struct addr own;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(option(fd, SOL_SOCKET, SO_REUSEPORT), 1);
	assert_int_equal(option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	own = bound(fd);
	second = listener_open(&own, &err);
	assert_true(second >= 0); /* the other worker's slot */
	close(fd);
	close(second);
}

static void test_any_takes_ipv4_too(void **state)
{
	struct addr any = address("[::]:0"), v4 = address("127.0.0.1:1");
	struct errbuf err;
	int fd = listener_open(&any, &err), client;
	struct sockaddr_in *sin = (struct sockaddr_in *)&v4.ss;

	(void)state;
	if (fd < 0)
		skip(); /* no IPv6 here */
	assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 0);
	any = bound(fd);
	sin->sin_port = htons(addr_port(&any));
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&v4.ss, v4.len), 0);
	close(client);
	close(fd);
}

static void test_address_in_use(void **state)
{
	struct addr own = address("127.0.0.1:0");
	struct errbuf err;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char want[300], text[ADDR_TEXT_SIZE];

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&own.ss, own.len), 0);
	assert_int_equal(listen(fd, 1), 0);
	own = bound(fd);
	assert_int_equal(listener_open(&own, &err), -1);
	addr_text(&own, text);
	(void)snprintf(want, sizeof(want),
		       "cannot listen on %s: Address already in use: another program listens there (see `ss -ltnp`)",
		       text);
	assert_string_equal(err.text, want);
	close(fd);
}

/* A second proxy of the same account: SO_REUSEPORT alone would let it in. */
static void test_probe_sees_our_own_kind(void **state)
{
	struct addr own = address("127.0.0.1:0");
	struct errbuf err;
	int fd = listener_open(&own, &err);

	(void)state;
	own = bound(fd);
	int second = listener_open(&own, &err);
	assert_true(second >= 0);
	close(second);
	assert_int_equal(listener_probe(&own, &err), -1);
	assert_non_null(strstr(err.text, "another program listens there"));
	close(fd);
	assert_int_equal(listener_probe(&own, &err), 0);
	fd = listener_open(&own, &err); /* the probe has left nothing behind */
	assert_true(fd >= 0);
	close(fd);
}

/* Bound: the address is taken, and nobody gets in before it listens. */
static void test_bound_and_not_listening(void **state)
{
	struct addr any = address("127.0.0.1:0"), own;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct errbuf err;
	int fd = listener_bind(&any, &err), client = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_true(fd >= 0 && client >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	addr_from_sockaddr(&own, (const struct sockaddr *)&ss, len);
	assert_int_equal(connect(client, (const struct sockaddr *)&own.ss, own.len), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(listener_listen(fd, &own, &err), 0);
	assert_int_equal(connect(client, (const struct sockaddr *)&own.ss, own.len), 0);
	close(client);
	close(fd);
	assert_int_equal(listener_listen(fd, &own, &err), -1);
	assert_non_null(strstr(err.text, "cannot listen on 127.0.0.1:"));
}

static void test_other_failures(void **state)
{
	struct addr far = address("192.0.2.1:5222"), path = address("unix:/tmp/x");
	struct errbuf err;

	(void)state;
	assert_int_equal(listener_open(&far, &err), -1);
	assert_string_equal(err.text, "cannot listen on 192.0.2.1:5222: Cannot assign requested address: this machine "
				      "does not have that address");
	assert_int_equal(listener_open(&path, &err), -1);
	assert_string_equal(err.text, "a listener needs HOST:PORT");
}

static int try_low_port(void)
{
	struct addr low = address("127.0.0.1:987");
	struct errbuf err;
	int fd;

	if (geteuid() == 0 && setresuid(65534, 65534, 65534))
		return 2;
	fd = listener_open(&low, &err);
	if (fd >= 0)
		return 3; /* net.ipv4.ip_unprivileged_port_start lowered here */
	return strstr(err.text, "ports below 1024 need root or CAP_NET_BIND_SERVICE") ? 0 : 1;
}

static void test_privileged_port(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(try_low_port());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 3)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_options),
	    cmocka_unit_test(test_any_takes_ipv4_too),
	    cmocka_unit_test(test_address_in_use),
	    cmocka_unit_test(test_other_failures),
	    cmocka_unit_test(test_privileged_port),
	    cmocka_unit_test(test_probe_sees_our_own_kind),
	    cmocka_unit_test(test_bound_and_not_listening),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

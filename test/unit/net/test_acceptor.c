/* SPDX-License-Identifier: MIT */
/* Accepting on a real loop: options of what is accepted, pausing, freeing inside a callback, and no descriptor left. */
#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PEERS 200

struct fixture {
	struct event_base *base;
	int fd;
	struct addr address;
	struct acceptor *acceptor;
	int accepted[PEERS];
	size_t count;
	int errors, last_error;
	size_t stop_at; /* pause, or free, when that many were accepted */
	bool free_then;
	struct addr peer;
};

static void on_accept(void *ctx, int fd, const struct addr *peer)
{
	struct fixture *f = ctx;

	assert_true(f->count < PEERS);
	f->accepted[f->count++] = fd;
	f->peer = *peer;
	if (f->count != f->stop_at)
		return;
	if (f->free_then)
		acceptor_free(&f->acceptor);
	else
		acceptor_pause(f->acceptor);
}

static void on_error(void *ctx, int error)
{
	struct fixture *f = ctx;

	f->errors++;
	f->last_error = error;
}

static void setup(struct fixture *f)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct errbuf err;
	const char *why;

	memset(f, 0, sizeof(*f));
	f->base = event_base_new();
	assert_int_equal(addr_parse(&f->address, "127.0.0.1:0", true, &why), 0);
	f->fd = listener_open(&f->address, &err);
	assert_true(f->fd >= 0);
	assert_int_equal(getsockname(f->fd, (struct sockaddr *)&ss, &len), 0);
	addr_from_sockaddr(&f->address, (const struct sockaddr *)&ss, len);
	f->acceptor = acceptor_new(f->base, f->fd, on_accept, on_error, f);
}

static void teardown(struct fixture *f)
{
	acceptor_free(&f->acceptor);
	acceptor_free(&f->acceptor);
	for (size_t i = 0; i < f->count; i++)
		close(f->accepted[i]);
	close(f->fd);
	event_base_free(f->base);
}

static int dial(const struct fixture *f)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&f->address.ss, f->address.len), 0);
	return fd;
}

static void dial_many(const struct fixture *f, int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fds[i] = dial(f);
}

static void close_many(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

/* Turns of the loop within that time. */
static int turns(struct fixture *f, long ms)
{
	struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
	int n = 0;

	event_base_loopexit(f->base, &limit);
	do {
		event_base_loop(f->base, EVLOOP_ONCE);
		n++;
	} while (!event_base_got_exit(f->base));
	return n;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void test_accepted_socket(void **state)
{
	struct fixture f;
	int fd, own;
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	(void)state;
	setup(&f);
	fd = dial(&f);
	turns(&f, 20);
	assert_int_equal(f.count, 1);
	own = f.accepted[0];
	assert_true(fcntl(own, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(own, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(option(own, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option(own, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(own, IPPROTO_TCP, TCP_KEEPIDLE), 120);
	assert_int_equal(option(own, IPPROTO_TCP, TCP_KEEPINTVL), 30);
	assert_int_equal(option(own, IPPROTO_TCP, TCP_KEEPCNT), 4);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	assert_int_equal(addr_port(&f.peer), ntohs(sin.sin_port));
	close(fd);
	teardown(&f);
}

static void test_bounded_per_turn(void **state)
{
	struct fixture f;
	int fds[100];

	(void)state;
	setup(&f);
	dial_many(&f, fds, 100);
	event_base_loop(f.base, EVLOOP_ONCE);
	assert_int_equal(f.count, 64);
	event_base_loop(f.base, EVLOOP_ONCE);
	assert_int_equal(f.count, 100);
	close_many(fds, 100);
	teardown(&f);
}

static void test_pause_and_resume(void **state)
{
	struct fixture f;
	int fds[10];

	(void)state;
	setup(&f);
	f.stop_at = 4;
	dial_many(&f, fds, 10);
	turns(&f, 30);
	assert_int_equal(f.count, 4);
	acceptor_resume(f.acceptor);
	turns(&f, 30);
	assert_int_equal(f.count, 10);
	assert_int_equal(f.errors, 0);
	close_many(fds, 10);
	teardown(&f);
}

static void test_free_inside_callback(void **state)
{
	struct fixture f;
	int fds[10];

	(void)state;
	setup(&f);
	f.stop_at = 4;
	f.free_then = true;
	dial_many(&f, fds, 10);
	turns(&f, 30);
	assert_int_equal(f.count, 4);
	assert_null(f.acceptor);
	close_many(fds, 10);
	teardown(&f);
}

/* A queue longer than a turn, paused or not: nobody on it is reset. */
static void test_finish_takes_the_queue(void **state)
{
	struct fixture f;
	int fds[100];

	(void)state;
	setup(&f);
	dial_many(&f, fds, 100);
	acceptor_pause(f.acceptor);
	acceptor_finish(&f.acceptor);
	assert_null(f.acceptor);
	assert_int_equal(f.count, 100);
	acceptor_finish(&f.acceptor);
	close_many(fds, 100);
	teardown(&f);
}

static void test_no_descriptors_left(void **state)
{
	struct fixture f;
	struct rlimit limit, low;
	int fds[5], next;

	(void)state;
	setup(&f);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	dial_many(&f, fds, 5);
	next = dup(fds[0]);
	close(next);
	low = limit;
	low.rlim_cur = (rlim_t)next + 2; /* room for two */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	/* A busy loop would take hundreds of thousands of turns; the timer takes one each 100 ms. */
	assert_in_range(turns(&f, 350), 1, 12);
	assert_int_equal(f.count, 2);
	assert_int_equal(f.errors, 1);
	assert_int_equal(f.last_error, EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	turns(&f, 150);
	assert_int_equal(f.count, 5);
	assert_int_equal(f.errors, 1);
	/* The spell has ended: the next one is told again. */
	close_many(fds, 1);
	fds[0] = dial(&f);
	low.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	turns(&f, 50);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(f.errors, 2);
	/* Paused while backing off: the timer must not wake it. */
	acceptor_pause(f.acceptor);
	turns(&f, 150);
	assert_int_equal(f.count, 5);
	acceptor_resume(f.acceptor);
	turns(&f, 20);
	assert_int_equal(f.count, 6);
	close_many(fds, 5);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accepted_socket),     cmocka_unit_test(test_bounded_per_turn),
	    cmocka_unit_test(test_pause_and_resume),    cmocka_unit_test(test_free_inside_callback),
	    cmocka_unit_test(test_no_descriptors_left), cmocka_unit_test(test_finish_takes_the_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

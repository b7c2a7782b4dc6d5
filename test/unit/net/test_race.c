/* SPDX-License-Identifier: MIT */
/* Racing over loopback: ports that answer, refuse, and (a listener whose queue is full) say nothing. */
#include "net/race.h"

#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/clock.h"

#define LONG_MS 10000

struct world {
	struct event_base *base;
	struct candidate candidates[4];
	size_t count;
	int fds[16];
	size_t fd_count;
	struct race *race;
	unsigned calls;
	int fd;
	size_t index;
	char why[256];
	uint64_t begun, took;
	bool free_inside;
};

static int keep(struct world *w, int fd)
{
	assert_true(fd >= 0 && w->fd_count < ARRAY_LEN(w->fds));
	w->fds[w->fd_count++] = fd;
	return fd;
}

/* The next candidate: a bound port of loopback. */
static int add(struct world *w, const char *host, unsigned group, int backlog)
{
	struct candidate *c = &w->candidates[w->count++];
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	const char *why;
	int fd;

	assert_int_equal(addr_parse(&c->address, host, true, &why), 0);
	c->group = group;
	fd = keep(w, socket(c->address.ss.ss_family, SOCK_STREAM, 0));
	assert_int_equal(bind(fd, (const struct sockaddr *)&c->address.ss, c->address.len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	addr_from_sockaddr(&c->address, (const struct sockaddr *)&ss, len);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static void add_open(struct world *w, unsigned group)
{
	add(w, "127.0.0.1:0", group, 16);
}

static void add_refusing(struct world *w, unsigned group)
{
	add(w, "127.0.0.1:0", group, -1);
}

/* The kernel drops the SYN for a queue that is full: connections until one does not get through. */
static void add_silent(struct world *w, unsigned group)
{
	const struct addr *to = &w->candidates[w->count].address;
	struct pollfd p = {.events = POLLOUT};

	add(w, "127.0.0.1:0", group, 0);
	do {
		p.fd = keep(w, socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
		(void)connect(p.fd, (const struct sockaddr *)&to->ss, to->len);
	} while (poll(&p, 1, 50) == 1);
}

static void done(void *ctx, int fd, size_t index, const char *why)
{
	struct world *w = ctx;

	w->calls++;
	w->fd = fd;
	w->index = index;
	w->took = clock_ms() - w->begun;
	(void)snprintf(w->why, sizeof(w->why), "%s", why);
	if (w->free_inside)
		race_free(&w->race);
	event_base_loopbreak(w->base);
}

static void begin(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->base = event_base_new();
}

static void go(struct world *w, uint64_t attempt_ms)
{
	w->begun = clock_ms();
	w->race = race_new(w->base, w->candidates, w->count, attempt_ms, done, w);
	assert_int_equal(w->calls, 0);
}

static void await(struct world *w, unsigned calls)
{
	while (w->calls < calls)
		assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
	assert_int_equal(w->calls, calls);
}

static void end(struct world *w)
{
	unsigned calls = w->calls;

	race_free(&w->race);
	event_base_loop(w->base, EVLOOP_NONBLOCK);
	assert_int_equal(w->calls, calls);
	for (size_t i = 0; i < w->fd_count; i++)
		close(w->fds[i]);
	event_base_free(w->base);
}

static void assert_won(struct world *w, size_t index)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr peer;

	assert_true(w->fd >= 0);
	assert_int_equal(w->index, index);
	assert_int_equal(getpeername(w->fd, (struct sockaddr *)&ss, &len), 0);
	addr_from_sockaddr(&peer, (const struct sockaddr *)&ss, len);
	assert_true(addr_equal(&peer, &w->candidates[index].address));
	close(w->fd);
}

static void assert_lost(const struct world *w, size_t last, const char *words)
{
	char text[ADDR_TEXT_SIZE], expected[256];

	addr_text(&w->candidates[last].address, text);
	(void)snprintf(expected, sizeof(expected), "cannot connect to %s: %s", text, words);
	assert_int_equal(w->fd, -1);
	assert_string_equal(w->why, expected);
}

static int option(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void test_first_answers(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	add(&w, "[::1]:0", 0, 16);
	add_open(&w, 0);
	go(&w, LONG_MS);
	await(&w, 1);
	assert_true(fcntl(w.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(w.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(option(w.fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option(w.fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(w.fd, IPPROTO_TCP, TCP_KEEPINTVL), 30);
	assert_won(&w, 0);
	assert_true(w.took < 200);
	assert_int_equal(race_left(w.race), 1);
	end(&w);
}

static void test_refusals_cost_no_time(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	add_refusing(&w, 0);
	add_refusing(&w, 0);
	add_refusing(&w, 1);
	add_open(&w, 2);
	go(&w, LONG_MS);
	await(&w, 1);
	assert_won(&w, 3);
	assert_true(w.took < 200);
	assert_int_equal(race_left(w.race), 0);
	end(&w);
}

static void test_silence_costs_a_quarter_second(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	add_silent(&w, 0);
	add_open(&w, 0);
	go(&w, LONG_MS);
	await(&w, 1);
	assert_won(&w, 1);
	assert_in_range(w.took, 240, 1000);
	/* The silent one was given up, not tried in full. */
	assert_int_equal(race_left(w.race), 1);
	end(&w);
}

static void test_next_target_after_two_seconds(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	add_silent(&w, 0);
	add_open(&w, 1);
	go(&w, LONG_MS);
	await(&w, 1);
	assert_won(&w, 1);
	assert_in_range(w.took, 1990, 4000);
	end(&w);
}

static void test_next_target_when_all_of_one_failed(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	add_silent(&w, 0);
	add_refusing(&w, 0);
	add_open(&w, 1);
	go(&w, 400);
	await(&w, 1);
	assert_won(&w, 2);
	assert_in_range(w.took, 390, 1500);
	end(&w);
}

static void test_everybody_fails(void **state)
{
	struct world refused, silent, none;

	(void)state;
	begin(&refused);
	add_refusing(&refused, 0);
	add_refusing(&refused, 1);
	go(&refused, LONG_MS);
	await(&refused, 1);
	assert_lost(&refused, 1, "Connection refused");
	end(&refused);
	begin(&silent);
	add_silent(&silent, 0);
	go(&silent, 300);
	await(&silent, 1);
	assert_lost(&silent, 0, "no answer in 0.300 s");
	end(&silent);
	begin(&none);
	go(&none, LONG_MS);
	await(&none, 1);
	assert_int_equal(none.fd, -1);
	assert_string_equal(none.why, "there is no address to connect to");
	end(&none);
}

/* What was won proved useless: the others get their turn, first those that were given up. */
static void test_going_on(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	add_silent(&w, 0);
	add_open(&w, 0);
	add_open(&w, 1);
	go(&w, 300);
	await(&w, 1);
	assert_won(&w, 1);
	assert_int_equal(race_left(w.race), 2);
	assert_true(addr_equal(&race_candidate(w.race, 2)->address, &w.candidates[2].address));
	race_go_on(w.race);
	assert_int_equal(w.calls, 1);
	await(&w, 2);
	assert_won(&w, 2);
	race_go_on(w.race);
	await(&w, 3);
	assert_int_equal(w.fd, -1);
	assert_int_equal(race_left(w.race), 0);
	race_go_on(w.race);
	await(&w, 4);
	assert_int_equal(w.fd, -1);
	end(&w);
}

static void test_freed_inside_and_while_running(void **state)
{
	struct world won, lost, running;

	(void)state;
	begin(&won);
	won.free_inside = true;
	add_silent(&won, 0);
	add_open(&won, 0);
	go(&won, LONG_MS);
	await(&won, 1);
	assert_won(&won, 1);
	assert_null(won.race);
	end(&won);
	begin(&lost);
	lost.free_inside = true;
	add_refusing(&lost, 0);
	go(&lost, LONG_MS);
	await(&lost, 1);
	assert_null(lost.race);
	end(&lost);
	begin(&running);
	add_silent(&running, 0);
	add_silent(&running, 0);
	go(&running, LONG_MS);
	event_base_loop(running.base, EVLOOP_ONCE);
	end(&running);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first_answers),
	    cmocka_unit_test(test_refusals_cost_no_time),
	    cmocka_unit_test(test_silence_costs_a_quarter_second),
	    cmocka_unit_test(test_next_target_after_two_seconds),
	    cmocka_unit_test(test_next_target_when_all_of_one_failed),
	    cmocka_unit_test(test_everybody_fails),
	    cmocka_unit_test(test_going_on),
	    cmocka_unit_test(test_freed_inside_and_while_running),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

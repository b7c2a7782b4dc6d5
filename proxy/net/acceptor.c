/* SPDX-License-Identifier: MIT */
/*
 * Takes connections off a listening socket, a bounded number per loop turn so that streams already open are not
 * starved. When accept(2) fails for want of descriptors or memory the socket stays readable: waiting on it would spin,
 * so the event is taken out and a timer tries again every 100 ms; what the kernel has queued meanwhile is kept.
 * Invariants: the event is in the loop only when neither paused nor backing off; freeing from inside a callback is
 * safe.
 */
#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/socket.h"

#define ACCEPTS_PER_TURN 64
#define QUEUE_MAX 4096 /* a flood must not keep a socket open that is to be closed */
#define BACK_OFF_US 100000

struct acceptor {
	int fd;
	struct event *readable;
	struct event *retry;
	acceptor_fn *on_accept;
	acceptor_error_fn *on_error;
	void *ctx;
	bool paused;
	bool failing; /* a spell of failures was told and has not ended */
	bool busy;    /* on_readable is on the stack */
	bool dead;    /* freed while busy */
};

static void back_off(struct acceptor *a, int error)
{
	static const struct timeval delay = {.tv_usec = BACK_OFF_US};
	bool first = !a->failing;

	a->failing = true;
	(void)event_del(a->readable);
	(void)event_add(a->retry, &delay);
	if (first && a->on_error)
		a->on_error(a->ctx, error);
}

/* accept(2): errors already pending on the new socket are reported through accept and concern only that one. */
static bool concerns_one(int error)
{
	switch (error) {
	case ECONNABORTED:
	case EINTR:
	case EPROTO:
	case EPERM:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
		return true;
	default:
		return false;
	}
}

/* Returns whether to go on. */
static bool accept_one(struct acceptor *a)
{
	struct addr peer;
	int fd;

	peer.len = sizeof(peer.ss);
	fd = accept4(a->fd, (struct sockaddr *)&peer.ss, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		a->failing = false;
		a->on_accept(a->ctx, fd, &peer);
		return !a->paused && !a->dead;
	}
	if (errno == EAGAIN)
		return false;
	if (concerns_one(errno))
		return true;
	back_off(a, errno);
	return false;
}

static void release(struct acceptor *a)
{
	event_free(a->readable);
	event_free(a->retry);
	mem_free(a);
}

static void take(struct acceptor *a)
{
	a->busy = true;
	for (int i = 0; i < ACCEPTS_PER_TURN && accept_one(a); i++)
		;
	a->busy = false;
	if (a->dead)
		release(a);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	take(arg);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct acceptor *a = arg;

	(void)fd;
	(void)what;
	if (a->paused)
		return;
	(void)event_add(a->readable, NULL);
	take(a);
}

struct acceptor *acceptor_new(struct event_base *base, int fd, acceptor_fn *on_accept, acceptor_error_fn *on_error,
			      void *ctx)
{
	struct acceptor *a = mem_zalloc(sizeof(*a));

	a->fd = fd;
	a->on_accept = on_accept;
	a->on_error = on_error;
	a->ctx = ctx;
	a->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, a);
	a->retry = evtimer_new(base, on_retry, a);
	if (!a->readable || !a->retry)
		abort();
	/* Once here, instead of five system calls for each connection. */
	socket_set_options(fd);
	(void)event_add(a->readable, NULL);
	return a;
}

void acceptor_pause(struct acceptor *a)
{
	a->paused = true;
	(void)event_del(a->readable);
	(void)event_del(a->retry);
}

void acceptor_resume(struct acceptor *a)
{
	if (!a->paused)
		return;
	a->paused = false;
	(void)event_add(a->readable, NULL);
}

void acceptor_finish(struct acceptor **acceptor)
{
	struct acceptor *a = *acceptor;

	if (a) {
		a->paused = false;
		for (int i = 0; i < QUEUE_MAX && accept_one(a); i++)
			;
	}
	acceptor_free(acceptor);
}

void acceptor_free(struct acceptor **acceptor)
{
	struct acceptor *a = *acceptor;

	*acceptor = NULL;
	if (!a)
		return;
	acceptor_pause(a);
	a->dead = true;
	if (!a->busy)
		release(a);
}

/* SPDX-License-Identifier: MIT */
/*
 * The plaintext backend: the XMPP server's side of a login with any password, then an echo of every byte, or for a
 * stream bound to the resource "sink" an acknowledgement every ACK_EVERY bytes. Prints its port and serves until
 * killed.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

#define IN_MAX 4096

#define HEADER                                                                                          \
	"<?xml version='1.0'?><stream:stream from='im.test' id='9f3c1ab2' version='1.0' xml:lang='en' " \
	"xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
#define AUTH_FEATURES                                                                                        \
	"<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>" \
	"</mechanisms></stream:features>"
#define BIND_FEATURES "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"
#define CLOSE "</stream:stream>"

/* What a login waits for, and what it is told then. */
static const struct {
	const char *awaited, *said;
} steps[] = {
    {"/streams'>", HEADER AUTH_FEATURES},
    {"</auth>", "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"},
    {"/streams'>", HEADER BIND_FEATURES},
    {"</iq>", "<iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
	      "<jid>juliet@im.test/bench</jid></bind></iq>"},
};
#define STEPS (sizeof(steps) / sizeof(steps[0]))

struct conn {
	int fd;
	size_t step;
	bool sink, waiting;
	char *in;
	size_t in_len, taken, out_len;
	char *out;
};

static int epoll;

static void drop(struct conn *c)
{
	close(c->fd);
	free(c->in);
	free(c->out);
	free(c);
}

/* While the peer takes nothing, nothing is read from it. */
static void watch(struct conn *c)
{
	bool waiting = c->out_len > 0;
	struct epoll_event e = {.events = waiting ? EPOLLOUT : EPOLLIN, .data.ptr = c};

	if (waiting != c->waiting)
		epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
	c->waiting = waiting;
}

static bool say(struct conn *c, const char *data, size_t len)
{
	ssize_t n = c->out_len > 0 ? 0 : send(c->fd, data, len, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		return false;
	if (n < 0)
		n = 0;
	if ((size_t)n < len) {
		c->out = realloc(c->out, c->out_len + len - (size_t)n);
		memcpy(c->out + c->out_len, data + n, len - (size_t)n);
		c->out_len += len - (size_t)n;
	}
	watch(c);
	return true;
}

static bool flush(struct conn *c)
{
	ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN;
	c->out_len -= (size_t)n;
	memmove(c->out, c->out + n, c->out_len);
	watch(c);
	return true;
}

/* A close comes in one piece: the load generator sends it alone. */
static bool ends_stream(const char *data, size_t len)
{
	size_t close_len = sizeof(CLOSE) - 1;

	return len >= close_len && memcmp(data + len - close_len, CLOSE, close_len) == 0;
}

static bool swallow(struct conn *c, const char *data, size_t len)
{
	c->taken += len;
	while (c->taken >= ACK_EVERY) {
		c->taken -= ACK_EVERY;
		if (!say(c, ACK, sizeof(ACK) - 1))
			return false;
	}
	return !ends_stream(data, len) || say(c, CLOSE, sizeof(CLOSE) - 1);
}

static bool log_in(struct conn *c, const char *data, size_t len)
{
	if (c->in == NULL)
		c->in = malloc(IN_MAX);
	if (c->in_len + len >= IN_MAX)
		return false;
	memcpy(c->in + c->in_len, data, len);
	c->in_len += len;
	c->in[c->in_len] = '\0';
	if (strstr(c->in, CLOSE) != NULL)
		return say(c, CLOSE, sizeof(CLOSE) - 1);
	if (strstr(c->in, steps[c->step].awaited) == NULL)
		return true;
	c->sink = c->sink || strstr(c->in, "<resource>sink-") != NULL;
	c->in_len = 0;
	if (!say(c, steps[c->step].said, strlen(steps[c->step].said)))
		return false;
	if (++c->step == STEPS) {
		free(c->in);
		c->in = NULL;
	}
	return true;
}

static bool serve(struct conn *c)
{
	static char data[262144];
	ssize_t n = recv(c->fd, data, sizeof(data), 0);

	if (n < 0)
		return errno == EAGAIN;
	if (n == 0)
		return false;
	if (c->step < STEPS)
		return log_in(c, data, (size_t)n);
	return c->sink ? swallow(c, data, (size_t)n) : say(c, data, (size_t)n);
}

static void take_in(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;

	if (fd < 0)
		return;
	struct conn *c = calloc(1, sizeof(*c));
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
	c->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

static int listen_anywhere(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 4096) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) != 0) {
		perror("bench sink");
		exit(3);
	}
	printf("%d\n", ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

int main(void)
{
	struct epoll_event events[64];
	struct epoll_event e = {.events = EPOLLIN};
	int listener = listen_anywhere();

	epoll = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
	for (;;) {
		int n = epoll_wait(epoll, events, 64, -1);
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			if (c == NULL)
				take_in(listener);
			else if (!((events[i].events & EPOLLOUT) != 0 ? flush(c) : serve(c)))
				drop(c);
		}
	}
}

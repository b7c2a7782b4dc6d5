/* SPDX-License-Identifier: MIT */
/* A hub between a legacy server's socket and the sockets of its spokes, which sessions would have: what is asserted is
 * what really crossed them. */
#ifndef TEST_UNIT_RELAY_HUB_WORLD_H
#define TEST_UNIT_RELAY_HUB_WORLD_H

#include "relay/hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "relay/leg.h"

#define FARS_MAX 1200
#define NS_STREAM "http://etherx.jabber.org/streams"
#define NS_DB "jabber:server:dialback"
/* jabberd2's, and one that declares more. */
#define NAMELESS \
	"<?xml version='1.0'?><stream:stream xmlns:stream='" NS_STREAM "' xmlns='jabber:server' xmlns:db='" NS_DB "'>"
#define SPOKE_HEADER(from, to)                                                                               \
	"<stream:stream xmlns:stream='" NS_STREAM "' xmlns='jabber:server' xmlns:db='" NS_DB "' from='" from \
	"' to='" to "'>"
#define REMOTE_HEADER(id)                                                                                         \
	"<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='" NS_DB "' xmlns:stream='" NS_STREAM \
	"' id='" id "'>"
#define RESULT(from, to) "<db:result from='" from "' to='" to "'>key</db:result>"
#define RESULT_IS(type, from, to) "<db:result from='" from "' to='" to "' type='" type "'/>"
#define VERIFY(from, to, id) "<db:verify from='" from "' to='" to "' id='" id "'>key</db:verify>"
#define VERIFY_IS(type, from, to, id) "<db:verify from='" from "' to='" to "' id='" id "' type='" type "'/>"
#define ERROR_IS(what, type, condition)                    \
	" type='error'><error type='" type "'><" condition \
	" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:" what ">"
#define RESULT_ERROR(from, to, type, condition) \
	"<db:result from='" from "' to='" to "'" ERROR_IS("result", type, condition)
#define VERIFY_ERROR(from, to, id, type, condition) \
	"<db:verify from='" from "' to='" to "' id='" id "'" ERROR_IS("verify", type, condition)
#define STREAM_ERROR(condition) \
	"<stream:error><" condition " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
#define CLOSE "</stream:stream>"

/* The far end of a spoke, or of the legacy leg. */
struct far {
	int fd;
	struct strbuf seen;
	bool eof;
};

struct hub_world {
	struct event_base *base;
	struct leg_io *io;
	struct leg *leg;
	struct hub *hub;
	struct far legacy, far[FARS_MAX];
	size_t fars;
	bool read_nothing; /* the legacy server does not read */
	bool ended, closed;
	unsigned paused, closing, quiet, over;
	enum reason reason;
	bool violation;
	char detail[128];
};

static inline void far_init(struct far *far, int fd)
{
	far->fd = fd;
	strbuf_init(&far->seen, 1 << 24);
}

static inline void far_close(struct far *far)
{
	if (far->fd >= 0)
		close(far->fd);
	far->fd = -1;
}

static inline void far_read(struct far *far)
{
	char buf[65536];
	ssize_t n = far->fd < 0 ? -1 : recv(far->fd, buf, sizeof(buf), 0);
	if (n > 0)
		strbuf_add(&far->seen, buf, (size_t)n);
	else if (n == 0)
		far->eof = true;
}

static inline void op_open(void *ctx, int fd)
{
	struct hub_world *w = ctx;
	assert_true(w->fars < FARS_MAX);
	far_init(&w->far[w->fars++], fd);
}

static inline void op_paused(void *ctx)
{
	((struct hub_world *)ctx)->paused++;
}

static inline void op_closing(void *ctx)
{
	((struct hub_world *)ctx)->closing++;
}

/* As a session does. */
static inline void world_end(struct hub_world *w, bool vanished)
{
	w->ended = true;
	hub_end(w->hub, vanished);
	leg_finish(w->leg, true);
}

static inline void op_over(void *ctx, enum reason reason, const char *detail, bool violation)
{
	struct hub_world *w = ctx;
	w->over++;
	w->reason = reason;
	w->violation = violation;
	snprintf(w->detail, sizeof(w->detail), "%s", detail != NULL ? detail : "");
	world_end(w, false);
}

static inline void op_quiet(void *ctx)
{
	((struct hub_world *)ctx)->quiet++;
}

static inline void leg_connected(void *ctx)
{
	(void)ctx;
}

static inline void leg_data(void *ctx, const void *data, size_t len)
{
	struct hub_world *w = ctx;
	if (!w->ended)
		hub_input(w->hub, data, len);
}

static inline void leg_secured(void *ctx)
{
	(void)ctx;
}

static inline void leg_drained(void *ctx)
{
	hub_drained(((struct hub_world *)ctx)->hub);
}

static inline void leg_ended(void *ctx, enum leg_end how, const char *detail)
{
	struct hub_world *w = ctx;
	(void)how, (void)detail;
	world_end(w, true);
}

static inline void leg_closed(void *ctx)
{
	((struct hub_world *)ctx)->closed = true;
}

static inline void world_begin(struct hub_world *w, const char *header, size_t buffer)
{
	static const struct hub_ops ops = {op_open, op_paused, op_closing, op_over, op_quiet};
	static const struct leg_callbacks callbacks = {leg_connected, leg_data,  leg_secured,
						       leg_drained,   leg_ended, leg_closed};
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	far_init(&w->legacy, pair[1]);
	w->leg = leg_new(w->io, pair[0], false, buffer, &callbacks, w);
	const struct hub_params params = {
	    .base = w->base,
	    .io = w->io,
	    .legacy = w->leg,
	    .header = header,
	    .header_len = strlen(header),
	    .id = "ours",
	    .buffer = buffer,
	    .unauthenticated_limit = 4096,
	    .stanza_limit = 65536,
	    .depth = 8,
	    .ops = &ops,
	    .ctx = w,
	};
	w->hub = hub_new(&params);
}

static inline int setup_bare(void **state)
{
	struct hub_world *w = mem_zalloc(sizeof(*w));
	w->base = event_base_new();
	w->io = leg_io_new(w->base);
	*state = w;
	return 0;
}

static inline int setup(void **state)
{
	setup_bare(state);
	world_begin(*state, NAMELESS, 262144);
	return 0;
}

/* Leaves the world as setup_bare makes it. */
static inline void world_stop(struct hub_world *w)
{
	hub_free(&w->hub);
	leg_free(&w->leg);
	far_close(&w->legacy);
	strbuf_fini(&w->legacy.seen);
	for (size_t i = 0; i < w->fars; i++) {
		far_close(&w->far[i]);
		strbuf_fini(&w->far[i].seen);
		w->far[i].eof = false;
	}
	w->fars = 0;
	w->legacy.eof = w->ended = w->closed = false;
	w->paused = w->closing = w->quiet = w->over = 0;
}

static inline int teardown(void **state)
{
	struct hub_world *w = *state;
	world_stop(w);
	leg_io_free(&w->io);
	event_base_free(w->base);
	mem_free(w);
	return 0;
}

static inline void turns(struct hub_world *w)
{
	for (int i = 0; i < 6; i++) {
		event_base_loop(w->base, EVLOOP_NONBLOCK);
		leg_io_flush(w->io);
		if (!w->read_nothing)
			far_read(&w->legacy);
		for (size_t k = 0; k < w->fars; k++)
			far_read(&w->far[k]);
	}
}

static inline void far_send(struct hub_world *w, struct far *far, const char *text)
{
	assert_int_equal(send(far->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	turns(w);
}

static inline void legacy_send(struct hub_world *w, const char *text)
{
	far_send(w, &w->legacy, text);
}

/* All that was seen since the last time. */
static inline void far_saw(struct far *far, const char *text)
{
	assert_string_equal(strbuf_text(&far->seen), text);
	strbuf_clear(&far->seen);
}

/* The names of the tests. */
#define A "a.example"
#define A2 "a2.example"
#define B "b.example"
#define C "c.example"
#define MESSAGE(from, to) "<message from='x@" from "/r' to='y@" to "'><body>hi</body></message>"

static inline void prove(struct hub_world *w, struct far *far)
{
	far_saw(far, SPOKE_HEADER(A, B) RESULT(A, B));
	far_send(w, far, REMOTE_HEADER("theirs") RESULT_IS("valid", B, A));
	far_saw(&w->legacy, RESULT_IS("valid", B, A));
}

#endif

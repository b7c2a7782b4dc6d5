/* SPDX-License-Identifier: MIT */
/*
 * Connecting to one of many addresses (RFC 8305 section 5). Each attempt has its own event, which also ends it when it
 * takes too long; the race has one timer, which starts the next attempt or, set to nothing, tells a result that was
 * there before anybody could be told.
 *
 * Invariants: no attempt runs and no timer is set once `done` was called, until race_go_on; a candidate is TRIED when
 * its attempt ended by itself, and goes back to UNTRIED when another one won before. The caller is only called from the
 * loop, as the last thing of a turn.
 */
#include "net/race.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/dialer.h"

#define NEXT_ADDRESS_MS 250 /* RFC 8305 section 8: Connection Attempt Delay */
#define NEXT_TARGET_MS 2000

enum attempt_state { UNTRIED, RUNNING, TRIED };

struct attempt {
	struct race *race;
	struct candidate candidate;
	enum attempt_state state;
	int fd; /* while RUNNING */
	struct event *event;
};

struct race {
	struct event_base *base;
	struct event *timer;
	struct attempt *attempts;
	size_t count;
	struct timeval limit; /* of one attempt */
	uint64_t started_ms;  /* the last attempt */
	unsigned group;       /* of the last attempt */
	bool begun;           /* there was one since race_new or race_go_on */
	race_done_fn *done;
	void *ctx;
	struct errbuf why;
};

static struct timeval interval(uint64_t ms)
{
	return (struct timeval){.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
}

static void stop(struct attempt *a, enum attempt_state state)
{
	if (a->state == RUNNING) {
		event_free(a->event);
		(void)close(a->fd);
	}
	a->event = NULL;
	a->fd = -1;
	a->state = state;
}

static struct attempt *next_untried(struct race *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->attempts[i].state == UNTRIED)
			return &r->attempts[i];
	return NULL;
}

static bool is_running(const struct race *r, unsigned group, bool any)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->attempts[i].state == RUNNING && (any || r->attempts[i].candidate.group == group))
			return true;
	return false;
}

static void set_timer(struct race *r, uint64_t ms)
{
	struct timeval delay = interval(ms);

	(void)evtimer_add(r->timer, &delay);
}

/* When the next attempt is due; a failure in a group brings the group's next one forward. */
static void schedule(struct race *r, bool failed)
{
	const struct attempt *next = next_untried(r);
	uint64_t now = clock_ms(), due;
	bool same = next && r->begun && next->candidate.group == r->group;

	if (!next) {
		if (!is_running(r, 0, true))
			set_timer(r, 0);
		return;
	}
	due = r->started_ms + (same ? NEXT_ADDRESS_MS : NEXT_TARGET_MS);
	if (!r->begun || (same && failed) || !is_running(r, r->group, false) || due < now)
		due = now;
	set_timer(r, due - now);
}

static void on_attempt(evutil_socket_t fd, short what, void *ctx);

static void start(struct attempt *a)
{
	struct race *r = a->race;

	a->state = TRIED;
	r->begun = true;
	r->group = a->candidate.group;
	r->started_ms = clock_ms();
	a->fd = dialer_start(&a->candidate.address, &r->why);
	if (a->fd < 0)
		return;
	a->event = event_new(r->base, a->fd, EV_WRITE, on_attempt, a);
	if (!a->event || event_add(a->event, &r->limit) < 0)
		abort();
	a->state = RUNNING;
}

/* Nothing runs from here on; the caller may free the race. */
static void win(struct race *r, struct attempt *winner)
{
	int fd = winner->fd;

	event_free(winner->event);
	winner->event = NULL;
	winner->fd = -1;
	winner->state = TRIED;
	for (size_t i = 0; i < r->count; i++)
		if (r->attempts[i].state == RUNNING)
			stop(&r->attempts[i], UNTRIED);
	(void)event_del(r->timer);
	r->done(r->ctx, fd, (size_t)(winner - r->attempts), "");
}

static void explain_silence(struct race *r, const struct attempt *a)
{
	char text[ADDR_TEXT_SIZE];

	addr_text(&a->candidate.address, text);
	errbuf_set(&r->why, "cannot connect to %s: no answer in %ld.%03ld s", text, (long)r->limit.tv_sec,
		   (long)r->limit.tv_usec / 1000);
}

static void on_attempt(evutil_socket_t fd, short what, void *ctx)
{
	struct attempt *a = ctx;
	struct race *r = a->race;
	int error = what & EV_TIMEOUT ? -1 : dialer_result(fd);

	if (error == 0) {
		win(r, a);
		return;
	}
	if (error < 0)
		explain_silence(r, a);
	else
		dialer_explain(&a->candidate.address, error, &r->why);
	stop(a, TRIED);
	schedule(r, true);
}

/* An attempt is due, or there is nobody left to try and nobody under way. */
static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct race *r = ctx;
	struct attempt *next = next_untried(r);

	(void)fd;
	(void)what;
	if (next) {
		start(next);
		schedule(r, next->state == TRIED);
	} else if (!is_running(r, 0, true)) {
		r->done(r->ctx, -1, 0, r->why.text);
	}
}

struct race *race_new(struct event_base *base, const struct candidate *candidates, size_t count, uint64_t attempt_ms,
		      race_done_fn *done, void *ctx)
{
	struct race *r = mem_zalloc(sizeof(*r));

	*r = (struct race){.base = base, .count = count, .limit = interval(attempt_ms), .done = done, .ctx = ctx};
	errbuf_set(&r->why, "there is no address to connect to");
	r->attempts = mem_array(count, sizeof(*r->attempts));
	for (size_t i = 0; i < count; i++)
		r->attempts[i] = (struct attempt){.race = r, .candidate = candidates[i], .fd = -1};
	r->timer = evtimer_new(base, on_timer, r);
	if (!r->timer)
		abort();
	schedule(r, false);
	return r;
}

void race_go_on(struct race *r)
{
	r->begun = false;
	schedule(r, false);
}

size_t race_left(const struct race *r)
{
	size_t left = 0;

	for (size_t i = 0; i < r->count; i++)
		left += r->attempts[i].state != TRIED;
	return left;
}

const struct candidate *race_candidate(const struct race *r, size_t index)
{
	return &r->attempts[index].candidate;
}

void race_free(struct race **race)
{
	struct race *r = *race;

	*race = NULL;
	if (!r)
		return;
	for (size_t i = 0; i < r->count; i++)
		stop(&r->attempts[i], TRIED);
	event_free(r->timer);
	mem_free(r->attempts);
	mem_free(r);
}

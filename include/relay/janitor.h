/* SPDX-License-Identifier: MIT */
/*
 * The one timer of a worker: a wheel of deadlines with a resolution of 100 ms, so that no connection has a timer of its
 * own and arming or disarming costs two pointer writes. The wheel sleeps while nothing is armed.
 */
#ifndef PROXY_RELAY_JANITOR_H
#define PROXY_RELAY_JANITOR_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct janitor;

/* Embedded in what it watches; zero-initialised means not armed. */
struct janitor_entry {
	struct janitor_entry *next, **link; /* link NULL: not armed */
	uint64_t deadline_ms;
	void (*fire)(void *ctx); /* may re-arm, disarm or free any entry */
	void *ctx;
};

struct janitor *janitor_new(struct event_base *base);
/* Entries still armed are forgotten, not fired. */
void janitor_free(struct janitor **j);

/* fire is called once, up to 200 ms after `after_ms` from now, never before. Arming an armed entry moves it. */
void janitor_arm(struct janitor *j, struct janitor_entry *entry, uint64_t after_ms);
void janitor_disarm(struct janitor *j, struct janitor_entry *entry);

#endif

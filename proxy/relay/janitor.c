/* SPDX-License-Identifier: MIT */
/*
 * A hashed wheel: slot = deadline tick mod SLOTS; entries of later rounds stay in their slot until their tick comes.
 * Invariant: `armed` is the number of entries in all slots; the timer event is pending exactly while it is not 0.
 */
#include "relay/janitor.h"

#include <assert.h>
#include <stddef.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/mem.h"

#define TICK_MS 100
#define SLOTS 1024

struct janitor {
	struct event *timer;
	uint64_t tick; /* the last one swept */
	size_t armed;
	struct janitor_entry *slot[SLOTS];
	struct janitor_entry *due; /* being fired: still linked, so that they can be disarmed by each other */
};

static void put(struct janitor_entry **head, struct janitor_entry *entry)
{
	entry->next = *head;
	entry->link = head;
	if (*head != NULL)
		(*head)->link = &entry->next;
	*head = entry;
}

static void take(struct janitor_entry *entry)
{
	assert(entry->link != NULL);
	*entry->link = entry->next;
	if (entry->next != NULL)
		entry->next->link = entry->link;
	entry->next = NULL;
	entry->link = NULL;
}

static uint64_t tick_of(uint64_t ms)
{
	return (ms + TICK_MS - 1) / TICK_MS;
}

/* Moves what is due of one slot to the due list. */
static void collect(struct janitor *j, uint64_t tick, uint64_t now_tick)
{
	struct janitor_entry *next;
	for (struct janitor_entry *e = j->slot[tick % SLOTS]; e != NULL; e = next) {
		next = e->next;
		if (tick_of(e->deadline_ms) > now_tick)
			continue;
		take(e);
		put(&j->due, e);
	}
}

static void sweep(struct janitor *j)
{
	uint64_t now_tick = clock_ms() / TICK_MS;
	uint64_t from = now_tick - j->tick >= SLOTS ? now_tick - SLOTS : j->tick;
	for (uint64_t tick = from + 1; tick <= now_tick; tick++)
		collect(j, tick, now_tick);
	if (now_tick > j->tick)
		j->tick = now_tick;
	while (j->due != NULL) {
		struct janitor_entry *e = j->due;
		take(e);
		j->armed--;
		e->fire(e->ctx);
	}
	if (j->armed == 0)
		event_del(j->timer);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	sweep(arg);
}

struct janitor *janitor_new(struct event_base *base)
{
	struct janitor *j = mem_zalloc(sizeof(*j));
	j->timer = event_new(base, -1, EV_PERSIST, on_tick, j);
	assert(j->timer != NULL);
	return j;
}

void janitor_free(struct janitor **jp)
{
	struct janitor *j = *jp;
	if (j == NULL)
		return;
	*jp = NULL;
	for (size_t i = 0; i < SLOTS; i++)
		while (j->slot[i] != NULL)
			take(j->slot[i]);
	event_free(j->timer);
	mem_free(j);
}

void janitor_arm(struct janitor *j, struct janitor_entry *entry, uint64_t after_ms)
{
	uint64_t now = clock_ms();
	janitor_disarm(j, entry);
	if (j->armed == 0) {
		struct timeval tick = {0, TICK_MS * 1000};
		j->tick = now / TICK_MS;
		event_add(j->timer, &tick);
	}
	entry->deadline_ms = now + after_ms;
	uint64_t tick = tick_of(entry->deadline_ms);
	if (tick <= j->tick)
		tick = j->tick + 1;
	put(&j->slot[tick % SLOTS], entry);
	j->armed++;
}

void janitor_disarm(struct janitor *j, struct janitor_entry *entry)
{
	if (entry->link == NULL)
		return;
	take(entry);
	j->armed--;
}

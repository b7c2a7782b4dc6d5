/* SPDX-License-Identifier: MIT */
/* The wheel of deadlines against a clock of our own: never early, at most two ticks late, safe against changes while
 * firing. */
#include "relay/janitor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <unistd.h>

#include "base/clock.h"

struct probe {
	struct janitor_entry entry;
	struct janitor *janitor;
	struct probe *victim; /* disarmed when this one fires */
	uint64_t again_ms;    /* re-armed with this, once */
	unsigned fired;
};

static void fire(void *ctx)
{
	struct probe *p = ctx;
	p->fired++;
	if (p->victim != NULL)
		janitor_disarm(p->janitor, &p->victim->entry);
	if (p->again_ms != 0) {
		uint64_t again = p->again_ms;
		p->again_ms = 0;
		janitor_arm(p->janitor, &p->entry, again);
	}
}

static void probe_init(struct probe *p, struct janitor *j)
{
	*p = (struct probe){.janitor = j, .entry = {.fire = fire, .ctx = p}};
}

static void at(struct event_base *base, uint64_t ms)
{
	clock_fake(ms * 1000000, 0);
	usleep(110000); /* one real tick of the timer; the fake clock alone decides what is due */
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void test_never_early(void **state)
{
	(void)state;
	struct event_base *base = event_base_new();
	clock_fake(50 * 1000000ull, 0);
	struct janitor *j = janitor_new(base);
	struct probe p;
	probe_init(&p, j);
	janitor_arm(j, &p.entry, 1000);
	at(base, 1049);
	assert_int_equal(p.fired, 0);
	at(base, 1100);
	assert_int_equal(p.fired, 1);
	at(base, 5000);
	assert_int_equal(p.fired, 1);
	janitor_free(&j);
	event_base_free(base);
	clock_unfake();
}

static void test_many_rounds_ahead(void **state)
{
	(void)state;
	struct event_base *base = event_base_new();
	clock_fake(0, 0);
	struct janitor *j = janitor_new(base);
	struct probe far, near;
	probe_init(&far, j);
	probe_init(&near, j);
	janitor_arm(j, &far.entry, 3 * 102400 + 500); /* same slot as `near`, three rounds later */
	janitor_arm(j, &near.entry, 500);
	at(base, 600);
	assert_int_equal(near.fired, 1);
	assert_int_equal(far.fired, 0);
	at(base, 3 * 102400 + 499);
	assert_int_equal(far.fired, 0);
	at(base, 3 * 102400 + 600);
	assert_int_equal(far.fired, 1);
	janitor_free(&j);
	event_base_free(base);
	clock_unfake();
}

static void test_changes_while_firing(void **state)
{
	(void)state;
	struct event_base *base = event_base_new();
	clock_fake(0, 0);
	struct janitor *j = janitor_new(base);
	struct probe a, b, c;
	probe_init(&a, j);
	probe_init(&b, j);
	probe_init(&c, j);
	a.victim = &b;
	b.victim = &a;
	c.again_ms = 1000;
	janitor_arm(j, &a.entry, 100);
	janitor_arm(j, &b.entry, 100);
	janitor_arm(j, &c.entry, 100);
	at(base, 300);
	assert_int_equal(a.fired + b.fired, 1); /* whichever came first took the other out */
	assert_int_equal(c.fired, 1);
	at(base, 1500);
	assert_int_equal(c.fired, 2);
	janitor_free(&j);
	event_base_free(base);
	clock_unfake();
}

static void test_moving_and_disarming(void **state)
{
	(void)state;
	struct event_base *base = event_base_new();
	clock_fake(0, 0);
	struct janitor *j = janitor_new(base);
	struct probe p;
	probe_init(&p, j);
	janitor_arm(j, &p.entry, 200);
	janitor_arm(j, &p.entry, 2000);
	at(base, 500);
	assert_int_equal(p.fired, 0);
	janitor_disarm(j, &p.entry);
	janitor_disarm(j, &p.entry);
	at(base, 9000);
	assert_int_equal(p.fired, 0);
	janitor_arm(j, &p.entry, 0);
	at(base, 9200);
	assert_int_equal(p.fired, 1);
	janitor_free(&j);
	event_base_free(base);
	clock_unfake();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_never_early),
	    cmocka_unit_test(test_many_rounds_ahead),
	    cmocka_unit_test(test_changes_while_firing),
	    cmocka_unit_test(test_moving_and_disarming),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

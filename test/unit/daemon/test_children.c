/* SPDX-License-Identifier: MIT */
/*
 * Supervision with a real keeper: it is started, given the master's record channel, killed, found dead, and started
 * again only after a while because it did not live long; a keeper that cannot start says why.
 */
#include "daemon/children.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"

static char directory[] = "/tmp/portcullis-children-XXXXXX";
static char path[128];
static struct config config;
static struct children *all;
static unsigned ready, failed;
static char why_failed[512];

static void on_ready(void *ctx, struct child *child)
{
	(void)ctx;
	assert_true(child->is_keeper);
	ready++;
}

static void on_failed(void *ctx, struct child *child, const char *why)
{
	(void)ctx;
	(void)child;
	failed++;
	snprintf(why_failed, sizeof(why_failed), "%s", why);
}

static void on_answer(void *ctx, unsigned slot, const struct message *m)
{
	(void)ctx;
	(void)slot;
	(void)m;
}

static void on_worker_gone(void *ctx, unsigned slot)
{
	(void)ctx;
	(void)slot;
}

static void wake(void *ctx)
{
	(void)ctx;
}

static int begin(void **state)
{
	struct courier_params params = {.id_prefix = "run.m",
					.incarnation = 1,
					.refuse = true,
					.max_records = 100,
					.max_bytes = 1 << 20,
					.wake = wake};

	(void)state;
	config.audit = (struct config_audit){.output = AUDIT_FILE, .file_path = path, .chain = true};
	all = mem_zalloc(sizeof(*all));
	all->config = &config;
	all->config_path = "p.yaml";
	all->shared = shared_new(2, 10, 10);
	all->bundle_fd = -1;
	all->worker_count = 2;
	all->events = (struct children_events){
	    .ready = on_ready, .failed = on_failed, .answer = on_answer, .worker_gone = on_worker_gone};
	params.keeper = &all->shared->keeper;
	all->courier = courier_new(&params);
	children_init(all);
	ready = failed = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	all->keeper_needed = false;
	courier_free(&all->courier);
	child_kill(&all->keeper);
	children_fini(all);
	shared_free(&all->shared);
	mem_free(all);
	return 0;
}

/* Turns of a loop like the master's, until done says so. */
static void run_until(bool (*done)(void))
{
	uint64_t deadline = clock_ms() + 10000;
	struct pollset set = {.fds = NULL};

	while (!done() && clock_ms() < deadline) {
		pollset_clear(&set);
		children_poll(all, &set);
		pollset_run(&set, 20);
		children_reap(all);
		children_tick(all, clock_ms());
		courier_write(all->courier);
		courier_call_back(all->courier);
	}
	pollset_fini(&set);
	assert_true(done());
}

static bool once_ready(void)
{
	return ready == 1;
}

static bool twice_ready(void)
{
	return ready == 2;
}

static bool nothing_pending(void)
{
	return courier_pending(all->courier) == 0;
}

static bool keeper_gone(void)
{
	return all->keeper.pid == 0;
}

static void submit(const char *action)
{
	struct audit_trail trail = courier_trail(all->courier);
	struct audit_record record;

	audit_record_init(&record);
	record.action = action;
	record.outcome = AUDIT_SUCCESS;
	trail.submit(trail.ctx, &record, NULL, NULL);
}

static void test_keeper_restarted(void **state)
{
	uint64_t now;
	pid_t first;

	(void)state;
	assert_true(children_due(all) == UINT64_MAX);
	child_start(&all->keeper);
	first = all->keeper.pid;
	assert_true(first > 0);
	assert_int_equal(all->shared->keeper.pid, first);
	assert_int_equal(all->shared->keeper.incarnation, 1);
	run_until(once_ready);
	submit("proxy-started");
	run_until(nothing_pending);
	assert_true(all->shared->keeper.written == 1);

	child_kill(&all->keeper);
	submit("proxy-stopped");
	run_until(keeper_gone);
	now = clock_ms();
	assert_int_equal(all->shared->keeper.pid, 0);
	assert_int_equal(all->shared->keeper.failing, 1);
	assert_int_equal(all->keeper.backoff_s, 1);
	assert_true(children_due(all) > now && children_due(all) <= now + 1000);
	run_until(twice_ready);
	assert_true(all->keeper.pid != first);
	assert_int_equal(all->shared->keeper.incarnation, 2);
	assert_int_equal(all->shared->keeper.failing, 0);
	/* What was submitted while there was none gets written. */
	run_until(nothing_pending);
	assert_true(all->shared->keeper.seq == 2);
	assert_int_equal(failed, 0);
	assert_false(children_all_ready(all));
	assert_int_equal(children_workers_alive(all), 0);

	/* Hung up, with no channel left: it finishes by itself and is not replaced. */
	all->keeper_needed = false;
	courier_attach(all->courier, -1);
	child_hang_up(&all->keeper);
	run_until(keeper_gone);
	assert_true(children_due(all) == UINT64_MAX);
}

static void test_cannot_start(void **state)
{
	char none[] = "/nonexistent/audit.jsonl";

	(void)state;
	config.audit.file_path = none;
	child_start(&all->keeper);
	run_until(keeper_gone);
	assert_int_equal(ready, 0);
	assert_int_equal(failed, 1);
	assert_non_null(strstr(why_failed, none));
	assert_true(children_due(all) != UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_keeper_restarted, begin, end),
	    cmocka_unit_test_setup_teardown(test_cannot_start, begin, end),
	};
	int bad;

	if (!mkdtemp(directory))
		return 1;
	snprintf(path, sizeof(path), "%s/audit.jsonl", directory);
	bad = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(directory);
	return bad;
}

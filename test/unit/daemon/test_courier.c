/* SPDX-License-Identifier: MIT */
/*
 * The courier against a fake keeper at the other end of a socket pair: nothing lost, nothing out of order, nobody told
 * before the record is written, whatever happens to the keeper.
 */
#include "courier_fixture.h"

#include <malloc.h>

static void test_acknowledged(void **state)
{
	(void)state;
	begin(true, 100, 1 << 20);
	assert_true(f.trail.available(f.trail.ctx));
	assert_int_equal(submit(), 1);
	assert_int_equal(submit(), 2);
	assert_int_equal(submit(), 3);
	assert_true(f.wakes > 0);
	assert_true(courier_wants_write(f.courier));
	courier_write(f.courier);
	assert_false(courier_wants_write(f.courier));
	assert_int_equal(keeper_reads(), 1);
	assert_int_equal(keeper_reads(), 2);
	assert_int_equal(keeper_reads(), 3);
	assert_int_equal(keeper_reads(), 0);
	courier_call_back(f.courier);
	assert_int_equal(f.told_ok, 0);
	/* Cumulative, and never called from inside the reading. */
	keeper_acknowledges(2, 7);
	assert_int_equal(f.told_ok, 0);
	courier_call_back(f.courier);
	assert_int_equal(f.told_ok, 2);
	assert_int_equal(courier_pending(f.courier), 1);
	/* Another incarnation's word counts for nothing; the same word twice neither. */
	keeper_acknowledges(3, 6);
	keeper_acknowledges(2, 7);
	courier_call_back(f.courier);
	assert_int_equal(f.told_ok, 2);
	keeper_acknowledges(3, 7);
	courier_call_back(f.courier);
	assert_int_equal(f.told_ok, 3);
	assert_int_equal(courier_pending(f.courier), 0);
	assert_int_equal(f.slot.counter[COUNTER_AUDIT_RECORDS], 3);
	assert_int_equal(f.slot.counter[COUNTER_AUDIT_LOST], 0);
	end();
}

static void test_unsent_cannot_be_acknowledged(void **state)
{
	(void)state;
	begin(true, 100, 1 << 20);
	submit();
	keeper_acknowledges(1000, 7);
	courier_call_back(f.courier);
	assert_int_equal(f.told_ok, 0);
	assert_int_equal(courier_pending(f.courier), 1);
	end();
}

static void test_resent(void **state)
{
	(void)state;
	begin(true, 1000, 1 << 20);
	for (int i = 0; i < 100; i++)
		submit();
	courier_write(f.courier);
	keeper_acknowledges(40, 7);
	courier_call_back(f.courier);
	close(f.keeper_fd);
	f.keeper_fd = -1;
	assert_false(courier_read(f.courier));
	assert_int_equal(courier_fd(f.courier), -1);
	assert_false(courier_wants_write(f.courier));
	/* While there is no keeper records are kept. */
	assert_int_equal(submit(), 101);
	connect_keeper();
	courier_write(f.courier);
	for (uint64_t n = 41; n <= 101; n++)
		assert_int_equal(keeper_reads(), n);
	assert_int_equal(keeper_reads(), 0);
	keeper_acknowledges(101, 7);
	courier_call_back(f.courier);
	assert_int_equal(f.told_ok, 101);
	assert_int_equal(f.told_lost, 0);
	end();
}

static void test_forgotten(void **state)
{
	uint64_t ticket;

	(void)state;
	begin(true, 100, 1 << 20);
	submit();
	ticket = submit();
	courier_write(f.courier);
	f.trail.forget(f.trail.ctx, ticket);
	f.trail.forget(f.trail.ctx, 77);
	assert_int_equal(keeper_reads(), 1);
	assert_int_equal(keeper_reads(), 2);
	keeper_acknowledges(2, 7);
	courier_call_back(f.courier);
	assert_int_equal(f.told_ok, 1);
	/* Also after it was told, and between being due and being told. */
	f.trail.forget(f.trail.ctx, 1);
	ticket = submit();
	courier_write(f.courier);
	keeper_acknowledges(ticket, 7);
	f.trail.forget(f.trail.ctx, ticket);
	courier_call_back(f.courier);
	assert_int_equal(f.told_ok, 1);
	assert_int_equal(courier_pending(f.courier), 0);
	end();
}

static void test_full_refuse(void **state)
{
	(void)state;
	begin(true, 8, 1 << 20);
	for (int i = 0; i < 8; i++)
		submit();
	assert_true(courier_full(f.courier));
	assert_false(f.trail.available(f.trail.ctx));
	/* What open streams still owe is taken all the same. */
	assert_int_equal(submit(), 9);
	courier_write(f.courier);
	keeper_acknowledges(2, 7);
	assert_true(courier_full(f.courier));
	keeper_acknowledges(4, 7);
	assert_false(courier_full(f.courier));
	assert_true(f.trail.available(f.trail.ctx));
	keeper_acknowledges(9, 7);
	courier_call_back(f.courier);
	assert_int_equal(f.told_ok, 9);
	assert_int_equal(f.slot.counter[COUNTER_AUDIT_LOST], 0);
	end();
}

static void test_full_bytes(void **state)
{
	(void)state;
	begin(true, 1000, 100);
	submit();
	assert_true(courier_full(f.courier));
	courier_write(f.courier);
	keeper_acknowledges(1, 7);
	assert_false(courier_full(f.courier));
	end();
}

static void test_full_continue(void **state)
{
	(void)state;
	begin(false, 4, 1 << 20);
	for (int i = 0; i < 6; i++)
		submit();
	assert_true(f.trail.available(f.trail.ctx));
	courier_call_back(f.courier);
	assert_int_equal(f.told_lost, 2);
	assert_int_equal(f.slot.counter[COUNTER_AUDIT_LOST], 2);
	courier_write(f.courier);
	for (uint64_t n = 1; n <= 4; n++)
		assert_int_equal(keeper_reads(), n);
	assert_int_equal(keeper_reads(), 0);
	keeper_acknowledges(4, 7);
	/* Room again: what was lost has used no number, so the next is 5, and goes out. */
	assert_int_equal(submit(), 5);
	courier_write(f.courier);
	assert_int_equal(keeper_reads(), 5);
	keeper_acknowledges(5, 7);
	courier_call_back(f.courier);
	assert_int_equal(f.told_ok, 5);
	assert_int_equal(f.told_lost, 2);
	end();
}

/* A log that cannot be written for days: each stream's records are lost, and cost nothing afterwards. */
static void test_lost_records_cost_no_memory(void **state)
{
	size_t before;

	(void)state;
	begin(false, 4, 1 << 20);
	f.keeper.failing = 1;
	for (int i = 0; i < 1000; i++)
		submit();
	courier_call_back(f.courier);
	before = mallinfo2().uordblks;
	for (int i = 0; i < 100000; i++) {
		submit();
		courier_call_back(f.courier);
	}
	assert_int_equal(f.told_lost, 101000);
	assert_int_equal(f.slot.counter[COUNTER_AUDIT_LOST], 101000 - 4);
	assert_true(mallinfo2().uordblks < before + 65536);
	end();
}

static void forget_one(void *ctx, bool ok)
{
	assert_false(ok);
	f.told_lost++;
	f.trail.forget(f.trail.ctx, *(const uint64_t *)ctx);
	/* Lost too: for the next call. */
	submit();
}

static void test_lost_and_forgotten(void **state)
{
	struct audit_record record;
	uint64_t first, second;

	(void)state;
	begin(false, 1, 1 << 20);
	submit();
	audit_record_init(&record);
	record.action = "stream-established";
	first = f.trail.submit(f.trail.ctx, &record, forget_one, &second);
	second = submit();
	assert_int_not_equal(first, second);
	courier_call_back(f.courier);
	assert_int_equal(f.told_lost, 1);
	courier_call_back(f.courier);
	assert_int_equal(f.told_lost, 2);
	end();
}

static void test_failing(void **state)
{
	(void)state;
	begin(true, 100, 1 << 20);
	f.keeper.failing = 1;
	assert_false(f.trail.available(f.trail.ctx));
	submit();
	courier_tick(f.courier);
	courier_call_back(f.courier);
	assert_int_equal(f.told_ok + f.told_lost, 0);
	f.keeper.failing = 0;
	assert_true(f.trail.available(f.trail.ctx));
	end();

	/* continue: who waits already is told within a tick, who comes later at once; the records are kept. */
	begin(false, 100, 1 << 20);
	submit();
	f.keeper.failing = 1;
	assert_true(f.trail.available(f.trail.ctx));
	courier_call_back(f.courier);
	assert_int_equal(f.told_lost, 0);
	courier_tick(f.courier);
	submit();
	courier_call_back(f.courier);
	assert_int_equal(f.told_lost, 2);
	assert_int_equal(courier_pending(f.courier), 2);
	courier_write(f.courier);
	assert_int_equal(keeper_reads(), 1);
	assert_int_equal(keeper_reads(), 2);
	keeper_acknowledges(2, 7);
	courier_call_back(f.courier);
	assert_int_equal(f.told_ok, 0);
	assert_int_equal(f.told_lost, 2);
	assert_int_equal(courier_pending(f.courier), 0);
	assert_int_equal(f.slot.counter[COUNTER_AUDIT_LOST], 0);
	end();
}

static void resubmit(void *ctx, bool ok)
{
	done(ctx, ok);
	submit();
}

static void test_done_may_submit(void **state)
{
	struct audit_record record;

	(void)state;
	begin(true, 1000, 1 << 20);
	/* Enough to make the ring grow while a done runs. */
	for (int i = 0; i < 64; i++) {
		audit_record_init(&record);
		record.action = "stream-established";
		f.trail.submit(f.trail.ctx, &record, resubmit, &f);
	}
	courier_write(f.courier);
	keeper_acknowledges(64, 7);
	courier_call_back(f.courier);
	assert_int_equal(f.told_ok, 64);
	assert_int_equal(courier_pending(f.courier), 64);
	courier_write(f.courier);
	keeper_acknowledges(128, 7);
	courier_call_back(f.courier);
	assert_int_equal(f.told_ok, 128);
	assert_int_equal(submit(), 129);
	end();
}

/* A reload from `continue` to `refuse` and back: what is asked and settled follows at once. */
static void test_refuse_changes(void **state)
{
	(void)state;
	begin(false, 100, 1 << 20);
	f.keeper.failing = 1;
	assert_true(f.trail.available(f.trail.ctx));
	courier_set_refuse(f.courier, true);
	assert_false(f.trail.available(f.trail.ctx));
	submit();
	courier_tick(f.courier);
	courier_call_back(f.courier);
	assert_int_equal(f.told_lost, 0);
	courier_set_refuse(f.courier, false);
	assert_true(f.trail.available(f.trail.ctx));
	/* Who waits is told by the next tick, and the record is still kept. */
	courier_tick(f.courier);
	courier_call_back(f.courier);
	assert_int_equal(f.told_lost, 1);
	assert_int_equal(courier_pending(f.courier), 1);
	end();
}

static void test_slow_keeper(void **state)
{
	uint64_t expected = 1, n;

	(void)state;
	begin(true, 20000, (size_t)32 << 20);
	for (int i = 0; i < 3000; i++)
		submit();
	courier_write(f.courier);
	assert_true(courier_wants_write(f.courier));
	while (expected <= 3000) {
		while ((n = keeper_reads()) != 0)
			assert_int_equal(n, expected++);
		keeper_acknowledges(expected - 1, 7);
		courier_call_back(f.courier);
		courier_write(f.courier);
	}
	assert_int_equal(f.told_ok, 3000);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_acknowledged),
	    cmocka_unit_test(test_unsent_cannot_be_acknowledged),
	    cmocka_unit_test(test_resent),
	    cmocka_unit_test(test_forgotten),
	    cmocka_unit_test(test_full_refuse),
	    cmocka_unit_test(test_full_bytes),
	    cmocka_unit_test(test_full_continue),
	    cmocka_unit_test(test_lost_records_cost_no_memory),
	    cmocka_unit_test(test_lost_and_forgotten),
	    cmocka_unit_test(test_failing),
	    cmocka_unit_test(test_done_may_submit),
	    cmocka_unit_test(test_slow_keeper),
	    cmocka_unit_test(test_refuse_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

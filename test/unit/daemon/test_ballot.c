/* SPDX-License-Identifier: MIT */
/* The two votes of a reload: who is waited for, whose answer counts, what a death means in either. */
#include "daemon/ballot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void all_answer(void **state)
{
	struct ballot b;

	(void)state;
	ballot_begin(&b, BALLOT_PREPARING, 7);
	assert_true(ballot_complete(&b));
	ballot_ask(&b, 0);
	ballot_ask(&b, 255);
	assert_false(ballot_complete(&b));
	assert_int_equal(ballot_debtor(&b), 0);
	assert_true(ballot_answer(&b, BALLOT_PREPARING, 0, 7));
	assert_int_equal(ballot_debtor(&b), 255);
	assert_true(ballot_answer(&b, BALLOT_PREPARING, 255, 7));
	assert_true(ballot_complete(&b));
	assert_int_equal(ballot_debtor(&b), -1);
	assert_int_equal(b.deaths, 0);
}

static void what_does_not_count(void **state)
{
	struct ballot b;

	(void)state;
	ballot_begin(&b, BALLOT_PREPARING, 7);
	ballot_ask(&b, 1);
	assert_false(ballot_answer(&b, BALLOT_PREPARING, 1, 6));
	assert_false(ballot_answer(&b, BALLOT_COMMITTING, 1, 7));
	assert_false(ballot_answer(&b, BALLOT_PREPARING, 2, 7));
	assert_false(ballot_complete(&b));
	assert_true(ballot_answer(&b, BALLOT_PREPARING, 1, 7));
	assert_false(ballot_answer(&b, BALLOT_PREPARING, 1, 7));
	ballot_end(&b);
	assert_int_equal(b.phase, BALLOT_IDLE);
	assert_false(ballot_answer(&b, BALLOT_PREPARING, 1, 7));
	/* Asked when nothing is under way: nobody waits for it. */
	ballot_ask(&b, 1);
	assert_true(ballot_complete(&b));
}

static void death_while_preparing(void **state)
{
	struct ballot b;

	(void)state;
	ballot_begin(&b, BALLOT_PREPARING, 1);
	ballot_gone(&b, 3); /* was not asked */
	assert_int_equal(b.deaths, 0);
	ballot_ask(&b, 3);
	ballot_ask(&b, 4);
	ballot_gone(&b, 3);
	ballot_gone(&b, 3);
	assert_int_equal(b.deaths, 1);
	assert_true(ballot_awaits(&b, 3));
	assert_false(ballot_awaits(&b, 4));
	assert_true(ballot_answer(&b, BALLOT_PREPARING, 4, 1));
	assert_false(ballot_complete(&b));
	/* The answer of the dead one is worth nothing, its successor's counts. */
	assert_false(ballot_answer(&b, BALLOT_PREPARING, 3, 1));
	ballot_ask(&b, 3);
	assert_true(ballot_answer(&b, BALLOT_PREPARING, 3, 1));
	assert_true(ballot_complete(&b));
	/* What it has prepared died with it, also when it had answered. */
	ballot_gone(&b, 4);
	assert_false(ballot_complete(&b));
	assert_int_equal(b.deaths, 2);
}

static void death_while_committing(void **state)
{
	struct ballot b;

	(void)state;
	ballot_begin(&b, BALLOT_COMMITTING, 1);
	ballot_ask(&b, 0);
	ballot_ask(&b, 1);
	ballot_gone(&b, 0);
	assert_false(ballot_awaits(&b, 0));
	assert_int_equal(b.deaths, 0);
	assert_int_equal(ballot_debtor(&b), 1);
	assert_true(ballot_answer(&b, BALLOT_COMMITTING, 1, 1));
	assert_true(ballot_complete(&b));
}

static void keeper_votes(void **state)
{
	struct ballot b;

	(void)state;
	ballot_begin(&b, BALLOT_PREPARING, 3);
	ballot_ask(&b, SHARED_WORKERS_MAX - 1);
	ballot_ask(&b, BALLOT_KEEPER);
	assert_true(ballot_answer(&b, BALLOT_PREPARING, SHARED_WORKERS_MAX - 1, 3));
	assert_int_equal(ballot_debtor(&b), BALLOT_KEEPER);
	assert_false(ballot_complete(&b));
	assert_true(ballot_answer(&b, BALLOT_PREPARING, BALLOT_KEEPER, 3));
	assert_true(ballot_complete(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keeper_votes),           cmocka_unit_test(all_answer),
	    cmocka_unit_test(what_does_not_count),    cmocka_unit_test(death_while_preparing),
	    cmocka_unit_test(death_while_committing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

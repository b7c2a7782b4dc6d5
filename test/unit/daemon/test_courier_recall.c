/* SPDX-License-Identifier: MIT */
/* What a courier carries for peer memory: observations like records, questions and their answers. */
#include "courier_fixture.h"

#include "base/clock.h"

static void observe(const char *domain)
{
	struct peer_recall recall = courier_recall(f.courier);
	struct peer_observation seen = {.when = 1795336069};

	snprintf(seen.domain, sizeof(seen.domain), "%s", domain);
	recall.observe(recall.ctx, &seen);
}

/* The keeper reads one observation: its number, or 0 when none is there. */
static uint64_t keeper_observes(const char *domain)
{
	struct peer_observation seen;

	if (message_receive(f.keeper_fd, &f.got, f.buffer, NULL) != MESSAGE_OK)
		return 0;
	assert_int_equal(f.got.type, MESSAGE_OBSERVATION);
	assert_int_equal(f.got.incarnation, 7);
	assert_int_equal(f.got.len, sizeof(seen));
	memcpy(&seen, f.got.payload, sizeof(seen));
	assert_string_equal(seen.domain, domain);
	assert_true(seen.when == 1795336069);
	return f.got.number;
}

/* Numbered with the records, kept until acknowledged, sent again. */
static void test_observations(void **state)
{
	(void)state;
	begin(true, 100, 1 << 20);
	assert_int_equal(submit(), 1);
	observe("a.example");
	assert_int_equal(submit(), 3);
	assert_int_equal(courier_pending(f.courier), 3);
	assert_int_equal(f.slot.counter[COUNTER_AUDIT_RECORDS], 2);
	courier_write(f.courier);
	assert_int_equal(keeper_reads(), 1);
	assert_int_equal(keeper_observes("a.example"), 2);
	assert_int_equal(keeper_reads(), 3);
	keeper_acknowledges(1, 7);
	connect_keeper();
	courier_write(f.courier);
	assert_int_equal(keeper_observes("a.example"), 2);
	assert_int_equal(keeper_reads(), 3);
	keeper_acknowledges(3, 7);
	courier_call_back(f.courier);
	assert_int_equal(courier_pending(f.courier), 0);
	assert_int_equal(f.told_ok, 2);
	end();
}

static void test_observations_full(void **state)
{
	(void)state;
	begin(false, 2, 1 << 20);
	observe("a.example");
	observe("b.example");
	observe("c.example");
	assert_int_equal(f.slot.counter[COUNTER_OBSERVATIONS_LOST], 1);
	assert_int_equal(courier_pending(f.courier), 2);
	end();
	begin(true, 2, 1 << 20);
	for (int i = 0; i < 3; i++)
		observe("a.example");
	assert_int_equal(f.slot.counter[COUNTER_OBSERVATIONS_LOST], 0);
	assert_int_equal(courier_pending(f.courier), 3);
	end();
}

static unsigned answered, unanswered;

static void answer(void *ctx, bool ok, const struct peer_memory *memory)
{
	(void)ctx;
	(void)memory;
	if (ok)
		answered++;
	else
		unanswered++;
}

static uint64_t ask(const char *domain)
{
	struct peer_recall recall = courier_recall(f.courier);

	return recall.ask(recall.ctx, domain, PEER_S2S, answer, NULL);
}

static void keeper_answers(uint64_t number, uint32_t incarnation)
{
	static const struct peer_memory nothing;
	struct message m = {.type = MESSAGE_PEER_KNOWN,
			    .incarnation = incarnation,
			    .number = number,
			    .payload = &nothing,
			    .len = sizeof(nothing)};

	assert_int_equal(message_send(f.keeper_fd, &m, -1), MESSAGE_OK);
	assert_true(courier_read(f.courier));
}

static void test_questions(void **state)
{
	struct peer_recall recall;
	uint64_t ticket;
	unsigned wakes;

	(void)state;
	answered = unanswered = 0;
	begin(true, 100, 1 << 20);
	submit();
	wakes = f.wakes;
	assert_false(courier_asks(f.courier));
	ticket = ask("a.example");
	assert_true(courier_asks(f.courier));
	assert_true(f.wakes > wakes);
	courier_write(f.courier);
	/* In front of what the log is owed. */
	assert_int_equal(message_receive(f.keeper_fd, &f.got, f.buffer, NULL), MESSAGE_OK);
	assert_int_equal(f.got.type, MESSAGE_PEER_ASK);
	assert_int_equal(f.got.number, ticket);
	assert_int_equal(keeper_reads(), 1);
	/* A keeper that died over it: the next one is asked. */
	connect_keeper();
	assert_true(courier_wants_write(f.courier));
	courier_write(f.courier);
	assert_int_equal(message_receive(f.keeper_fd, &f.got, f.buffer, NULL), MESSAGE_OK);
	assert_int_equal(f.got.type, MESSAGE_PEER_ASK);
	keeper_answers(ticket, 6);
	courier_call_back(f.courier);
	assert_int_equal(answered, 0);
	wakes = f.wakes;
	keeper_answers(ticket, 7);
	assert_true(f.wakes > wakes);
	assert_int_equal(answered, 0);
	courier_call_back(f.courier);
	assert_int_equal(answered, 1);
	assert_false(courier_asks(f.courier));
	/* Who leaves hears nothing. */
	ticket = ask("b.example");
	recall = courier_recall(f.courier);
	recall.forget(recall.ctx, ticket);
	courier_write(f.courier);
	keeper_answers(ticket, 7);
	courier_call_back(f.courier);
	assert_int_equal(answered, 1);
	/* A log that fails has a keeper that reads nothing. */
	f.keeper.failing = 1;
	ask("c.example");
	assert_int_equal(unanswered, 0);
	courier_call_back(f.courier);
	assert_int_equal(unanswered, 1);
	end();
}

static void test_questions_in_time(void **state)
{
	(void)state;
	answered = unanswered = 0;
	clock_fake(1000000000, 0);
	begin(true, 100, 1 << 20);
	ask("a.example");
	courier_write(f.courier);
	clock_fake(2000000000, 0);
	courier_tick(f.courier);
	courier_call_back(f.courier);
	assert_int_equal(unanswered, 0);
	clock_fake(3000000000, 0);
	courier_tick(f.courier);
	courier_call_back(f.courier);
	assert_int_equal(unanswered, 1);
	end();
	clock_unfake();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_observations),
	    cmocka_unit_test(test_observations_full),
	    cmocka_unit_test(test_questions),
	    cmocka_unit_test(test_questions_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Questions to peer memory: each is answered once, in time, whatever becomes of the keeper and of who asked. */
#include "daemon/inquiries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "daemon/peer_message.h"

static struct inquiries *q;
static int near_fd, far_fd;
static unsigned known, unknown, unsaid;
static uint8_t buffer[MESSAGE_SIZE_MAX];

static int begin(void **state)
{
	int pair[2];

	(void)state;
	known = unknown = unsaid = 0;
	if (message_pair(pair) < 0)
		return -1;
	near_fd = pair[0];
	far_fd = pair[1];
	q = inquiries_new(4);
	return 0;
}

static int end(void **state)
{
	(void)state;
	inquiries_free(&q);
	assert_null(q);
	close(near_fd);
	close(far_fd);
	clock_unfake();
	return 0;
}

static void answer(void *ctx, bool ok, const struct peer_memory *memory)
{
	(void)ctx;
	assert_non_null(memory);
	if (!ok)
		unsaid++;
	else if (memory->known)
		known++;
	else
		unknown++;
	assert_true(ok || !memory->known);
}

static uint64_t ask(const char *domain)
{
	return inquiries_ask(q, domain, PEER_S2S, false, answer, NULL);
}

/* The number of the next question sent, 0: there is none. */
static uint64_t hear(const char *domain)
{
	struct peer_question question;
	struct message m;

	if (message_receive(far_fd, &m, buffer, NULL) != MESSAGE_OK)
		return 0;
	assert_int_equal(m.type, MESSAGE_PEER_ASK);
	assert_int_equal(m.incarnation, 7);
	assert_int_equal(m.len, sizeof(question));
	memcpy(&question, m.payload, sizeof(question));
	assert_string_equal(question.domain, domain);
	assert_int_equal(question.service, PEER_S2S);
	return m.number;
}

static void take(uint64_t number, bool is_known)
{
	static struct peer_memory memory;
	struct message m = {.type = MESSAGE_PEER_KNOWN, .number = number, .payload = &memory, .len = sizeof(memory)};

	memory.known = is_known;
	inquiries_take(q, &m);
}

static void test_answered(void **state)
{
	struct message cannot_say = {.type = MESSAGE_PEER_KNOWN, .number = 3};

	(void)state;
	assert_int_equal(ask("a.example"), 1);
	assert_int_equal(ask("b.example"), 2);
	assert_int_equal(ask("c.example"), 3);
	assert_int_equal(inquiries_waiting(q), 3);
	assert_true(inquiries_unsent(q));
	assert_true(inquiries_send(q, near_fd, 7));
	assert_false(inquiries_unsent(q));
	assert_int_equal(hear("a.example"), 1);
	assert_int_equal(hear("b.example"), 2);
	assert_int_equal(hear("c.example"), 3);
	assert_int_equal(hear(""), 0);
	/* In any order, once, and never from inside the taking. */
	take(2, true);
	take(2, false);
	take(1, false);
	inquiries_take(q, &cannot_say);
	take(9, true);
	assert_int_equal(known + unknown + unsaid, 0);
	assert_int_equal(inquiries_waiting(q), 0);
	inquiries_call_back(q);
	inquiries_call_back(q);
	assert_int_equal(known, 1);
	assert_int_equal(unknown, 1);
	assert_int_equal(unsaid, 1);
	take(1, true);
	inquiries_call_back(q);
	assert_int_equal(known, 1);
}

static void test_resent(void **state)
{
	(void)state;
	ask("a.example");
	ask("b.example");
	assert_true(inquiries_send(q, near_fd, 7));
	assert_int_equal(hear("a.example"), 1);
	assert_int_equal(hear("b.example"), 2);
	take(1, true);
	/* Another keeper: only what waits is asked again. */
	inquiries_resend(q);
	assert_true(inquiries_unsent(q));
	assert_true(inquiries_send(q, near_fd, 7));
	assert_int_equal(hear("b.example"), 2);
	assert_int_equal(hear(""), 0);
	take(2, true);
	inquiries_call_back(q);
	assert_int_equal(known, 2);
}

static void test_time(void **state)
{
	(void)state;
	clock_fake(1000 * 1000000ULL, 0);
	ask("a.example");
	clock_fake(1500 * 1000000ULL, 0);
	ask("b.example");
	inquiries_tick(q, 1000 + INQUIRIES_WAIT_MS - 1);
	inquiries_call_back(q);
	assert_int_equal(unsaid, 0);
	inquiries_tick(q, 1000 + INQUIRIES_WAIT_MS);
	inquiries_call_back(q);
	assert_int_equal(unsaid, 1);
	assert_int_equal(inquiries_waiting(q), 1);
	/* Too late. */
	take(1, true);
	take(2, true);
	inquiries_tick(q, 1500 + INQUIRIES_WAIT_MS);
	inquiries_call_back(q);
	assert_int_equal(unsaid, 1);
	assert_int_equal(known, 1);
}

static void test_too_many(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		ask("a.example");
	assert_int_equal(ask("b.example"), 5);
	assert_int_equal(unsaid, 0);
	assert_int_equal(inquiries_waiting(q), 4);
	inquiries_call_back(q);
	assert_int_equal(unsaid, 1);
	assert_true(inquiries_send(q, near_fd, 7));
	for (uint64_t n = 1; n <= 4; n++)
		assert_int_equal(hear("a.example"), n);
	assert_int_equal(hear(""), 0);
	/* Room again. */
	take(1, true);
	assert_int_equal(ask("c.example"), 6);
	assert_true(inquiries_send(q, near_fd, 7));
	assert_int_equal(hear("c.example"), 6);
	/* Hopeless from the start. */
	inquiries_ask(q, "d.example", PEER_S2S, true, answer, NULL);
	inquiries_call_back(q);
	assert_int_equal(unsaid, 2);
	assert_int_equal(known, 1);
}

static void test_forgotten(void **state)
{
	(void)state;
	ask("a.example");
	ask("b.example");
	inquiries_forget(q, 1);
	inquiries_forget(q, 99);
	assert_true(inquiries_send(q, near_fd, 7));
	take(1, true);
	take(2, true);
	inquiries_forget(q, 2);
	inquiries_call_back(q);
	assert_int_equal(known, 0);
	assert_int_equal(ask("c.example"), 3);
}

static void ask_more(void *ctx, bool ok, const struct peer_memory *memory)
{
	answer(ctx, ok, memory);
	/* The ring grows while an answer is given. */
	for (int i = 0; i < 64; i++)
		inquiries_ask(q, "again.example", PEER_S2S, true, answer, NULL);
	inquiries_forget(q, 2);
}

static void test_answer_may_ask(void **state)
{
	(void)state;
	inquiries_ask(q, "a.example", PEER_S2S, true, ask_more, NULL);
	ask("b.example");
	take(2, true);
	inquiries_call_back(q);
	assert_int_equal(unsaid, 1);
	assert_int_equal(known, 0);
	inquiries_call_back(q);
	assert_int_equal(unsaid, 65);
	inquiries_call_back(q);
	assert_int_equal(unsaid, 65);
}

static void test_channel_full(void **state)
{
	uint64_t heard = 0;

	(void)state;
	inquiries_free(&q);
	q = inquiries_new(5000);
	for (int i = 0; i < 5000; i++)
		ask("a.example");
	assert_false(inquiries_send(q, near_fd, 7));
	assert_true(inquiries_unsent(q));
	for (;;) {
		uint64_t number = hear("a.example");

		if (number) {
			assert_int_equal(number, ++heard);
			continue;
		}
		if (heard == 5000)
			break;
		inquiries_send(q, near_fd, 7);
	}
	assert_false(inquiries_unsent(q));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_answered),  TEST(test_resent),         TEST(test_time),         TEST(test_too_many),
	    TEST(test_forgotten), TEST(test_answer_may_ask), TEST(test_channel_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Peer memory in the keeper: what fails costs observations, counted and said once, and never more than that. */
#include "daemon/keeper_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "daemon/peer_message.h"
#include "memory/store.h"

static char directory[] = "/tmp/portcullis-keepmem-XXXXXX";
static char path[64];
static struct shared_keeper shared;
static struct keeper_memory memory;
static uint64_t now_ms;

static int begin(void **state)
{
	(void)state;
	memset(&shared, 0, sizeof(shared));
	memory = (struct keeper_memory){.shared = &shared};
	now_ms = 100000;
	clock_fake(now_ms * 1000000, 1795336069000000);
	return 0;
}

static int end(void **state)
{
	(void)state;
	keeper_memory_close(&memory);
	clock_unfake();
	unlink(path);
	return 0;
}

static void open_memory(void)
{
	struct errbuf err = {.text = ""};

	assert_int_equal(keeper_memory_open(&memory, directory, &err), 0);
	assert_string_equal(err.text, "");
}

static void observe(const char *domain)
{
	struct peer_observation seen = {.service = PEER_S2S, .when = 1795336069, .tls = true, .version = 13};
	struct message m = {.type = MESSAGE_OBSERVATION, .payload = &seen, .len = sizeof(seen)};

	snprintf(seen.domain, sizeof(seen.domain), "%s", domain);
	keeper_memory_observe(&memory, &m);
}

static uint8_t buffer[MESSAGE_SIZE_MAX];

/* Carries the one message of the box. */
static struct message carry(struct outbox *box)
{
	struct message m;
	int pair[2];

	assert_int_equal(message_pair(pair), 0);
	assert_true(outbox_flush(box, pair[0]));
	assert_int_equal(message_receive(pair[1], &m, buffer, NULL), MESSAGE_OK);
	close(pair[0]);
	close(pair[1]);
	return m;
}

enum said { UNSAID, UNKNOWN, KNOWN };

static enum said ask(const char *domain)
{
	struct peer_question question = {.service = PEER_S2S};
	struct message m = {
	    .type = MESSAGE_PEER_ASK, .incarnation = 3, .number = 77, .payload = &question, .len = sizeof(question)};
	struct outbox box = {.head = NULL};
	struct peer_memory known;

	snprintf(question.domain, sizeof(question.domain), "%s", domain);
	keeper_memory_answer(&memory, &m, &box);
	m = carry(&box);
	assert_int_equal(m.type, MESSAGE_PEER_KNOWN);
	assert_int_equal(m.incarnation, 3);
	assert_int_equal(m.number, 77);
	if (m.len == 0)
		return UNSAID;
	assert_int_equal(m.len, sizeof(known));
	memcpy(&known, m.payload, sizeof(known));
	return known.known ? KNOWN : UNKNOWN;
}

static struct peers_answer tell(enum peers_verb verb, const char *domain, char *text, size_t size)
{
	struct peers_question question = {.verb = verb};
	struct message m = {.type = MESSAGE_PEERS, .number = 5, .payload = &question, .len = sizeof(question)};
	struct outbox box = {.head = NULL};
	struct peers_answer answer;

	snprintf(question.domain, sizeof(question.domain), "%s", domain);
	keeper_memory_tell(&memory, &m, &box);
	m = carry(&box);
	assert_int_equal(m.type, MESSAGE_PEERS_ANSWER);
	assert_int_equal(m.number, 5);
	memcpy(&answer, m.payload, sizeof(answer));
	snprintf(text, size, "%.*s", (int)(m.len - sizeof(answer)), (const char *)m.payload + sizeof(answer));
	return answer;
}

static void test_not_in_use(void **state)
{
	char text[256];

	(void)state;
	observe("a.example");
	keeper_memory_commit(&memory);
	assert_int_equal(ask("a.example"), UNSAID);
	assert_int_equal(shared.observations_lost, 1);
	assert_int_equal(shared.memory_failing, 0);
	assert_false(tell(PEERS_LIST, "", text, sizeof(text)).ok);
	assert_string_equal(text, "it cannot be read now; the operator's log says why");
	assert_true(keeper_memory_due(&memory) == UINT64_MAX);
}

static void test_remembered(void **state)
{
	struct message cut = {.type = MESSAGE_OBSERVATION, .payload = "x", .len = 1};

	(void)state;
	open_memory();
	assert_int_equal(ask("a.example"), UNKNOWN);
	observe("a.example");
	/* Known at once; counted when it is durable. */
	assert_int_equal(ask("a.example"), KNOWN);
	assert_int_equal(shared.observations, 0);
	keeper_memory_commit(&memory);
	assert_int_equal(shared.observations, 1);
	assert_int_equal(shared.peers, 1);
	/* What no session of ours has sent. */
	keeper_memory_observe(&memory, &cut);
	observe("Not Normal");
	keeper_memory_commit(&memory);
	assert_int_equal(shared.observations_lost, 2);
	assert_int_equal(shared.observations, 1);
	keeper_memory_close(&memory);
	open_memory();
	assert_int_equal(ask("a.example"), KNOWN);
	assert_int_equal(shared.peers, 1);
}

static void test_operator(void **state)
{
	struct peers_answer answer;
	char text[4096];

	(void)state;
	open_memory();
	observe("a.example");
	answer = tell(PEERS_LIST, "", text, sizeof(text));
	assert_true(answer.ok && !answer.more);
	assert_memory_equal(text, "{\"domain\":\"a.example\"", 21);
	answer = tell(PEERS_ACCEPT, "a.example", text, sizeof(text));
	assert_true(answer.ok && answer.known);
	assert_int_equal(answer.count, 0);
	assert_string_equal(text, "");
	assert_int_equal(shared.observations, 1);
	answer = tell(PEERS_FORGET, "b.example", text, sizeof(text));
	assert_true(answer.ok && !answer.known);
	answer = tell(PEERS_FORGET, "a.example", text, sizeof(text));
	assert_true(answer.ok && answer.known);
	assert_int_equal(answer.count, 1);
	assert_int_equal(shared.peers, 0);
	assert_int_equal(ask("a.example"), UNKNOWN);
}

static void test_moved_away(void **state)
{
	char text[256];

	(void)state;
	open_memory();
	observe("a.example");
	keeper_memory_commit(&memory);
	unlink(path);
	observe("b.example");
	observe("c.example");
	keeper_memory_commit(&memory);
	assert_int_equal(shared.memory_failing, 1);
	assert_int_equal(shared.observations_lost, 2);
	assert_int_equal(ask("a.example"), UNSAID);
	observe("d.example");
	assert_int_equal(shared.observations_lost, 3);
	assert_false(tell(PEERS_ACCEPT, "a.example", text, sizeof(text)).ok);
	/* Not before its time; then it is made anew. */
	assert_true(keeper_memory_due(&memory) == now_ms + 5000);
	keeper_memory_tick(&memory, now_ms + 4999);
	assert_int_equal(shared.memory_failing, 1);
	keeper_memory_tick(&memory, now_ms + 5000);
	assert_int_equal(shared.memory_failing, 0);
	assert_true(keeper_memory_due(&memory) == UINT64_MAX);
	assert_int_equal(shared.peers, 0);
	observe("d.example");
	keeper_memory_commit(&memory);
	assert_int_equal(ask("d.example"), KNOWN);
	assert_int_equal(shared.observations_lost, 3);
}

static void test_cannot_open(void **state)
{
	struct errbuf err = {.text = ""};
	char none[128];

	(void)state;
	snprintf(none, sizeof(none), "%s/none", directory);
	assert_int_equal(keeper_memory_open(&memory, none, &err), -1);
	assert_non_null(strstr(err.text, none));
	/* A reload that is refused leaves everything as it was. */
	assert_int_equal(shared.memory_failing, 0);
	open_memory();
	observe("a.example");
	assert_int_equal(keeper_memory_open(&memory, none, &err), -1);
	assert_int_equal(keeper_memory_open(&memory, directory, &err), 0);
	keeper_memory_commit(&memory);
	assert_int_equal(shared.observations, 1);
	keeper_memory_close(&memory);
	/* Where nobody can be refused any more it fails, and comes back. */
	keeper_memory_need(&memory, none);
	assert_int_equal(shared.memory_failing, 1);
	assert_int_equal(mkdir(none, 0700), 0);
	keeper_memory_tick(&memory, now_ms + 5000);
	assert_int_equal(shared.memory_failing, 0);
	keeper_memory_close(&memory);
	snprintf(none, sizeof(none), "%s/none/peers.db", directory);
	unlink(none);
	snprintf(none, sizeof(none), "%s/none", directory);
	rmdir(none);
}

static void put_junk(void)
{
	FILE *file = fopen(path, "w");

	for (int i = 0; i < 1000; i++)
		fputs("damaged", file);
	fclose(file);
}

/* A large one that is damaged takes a while to read, during which no record is acknowledged. */
static void test_less_and_less_often(void **state)
{
	static const uint64_t expected[] = {5, 15, 35, 75, 155, 315, 615, 915};
	uint64_t at = now_ms;
	int opened = 0;

	(void)state;
	put_junk();
	chmod(path, 0600);
	keeper_memory_need(&memory, directory);
	for (; at < now_ms + 920000; at = keeper_memory_due(&memory)) {
		uint64_t before = memory.open_at;

		keeper_memory_tick(&memory, at);
		if (memory.open_at != before)
			assert_int_equal(at - now_ms, 1000 * expected[opened++]);
		assert_int_equal(shared.memory_failing, 1);
		assert_true(keeper_memory_due(&memory) <= at + 5000);
	}
	assert_int_equal(opened, 8);
	/* Mended, it is not waited for. */
	unlink(path);
	keeper_memory_tick(&memory, at);
	assert_int_equal(shared.memory_failing, 0);
	/* Opened, but nothing was written yet: if that fails it goes on waiting as long. */
	observe("a.example");
	unlink(path);
	keeper_memory_commit(&memory);
	assert_true(memory.open_at == now_ms + 300000);
	keeper_memory_tick(&memory, now_ms + 300000);
	observe("a.example");
	keeper_memory_commit(&memory);
	assert_int_equal(shared.memory_failing, 0);
	observe("a.example");
	unlink(path);
	keeper_memory_commit(&memory);
	assert_true(memory.open_at == now_ms + 5000);
}

/* A file system without room, where we may make one. */
static void test_disk_full(void **state)
{
	char small[128], text[256], junk[65536] = "";
	unsigned written = 0;
	FILE *filler;

	(void)state;
	snprintf(small, sizeof(small), "%s/small", directory);
	assert_int_equal(mkdir(small, 0700), 0);
	if (mount("tmpfs", small, "tmpfs", 0, "size=1m") < 0) {
		rmdir(small);
		return;
	}
	keeper_memory_need(&memory, small);
	assert_int_equal(shared.memory_failing, 0);
	snprintf(text, sizeof(text), "%s/filler", small);
	filler = fopen(text, "w");
	while (fwrite(junk, sizeof(junk), 1, filler) == 1 && fflush(filler) == 0)
		;
	for (; written < 5000 && !shared.memory_failing; written++) {
		snprintf(text, sizeof(text), "d%u.example", written);
		observe(text);
		keeper_memory_commit(&memory);
	}
	assert_int_equal(shared.memory_failing, 1);
	assert_int_equal(shared.observations_lost, 1);
	assert_int_equal(shared.observations, written - 1);
	fclose(filler);
	snprintf(text, sizeof(text), "%s/filler", small);
	unlink(text);
	keeper_memory_tick(&memory, now_ms + 5000);
	assert_int_equal(shared.memory_failing, 0);
	observe("late.example");
	keeper_memory_commit(&memory);
	assert_int_equal(ask("late.example"), KNOWN);
	assert_int_equal(shared.peers, written);
	keeper_memory_close(&memory);
	umount(small);
	rmdir(small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_not_in_use),          TEST(test_remembered),  TEST(test_operator),
	    TEST(test_moved_away),          TEST(test_cannot_open), TEST(test_disk_full),
	    TEST(test_less_and_less_often),
	};
	int failed;

	if (!mkdtemp(directory))
		return 1;
	snprintf(path, sizeof(path), "%s/peers.db", directory);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(directory);
	return failed;
}

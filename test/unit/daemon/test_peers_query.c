/* SPDX-License-Identifier: MIT */
/* Pages of the keeper put together; every answer byte for byte. */
#include "daemon/peers_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static struct peers_query q;

static char *take(struct peers_answer answer, const char *text)
{
	static char payload[sizeof(answer) + 256];
	struct message m = {.payload = payload, .len = sizeof(answer) + strlen(text)};

	memcpy(payload, &answer, sizeof(answer));
	memcpy(payload + sizeof(answer), text, strlen(text));
	return peers_query_take(&q, &m);
}

static void expect(char *got, const char *wanted)
{
	assert_non_null(got);
	assert_string_equal(got, wanted);
	mem_free(got);
	assert_int_equal(q.client, 0);
}

static void test_list(void **state)
{
	struct peers_answer page = {.ok = true, .more = true, .domain = "b.example", .service = PEER_S2S};

	(void)state;
	peers_query_begin(&q, 5, PEERS_LIST, "", "");
	assert_int_equal(q.question.verb, PEERS_LIST);
	assert_string_equal(q.question.domain, "");
	assert_null(take(page, "{\"a\":1},{\"b\":1}"));
	assert_string_equal(q.question.domain, "b.example");
	assert_int_equal(q.question.service, PEER_S2S);
	page.more = false;
	expect(take(page, "{\"c\":1}"), "{\"peers\":[{\"a\":1},{\"b\":1},{\"c\":1}]}\n");

	peers_query_begin(&q, 5, PEERS_LIST, "", "");
	expect(take(page, ""), "{\"peers\":[]}\n");
	/* A page that was full to the last peer is followed by an empty one. */
	peers_query_begin(&q, 5, PEERS_LIST, "", "");
	page.more = true;
	assert_null(take(page, "{\"a\":1}"));
	page.more = false;
	expect(take(page, ""), "{\"peers\":[{\"a\":1}]}\n");
}

static void test_show(void **state)
{
	struct peers_answer found = {.ok = true, .known = true}, none = {.ok = true};

	(void)state;
	peers_query_begin(&q, 5, PEERS_SHOW, "a.example", "");
	assert_string_equal(q.question.domain, "a.example");
	expect(take(found, "{\"a\":1},{\"b\":1}"),
	       "{\"domain\":\"a.example\",\"known\":true,\"peers\":[{\"a\":1},{\"b\":1}]}\n");
	peers_query_begin(&q, 5, PEERS_SHOW, "a.example", "");
	expect(take(none, ""), "{\"domain\":\"a.example\",\"known\":false,\"peers\":[]}\n");
}

static void test_change(void **state)
{
	struct peers_answer answer = {.ok = true, .known = true, .count = 3};

	(void)state;
	peers_query_begin(&q, 5, PEERS_ACCEPT, "a.example", "");
	expect(take(answer, ""), "{\"domain\":\"a.example\",\"known\":true,\"accepted\":3}\n");
	assert_string_equal(q.question.sha256, "");
	peers_query_begin(&q, 5, PEERS_ACCEPT, "a.example", "abc");
	assert_string_equal(q.question.sha256, "abc");
	expect(take(answer, ""), "{\"domain\":\"a.example\",\"known\":true,\"sha256\":\"abc\",\"accepted\":3}\n");
	peers_query_begin(&q, 5, PEERS_FORGET, "a.example", "");
	expect(take(answer, ""), "{\"domain\":\"a.example\",\"known\":true,\"forgotten\":3}\n");
}

static void test_failed(void **state)
{
	struct peers_answer bad = {.ok = false};
	struct message cut = {.payload = "x", .len = 1};

	(void)state;
	peers_query_begin(&q, 5, PEERS_LIST, "", "");
	expect(take(bad, "no \"room\""), "{\"error\":\"peer memory: no \\\"room\\\"\"}");
	peers_query_begin(&q, 5, PEERS_LIST, "", "");
	expect(peers_query_take(&q, &cut), "{\"error\":\"the keeper's answer is none\"}");
	peers_query_begin(&q, 5, PEERS_LIST, "", "");
	expect(peers_query_fail(&q, "too late"), "{\"error\":\"too late\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_show),
	    cmocka_unit_test(test_change),
	    cmocka_unit_test(test_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The status answer from known counters, byte for byte where it matters, and what people see of it and of `streams`.
 */
#include "daemon/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "xmpp/reason.h"

static struct shared *shared;
static struct reload_outcome reload;
static bool memory_in_use = true;

static char *make_status(void)
{
	/* 2026-11-22T08:27:49.123456Z */
	struct status_facts facts = {.shared = shared,
				     .config_path = "p.yaml",
				     .state = "running",
				     .since_us = 1795336069123456,
				     .loaded_us = 1795336070123456,
				     .reload = reload,
				     .memory = memory_in_use,
				     .uptime_ms = 61999};

	return status_json(&facts);
}

static void expect(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in %s", part, text);
}

static int begin(void **state)
{
	(void)state;
	shared = shared_new(2, 100, 10);
	shared->slot[0].pid = 41;
	shared->slot[0].incarnation = 1;
	shared->slot[0].open[0] = 2;
	shared->slot[1].pid = 42;
	shared->slot[1].incarnation = 3;
	shared->slot[1].open[0] = 5;
	shared->slot[0].counter[COUNTER_ACCEPTED] = 10;
	shared->slot[1].counter[COUNTER_ACCEPTED] = 7;
	shared->slot[0].reason[REASON_STARTTLS_INJECTION] = 1;
	shared->slot[1].reason[REASON_STARTTLS_INJECTION] = 2;
	shared->slot[1].reason[REASON_CLOSED] = 4;
	shared->keeper.pid = 40;
	shared->keeper.incarnation = 1;
	shared->keeper.written = 20;
	shared->keeper.seq = 120;
	shared->keeper.peers = 12;
	shared->keeper.observations = 40;
	shared->keeper.observations_lost = 2;
	shared->slot[1].counter[COUNTER_OBSERVATIONS_LOST] = 1;
	return 0;
}

static int end(void **state)
{
	(void)state;
	shared_free(&shared);
	return 0;
}

static void test_json(void **state)
{
	char *text = make_status();

	(void)state;
	expect(text, "\"version\":\"" PORTCULLIS_VERSION "\"");
	expect(text,
	       "\"state\":\"running\",\"configuration\":\"p.yaml\","
	       "\"loaded\":\"2026-11-22T08:27:50.123456Z\",\"since\":\"2026-11-22T08:27:49.123456Z\",\"uptime\":61,");
	expect(text, "\"workers\":[{\"slot\":0,\"pid\":41,\"incarnation\":1,\"open\":2},"
		     "{\"slot\":1,\"pid\":42,\"incarnation\":3,\"open\":5}]");
	expect(text, "\"streams\":{\"c2s-inbound\":7,\"s2s-inbound\":0,\"s2s-outbound\":0,\"c2s-outbound\":0}");
	expect(text, "\"accepted\":17,");
	expect(text, "\"refusals\":{\"starttls-injection\":3}");
	expect(text, "\"ended\":{\"closed\":4}");
	expect(text, "\"keeper\":{\"pid\":40,\"incarnation\":1,\"failing\":false,\"written\":20,\"seq\":120},"
		     "\"memory\":{\"in_use\":true,\"failing\":false,\"remembered\":12,\"observations\":40,"
		     "\"lost\":3}}\n");
	mem_free(text);
}

static char *printed(int (*print)(FILE *, const char *, size_t, struct errbuf *), const char *json, int expected,
		     struct errbuf *err)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(print(out, json, strlen(json), err), expected);
	fclose(out);
	return text;
}

static void test_status_printed(void **state)
{
	struct errbuf err = {.text = ""};
	char *json = make_status(), *text = printed(status_print, json, 0, &err);

	(void)state;
	expect(text, "portcullis " PORTCULLIS_VERSION ", pid ");
	expect(text, "running since 2026-11-22T08:27:49.123456Z (61 s)\n");
	expect(text, "audit log     well; 20 records written, last seq 120 (keeper pid 40)\n");
	expect(text, "  1    pid 42       incarnation 3    5 streams\n");
	expect(text, "  starttls-injection                      3\n");
	free(text);
	mem_free(json);
	shared->keeper.failing = 1;
	json = make_status();
	text = printed(status_print, json, 0, &err);
	expect(text, "audit log     CANNOT BE WRITTEN;");
	expect(text, "peer memory   well; 12 remembered, 3 observations lost\n");
	free(text);
	mem_free(json);
	shared->keeper.memory_failing = 1;
	json = make_status();
	text = printed(status_print, json, 0, &err);
	expect(text, "peer memory   CANNOT BE USED; 12 remembered");
	free(text);
	mem_free(json);
	memory_in_use = false;
	json = make_status();
	expect(json, "\"memory\":{\"in_use\":false,\"failing\":false,");
	text = printed(status_print, json, 0, &err);
	expect(text, "peer memory   not in use\n");
	memory_in_use = true;
	free(text);
	mem_free(json);
}

static void test_last_reload(void **state)
{
	struct errbuf err = {.text = ""};
	char why[] = "p.yaml:1:2: bad\n\xff", *json, *text;

	(void)state;
	reload = (struct reload_outcome){.at_us = 1795336071123456, .text = why};
	json = make_status();
	expect(json, "\"reload\":{\"at\":\"2026-11-22T08:27:51.123456Z\",\"ok\":false,\"text\":\"p.yaml:1:2: bad");
	text = printed(status_print, json, 0, &err);
	expect(text, "configuration p.yaml, loaded 2026-11-22T08:27:50.123456Z\n"
		     "last reload   2026-11-22T08:27:51.123456Z REFUSED: p.yaml:1:2: bad");
	free(text);
	mem_free(json);
	reload.ok = true;
	json = make_status();
	text = printed(status_print, json, 0, &err);
	expect(text, "51.123456Z done: ");
	free(text);
	mem_free(json);
	reload = (struct reload_outcome){.text = NULL};
}

static void test_streams_printed(void **state)
{
	struct errbuf err = {.text = ""};
	char *text = printed(streams_print,
			     "{\"streams\":[{\"id\":\"abc\",\"role\":\"c2s-inbound\",\"from\":\"a@example.com\","
			     "\"outer\":{\"version\":\"1.3\",\"cipher\":\"TLS_AES_256_GCM_SHA384\"},\"inner\":{},"
			     "\"age_ms\":5999,\"bytes_in\":12,\"bytes_out\":34}],\"unanswered\":[1]}",
			     0, &err);

	(void)state;
	expect(text, "abc              c2s-inbound  -            ");
	expect(text, " 1.3  TLS_AES_256_GCM_SHA384       -     ");
	expect(text, "       5           12           34\n");
	expect(text, "worker 1 did not answer in time");
	free(text);
}

static void test_errors(void **state)
{
	struct errbuf err = {.text = ""};
	char *text = printed(answer_print, "{\"error\":\"not available in this version\"}", -1, &err);

	(void)state;
	assert_string_equal(text, "");
	assert_string_equal(err.text, "not available in this version");
	free(text);
	text = printed(status_print, "rubbish", -1, &err);
	assert_string_equal(err.text, "the answer is not one of portcullis");
	free(text);
	text = printed(streams_print, "[]", -1, &err);
	free(text);
	text = printed(answer_print, "{\"a\":1}", 0, &err);
	assert_string_equal(text, "{\"a\":1}\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_json, begin, end),
	    cmocka_unit_test_setup_teardown(test_status_printed, begin, end),
	    cmocka_unit_test_setup_teardown(test_last_reload, begin, end),
	    cmocka_unit_test(test_streams_printed),
	    cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

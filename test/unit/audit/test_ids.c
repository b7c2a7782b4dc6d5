/* SPDX-License-Identifier: MIT */
/* ids: finding event.id in a record, and the set of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "audit/ids_private.h"
#include "base/array.h"

static void finding(void **state)
{
	static const struct {
		const char *json, *id;
	} rows[] = {
	    {"{\"@timestamp\":\"t\",\"event\":{\"kind\":\"event\",\"id\":\"2-1-17\",\"a\":1}}", "2-1-17"},
	    {"{\"event\":{\"id\":\"x\"}}", "x"},
	    {"{\"event\":{\"kind\":\"event\"},\"other\":{\"id\":\"no\"}}", NULL},
	    {"{\"event\":{\"reason\":\"\\\"id\\\":\\\"no\\\"\"}}", NULL},
	    {"{\"event\":{\"id\":\"\"}}", NULL},
	    {"{\"event\":{\"id\":\"cut", NULL},
	    {"{\"event\":{\"id\":\"cut}", NULL},
	    {"{\"id\":\"no\"}", NULL},
	    {"", NULL},
	};
	size_t i, len;
	const char *id;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		len = 0;
		id = audit_ids_find(rows[i].json, strlen(rows[i].json), &len);
		if (!rows[i].id) {
			assert_null(id);
			continue;
		}
		assert_int_equal(len, strlen(rows[i].id));
		assert_memory_equal(id, rows[i].id, len);
	}
}

static void remembering(void **state)
{
	struct audit_ids *ids = audit_ids_new();
	char json[64];
	int i, round;

	(void)state;
	for (round = 0; round < 2; round++)
		for (i = 0; i < 3000; i += 2) {
			(void)snprintf(json, sizeof(json), "{\"event\":{\"id\":\"%d\"}}", i);
			audit_ids_remember(ids, json, strlen(json));
		}
	audit_ids_remember(ids, "{}", 2);
	assert_int_equal(audit_ids_count(ids), 1500);
	for (i = 0; i < 3000; i++) {
		(void)snprintf(json, sizeof(json), "{\"event\":{\"id\":\"%d\"}}", i);
		assert_int_equal(audit_ids_knows(ids, json, strlen(json)), i % 2 == 0);
	}
	assert_false(audit_ids_knows(ids, "{}", 2));
	audit_ids_free(&ids);
	assert_null(ids);
	audit_ids_free(&ids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(finding), cmocka_unit_test(remembering)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

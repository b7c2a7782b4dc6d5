/* SPDX-License-Identifier: MIT */
/* Findings: counted, sorted without losing their order at one place, formatted as the contract says. */
#include "policy/diag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

static void assert_format(const struct diag_list *list, size_t at, const char *expected)
{
	char *text = diag_format(list, &list->items[at]);
	assert_string_equal(text, expected);
	mem_free(text);
}

static void formats_and_counts(void **state)
{
	(void)state;
	struct diag_list list;
	diag_init(&list, "a.yaml");
	assert_int_equal(list.count, 0);
	diag_add(&list, DIAG_ERROR, (struct config_mark){3, 7}, "bad %s %d", "thing", 5);
	diag_add(&list, DIAG_WARNING, (struct config_mark){4, 1}, "odd");
	diag_add(&list, DIAG_ERROR, (struct config_mark){0, 0}, "gone");
	assert_int_equal(list.count, 3);
	assert_int_equal(list.errors, 2);
	assert_format(&list, 0, "a.yaml:3:7: bad thing 5");
	assert_format(&list, 1, "a.yaml:4:1: warning: odd");
	assert_format(&list, 2, "a.yaml: gone");
	diag_fini(&list);
	assert_null(list.items);
}

static void sorts_by_place_and_keeps_ties(void **state)
{
	(void)state;
	struct diag_list list;
	diag_init(&list, "f");
	static const struct config_mark marks[] = {{9, 1}, {2, 8}, {2, 3}, {9, 1}, {1, 1}, {2, 8}, {9, 1}};
	for (int i = 0; i < 7; i++)
		diag_add(&list, DIAG_ERROR, marks[i], "%d", i);
	diag_sort(&list);
	static const char *const expected[] = {"f:1:1: 4", "f:2:3: 2", "f:2:8: 1", "f:2:8: 5",
					       "f:9:1: 0", "f:9:1: 3", "f:9:1: 6"};
	for (size_t i = 0; i < 7; i++)
		assert_format(&list, i, expected[i]);
	diag_fini(&list);
}

static void sorts_nothing_and_many(void **state)
{
	(void)state;
	struct diag_list list;
	diag_init(&list, "f");
	diag_sort(&list);
	assert_int_equal(list.count, 0);
	for (int i = 0; i < 1000; i++)
		diag_add(&list, DIAG_WARNING, (struct config_mark){(i * 7919) % 1000 + 1, 1}, "x");
	diag_sort(&list);
	assert_int_equal(list.count, 1000);
	assert_int_equal(list.errors, 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(list.items[i].mark.line, i + 1);
	diag_fini(&list);
}

static void knows_where_errors_are(void **state)
{
	(void)state;
	struct diag_list list;
	diag_init(&list, "f");
	diag_add(&list, DIAG_ERROR, (struct config_mark){3, 4}, "x");
	diag_add(&list, DIAG_WARNING, (struct config_mark){5, 6}, "x");
	assert_true(diag_has_error_at(&list, (struct config_mark){3, 4}));
	assert_false(diag_has_error_at(&list, (struct config_mark){3, 5}));
	assert_false(diag_has_error_at(&list, (struct config_mark){4, 4}));
	assert_false(diag_has_error_at(&list, (struct config_mark){5, 6}));
	diag_fini(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(formats_and_counts),
	    cmocka_unit_test(sorts_by_place_and_keeps_ties),
	    cmocka_unit_test(sorts_nothing_and_many),
	    cmocka_unit_test(knows_where_errors_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

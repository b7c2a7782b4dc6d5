/* SPDX-License-Identifier: MIT */
/*
 * The JSON report of a configuration that is not valid: findings and nothing else. A valid one is in test_preflight.
 */
#include "daemon/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_findings(void **state)
{
	struct config_mark mark = {.line = 3, .column = 5};
	struct diag_list diags;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	diag_init(&diags, "p.yaml");
	diag_add(&diags, DIAG_ERROR, mark, "unknown key \"%s\"", "adress");
	report_json(out, NULL, &diags, 0);
	fclose(out);
	assert_string_equal(text, "{\n  \"ok\": false,\n  \"findings\": [\n    {\n      \"severity\": \"error\",\n"
				  "      \"file\": \"p.yaml\",\n      \"line\": 3,\n      \"column\": 5,\n"
				  "      \"text\": \"unknown key \\\"adress\\\"\"\n    }\n  ]\n}\n");
	free(text);
	diag_fini(&diags);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_findings)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

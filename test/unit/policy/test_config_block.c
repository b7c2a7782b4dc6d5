/* SPDX-License-Identifier: MIT */
/* Keys of a block: unknown, given twice, missing, of the wrong kind; and the words that are near. */
#include "policy/config_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_lines.h"

static void near_words(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		unsigned distance;
	} rows[] = {
	    {"", "", 0},
	    {"abc", "abc", 0},
	    {"abc", "", 3},
	    {"address", "adress", 1},
	    {"kitten", "sitting", 3},
	    {"flaw", "lawn", 2},
	    {"timeouts", "tiemouts", 2},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(config_edit_distance(rows[i].a, rows[i].b), rows[i].distance);
		assert_int_equal(config_edit_distance(rows[i].b, rows[i].a), rows[i].distance);
	}
	char longest[200];
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_false(config_is_near(config_edit_distance("mode", longest), "mode"));
	assert_true(config_is_near(2, "mode"));
	assert_false(config_is_near(3, "mode"));
	assert_true(config_is_near(4, "ticket-lifetime"));
	assert_false(config_is_near(2, "ab"));
}

static void keys(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {"mod: enforce\n" REST, "1:1: unknown key \"mod\" (did you mean \"mode\"?)"},
	    {"colour: red\n" REST, "1:1: unknown key \"colour\""},
	    {"Mode: enforce\n" REST, "1:1: unknown key \"Mode\" (did you mean \"mode\"?)"},
	    {"tls: {cipher: x}\n" REST, "1:7: unknown key \"tls.cipher\" (did you mean \"ciphers\"?)"},
	    {"listeners: [{role: c2s-inbound, adress: \"[::]:1\"}]\n" DOMAINS,
	     "1:13: \"listeners[0]\": missing key \"address\", for example: \"[::]:5222\"\n"
	     "1:33: unknown key \"listeners[0].adress\" (did you mean \"address\"?)"},
	    {"mode: enforce\nmode: enforce\n" REST, "2:1: key \"mode\" is given twice (first in line 1)"},
	    {"log: {level: info, level: x, level: y}\n" REST,
	     "1:20: key \"level\" is given twice (first in line 1)\n1:30: key \"level\" is given twice (first in line "
	     "1)"},
	    {"x: 1\nx: 2\n" REST, "1:1: unknown key \"x\"\n2:1: key \"x\" is given twice (first in line 1)"},
	    {"? [a]\n: b\n" REST, "1:3: a key must be a single word"},
	    {"\"\\e[31m\": 1\n" REST, "1:1: unknown key \"\\x1b[31m\""},
	};
	assert_cases(cases);
}

static void blocks(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {"mode: enforce\n", "1:1: missing key \"listeners\""},
	    {"- a\n", "1:1: the file: found a list, expected: block of keys"},
	    {"hello\n", "1:1: the file: found a single value, expected: block of keys"},
	    {"tls:\n" REST, "1:5: \"tls\": found nothing, expected: block of keys"},
	    {"limits: [depth]\n" REST, "1:9: \"limits\": found a list, expected: block of keys"},
	    {"listeners: [5, {}]\n" DOMAINS,
	     "1:13: \"listeners[0]\": found a single value, expected: block of keys\n"
	     "1:16: \"listeners[1]\": missing key \"role\", for example: c2s-inbound\n"
	     "1:16: \"listeners[1]\": missing key \"address\", for example: \"[::]:5222\""},
	    {"log: &x {level: info}\naudit: *x\nuser: !y z\n" REST,
	     "1:6: anchors (&NAME) are not allowed here\n2:8: aliases (*NAME) are not allowed here\n"
	     "3:7: tags (!NAME) are not allowed here"},
	};
	assert_cases(cases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(near_words),
	    cmocka_unit_test(keys),
	    cmocka_unit_test(blocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* admin.socket out of files that are anything but valid. */
#include "policy/config_peek.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "memory_source.h"

static char *peek(const char *text)
{
	struct memory_file files[] = {{"/etc/p/p.yaml", text, strlen(text), 0}, {NULL, NULL, 0, 0}};
	struct file_source source = {.read = memory_source_read, .ctx = files};
	return config_peek_socket("/etc/p/p.yaml", &source);
}

static void test_found(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
	    {"admin:\n  socket: /run/a.sock\n", "/run/a.sock"},
	    {"admin:\n  socket: /run/a.sock", "/run/a.sock"},
	    {"}{ not yaml\nadmin:\r\n    socket:   run/a.sock  \r\n", "/etc/p/run/a.sock"},
	    {"admin: # here\n\n# and there\n  metrics: null\n  socket: \"/run/a b.sock\" # quoted\n", "/run/a b.sock"},
	    {"admin: {metrics: null, socket: '/run/a#b.sock'}\n", "/run/a#b.sock"},
	    {"admin: {socket: /run/a.sock, metrics: null}\n", "/run/a.sock"},
	    {"admin:\n  socket: /run/a.sock # why\nlisteners: [\n", "/run/a.sock"},
	    {"x:\n  socket: /no\nadmin:\n  socket: /run/a.sock\n", "/run/a.sock"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *found = peek(cases[i].text);
		if (found == NULL || strcmp(found, cases[i].expected) != 0)
			fail_msg("case %zu: %s", i, found != NULL ? found : "nothing");
		mem_free(found);
	}
}

static void test_not_found(void **state)
{
	static const char *const cases[] = {
	    "",
	    "admin:",
	    "admin:\n",
	    "admin:\n  socket:\n",
	    "admin:\n  socket: ''\n",
	    "admin:\n  socket: \"/unfinished\n",
	    "admin:\n  # socket: /run/a.sock\n",
	    "admin:\n  websocket: /run/a.sock\n",
	    "admin:\n  metrics: null\nother:\n  socket: /run/a.sock\n",
	    "  admin:\n    socket: /run/a.sock\n",
	};
	struct memory_file none[] = {{NULL, NULL, 0, 0}};
	struct file_source source = {.read = memory_source_read, .ctx = none};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *found = peek(cases[i]);
		if (found != NULL)
			fail_msg("case %zu: %s", i, found);
	}
	assert_null(config_peek_socket("/etc/p/p.yaml", &source));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_found), cmocka_unit_test(test_not_found)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

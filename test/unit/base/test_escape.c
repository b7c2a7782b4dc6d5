/* SPDX-License-Identifier: MIT */
/* escape: what passes, what is shown, and that nothing is cut in the middle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/array.h"
#include "base/escape.h"
#include "base/utf8.h"

#define ROW(text, want)                          \
	{                                        \
		(text), sizeof(text) - 1, (want) \
	}

static const struct {
	const char *text;
	size_t len;
	const char *want;
} rows[] = {
    ROW("plain \\ text", "plain \\ text"),
    ROW("a\nb\r\tc", "a\\x0ab\\x0d\\x09c"),
    ROW("\x1b[31m", "\\x1b[31m"),
    ROW("a\0b", "a\\x00b"),
    ROW("\x7f", "\\x7f"),
    ROW("\xc2\x80\xc2\x9f", "\\u{0080}\\u{009F}"),
    ROW("\xe2\x80\xae"
	"abc",
	"\\u{202E}abc"),
    ROW("\xe2\x81\xa6\xe2\x80\x8f\xd8\x9c", "\\u{2066}\\u{200F}\\u{061C}"),
    ROW("\xe2\x80\xa8\xe2\x80\xa9", "\\u{2028}\\u{2029}"),
    ROW("\xef\xbb\xbf\xef\xbf\xbe", "\\u{FEFF}\\u{FFFE}"),
    ROW("\xf3\xa0\x81\x81", "\\u{E0041}"),
    ROW("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
    ROW("\xff\xc3(", "\\xff\\xc3("),
    ROW("\xc0\x80", "\\xc0\\x80"),
    ROW("\xed\xa0\x80", "\\xed\\xa0\\x80"),
    ROW("cut \xe2\x82", "cut \\xe2\\x82"),
    ROW("", ""),
};

static void table(void **state)
{
	char out[128];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(escape_text(out, sizeof(out), rows[i].text, rows[i].len), strlen(rows[i].want));
		assert_string_equal(out, rows[i].want);
	}
}

/* However little room there is: valid UTF-8, a beginning of the whole, and NUL-terminated. */
static void any_room(void **state)
{
	struct utf8_state s;
	char out[64];
	size_t i, size, n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		for (size = 1; size < sizeof(out); size++) {
			memset(out, 'Z', sizeof(out));
			n = escape_text(out, size, rows[i].text, rows[i].len);
			assert_true(n < size);
			assert_int_equal(out[n], '\0');
			if (size < sizeof(out) - 1)
				assert_int_equal(out[size], 'Z');
			assert_memory_equal(out, rows[i].want, n);
			s = (struct utf8_state){0};
			assert_int_equal(utf8_check(&s, out, n, NULL), UTF8_OK);
			assert_int_equal(s.need, 0);
			assert_true(n == 0 || out[n - 1] != '\\' || rows[i].want[6] == '\\');
		}
	assert_int_equal(escape_text(NULL, 0, "x", 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(any_room)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* utf8: good and bad sequences, each split at every byte; XML 1.0's forbidden characters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/array.h"
#include "base/utf8.h"

struct row {
	const char *bytes;
	size_t len;
	enum utf8_result want;
	size_t good; /* where not OK: bytes before the character at fault */
};

#define ROW(text, want, good)                            \
	{                                                \
		(text), sizeof(text) - 1, (want), (good) \
	}

static const struct row rows[] = {
    ROW("", UTF8_OK, 0),
    ROW("plain ASCII of more than eight bytes\t\r\n", UTF8_OK, 0),
    ROW("\x7f", UTF8_OK, 0),
    ROW("\xc2\x80\xdf\xbf", UTF8_OK, 0),
    ROW("\xe0\xa0\x80\xef\xbf\xbd", UTF8_OK, 0),
    ROW("\xed\x9f\xbf\xee\x80\x80", UTF8_OK, 0),
    ROW("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", UTF8_OK, 0),
    ROW("\xef\xbb\xbfx", UTF8_OK, 0), /* U+FEFF is an ordinary character here */
    ROW("12345678abcdefg\xc3\xa9xyzxyzxy", UTF8_OK, 0),
    ROW("ab\xc0\x80", UTF8_INVALID, 2), /* overlong NUL */
    ROW("ab\xc1\xbf", UTF8_INVALID, 2),
    ROW("\xe0\x80\x80", UTF8_INVALID, 0), /* overlong */
    ROW("\xe0\x9f\xbf", UTF8_INVALID, 0),
    ROW("a\xf0\x80\x80\x80", UTF8_INVALID, 1),
    ROW("a\xf0\x8f\xbf\xbf", UTF8_INVALID, 1),
    ROW("\xed\xa0\x80", UTF8_INVALID, 0), /* surrogates */
    ROW("\xed\xbf\xbf", UTF8_INVALID, 0),
    ROW("\xf4\x90\x80\x80", UTF8_INVALID, 0), /* above 10FFFF */
    ROW("\xf5\x80\x80\x80", UTF8_INVALID, 0),
    ROW("xyz\xff", UTF8_INVALID, 3),
    ROW("xyz\xfe", UTF8_INVALID, 3),
    ROW("\x80", UTF8_INVALID, 0), /* stray continuation */
    ROW("12345678\xbf", UTF8_INVALID, 8),
    ROW("ab\xc3(", UTF8_INVALID, 2), /* missing continuation */
    ROW("ab\xe2\x82<", UTF8_INVALID, 2),
    ROW("ab\xf0\x9f\x98<", UTF8_INVALID, 2),
    ROW("ab\xc3\xc3\xa9", UTF8_INVALID, 2),
    ROW("1234567\0", UTF8_NOT_XML, 7),
    ROW("\x01", UTF8_NOT_XML, 0),
    ROW("12345678\x1f", UTF8_NOT_XML, 8),
    ROW("12345\x08xxxxx", UTF8_NOT_XML, 5),
    ROW("a\x1b[0m", UTF8_NOT_XML, 1),
    ROW("\xef\xbf\xbe", UTF8_NOT_XML, 0),
    ROW("a\xef\xbf\xbf", UTF8_NOT_XML, 1),
};

static void whole(void **state)
{
	struct utf8_state s;
	size_t i, good;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		s = (struct utf8_state){0};
		good = 999;
		assert_int_equal(utf8_check(&s, rows[i].bytes, rows[i].len, &good), rows[i].want);
		assert_int_equal(good, rows[i].want == UTF8_OK ? rows[i].len : rows[i].good);
		assert_true(rows[i].want != UTF8_OK || s.need == 0);
	}
}

static void split_row(const struct row *row, size_t cut)
{
	struct utf8_state s = {0};
	enum utf8_result got;
	size_t good = 999;

	got = utf8_check(&s, row->bytes, cut, &good);
	if (got == UTF8_OK) {
		assert_int_equal(good, cut);
		got = utf8_check(&s, row->bytes + cut, row->len - cut, &good);
		if (row->want != UTF8_OK)
			assert_int_equal(good, row->good > cut ? row->good - cut : 0);
	} else {
		assert_int_equal(good, row->good);
	}
	assert_int_equal(got, row->want);
}

static void split_everywhere(void **state)
{
	struct utf8_state s;
	enum utf8_result got;
	size_t i, cut;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		for (cut = 0; cut <= rows[i].len; cut++)
			split_row(&rows[i], cut);
		s = (struct utf8_state){0};
		got = UTF8_OK;
		for (cut = 0; cut < rows[i].len && got == UTF8_OK; cut++)
			got = utf8_check(&s, rows[i].bytes + cut, 1, NULL);
		assert_int_equal(got, rows[i].want);
	}
}

/* Every code point there is, encoded here and now. */
static void every_code_point(void **state)
{
	struct utf8_state s;
	uint8_t b[4];
	uint32_t c;
	size_t n;
	int want;

	(void)state;
	for (c = 0; c <= 0x10FFFF; c++) {
		if (c < 0x80) {
			b[0] = (uint8_t)c;
			n = 1;
		} else if (c < 0x800) {
			b[0] = (uint8_t)(0xC0 | c >> 6);
			n = 2;
		} else if (c < 0x10000) {
			b[0] = (uint8_t)(0xE0 | c >> 12);
			n = 3;
		} else {
			b[0] = (uint8_t)(0xF0 | c >> 18);
			n = 4;
		}
		for (size_t i = 1; i < n; i++)
			b[i] = (uint8_t)(0x80 | (c >> 6 * (n - 1 - i) & 0x3F));
		want = UTF8_OK;
		if (c >= 0xD800 && c <= 0xDFFF)
			want = UTF8_INVALID;
		else if ((c < 32 && c != 9 && c != 10 && c != 13) || c == 0xFFFE || c == 0xFFFF)
			want = UTF8_NOT_XML;
		s = (struct utf8_state){0};
		if ((int)utf8_check(&s, b, n, NULL) != want)
			fail_msg("U+%04X", c);
	}
}

static void truncated_is_seen_by_need(void **state)
{
	struct utf8_state s = {0};

	(void)state;
	assert_int_equal(utf8_check(&s, "ab\xe2\x82", 4, NULL), UTF8_OK);
	assert_int_equal(s.need, 1);
	assert_int_equal(utf8_check(&s, "\xac", 1, NULL), UTF8_OK);
	assert_int_equal(s.need, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whole),
	    cmocka_unit_test(split_everywhere),
	    cmocka_unit_test(every_code_point),
	    cmocka_unit_test(truncated_is_seen_by_need),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* base64: the matrix of RFC 6120 section 13.9.1, RFC 4648's vectors, and every short byte string. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/array.h"
#include "base/base64.h"

static void good(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
	    {"", ""},
	    {"Zg==", "f"},
	    {"Zm8=", "fo"},
	    {"Zm9v", "foo"},
	    {"Zm9vYg==", "foob"},
	    {"Zm9vYmE=", "fooba"},
	    {"Zm9vYmFy", "foobar"},
	    {"+/+/", "\xfb\xff\xbf"},
	};
	char out[16];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(base64_decode(out, sizeof(out), rows[i].text, strlen(rows[i].text)),
				 strlen(rows[i].want));
		assert_memory_equal(out, rows[i].want, strlen(rows[i].want));
	}
}

static void bad(void **state)
{
	static const char *const rows[] = {
	    "=",
	    "=AAA",
	    "A===",
	    "====",
	    "==",
	    "BBBB====CCC",
	    "BB=B",
	    "Zm9v=Zm9",
	    "Zg==Zm9v",
	    "Zm8=Zm9v", /* padding that is not at the end */
	    "Zg",
	    "Zg=",
	    "Z",
	    "Zm8",
	    "Zm9vY", /* padding missing */
	    "Zm9v\n",
	    "\nZm9v",
	    "Zm 9v",
	    "Zm9 ",
	    "Zm9v    ",
	    "\tAAA", /* white space */
	    "Zm9-",
	    "Zm_v",
	    "Zm*v",
	    "Zm9.",
	    "\xc3\xa9"
	    "AA", /* not the alphabet */
	    "Zh==",
	    "Zn==",
	    "Z/==",
	    "Zm9=",
	    "Zm+=", /* stray bits */
	};
	char out[16];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (base64_decode(out, sizeof(out), rows[i], strlen(rows[i])) != -1)
			fail_msg("taken: %s", rows[i]);
	assert_int_equal(base64_decode(out, sizeof(out), "AA\0A", 4), -1);
}

static void bounded(void **state)
{
	char out[4] = {'x', 'x', 'x', 'x'};

	(void)state;
	assert_int_equal(base64_decode(out, 2, "Zm9v", 4), -1);
	assert_int_equal(out[2], 'x');
	assert_int_equal(base64_decode(out, 3, "Zm9v", 4), 3);
	assert_int_equal(out[3], 'x');
	assert_int_equal(base64_decode(out, 3, "Zm9vYg==", 8), -1);
	assert_int_equal(out[3], 'x');
	assert_int_equal(base64_decode(out, 0, "", 0), 0);
}

/* Of all four-character texts ending "==", exactly 256 are the encoding of a byte. */
static void one_encoding_each(void **state)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned taken = 0, seen[256] = {0};
	char text[5] = "xx==";
	unsigned char out[1];
	int i, j;

	(void)state;
	for (i = 0; i < 64; i++)
		for (j = 0; j < 64; j++) {
			text[0] = set[i];
			text[1] = set[j];
			if (base64_decode(out, 1, text, 4) == 1) {
				taken++;
				seen[out[0]]++;
			}
		}
	assert_int_equal(taken, 256);
	for (i = 0; i < 256; i++)
		assert_int_equal(seen[i], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good),
	    cmocka_unit_test(bad),
	    cmocka_unit_test(bounded),
	    cmocka_unit_test(one_encoding_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

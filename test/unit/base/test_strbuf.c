/* SPDX-License-Identifier: MIT */
/* strbuf: the ceiling to the byte, nothing after an overflow, XML entities, draining. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/strbuf.h"

static void empty_text(void **state)
{
	struct strbuf b;

	(void)state;
	strbuf_init(&b, 0);
	assert_string_equal(strbuf_text(&b), "");
	assert_null(b.data);
	assert_true(strbuf_add(&b, "", 0));
	assert_false(strbuf_add(&b, "x", 1));
	assert_true(b.overflow);
	strbuf_fini(&b);
}

static void ceiling(void **state)
{
	struct strbuf b;

	(void)state;
	strbuf_init(&b, 5);
	assert_true(strbuf_puts(&b, "abc"));
	assert_false(strbuf_puts(&b, "def"));
	assert_string_equal(strbuf_text(&b), "abc");
	/* Even what would fit: a cut text must not look whole. */
	assert_false(strbuf_puts(&b, "d"));
	assert_string_equal(strbuf_text(&b), "abc");
	strbuf_clear(&b);
	assert_true(strbuf_puts(&b, "12345"));
	assert_int_equal(b.len, 5);
	assert_string_equal(b.data, "12345");
	assert_false(b.overflow);
	strbuf_fini(&b);
	assert_null(b.data);
	assert_true(strbuf_puts(&b, "again"));
	strbuf_fini(&b);
}

static void printf_is_whole_or_not(void **state)
{
	struct strbuf b;

	(void)state;
	strbuf_init(&b, 8);
	assert_true(strbuf_printf(&b, "%d-%s", 12, "ab"));
	assert_string_equal(strbuf_text(&b), "12-ab");
	assert_false(strbuf_printf(&b, "%d", 1234));
	assert_string_equal(strbuf_text(&b), "12-ab");
	assert_true(b.overflow);
	strbuf_fini(&b);
}

static void xml(void **state)
{
	struct strbuf b;

	(void)state;
	strbuf_init(&b, 31);
	assert_true(strbuf_put_xml(&b, "a&b<c>d'e\"f"));
	assert_string_equal(strbuf_text(&b), "a&amp;b&lt;c&gt;d&apos;e&quot;f");
	assert_int_equal(b.len, 31);
	strbuf_fini(&b);
	strbuf_init(&b, 30);
	assert_false(strbuf_put_xml(&b, "a&b<c>d'e\"f"));
	assert_int_equal(b.len, 0);
	strbuf_fini(&b);
}

static void drains_and_grows(void **state)
{
	struct strbuf b;
	int i;

	(void)state;
	strbuf_init(&b, 100000);
	for (i = 0; i < 10000; i++)
		assert_true(strbuf_printf(&b, "%05d", i));
	assert_int_equal(b.len, 50000);
	strbuf_drain(&b, 5 * 9999);
	assert_string_equal(b.data, "09999");
	strbuf_drain(&b, 5);
	assert_string_equal(b.data, "");
	strbuf_drain(&b, 0);
	strbuf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(empty_text), cmocka_unit_test(ceiling),          cmocka_unit_test(printf_is_whole_or_not),
	    cmocka_unit_test(xml),        cmocka_unit_test(drains_and_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

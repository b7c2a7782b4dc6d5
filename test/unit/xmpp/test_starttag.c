/* SPDX-License-Identifier: MIT */
/* starttag: where an attribute stands, byte for byte, and that nothing is read past the end of what is broken. */
#include "xmpp/starttag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/mem.h"

/* In memory of its own size, so that a sanitiser sees a read past the end. */
static enum start_tag_result find(const char *raw, size_t len, const char *name, struct start_tag_attr *a)
{
	char *copy = mem_dup(raw, len);
	enum start_tag_result result = start_tag_find(copy, len, name, a);

	mem_free(copy);
	return result;
}

struct found {
	const char *raw, *name, *cut, *value;
};

static const struct found good[] = {
    {"<a b='c'>", "b", " b='c'", "c"},
    {"<a b='c'/>", "b", " b='c'", "c"},
    {"<a:b\n\tc = \"d'>\" e=''>", "c", "\n\tc = \"d'>\"", "d'>"},
    {"<a b='x/>' location=\"1.2.3.4:5\" />", "location", " location=\"1.2.3.4:5\"", "1.2.3.4:5"},
    {"<a x:b='1' b='2' xb='3' >", "b", " b='2'", "2"},
    {"<a xml:lang='en'  id='' >", "id", "  id=''", ""},
    {"<a xml:lang='en'>", "xml:lang", " xml:lang='en'", "en"},
    {"<\xc3\xa4 \xc3\xb6='\xc3\xbc'>", "\xc3\xb6", " \xc3\xb6='\xc3\xbc'", "\xc3\xbc"},
};

static void test_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const struct found *f = &good[i];
		struct start_tag_attr a;

		assert_int_equal(find(f->raw, strlen(f->raw), f->name, &a), START_TAG_FOUND);
		assert_int_equal(a.end - a.space, strlen(f->cut));
		assert_memory_equal(f->raw + a.space, f->cut, strlen(f->cut));
		assert_int_equal(a.value_end - a.value, strlen(f->value));
		assert_memory_equal(f->raw + a.value, f->value, strlen(f->value));
	}
}

static void test_absent(void **state)
{
	static const char *const tags[] = {"<b>",       "<b/>", "<b />", "<b\n>", "<a:b c='b'>", "<a c=\" b='x'\">",
					   "<a B='1'/>"};
	struct start_tag_attr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tags); i++)
		assert_int_equal(find(tags[i], strlen(tags[i]), "b", &a), START_TAG_ABSENT);
}

static void test_broken(void **state)
{
	static const char *const tags[] = {"",      "<",        "<>",        "< a>",     "a b='c'>", "<a b='c'",
					   "<a b>", "<a b=c>",  "<a b='c>",  "<a b='c'", "<a b=",    "<a b='c'd='e'>",
					   "<a =>", "<a b='c'", "<a /b='c'>"};
	struct start_tag_attr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tags); i++)
		assert_int_equal(find(tags[i], strlen(tags[i]), "b", &a), START_TAG_BROKEN);
}

/* Broken behind the attribute that was asked for is broken all the same. */
static void test_scanned_to_the_end(void **state)
{
	static const char tag[] = "<a b='c' d='e' f=\"g\" />";
	struct start_tag_attr a;

	(void)state;
	assert_int_equal(find("<a b='c' d>", 11, "b", &a), START_TAG_BROKEN);
	for (size_t len = 0; len < strlen(tag); len++)
		assert_int_equal(find(tag, len, "b", &a), START_TAG_BROKEN);
}

static void test_names_and_ends(void **state)
{
	(void)state;
	assert_int_equal(start_tag_name_end("<stream:stream to='x'>", 22), 14);
	assert_int_equal(start_tag_name_end("<a>", 3), 2);
	assert_int_equal(start_tag_name_end("<a/>", 4), 2);
	assert_int_equal(start_tag_name_end("<>", 2), 0);
	assert_int_equal(start_tag_name_end("<>>", 3), 0);
	assert_int_equal(start_tag_name_end("", 0), 0);
	assert_true(start_tag_is_empty("<a/>", 4));
	assert_false(start_tag_is_empty("<a>", 3));
	assert_false(start_tag_is_empty("", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_found),          cmocka_unit_test(test_absent),
	    cmocka_unit_test(test_broken),         cmocka_unit_test(test_scanned_to_the_end),
	    cmocka_unit_test(test_names_and_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

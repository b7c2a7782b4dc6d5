/* SPDX-License-Identifier: MIT */
/* YAML to tree: kinds, marks, and everything that is refused before any key is looked at. */
#include "policy/tree_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/strbuf.h"

/* All findings, a line each, without the file's name. */
static char *findings(const char *data, size_t len, bool *tree_out)
{
	struct diag_list diags;
	diag_init(&diags, "");
	struct tree_node *root = tree_parse(data, len, &diags);
	*tree_out = root != NULL;
	struct strbuf all;
	strbuf_init(&all, 4096);
	for (size_t i = 0; i < diags.count; i++) {
		char *text = diag_format(&diags, &diags.items[i]);
		strbuf_printf(&all, "%s%s", i ? "\n" : "", text + 1);
		mem_free(text);
	}
	tree_free(&root);
	diag_fini(&diags);
	char *result = mem_strdup(strbuf_text(&all));
	strbuf_fini(&all);
	return result;
}

static void marks_and_kinds(void **state)
{
	(void)state;
	static const char text[] = "a: [1, \"2\"]\n\xC3\xA4: {b: }\n";
	struct diag_list diags;
	diag_init(&diags, "f");
	struct tree_node *root = tree_parse(text, strlen(text), &diags);
	assert_int_equal(diags.count, 0);
	assert_non_null(root);
	assert_int_equal(root->kind, TREE_MAPPING);
	assert_int_equal(root->count, 4);
	assert_string_equal(root->items[0]->text, "a");
	const struct tree_node *list = root->items[1];
	assert_int_equal(list->kind, TREE_SEQUENCE);
	assert_int_equal(list->mark.line, 1);
	assert_int_equal(list->mark.column, 4);
	assert_true(list->items[0]->plain);
	assert_false(list->items[1]->plain);
	assert_int_equal(list->items[1]->mark.column, 8);
	/* Columns are characters: the key before is two bytes long. */
	assert_int_equal(root->items[3]->mark.line, 2);
	assert_int_equal(root->items[3]->mark.column, 4);
	assert_true(tree_is_null(root->items[3]->items[1]));
	assert_false(tree_is_null(root->items[0]));
	tree_free(&root);
	assert_null(root);
	diag_fini(&diags);
}

#define TEXT(s) s, sizeof(s) - 1
static const struct {
	const char *data;
	size_t len;
	bool tree;
	const char *expected;
} refused[] = {
    {TEXT(""), false, "1:1: the file is empty"},
    {TEXT("# only words\n"), false, "1:1: the file is empty"},
    {TEXT("a: 1\n---\nb: 2\n"), false, "2:1: a second YAML document is not allowed here"},
    {TEXT("a: &x 1\nb: *x\n"), true,
     "1:4: anchors (&NAME) are not allowed here\n2:4: aliases (*NAME) are not allowed here"},
    {TEXT("a: &x [1]\nb: &y {c: 1}\n"), true,
     "1:4: anchors (&NAME) are not allowed here\n2:4: anchors (&NAME) are not allowed here"},
    {TEXT("a: !!str 1\nb: !x [1]\n"), true,
     "1:4: tags (!NAME) are not allowed here\n2:4: tags (!NAME) are not allowed here"},
    {TEXT("a: \"x\\0y\"\n"), true, "1:4: a NUL character is not allowed here"},
    {TEXT("a: x\0y\n"), false, "1:5: a control character is not allowed here"},
    {TEXT("a: 1\nb: \x01\n"), false, "2:4: a control character is not allowed here"},
    {TEXT("a: \xC2\x85\n\xC2\x80\n"), false, "2:1: not valid YAML: control characters are not allowed"},
    {TEXT("a: 1\nb: \xC3\x28\n"), false, "2:4: not UTF-8 text"},
    {TEXT("a: \xC3"), false, "1:4: not UTF-8 text"},
    {TEXT("\xFF\xFE"
	  "a\0:\0"),
     false, "1:1: not UTF-8 text"},
    {TEXT("a: [1\nb: 2\n"), false,
     "2:2: not valid YAML: did not find expected ',' or ']' (while parsing a flow sequence, line 1)"},
    {TEXT("a: b: c\n"), false, "1:5: not valid YAML: mapping values are not allowed in this context"},
    {TEXT("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"), false, "1:17: nested more than 16 deep"},
    {TEXT("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"), true, ""},
    {TEXT("\xEF\xBB\xBF"
	  "a: 1\n"),
     true, ""},
};

static void byte_order_mark(void **state)
{
	(void)state;
	static const char good[] = "\xEF\xBB\xBF"
				   "a: 1\nb: 2\n",
			  bad[] = "\xEF\xBB\xBF"
				  "a: *b\n";
	bool tree;
	char *text = findings(good, strlen(good), &tree);
	assert_string_equal(text, "");
	assert_true(tree);
	mem_free(text);
	text = findings(bad, strlen(bad), &tree);
	assert_string_equal(text, "1:4: aliases (*NAME) are not allowed here");
	mem_free(text);
}

static void refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		bool tree;
		char *text = findings(refused[i].data, refused[i].len, &tree);
		assert_string_equal(text, refused[i].expected);
		assert_int_equal(tree, refused[i].tree);
		mem_free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(marks_and_kinds),
	    cmocka_unit_test(byte_order_mark),
	    cmocka_unit_test(refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

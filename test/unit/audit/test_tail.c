/* SPDX-License-Identifier: MIT */
/* tail: what is recovered from an existing file, what is cut off, and what is left alone and refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "audit_files.h"
#include "base/array.h"

static void append(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

static void chain_goes_on(void **state)
{
	struct audit_writer *w = must_open(true);

	(void)state;
	assert_true(add(w, "a"));
	assert_true(add(w, "b"));
	must_flush(w);
	audit_writer_free(&w);
	w = must_open(true);
	assert_int_equal(audit_writer_seq(w), 2);
	assert_false(add(w, "a"));
	assert_false(add(w, "b"));
	assert_true(add(w, "c"));
	assert_int_equal(audit_writer_pending(w), 1);
	must_flush(w);
	assert_int_equal(audit_writer_seq(w), 3);
	audit_writer_free(&w);
	must_verify(log_path, NULL, 3);
}

/* Killed after any byte of the last line. */
static void torn_line_is_cut(void **state)
{
	static char whole[4096];
	struct audit_writer *w = must_open(true);
	size_t len, first, cut;

	(void)state;
	(void)add(w, "a");
	must_flush(w);
	first = (size_t)file_size(log_path);
	(void)add(w, "b");
	must_flush(w);
	audit_writer_free(&w);
	memcpy(whole, get_file(log_path, &len), 4096);
	for (cut = 0; cut < len; cut++) {
		put_file(log_path, whole, cut);
		w = must_open(true);
		assert_int_equal(audit_writer_seq(w), cut < first ? 0 : 1);
		assert_int_equal(file_size(log_path), cut < first ? 0 : first);
		assert_int_equal(add(w, "a"), cut < first);
		assert_true(add(w, "b"));
		must_flush(w);
		audit_writer_free(&w);
		must_verify(log_path, NULL, 2);
	}
}

static void refused_and_untouched(void **state)
{
	static const char *const files[] = {
	    "root:x:0:0:root:/root:/bin/bash\n",     "no newline at all", "\n",
	    "{\"@timestamp\":\"t\",\"event\":{}}\n", /* of a log without a chain */
	    "{\"@timestamp\":\"t\"}\nnot ours",
	};
	char want[256];
	struct errbuf err;
	size_t i, len;
	char *after;

	(void)state;
	(void)snprintf(want, sizeof(want),
		       "%s: the file does not end with a record of a chained audit log; move it away (a new one is "
		       "made), or name another file in audit.output",
		       log_path);
	for (i = 0; i < ARRAY_LEN(files); i++) {
		put_file(log_path, files[i], strlen(files[i]));
		assert_null(open_log(true, &err));
		assert_string_equal(err.text, want);
		after = get_file(log_path, &len);
		assert_string_equal(after, files[i]);
	}
}

static void without_a_chain(void **state)
{
	static const char line[] = "{\"@timestamp\":\"t\",\"event\":{\"id\":\"q\"}}\n";
	struct errbuf err;
	struct audit_writer *w;

	(void)state;
	put_file(log_path, line, sizeof(line) - 1);
	append(log_path, "{\"@timest");
	w = must_open(false);
	assert_string_equal(get_file(log_path, NULL), line);
	assert_false(add(w, "q"));
	assert_true(add(w, "r"));
	must_flush(w);
	audit_writer_free(&w);
	assert_string_equal(
	    get_file(log_path, NULL),
	    "{\"@timestamp\":\"t\",\"event\":{\"id\":\"q\"}}\n"
	    "{\"@timestamp\":\"t\",\"event\":{\"kind\":\"event\",\"id\":\"r\",\"action\":\"x\"},\"n\":1}\n");
	put_file(log_path, "something else\n", 15);
	assert_null(open_log(false, &err));
	assert_string_equal(get_file(log_path, NULL), "something else\n");
}

/* Longer than what is read back: the end counts. */
static void long_file(void **state)
{
	struct audit_writer *w = must_open(true);
	char id[32];
	int i;

	(void)state;
	for (i = 0; i < 9000; i++) {
		(void)snprintf(id, sizeof(id), "id-%d", i);
		(void)add(w, id);
		if (audit_writer_full(w))
			must_flush(w);
	}
	must_flush(w);
	audit_writer_free(&w);
	assert_true(file_size(log_path) > 1500000);
	append(log_path, "{\"@timestamp\":\"torn");
	w = must_open(true);
	assert_int_equal(audit_writer_seq(w), 9000);
	assert_false(add(w, "id-8999"));
	assert_false(add(w, "id-6000"));
	assert_true(add(w, "new"));
	must_flush(w);
	audit_writer_free(&w);
	must_verify(log_path, NULL, 9001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(chain_goes_on, files_setup, files_teardown),
	    cmocka_unit_test_setup_teardown(torn_line_is_cut, files_setup, files_teardown),
	    cmocka_unit_test_setup_teardown(refused_and_untouched, files_setup, files_teardown),
	    cmocka_unit_test_setup_teardown(without_a_chain, files_setup, files_teardown),
	    cmocka_unit_test_setup_teardown(long_file, files_setup, files_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

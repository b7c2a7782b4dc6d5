/* SPDX-License-Identifier: MIT */
/* verify: what an auditor is told about a log that was changed, cut, mixed up or is no log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "audit_files.h"
#include "base/mem.h"

static char whole[8192];
static size_t whole_len;

static int make_log(void **state)
{
	struct audit_writer *w;

	if (files_setup(state))
		return -1;
	w = must_open(true);
	(void)add(w, "a");
	(void)add(w, "b");
	(void)add(w, "c");
	must_flush(w);
	audit_writer_free(&w);
	memcpy(whole, get_file(log_path, &whole_len), sizeof(whole));
	return 0;
}

static void expect_bad(char *const *files, size_t count, const char *file, uint64_t line, const char *why,
		       uint64_t good)
{
	struct bad bad = {0};
	uint64_t records = 99;

	assert_int_equal(audit_verify_files(files, count, &records, note_bad, &bad), -1);
	assert_int_equal(bad.calls, 1);
	assert_string_equal(bad.why, why);
	assert_string_equal(bad.file, file);
	assert_int_equal(bad.line, line);
	assert_int_equal(records, good);
}

static void expect_bad_log(uint64_t line, const char *why)
{
	char *files[] = {log_path};

	expect_bad(files, 1, log_path, line, why, line ? line - 1 : 0);
}

static void good_and_empty(void **state)
{
	(void)state;
	must_verify(log_path, NULL, 3);
	put_file(other_path, "", 0);
	must_verify(log_path, other_path, 3);
	must_verify(other_path, NULL, 0);
}

static void changed_value(void **state)
{
	char *at = strstr(strstr(whole, "\n") + 1, "\"n\":1");

	(void)state;
	at[4] = '2';
	put_file(log_path, whole, whole_len);
	expect_bad_log(2, "the chain value does not match: this record or the one before it was changed");
}

static void removed_line(void **state)
{
	char *second = strchr(whole, '\n') + 1, *third = strchr(second, '\n') + 1;

	(void)state;
	memmove(second, third, whole_len - (size_t)(third - whole));
	put_file(log_path, whole, whole_len - (size_t)(third - second));
	expect_bad_log(2, "the sequence has a gap: records before this one are missing");
}

static void missing_beginning(void **state)
{
	char *second = strchr(whole, '\n') + 1;

	(void)state;
	put_file(log_path, second, whole_len - (size_t)(second - whole));
	expect_bad_log(1, "the first file begins neither at sequence 1 nor with a checkpoint");
}

static void doubled_line(void **state)
{
	size_t first = (size_t)(strchr(whole, '\n') + 1 - whole);

	(void)state;
	memmove(whole + first, whole, whole_len);
	put_file(log_path, whole, whole_len + first);
	expect_bad_log(2, "the sequence goes back: this record was seen before");
}

static void not_json(void **state)
{
	(void)state;
	memcpy(whole + whole_len, "not json\n", 9);
	put_file(log_path, whole, whole_len + 9);
	expect_bad_log(4, "not a JSON object");
	memcpy(whole + whole_len, "[\"array\"]\n", 10);
	put_file(log_path, whole, whole_len + 10);
	expect_bad_log(4, "not a JSON object");
	memcpy(whole + whole_len, "{\"a\":1}\n", 8);
	put_file(log_path, whole, whole_len + 8);
	expect_bad_log(4, "not a record of a chained log");
	put_file(log_path, "{\"a\":1}\n", 8);
	expect_bad_log(1, "not a record of a chained log");
}

/* A name twice: two readers could see two records in one line, whatever its hash says. */
static void doubled_name(void **state)
{
	struct audit_writer *w = must_open(true);

	(void)state;
	assert_true(audit_writer_add(w, "{\"@timestamp\":\"t\",\"a\":1,\"a\":2}", 30));
	must_flush(w);
	audit_writer_free(&w);
	expect_bad_log(4, "not a JSON object");
}

static void torn_end(void **state)
{
	(void)state;
	put_file(log_path, whole, whole_len - 1);
	expect_bad_log(3, "the last record is not whole: its line has no end");
}

static void line_lengths(void **state)
{
	const size_t most = 1024 * 1024 - 1;
	char *data = mem_alloc(most + 2);

	(void)state;
	memset(data, ' ', most + 1);
	data[most] = '\n';
	put_file(log_path, data, most + 1);
	expect_bad_log(1, "not a JSON object");
	data[most] = ' ';
	data[most + 1] = '\n';
	put_file(log_path, data, most + 2);
	expect_bad_log(1, "the line is longer than 1 MiB");
	mem_free(data);
}

static void no_such_file(void **state)
{
	char *files[] = {log_path, other_path};

	(void)state;
	expect_bad(files, 2, other_path, 0, "No such file or directory", 3);
}

static void file_without_checkpoint(void **state)
{
	char *files[] = {log_path, other_path};
	char *second = strchr(whole, '\n') + 1;

	(void)state;
	put_file(log_path, whole, (size_t)(second - whole));
	put_file(other_path, second, whole_len - (size_t)(second - whole));
	expect_bad(files, 2, other_path, 1,
		   "the file does not begin with a checkpoint that repeats the chain of the file before it", 1);
}

static void wrong_order(void **state)
{
	char *files[] = {log_path, other_path};
	struct audit_writer *w = must_open(true);
	struct errbuf err;

	(void)state;
	assert_int_equal(rename(log_path, other_path), 0);
	assert_int_equal(audit_writer_reopen(w, &err), 0);
	audit_writer_free(&w);
	must_verify(other_path, log_path, 4);
	expect_bad(files, 2, other_path, 1,
		   "the file does not begin with a checkpoint that repeats the chain of the file before it", 1);
}

#define WITH_LOG(test) cmocka_unit_test_setup_teardown(test, make_log, files_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_LOG(good_and_empty),
	    WITH_LOG(changed_value),
	    WITH_LOG(removed_line),
	    WITH_LOG(missing_beginning),
	    WITH_LOG(doubled_line),
	    WITH_LOG(not_json),
	    WITH_LOG(doubled_name),
	    WITH_LOG(torn_end),
	    WITH_LOG(line_lengths),
	    WITH_LOG(no_such_file),
	    WITH_LOG(file_without_checkpoint),
	    WITH_LOG(wrong_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

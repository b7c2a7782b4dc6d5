/* SPDX-License-Identifier: MIT */
/* writer: batches, failing writes and recovery, rotation, pipes, syslog. The sinks are tested through it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>

#include "audit_files.h"
#include "base/array.h"
#include "base/mem.h"

static void first_lines(void **state)
{
	struct audit_writer *w = must_open(true);
	struct stat st;
	char *text;

	(void)state;
	must_flush(w);
	assert_int_equal(file_size(log_path), 0);
	assert_true(add(w, "a"));
	assert_true(add(w, "b"));
	assert_int_equal(audit_writer_pending(w), 2);
	assert_int_equal(audit_writer_seq(w), 0);
	assert_int_equal(file_size(log_path), 0);
	must_flush(w);
	assert_int_equal(audit_writer_seq(w), 2);
	text = get_file(log_path, NULL);
	assert_memory_equal(
	    text,
	    "{\"@timestamp\":\"t\",\"event\":{\"kind\":\"event\",\"id\":\"a\",\"action\":\"x\"},\"n\":1,"
	    "\"audit\":{\"seq\":1,\"chain\":\"",
	    97);
	must_verify(log_path, NULL, 2);
	assert_int_equal(stat(log_path, &st), 0);
	assert_int_equal(st.st_mode & 07137, 0);
	audit_writer_free(&w);
	assert_null(w);
	audit_writer_free(&w);
}

static void only_whole_objects(void **state)
{
	static const char *const rows[] = {"",   "{", "}", "[]", "{}\n", "{\"a\":\n1}", "{\"a\":1}{\"b\":\"\x1f\"}",
					   "x{}"};
	struct audit_writer *w = must_open(true);
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		assert_false(audit_writer_add(w, rows[i], strlen(rows[i])));
	assert_int_equal(audit_writer_pending(w), 0);
	audit_writer_free(&w);
}

static void cannot_be_opened(void **state)
{
	struct config_audit config = {.output = AUDIT_FILE, .chain = true};
	struct errbuf err;
	char missing[160], want[256];

	(void)state;
	(void)snprintf(missing, sizeof(missing), "%s/no/such/audit.log", dir);
	(void)snprintf(want, sizeof(want), "%s: No such file or directory", missing);
	config.file_path = missing;
	assert_null(audit_writer_open(&config, 1, &err));
	assert_string_equal(err.text, want);
}

static void one_writer_only(void **state)
{
	struct audit_writer *w = must_open(true);
	struct errbuf err;
	char want[256];

	(void)state;
	(void)snprintf(want, sizeof(want), "%s: another process is writing this audit log", log_path);
	assert_null(open_log(true, &err));
	assert_string_equal(err.text, want);
	audit_writer_free(&w);
	w = must_open(true);
	audit_writer_free(&w);
}

static void full_says_so(void **state)
{
	struct audit_writer *w = must_open(true);
	size_t n = 0,
	       one = strlen(
		   "{\"@timestamp\":\"t\",\"event\":{\"kind\":\"event\",\"id\":\"i\",\"action\":\"x\"},\"n\":1}\n");

	(void)state;
	while (!audit_writer_full(w)) {
		(void)add(w, "i");
		n++;
	}
	assert_int_equal(n, (256 * 1024 + one - 1) / one);
	/* What is added all the same is not lost. */
	(void)add(w, "i");
	must_flush(w);
	assert_false(audit_writer_full(w));
	audit_writer_free(&w);
	must_verify(log_path, NULL, n + 1);
}

static void set_file_limit(rlim_t limit)
{
	struct rlimit rl;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &rl), 0);
	rl.rlim_cur = limit == RLIM_INFINITY ? rl.rlim_max : limit;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &rl), 0);
}

/* The disk takes part of a batch, nothing of it, then all of it again. */
static void full_disk(void **state)
{
	struct audit_writer *w = must_open(true);
	struct errbuf err = {""};
	off_t before, room;
	uint64_t seq;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)add(w, "a");
	must_flush(w);
	before = file_size(log_path);
	seq = audit_writer_seq(w);
	(void)add(w, "b");
	(void)add(w, "c");
	for (room = 0; room < 300; room += 37) {
		set_file_limit((rlim_t)(before + room));
		assert_int_equal(audit_writer_flush(w, &err), -1);
		set_file_limit(RLIM_INFINITY);
		assert_non_null(strstr(err.text, log_path));
		assert_int_equal(file_size(log_path), before);
		assert_int_equal(audit_writer_seq(w), seq);
		assert_int_equal(audit_writer_pending(w), 2);
	}
	(void)add(w, "d");
	must_flush(w);
	assert_int_equal(audit_writer_seq(w), 4);
	audit_writer_free(&w);
	must_verify(log_path, NULL, 4);
}

static void dev_full(void **state)
{
	char path[] = "/dev/full";
	struct config_audit config = {.output = AUDIT_FILE, .file_path = path, .chain = true};
	struct errbuf err = {""};
	struct audit_writer *w = audit_writer_open(&config, 1, &err);
	int i;

	(void)state;
	assert_non_null(w);
	(void)add(w, "a");
	for (i = 0; i < 3; i++) {
		err.text[0] = '\0';
		assert_int_equal(audit_writer_flush(w, &err), -1);
		assert_string_equal(err.text, "/dev/full: No space left on device");
		assert_int_equal(audit_writer_pending(w), (size_t)i + 1);
		assert_int_equal(audit_writer_seq(w), 0);
		(void)add(w, "b");
	}
	audit_writer_free(&w);
}

static void must_reopen(struct audit_writer *w)
{
	struct errbuf err = {""};

	if (audit_writer_reopen(w, &err))
		fail_msg("%s", err.text);
}

static void rotation(void **state)
{
	struct audit_writer *w = must_open(true);
	char previous[65], *text, *at;

	(void)state;
	(void)add(w, "a");
	must_flush(w);
	/* Nothing was moved: nothing happens. */
	must_reopen(w);
	assert_int_equal(audit_writer_seq(w), 1);
	(void)add(w, "b");
	assert_int_equal(rename(log_path, other_path), 0);
	must_reopen(w);
	assert_int_equal(audit_writer_pending(w), 0);
	text = get_file(other_path, NULL);
	(void)snprintf(previous, sizeof(previous), "%s", text + strlen(text) - 68);
	text = get_file(log_path, NULL);
	assert_non_null(
	    strstr(text, "\"action\":\"checkpoint\",\"outcome\":\"success\",\"severity\":0},\"audit\":{\"seq\":3,"));
	at = strstr(text, "\"audit\":{\"seq\":3,\"previous\":\"");
	assert_non_null(at);
	assert_memory_equal(at + 29, previous, 64);
	(void)add(w, "c");
	must_flush(w);
	assert_int_equal(audit_writer_seq(w), 4);
	audit_writer_free(&w);
	must_verify(other_path, log_path, 4);
	must_verify(other_path, NULL, 2);
	must_verify(log_path, NULL, 2);
}

/* Also when the path was emptied in place, or had to be made again. */
static void emptied_in_place(void **state)
{
	struct audit_writer *w = must_open(true);

	(void)state;
	(void)add(w, "a");
	must_flush(w);
	assert_int_equal(truncate(log_path, 0), 0);
	must_reopen(w);
	(void)add(w, "b");
	must_flush(w);
	must_verify(log_path, NULL, 2);
	assert_int_equal(unlink(log_path), 0);
	must_reopen(w);
	(void)add(w, "c");
	must_flush(w);
	assert_int_equal(audit_writer_seq(w), 5);
	audit_writer_free(&w);
	must_verify(log_path, NULL, 2);
}

static void foreign_file_at_reopen(void **state)
{
	struct audit_writer *w = must_open(true);
	struct errbuf err = {""};

	(void)state;
	(void)add(w, "a");
	must_flush(w);
	assert_int_equal(rename(log_path, other_path), 0);
	put_file(log_path, "hands off\n", 10);
	assert_int_equal(audit_writer_reopen(w, &err), -1);
	assert_non_null(strstr(err.text, "the file does not end with a record of a chained audit log"));
	assert_string_equal(get_file(log_path, NULL), "hands off\n");
	/* The old file is still in use. */
	(void)add(w, "b");
	must_flush(w);
	audit_writer_free(&w);
	must_verify(other_path, NULL, 2);
}

static void other_chain_at_reopen(void **state)
{
	struct audit_writer *w = must_open(true), *v;
	struct errbuf err = {""};

	(void)state;
	(void)add(w, "a");
	must_flush(w);
	assert_int_equal(rename(log_path, other_path), 0);
	v = must_open(true);
	(void)add(v, "z");
	must_flush(v);
	audit_writer_free(&v);
	assert_int_equal(audit_writer_reopen(w, &err), -1);
	assert_non_null(strstr(err.text, "not the continuation of this log"));
	(void)add(w, "b");
	must_flush(w);
	audit_writer_free(&w);
	must_verify(other_path, NULL, 2);
	must_verify(log_path, NULL, 1);
}

/* A pipe that is full in the middle of a line: the rest of that very line comes first afterwards. */
static void pipe_keeps_lines_whole(void **state)
{
	struct config_audit config = {.output = AUDIT_STDOUT, .chain = true};
	struct errbuf err = {""};
	struct audit_writer *w;
	size_t got = 0, lines = 0, i;
	static char text[1024 * 1024];
	char id[16];
	int fds[2];
	ssize_t n;

	(void)state;
	/* Blocking, as a standard output is: a writer that waited for its reader would never come back here. */
	assert_int_equal(pipe(fds), 0);
	w = audit_writer_open(&config, fds[1], &err);
	assert_non_null(w);
	for (i = 0; i < 2000; i++) {
		(void)snprintf(id, sizeof(id), "%zu", i);
		assert_true(add(w, id));
	}
	while (audit_writer_pending(w)) {
		if (audit_writer_flush(w, &err) == 0)
			break;
		assert_non_null(strstr(err.text, "standard output: whoever reads it does not go on"));
		/* A batch counts when all of it is sent. */
		assert_true(audit_writer_seq(w) == 0 || audit_writer_seq(w) == 2000);
		if (i == 2000)
			assert_true(add(w, "late"));
		i = 2001;
		n = read(fds[0], text + got, 10007);
		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	while ((n = read(fds[0], text + got, sizeof(text) - got)) > 0)
		got += (size_t)n;
	assert_int_equal(audit_writer_pending(w), 0);
	assert_int_equal(audit_writer_seq(w), 2001);
	for (char *line = text, *end; line < text + got; line = end + 1, lines++) {
		char want[32];

		end = memchr(line, '\n', got - (size_t)(line - text));
		assert_non_null(end);
		assert_memory_equal(line, "{\"@timestamp\":", 14);
		assert_memory_equal(end - 7, ",\"n\":1}", 7);
		(void)snprintf(want, sizeof(want), "\"id\":\"%zu\"", lines);
		*end = '\0';
		assert_non_null(strstr(line, lines == 2000 ? "\"id\":\"late\"" : want));
	}
	assert_int_equal(lines, 2001);
	audit_writer_free(&w);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* Nothing can be read back, but the batch must come to an end, and the caller's descriptor stays open. */
static void syslog_and_journald(void **state)
{
	struct config_audit config = {.output = AUDIT_SYSLOG, .chain = true};
	struct errbuf err = {""};
	struct audit_writer *w = audit_writer_open(&config, -1, &err);
	char text[512];
	int fds[2];

	(void)state;
	assert_non_null(w);
	(void)add(w, "a");
	(void)add(w, "b");
	must_flush(w);
	assert_int_equal(audit_writer_seq(w), 2);
	must_reopen(w);
	audit_writer_free(&w);
	assert_int_equal(pipe(fds), 0);
	config.output = AUDIT_JOURNALD;
	w = audit_writer_open(&config, fds[1], &err);
	(void)add(w, "j");
	must_flush(w);
	audit_writer_free(&w);
	assert_int_equal(write(fds[1], "!", 1), 1);
	memset(text, 0, sizeof(text));
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "{\"@timestamp\":\"t\",\"event\":{\"kind\":\"event\",\"id\":\"j\",\"action\":\"x\"},"
				  "\"n\":1}\n!");
	(void)close(fds[0]);
	(void)close(fds[1]);
}

#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, files_setup, files_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_FILES(first_lines),
	    WITH_FILES(only_whole_objects),
	    WITH_FILES(cannot_be_opened),
	    WITH_FILES(one_writer_only),
	    WITH_FILES(full_says_so),
	    WITH_FILES(full_disk),
	    cmocka_unit_test(dev_full),
	    WITH_FILES(rotation),
	    WITH_FILES(emptied_in_place),
	    WITH_FILES(foreign_file_at_reopen),
	    WITH_FILES(other_chain_at_reopen),
	    cmocka_unit_test(pipe_keeps_lines_whole),
	    cmocka_unit_test(syslog_and_journald),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The keeper in a process of its own: what it acknowledges is in the file, once, whatever is sent to it; a second
 * keeper goes on where a killed one left; a log that cannot be written is said and tried again.
 */
#include "daemon/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/record.h"
#include "base/mem.h"
#include "daemon/message.h"

static char directory[] = "/tmp/portcullis-keeper-XXXXXX";
static char path[128];
static struct shared *shared;
static struct config_audit audit;
static const struct account nobody_changes = {.change = false};
static int control, channel;
static pid_t pid;
static uint8_t buffer[MESSAGE_SIZE_MAX];

static bool hear(int fd, struct message *m, int wait_ms)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	poll(&wait, 1, wait_ms);
	return message_receive(fd, m, buffer, NULL) == MESSAGE_OK;
}

static void start_keeper(void)
{
	struct keeper_params params = {.audit = &audit, .shared = shared, .account = &nobody_changes};
	struct message m;
	int pair[2];

	assert_int_equal(message_pair(pair), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(pair[0]);
		params.control = pair[1];
		_exit(keeper_main(&params));
	}
	close(pair[1]);
	control = pair[0];
	assert_true(hear(control, &m, 5000));
	if (m.type == MESSAGE_FAILED)
		fail_msg("%.*s", (int)m.len, (const char *)m.payload);
	assert_int_equal(m.type, MESSAGE_READY);
}

static void open_channel(uint64_t slot, uint32_t incarnation)
{
	struct message m = {.type = MESSAGE_CHANNEL, .number = slot, .incarnation = incarnation};
	int pair[2];

	assert_int_equal(message_pair(pair), 0);
	assert_int_equal(message_send(control, &m, pair[0]), MESSAGE_OK);
	close(pair[0]);
	channel = pair[1];
}

static void send_as(int fd, uint64_t number, uint32_t incarnation)
{
	struct message m = {.type = MESSAGE_RECORD, .number = number, .incarnation = incarnation};
	struct pollfd room = {.fd = fd, .events = POLLOUT};
	enum message_result result;
	struct audit_record record;
	char id[64], *json;

	snprintf(id, sizeof(id), "run.w0.%u.%u", (unsigned)incarnation, (unsigned)number);
	audit_record_init(&record);
	record.id = id;
	record.action = "stream-closed";
	record.outcome = AUDIT_SUCCESS;
	json = audit_record_json(&record, &m.len);
	m.payload = json;
	/* The keeper may be slower than this loop. */
	while ((result = message_send(fd, &m, -1)) == MESSAGE_AGAIN)
		poll(&room, 1, 5000);
	assert_int_equal(result, MESSAGE_OK);
	mem_free(json);
}

static void send_record(uint64_t number, uint32_t incarnation)
{
	send_as(channel, number, incarnation);
}

static uint64_t acknowledged(int wait_ms)
{
	struct message m;

	if (!hear(channel, &m, wait_ms))
		return 0;
	assert_int_equal(m.type, MESSAGE_WRITTEN);
	return m.number;
}

static void wait_for(uint64_t number)
{
	uint64_t got = 0;

	for (int i = 0; i < 200 && got < number; i++)
		got = acknowledged(100);
	assert_int_equal(got, number);
}

static int stop_keeper(void)
{
	int status;

	close(channel);
	close(control);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static unsigned count_in_file(const char *what)
{
	static char text[1 << 20];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	unsigned count = 0;

	assert_true(n >= 0);
	text[n] = '\0';
	for (const char *at = text; (at = strstr(at, what)); at++)
		count++;
	if (fd >= 0)
		close(fd);
	return count;
}

static void test_written_once(void **state)
{
	(void)state;
	start_keeper();
	open_channel(0, 1);
	for (uint64_t n = 1; n <= 200; n++)
		send_record(n, 1);
	wait_for(200);
	assert_int_equal(count_in_file("\"id\":\"run.w0.1."), 200);
	assert_true(shared->slot[0].audit_written == 200);
	assert_int_equal(shared->slot[0].audit_written_incarnation, 1);
	assert_true(shared->keeper.written == 200);
	assert_true(shared->keeper.seq == 200);

	/* Killed; its successor gets the last ones again, and one that is new. */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(channel);
	close(control);
	start_keeper();
	open_channel(0, 1);
	send_record(199, 1);
	send_record(200, 1);
	send_record(201, 1);
	wait_for(201);
	assert_int_equal(count_in_file("\"id\":\"run.w0.1.199\""), 1);
	assert_int_equal(count_in_file("\"id\":\"run.w0.1.200\""), 1);
	assert_int_equal(count_in_file("\"id\":\"run.w0.1.201\""), 1);
	assert_true(shared->keeper.seq == 201);

	/* Written, but not noted as written: the file itself is the memory. */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(channel);
	close(control);
	shared->slot[0].audit_written = 0;
	start_keeper();
	open_channel(0, 1);
	send_record(201, 1);
	wait_for(201);
	assert_int_equal(count_in_file("\"id\":\"run.w0.1.201\""), 1);
	assert_int_equal(stop_keeper(), 0);
}

static void test_last_words(void **state)
{
	(void)state;
	start_keeper();
	open_channel(1, 4);
	/* The worker dies right behind its last record, the master right behind it: all of it gets written. */
	for (uint64_t n = 1; n <= 150; n++)
		send_record(n, 4);
	assert_int_equal(stop_keeper(), 0);
	assert_int_equal(count_in_file("\"id\":\"run.w0.4."), 150);
}

static void test_incarnations(void **state)
{
	int old;

	(void)state;
	start_keeper();
	open_channel(2, 5);
	old = channel;
	send_record(1, 5);
	wait_for(1);
	open_channel(2, 6);
	send_record(1, 6);
	wait_for(1);
	assert_int_equal(shared->slot[2].audit_written_incarnation, 6);
	/* What the dead predecessor had sent still comes in, and does not undo what is known of the successor. */
	send_as(old, 99, 5);
	close(old);
	send_record(2, 6);
	wait_for(2);
	for (int i = 0; i < 50 && count_in_file("run.w0.5.99") == 0; i++)
		usleep(20000);
	assert_int_equal(count_in_file("run.w0.5.99"), 1);
	assert_int_equal(shared->slot[2].audit_written_incarnation, 6);
	assert_true(shared->slot[2].audit_written == 2);
	assert_int_equal(stop_keeper(), 0);
}

static void test_log_full(void **state)
{
	struct config_audit kept = audit;
	char full[] = "/dev/full";

	(void)state;
	audit.file_path = full;
	audit.chain = false;
	start_keeper();
	open_channel(3, 1);
	send_record(1, 1);
	assert_int_equal(acknowledged(300), 0);
	assert_int_equal(shared->keeper.failing, 1);
	/* It gives up a few seconds after everybody has left, and says so by its status. */
	assert_int_equal(stop_keeper(), 3);
	audit = kept;
	start_keeper();
	assert_int_equal(shared->keeper.failing, 0);
	open_channel(3, 1);
	send_record(1, 1);
	wait_for(1);
	assert_int_equal(stop_keeper(), 0);
}

static void test_cannot_open(void **state)
{
	struct config_audit kept = audit;
	struct keeper_params params = {.audit = &audit, .shared = shared, .account = &nobody_changes};
	char none[] = "/nonexistent/audit.jsonl";
	struct message m;
	int pair[2];

	(void)state;
	audit.file_path = none;
	assert_int_equal(message_pair(pair), 0);
	params.control = pair[1];
	assert_int_equal(keeper_main(&params), 3);
	assert_true(hear(pair[0], &m, 1000));
	assert_int_equal(m.type, MESSAGE_FAILED);
	assert_non_null(memmem(m.payload, m.len, none, strlen(none)));
	close(pair[0]);
	close(pair[1]);
	audit = kept;
}

static void test_rotation(void **state)
{
	struct message reopen = {.type = MESSAGE_REOPEN};
	char rotated[160];

	(void)state;
	start_keeper();
	open_channel(4, 7);
	send_record(1, 7);
	wait_for(1);
	snprintf(rotated, sizeof(rotated), "%s.1", path);
	assert_int_equal(rename(path, rotated), 0);
	assert_int_equal(message_send(control, &reopen, -1), MESSAGE_OK);
	for (int i = 0; i < 100 && access(path, F_OK) < 0; i++)
		usleep(20000);
	send_record(2, 7);
	wait_for(2);
	assert_int_equal(count_in_file("\"id\":\"run.w0.7.1\""), 0);
	assert_int_equal(count_in_file("\"id\":\"run.w0.7.2\""), 1);
	assert_int_equal(count_in_file("\"action\":\"checkpoint\""), 1);
	assert_int_equal(stop_keeper(), 0);
	unlink(rotated);
}

/* What a reload changes shows in what it says; a message of another size changes nothing. */
static void test_settings(void **state)
{
	struct config_audit kept = audit;
	struct keeper_settings settings = {
	    .on_failure = AUDIT_CONTINUE, .log_output = LOG_OUTPUT_STDERR, .log_level = LOG_LEVEL_ERROR};
	struct message message = {.type = MESSAGE_SETTINGS, .payload = &settings, .len = sizeof(settings)};
	struct message cut = {.type = MESSAGE_SETTINGS, .payload = "x", .len = 1};
	char full[] = "/dev/full", said[1024] = "";
	int own = dup(STDERR_FILENO), pipe_fds[2];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(dup2(pipe_fds[1], STDERR_FILENO), STDERR_FILENO);
	audit.file_path = full;
	audit.chain = false;
	start_keeper();
	dup2(own, STDERR_FILENO);
	assert_int_equal(message_send(control, &cut, -1), MESSAGE_OK);
	assert_int_equal(message_send(control, &message, -1), MESSAGE_OK);
	/* In its own turn: what is on the control channel is read behind the records. */
	usleep(100000);
	open_channel(5, 1);
	send_record(1, 1);
	assert_int_equal(acknowledged(300), 0);
	n = read(pipe_fds[0], said, sizeof(said) - 1);
	assert_true(n > 0);
	assert_non_null(strstr(said, "streams go on, records wait until it can"));
	assert_int_equal(stop_keeper(), 3);
	audit = kept;
	close(own);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_written_once), cmocka_unit_test(test_last_words), cmocka_unit_test(test_incarnations),
	    cmocka_unit_test(test_log_full),     cmocka_unit_test(test_rotation),   cmocka_unit_test(test_cannot_open),
	    cmocka_unit_test(test_settings),
	};
	int failed;

	if (!mkdtemp(directory))
		return 1;
	signal(SIGPIPE, SIG_IGN);
	snprintf(path, sizeof(path), "%s/audit.jsonl", directory);
	audit =
	    (struct config_audit){.output = AUDIT_FILE, .file_path = path, .on_failure = AUDIT_REFUSE, .chain = true};
	shared = shared_new(8, 100, 100);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	shared_free(&shared);
	unlink(path);
	rmdir(directory);
	return failed;
}

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
#include "daemon/peer_message.h"

static char directory[] = "/tmp/portcullis-keeper-XXXXXX";
static char path[128];
static struct shared *shared;
static struct config_audit audit;
static const struct account nobody_changes = {.change = false};
static int control, channel;
static pid_t pid;
static uint8_t buffer[MESSAGE_SIZE_MAX];
static const char *state_directory;
static bool restarted;

static bool hear(int fd, struct message *m, int wait_ms)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	poll(&wait, 1, wait_ms);
	return message_receive(fd, m, buffer, NULL) == MESSAGE_OK;
}

static void start_keeper(void)
{
	struct keeper_params params = {.audit = &audit,
				       .shared = shared,
				       .account = &nobody_changes,
				       .state_directory = state_directory,
				       .restarted = restarted};
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
	/* It may hear of the first one alone, and must not forget that the others are written. */
	send_record(1, 1);
	wait_for(1);
	assert_true(shared->slot[0].audit_written == 200);
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

/* --- peer memory --- */

static char memory_file[160];

static void send_observation(uint64_t number, const char *domain)
{
	struct peer_observation seen = {.service = PEER_S2S, .when = 1795336069, .tls = true, .version = 13};
	struct message m = {
	    .type = MESSAGE_OBSERVATION, .incarnation = 1, .number = number, .payload = &seen, .len = sizeof(seen)};

	snprintf(seen.domain, sizeof(seen.domain), "%s", domain);
	assert_int_equal(message_send(channel, &m, -1), MESSAGE_OK);
}

static void ask(uint64_t number, const char *domain)
{
	struct peer_question question = {.service = PEER_S2S};
	struct message m = {.type = MESSAGE_PEER_ASK,
			    .incarnation = 1,
			    .number = number,
			    .payload = &question,
			    .len = sizeof(question)};

	snprintf(question.domain, sizeof(question.domain), "%s", domain);
	while (message_send(channel, &m, -1) == MESSAGE_AGAIN)
		usleep(1000);
}

static bool known(const char *domain)
{
	struct peer_memory memory;
	struct message m;

	ask(77, domain);
	do
		assert_true(hear(channel, &m, 5000));
	while (m.type == MESSAGE_WRITTEN);
	assert_int_equal(m.type, MESSAGE_PEER_KNOWN);
	assert_int_equal(m.number, 77);
	assert_int_equal(m.len, sizeof(memory));
	memcpy(&memory, m.payload, sizeof(memory));
	return memory.known;
}

static void kill_keeper(void)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(channel);
	close(control);
}

static void test_memory(void **state)
{
	char domain[32];

	(void)state;
	state_directory = directory;
	start_keeper();
	open_channel(6, 1);
	assert_false(known("d1.example"));
	for (uint64_t n = 1; n <= 100; n += 2) {
		snprintf(domain, sizeof(domain), "d%u.example", (unsigned)n);
		send_record(n, 1);
		send_observation(n + 1, domain);
	}
	wait_for(100);
	assert_int_equal(count_in_file("\"id\":\"run.w0.1."), 50);
	assert_true(shared->keeper.observations == 50);
	assert_true(shared->keeper.peers == 50);
	assert_true(shared->slot[6].audit_written == 100);

	/* What was acknowledged is there after a kill; what was not comes again, as often as it must. */
	kill_keeper();
	restarted = true;
	start_keeper();
	open_channel(6, 1);
	send_observation(100, "d99.example");
	send_observation(101, "late.example");
	wait_for(101);
	assert_true(shared->keeper.peers == 51);
	assert_true(known("d99.example"));
	assert_true(known("late.example"));
	assert_false(known("d2.example"));
	assert_int_equal(stop_keeper(), 0);
	restarted = false;
	state_directory = NULL;
}

/* Questions of one who does not take the answers fill no memory, and cost the others nothing. */
static void test_answers_not_taken(void **state)
{
	int deaf;

	(void)state;
	state_directory = directory;
	start_keeper();
	open_channel(6, 1);
	deaf = channel;
	for (unsigned i = 0; i < 200; i++) {
		struct peer_question question = {.domain = "x.example"};
		struct message m = {
		    .type = MESSAGE_PEER_ASK, .incarnation = 1, .payload = &question, .len = sizeof(question)};

		if (message_send(deaf, &m, -1) != MESSAGE_OK)
			break;
	}
	open_channel(7, 1);
	send_record(1, 1);
	wait_for(1);
	assert_false(known("x.example"));
	close(deaf);
	assert_int_equal(stop_keeper(), 0);
	state_directory = NULL;
}

static void prepare(const char *in, enum message_type expected)
{
	struct message m = {.type = MESSAGE_PREPARE, .number = 9, .payload = in, .len = strlen(in)};

	assert_int_equal(message_send(control, &m, -1), MESSAGE_OK);
	assert_true(hear(control, &m, 5000));
	assert_int_equal(m.type, expected);
	assert_int_equal(m.number, 9);
}

/* At the start it must work; later the log goes on without it. */
static void test_memory_damaged(void **state)
{
	struct keeper_params params = {
	    .audit = &audit, .shared = shared, .account = &nobody_changes, .state_directory = directory};
	struct message m;
	int pair[2], fd;

	(void)state;
	unlink(memory_file);
	fd = open(memory_file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(write(fd, "damaged", 7), 7);
	close(fd);
	assert_int_equal(message_pair(pair), 0);
	params.control = pair[1];
	assert_int_equal(keeper_main(&params), 3);
	assert_true(hear(pair[0], &m, 1000));
	assert_int_equal(m.type, MESSAGE_FAILED);
	assert_memory_equal(m.payload, memory_file, strlen(memory_file));
	assert_non_null(memmem(m.payload, m.len, "move it away", 12));
	close(pair[0]);
	close(pair[1]);

	state_directory = directory;
	restarted = true;
	start_keeper();
	assert_int_equal(shared->keeper.memory_failing, 1);
	/* No reason to refuse a reload, which may bring a renewed certificate; another directory would be. */
	prepare(directory, MESSAGE_PREPARED);
	prepare("/nonexistent", MESSAGE_UNFIT);
	assert_int_equal(shared->keeper.memory_failing, 1);
	open_channel(6, 2);
	send_record(1, 2);
	wait_for(1);
	assert_int_equal(stop_keeper(), 0);
	restarted = false;
	state_directory = NULL;
	unlink(memory_file);
}

/* A reload that brings the first listener with peers. */
static void test_memory_reload(void **state)
{
	struct keeper_settings settings = {
	    .on_failure = AUDIT_REFUSE, .log_output = LOG_OUTPUT_STDERR, .log_level = LOG_LEVEL_ERROR};
	struct message m = {.type = MESSAGE_SETTINGS, .payload = &settings, .len = sizeof(settings)};
	struct peers_question question = {.verb = PEERS_LIST};
	struct peers_answer answer;

	(void)state;
	start_keeper();
	prepare("/nonexistent", MESSAGE_UNFIT);
	prepare(directory, MESSAGE_PREPARED);
	snprintf(settings.state_directory, sizeof(settings.state_directory), "%s", directory);
	assert_int_equal(message_send(control, &m, -1), MESSAGE_OK);
	m = (struct message){.type = MESSAGE_PEERS, .number = 4, .payload = &question, .len = sizeof(question)};
	assert_int_equal(message_send(control, &m, -1), MESSAGE_OK);
	assert_true(hear(control, &m, 5000));
	assert_int_equal(m.type, MESSAGE_PEERS_ANSWER);
	assert_int_equal(m.number, 4);
	memcpy(&answer, m.payload, sizeof(answer));
	assert_true(answer.ok && !answer.more);
	open_channel(6, 3);
	assert_int_equal(stop_keeper(), 0);
	unlink(memory_file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_written_once),      cmocka_unit_test(test_last_words),
	    cmocka_unit_test(test_incarnations),      cmocka_unit_test(test_log_full),
	    cmocka_unit_test(test_rotation),          cmocka_unit_test(test_cannot_open),
	    cmocka_unit_test(test_settings),          cmocka_unit_test(test_memory),
	    cmocka_unit_test(test_answers_not_taken), cmocka_unit_test(test_memory_damaged),
	    cmocka_unit_test(test_memory_reload),
	};
	int failed;

	if (!mkdtemp(directory))
		return 1;
	signal(SIGPIPE, SIG_IGN);
	snprintf(path, sizeof(path), "%s/audit.jsonl", directory);
	snprintf(memory_file, sizeof(memory_file), "%s/peers.db", directory);
	audit =
	    (struct config_audit){.output = AUDIT_FILE, .file_path = path, .on_failure = AUDIT_REFUSE, .chain = true};
	shared = shared_new(8, 100, 100);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	shared_free(&shared);
	unlink(path);
	rmdir(directory);
	return failed;
}

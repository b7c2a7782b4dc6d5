/* SPDX-License-Identifier: MIT */
/*
 * The control socket: what is a request, who may be slow, what a left-over socket is.
 */
#include "daemon/control_server.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "daemon/control.h"

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char directory[] = "/tmp/portcullis-control-XXXXXX";
static char path[128];

static enum control_command parse(const char *text, struct errbuf *err)
{
	struct control_request request;

	return control_parse(&request, text, strlen(text), err) ? request.command : CONTROL_INVALID;
}

static void test_parse(void **state)
{
	struct errbuf err = {.text = ""};

	(void)state;
	assert_int_equal(parse("{\"command\":\"status\"}", &err), CONTROL_STATUS);
	assert_int_equal(parse(" {\"command\":\"streams\", \"x\":1} ", &err), CONTROL_STREAMS);
	assert_int_equal(parse("{\"command\":\"reload\"}", &err), CONTROL_RELOAD);
	assert_string_equal(err.text, "");
	assert_int_equal(parse("", &err), CONTROL_INVALID);
	assert_string_equal(err.text, "the request is not a JSON object");
	assert_int_equal(parse("{\"command\":\"status\"}x", &err), CONTROL_INVALID);
	assert_int_equal(parse("{\"command\":\"status\",\"command\":\"reload\"}", &err), CONTROL_INVALID);
	assert_int_equal(parse("[\"status\"]", &err), CONTROL_INVALID);
	assert_string_equal(err.text, "the request has no \"command\"");
	assert_int_equal(parse("{\"command\":1}", &err), CONTROL_INVALID);
	assert_int_equal(parse("{\"command\":\"Status\"}", &err), CONTROL_INVALID);
	assert_string_equal(err.text, "unknown command \"Status\"");
}

static void test_parse_domain(void **state)
{
	static const char *const bad[] = {
	    "{\"command\":\"peers-show\",\"domain\":\"a@b\"}", "{\"command\":\"peers-accept\",\"domain\":\"\"}",
	    "{\"command\":\"peers-forget\",\"domain\":7}", "{\"command\":\"peers-forget\"}"};
	static const char *const no_digest[] = {"\"ab\"", "7", "null", "\"" DIGEST "0\"", "\"A" DIGEST "\""};
	char request_text[256];
	const char *text = "{\"command\":\"peers-show\",\"domain\":\"Example.COM.\"}";
	struct errbuf err = {.text = ""};
	struct control_request request;

	(void)state;
	assert_true(control_parse(&request, text, strlen(text), &err));
	assert_int_equal(request.command, CONTROL_PEERS_SHOW);
	assert_string_equal(request.domain, "example.com");
	text = "{\"command\":\"peers-list\",\"domain\":\"x\"}";
	assert_true(control_parse(&request, text, strlen(text), &err));
	assert_int_equal(request.command, CONTROL_PEERS_LIST);
	assert_string_equal(request.domain, "");
	assert_int_equal(parse("{\"command\":\"peers-accept\",\"domain\":\"x\"}", &err), CONTROL_PEERS_ACCEPT);
	assert_int_equal(parse("{\"command\":\"peers-forget\",\"domain\":\"x\"}", &err), CONTROL_PEERS_FORGET);
	text = "{\"command\":\"peers-accept\",\"domain\":\"x\",\"sha256\":\"" DIGEST "\"}";
	assert_true(control_parse(&request, text, strlen(text), &err));
	assert_string_equal(request.sha256, DIGEST);
	for (size_t i = 0; i < sizeof(no_digest) / sizeof(no_digest[0]); i++) {
		snprintf(request_text, sizeof(request_text),
			 "{\"command\":\"peers-accept\",\"domain\":\"x\",\"sha256\":%s}", no_digest[i]);
		assert_int_equal(parse(request_text, &err), CONTROL_INVALID);
		assert_string_equal(err.text, "\"sha256\" is no fingerprint: 64 digits 0-9 a-f");
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(bad[i], &err), CONTROL_INVALID);
	assert_string_equal(err.text, "\"peers-forget\" needs a \"domain\"");
	assert_int_equal(parse(bad[0], &err), CONTROL_INVALID);
	assert_string_equal(err.text, "\"a@b\" is no domain");
}

static uint64_t asked_client;

static void on_request(void *ctx, uint64_t client, const struct control_request *request)
{
	struct control_server *server = *(struct control_server **)ctx;

	if (request->command == CONTROL_STATUS)
		control_server_answer(server, client, mem_strdup("{\"pid\":1}\n"), 10);
	else
		asked_client = client;
}

static struct control_server *server;

static void begin(void)
{
	struct errbuf err = {.text = ""};

	server = control_server_open(path, on_request, &server, &err);
	assert_string_equal(err.text, "");
	assert_non_null(server);
}

static void turn(int timeout)
{
	struct pollset set = {.fds = NULL};

	control_server_poll(server, &set);
	pollset_run(&set, timeout);
	control_server_tick(server, clock_ms());
	pollset_fini(&set);
}

static int raw_client(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(to.sun_path, path, strlen(path));
	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What fd has to give now: "" nothing yet, NULL at its end. */
static const char *hear(int fd)
{
	static char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n == 0)
		return NULL;
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void test_answers(void **state)
{
	struct stat st;
	int fd;

	(void)state;
	begin();
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	fd = raw_client();
	turn(1000);
	say(fd, "{\"command\":");
	turn(1000);
	assert_string_equal(hear(fd), "");
	say(fd, "\"status\"}\n");
	turn(1000);
	assert_string_equal(hear(fd), "{\"pid\":1}\n");
	assert_null(hear(fd));
	close(fd);
	fd = raw_client();
	say(fd, "nonsense\n");
	turn(1000);
	turn(1000);
	assert_string_equal(hear(fd), "{\"error\":\"the request is not a JSON object\"}");
	close(fd);
	control_server_free(&server);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_late_answer(void **state)
{
	int fd, other;
	uint64_t client;

	(void)state;
	begin();
	fd = raw_client();
	say(fd, "{\"command\":\"streams\"}\n");
	turn(1000);
	turn(1000);
	client = asked_client;
	assert_true(client > 0);
	/* It leaves, another takes its place: the late answer must reach nobody. */
	close(fd);
	turn(1000);
	other = raw_client();
	say(other, "{\"command\":\"streams\"}\n");
	turn(1000);
	turn(1000);
	assert_true(asked_client != client);
	control_server_answer(server, client, mem_strdup("late"), 4);
	assert_string_equal(hear(other), "");
	control_server_answer(server, asked_client, mem_strdup("mine"), 4);
	assert_string_equal(hear(other), "mine");
	close(other);
	control_server_free(&server);
}

static void test_silent_clients(void **state)
{
	int fds[17];
	uint64_t now;

	(void)state;
	begin();
	assert_true(control_server_due(server) == UINT64_MAX);
	for (int i = 0; i < 17; i++)
		fds[i] = raw_client();
	turn(1000);
	/* Sixteen at once; the seventeenth waits, and is served when their time is up. */
	say(fds[16], "{\"command\":\"status\"}\n");
	turn(0);
	assert_string_equal(hear(fds[16]), "");
	now = clock_ms();
	assert_true(control_server_due(server) <= now + 2000);
	control_server_tick(server, now + 2001);
	for (int i = 0; i < 16; i++)
		assert_null(hear(fds[i]));
	turn(1000);
	turn(1000);
	assert_string_equal(hear(fds[16]), "{\"pid\":1}\n");
	for (int i = 0; i < 17; i++)
		close(fds[i]);
	control_server_free(&server);
}

static void test_request_too_long(void **state)
{
	char text[5000];
	int fd;

	(void)state;
	begin();
	fd = raw_client();
	memset(text, ' ', sizeof(text));
	turn(1000);
	assert_true(send(fd, text, sizeof(text), MSG_NOSIGNAL) > 0);
	turn(1000);
	assert_int_equal(recv(fd, text, 1, MSG_DONTWAIT) <= 0, 1);
	assert_true(control_server_due(server) == UINT64_MAX);
	close(fd);
	control_server_free(&server);
}

static void test_left_over(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct errbuf err = {.text = ""};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	/* What a killed portcullis leaves is taken away; a socket that answers, and a file, are not. */
	memcpy(at.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
	begin();
	assert_null(control_server_open(path, on_request, NULL, &err));
	assert_non_null(strstr(err.text, "is another portcullis running?"));
	control_server_free(&server);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_null(control_server_open(path, on_request, NULL, &err));
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
}

static void *ask(void *ctx)
{
	size_t len = 0;

	return control_ask(path, ctx, CONTROL_WAIT_MS, &len, NULL);
}

static void test_ask(void **state)
{
	char request[] = "{\"command\":\"status\"}";
	struct errbuf err = {.text = ""};
	pthread_t thread;
	void *answer = NULL;
	char expected[256];

	(void)state;
	assert_null(control_ask(path, request, CONTROL_WAIT_MS, NULL, &err));
	snprintf(expected, sizeof(expected),
		 "%s: No such file or directory: is portcullis running? (-c names its configuration)", path);
	assert_string_equal(err.text, expected);
	begin();
	assert_int_equal(pthread_create(&thread, NULL, ask, request), 0);
	for (int i = 0; i < 3; i++)
		turn(500);
	pthread_join(thread, &answer);
	assert_non_null(answer);
	assert_string_equal(answer, "{\"pid\":1}\n");
	mem_free(answer);
	control_server_free(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),          cmocka_unit_test(test_parse_domain),
	    cmocka_unit_test(test_answers),        cmocka_unit_test(test_late_answer),
	    cmocka_unit_test(test_silent_clients), cmocka_unit_test(test_request_too_long),
	    cmocka_unit_test(test_left_over),      cmocka_unit_test(test_ask),

	};
	int failed;

	if (!mkdtemp(directory))
		return 1;
	/* The socket's own directory is made where its parent exists. */
	snprintf(path, sizeof(path), "%s/sub/control.sock", directory);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	rmdir(directory);
	return failed;
}

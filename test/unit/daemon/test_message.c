/* SPDX-License-Identifier: MIT */
/*
 * Messages: exact header bytes, what decoding refuses, and a trip over a real socket pair with and without a
 * descriptor.
 */
#include "daemon/message.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void test_header_bytes(void **state)
{
	struct message m = {.type = MESSAGE_RECORD,
			    .incarnation = 0x01020304,
			    .number = 0x1122334455667788u,
			    .payload = "abc",
			    .len = 3};
	uint8_t header[MESSAGE_HEADER_SIZE];
	uint32_t word;
	uint64_t number;

	(void)state;
	message_encode_header(&m, header);
	memcpy(&word, header, 4);
	assert_int_equal(word, MESSAGE_RECORD);
	memcpy(&word, header + 4, 4);
	assert_int_equal(word, 0x01020304);
	memcpy(&number, header + 8, 8);
	assert_true(number == 0x1122334455667788u);
	memcpy(&word, header + 16, 4);
	assert_int_equal(word, 3);
	memcpy(&word, header + 20, 4);
	assert_int_equal(word, 0);
}

static size_t datagram(uint8_t *out, enum message_type type, uint32_t length, size_t payload)
{
	struct message m = {.type = type, .number = 7, .len = length};

	message_encode_header(&m, out);
	memset(out + MESSAGE_HEADER_SIZE, 'x', payload);
	return MESSAGE_HEADER_SIZE + payload;
}

static void test_decode(void **state)
{
	static uint8_t data[MESSAGE_SIZE_MAX + 1];
	struct message m;

	(void)state;
	assert_int_equal(message_decode(&m, data, datagram(data, MESSAGE_DRAIN, 0, 0)), 0);
	assert_int_equal(m.type, MESSAGE_DRAIN);
	assert_int_equal(m.len, 0);
	assert_int_equal(message_decode(&m, data, datagram(data, MESSAGE_RECORD, 5, 5)), 0);
	assert_int_equal(m.len, 5);
	assert_memory_equal(m.payload, "xxxxx", 5);
	assert_int_equal(
	    message_decode(&m, data, datagram(data, MESSAGE_RECORD, MESSAGE_PAYLOAD_MAX, MESSAGE_PAYLOAD_MAX)), 0);
	/* Cut, longer than it says, longer than may be, of no type, empty. */
	assert_int_equal(message_decode(&m, data, datagram(data, MESSAGE_RECORD, 5, 4)), -1);
	assert_int_equal(message_decode(&m, data, datagram(data, MESSAGE_RECORD, 5, 6)), -1);
	assert_int_equal(
	    message_decode(&m, data, datagram(data, MESSAGE_RECORD, MESSAGE_PAYLOAD_MAX + 1, MESSAGE_PAYLOAD_MAX + 1)),
	    -1);
	assert_int_equal(message_decode(&m, data, datagram(data, MESSAGE_NONE, 0, 0)), -1);
	assert_int_equal(message_decode(&m, data, datagram(data, MESSAGE_COUNT, 0, 0)), -1);
	datagram(data, MESSAGE_DRAIN, 0, 0);
	assert_int_equal(message_decode(&m, data, MESSAGE_HEADER_SIZE - 1), -1);
	assert_int_equal(message_decode(&m, data, 0), -1);
	data[20] = 1;
	assert_int_equal(message_decode(&m, data, MESSAGE_HEADER_SIZE), -1);
}

static void test_trip(void **state)
{
	static uint8_t buffer[MESSAGE_SIZE_MAX];
	struct message out = {.type = MESSAGE_WRITTEN, .incarnation = 3, .number = 99}, in;
	int pair[2];

	(void)state;
	assert_int_equal(message_pair(pair), 0);
	assert_int_equal(message_receive(pair[1], &in, buffer, NULL), MESSAGE_AGAIN);
	assert_int_equal(message_send(pair[0], &out, -1), MESSAGE_OK);
	assert_int_equal(message_receive(pair[1], &in, buffer, NULL), MESSAGE_OK);
	assert_int_equal(in.type, MESSAGE_WRITTEN);
	assert_int_equal(in.incarnation, 3);
	assert_true(in.number == 99);
	assert_int_equal(in.len, 0);
	/* Not one of ours: the channel is given up. */
	assert_int_equal(send(pair[0], "rubbish", 7, 0), 7);
	assert_int_equal(message_receive(pair[1], &in, buffer, NULL), MESSAGE_GONE);
	close(pair[0]);
	assert_int_equal(message_receive(pair[1], &in, buffer, NULL), MESSAGE_GONE);
	assert_int_equal(message_send(pair[1], &out, -1), MESSAGE_GONE);
	close(pair[1]);
}

/* The peer dies with something unread: what it had sent before is not lost for that. */
static void test_last_words(void **state)
{
	static uint8_t buffer[MESSAGE_SIZE_MAX];
	struct message m = {.type = MESSAGE_RECORD, .number = 1}, in;
	int pair[2];

	(void)state;
	assert_int_equal(message_pair(pair), 0);
	assert_int_equal(message_send(pair[1], &m, -1), MESSAGE_OK);
	for (m.number = 1; m.number <= 3; m.number++)
		assert_int_equal(message_send(pair[0], &m, -1), MESSAGE_OK);
	close(pair[0]);
	for (uint64_t n = 1; n <= 3; n++) {
		assert_int_equal(message_receive(pair[1], &in, buffer, NULL), MESSAGE_OK);
		assert_true(in.number == n);
	}
	assert_int_equal(message_receive(pair[1], &in, buffer, NULL), MESSAGE_GONE);
	close(pair[1]);
}

static void test_descriptor(void **state)
{
	static uint8_t buffer[MESSAGE_SIZE_MAX];
	struct message out = {.type = MESSAGE_CHANNEL, .number = 1}, in;
	int pair[2], pipe_fds[2], fd;
	char c = 0;

	(void)state;
	assert_int_equal(message_pair(pair), 0);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(message_send(pair[0], &out, pipe_fds[1]), MESSAGE_OK);
	close(pipe_fds[1]);
	assert_int_equal(message_receive(pair[1], &in, buffer, &fd), MESSAGE_OK);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(fd, "!", 1), 1);
	assert_int_equal(read(pipe_fds[0], &c, 1), 1);
	assert_int_equal(c, '!');
	/* One that nobody expects is closed: the pipe is then at its end. */
	assert_int_equal(message_send(pair[0], &out, fd), MESSAGE_OK);
	close(fd);
	assert_int_equal(message_receive(pair[1], &in, buffer, NULL), MESSAGE_OK);
	assert_int_equal(read(pipe_fds[0], &c, 1), 0);
	close(pipe_fds[0]);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_header_bytes), cmocka_unit_test(test_decode),     cmocka_unit_test(test_trip),
	    cmocka_unit_test(test_descriptor),   cmocka_unit_test(test_last_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

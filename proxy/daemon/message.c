/* SPDX-License-Identifier: MIT */
/*
 * Encoding of messages between our own processes, and their sockets. A datagram that is cut, too short, too long or of
 * no known type makes its channel useless (MESSAGE_GONE): our own processes do not send such, so one of them is broken.
 */
#include "daemon/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct wire_header {
	uint32_t type;
	uint32_t incarnation;
	uint64_t number;
	uint32_t length;
	uint32_t reserved;
};
_Static_assert(sizeof(struct wire_header) == MESSAGE_HEADER_SIZE, "the header has no padding");

union control_space {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

void message_encode_header(const struct message *m, uint8_t out[MESSAGE_HEADER_SIZE])
{
	struct wire_header header = {
	    .type = (uint32_t)m->type,
	    .incarnation = m->incarnation,
	    .number = m->number,
	    .length = (uint32_t)m->len,
	};

	memcpy(out, &header, sizeof(header));
}

int message_decode(struct message *out, const void *data, size_t len)
{
	struct wire_header header;

	if (len < sizeof(header) || len > MESSAGE_SIZE_MAX)
		return -1;
	memcpy(&header, data, sizeof(header));
	if (header.length != len - sizeof(header) || header.reserved != 0)
		return -1;
	if (header.type == MESSAGE_NONE || header.type >= MESSAGE_COUNT)
		return -1;
	out->type = (enum message_type)header.type;
	out->incarnation = header.incarnation;
	out->number = header.number;
	out->payload = (const uint8_t *)data + sizeof(header);
	out->len = header.length;
	return 0;
}

int message_pair(int pair_out[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair_out);
}

static void attach_fd(struct msghdr *msg, union control_space *space, int fd)
{
	struct cmsghdr *cmsg;

	memset(space, 0, sizeof(*space));
	msg->msg_control = space->bytes;
	msg->msg_controllen = sizeof(space->bytes);
	cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
}

enum message_result message_send(int fd, const struct message *m, int pass_fd)
{
	uint8_t header[MESSAGE_HEADER_SIZE];
	struct iovec parts[2] = {{.iov_base = header, .iov_len = sizeof(header)}};
	struct msghdr msg = {.msg_iov = parts, .msg_iovlen = m->len ? 2 : 1};
	union control_space space;
	ssize_t n;

	if (m->len > MESSAGE_PAYLOAD_MAX)
		return MESSAGE_GONE;
	message_encode_header(m, header);
	/* iovec has no const; sendmsg only reads. */
	memcpy(&parts[1].iov_base, &m->payload, sizeof(parts[1].iov_base));
	parts[1].iov_len = m->len;
	if (pass_fd >= 0)
		attach_fd(&msg, &space, pass_fd);
	do
		n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return MESSAGE_OK;
	return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? MESSAGE_AGAIN : MESSAGE_GONE;
}

static int detach_fd(struct msghdr *msg)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
	int fd = -1;

	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS &&
	    cmsg->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

enum message_result message_receive(int fd, struct message *out, void *buffer, int *fd_out)
{
	struct iovec part = {.iov_base = buffer, .iov_len = MESSAGE_SIZE_MAX};
	union control_space space;
	struct msghdr msg = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = space.bytes, .msg_controllen = sizeof(space.bytes)};
	int passed;
	ssize_t n;

	if (fd_out)
		*fd_out = -1;
	/* A peer that closed without having read everything leaves ECONNRESET, once, in front of what it had sent: a
	 * killed worker's last records are still behind it. */
	do
		n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return errno == EAGAIN ? MESSAGE_AGAIN : MESSAGE_GONE;
	passed = detach_fd(&msg);
	if (n == 0 || (msg.msg_flags & MSG_TRUNC) || message_decode(out, buffer, (size_t)n) < 0) {
		if (passed >= 0)
			close(passed);
		return MESSAGE_GONE;
	}
	if (fd_out)
		*fd_out = passed;
	else if (passed >= 0)
		close(passed);
	return MESSAGE_OK;
}

/* SPDX-License-Identifier: MIT */
/*
 * Starts connections to given addresses, TCP or Unix sockets, without waiting for them. A Unix socket either takes the
 * connection at once or not at all: EAGAIN there means that the listener's backlog is full, and is a failure.
 */
#include "net/dialer.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/socket.h"

static const char *hint(const struct addr *to, int error)
{
	switch (error) {
	case EAGAIN:
		return addr_is_unix(to) ? ": its backlog is full" : ": no routing or port entry is free";
	case EADDRNOTAVAIL:
		return ": every local port is taken (net.ipv4.ip_local_port_range)";
	case EMFILE:
	case ENFILE:
		return ": too few descriptors (systemd: LimitNOFILE=)";
	default:
		return "";
	}
}

void dialer_explain(const struct addr *to, int error, struct errbuf *err)
{
	char text[ADDR_TEXT_SIZE];

	addr_text(to, text);
	errbuf_set(err, "cannot connect to %s: %s%s", text, strerrordesc_np(error), hint(to, error));
}

static int failed(const struct addr *to, int error, struct errbuf *err)
{
	dialer_explain(to, error, err);
	return -1;
}

int dialer_start(const struct addr *to, struct errbuf *err)
{
	int fd, error;

	if (to->len == 0) {
		errbuf_set(err, "no address to connect to");
		return -1;
	}
	fd = socket(to->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return failed(to, errno, err);
	if (!addr_is_unix(to))
		socket_set_options(fd);
	/* An interrupted connect goes on by itself, like one in progress. */
	if (connect(fd, (const struct sockaddr *)&to->ss, to->len) == 0 || errno == EINPROGRESS || errno == EINTR)
		return fd;
	error = errno;
	(void)close(fd);
	return failed(to, error, err);
}

/*
 * With nobody listening on a local port of the ephemeral range, the kernel may choose that very port as our own and
 * connect the socket to itself: everything sent would come back as if a server had said it.
 */
static bool is_self_connected(int fd)
{
	struct addr peer, own;
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);

	if (getpeername(fd, (struct sockaddr *)&ss, &len) || (ss.ss_family != AF_INET && ss.ss_family != AF_INET6))
		return false;
	addr_from_sockaddr(&peer, (const struct sockaddr *)&ss, len);
	len = sizeof(ss);
	if (getsockname(fd, (struct sockaddr *)&ss, &len))
		return false;
	addr_from_sockaddr(&own, (const struct sockaddr *)&ss, len);
	return addr_equal(&peer, &own);
}

int dialer_result(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
		return errno;
	if (error == 0 && is_self_connected(fd))
		return ECONNREFUSED;
	return error;
}

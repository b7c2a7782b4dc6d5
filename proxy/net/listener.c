/* SPDX-License-Identifier: MIT */
/*
 * Makes listening sockets. One for each worker slot and listener, all with SO_REUSEPORT, so that the kernel spreads
 * connections and a slot's queue outlives the worker that served it. Failures come with their remedy: this is the text
 * an operator sees when the proxy does not start.
 */
#include "net/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096 /* cut by net.core.somaxconn */
#define PRIVILEGED_PORTS 1024

static const char *remedy(const struct addr *address, int error)
{
	switch (error) {
	case EADDRINUSE:
		return ": another program listens there (see `ss -ltnp`)";
	case EADDRNOTAVAIL:
		return ": this machine does not have that address";
	case EACCES:
	case EPERM:
		if (addr_port(address) < PRIVILEGED_PORTS)
			return ": ports below 1024 need root or CAP_NET_BIND_SERVICE (systemd: "
			       "AmbientCapabilities=CAP_NET_BIND_SERVICE)";
		return "";
	case EAFNOSUPPORT:
		return ": this machine has no IPv6; listen on 0.0.0.0 instead";
	case EMFILE:
	case ENFILE:
		return ": too few descriptors (systemd: LimitNOFILE=)";
	default:
		return "";
	}
}

static int failed(const struct addr *address, int error, struct errbuf *err)
{
	char text[ADDR_TEXT_SIZE];

	addr_text(address, text);
	errbuf_set(err, "cannot listen on %s: %s%s", text, strerrordesc_np(error), remedy(address, error));
	return -1;
}

static int set_flag(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

static int bind_to(int fd, const struct addr *address)
{
	/* Whatever net.ipv6.bindv6only says: [::] takes IPv4 too, and only [::] does. */
	if (address->ss.ss_family == AF_INET6 && set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, !addr_is_any(address)))
		return -1;
	return bind(fd, (const struct sockaddr *)&address->ss, address->len);
}

static int new_socket(const struct addr *address, struct errbuf *err)
{
	if (address->len == 0 || addr_is_unix(address)) {
		errbuf_set(err, "a listener needs HOST:PORT");
		return -1;
	}
	int fd = socket(address->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return fd < 0 ? failed(address, errno, err) : fd;
}

int listener_probe(const struct addr *address, struct errbuf *err)
{
	int fd = new_socket(address, err);

	if (fd < 0)
		return -1;
	/* Bound and not listening: no client can end up here. */
	int error = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1) || bind_to(fd, address) ? errno : 0;
	(void)close(fd);
	return error != 0 ? failed(address, error, err) : 0;
}

int listener_bind(const struct addr *address, struct errbuf *err)
{
	int fd = new_socket(address, err);

	if (fd < 0)
		return -1;
	if (set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0 && set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0 &&
	    bind_to(fd, address) == 0)
		return fd;
	int error = errno;
	(void)close(fd);
	return failed(address, error, err);
}

int listener_listen(int fd, const struct addr *address, struct errbuf *err)
{
	return listen(fd, BACKLOG) != 0 ? failed(address, errno, err) : 0;
}

int listener_open(const struct addr *address, struct errbuf *err)
{
	int fd = listener_bind(address, err);

	if (fd < 0 || listener_listen(fd, address, err) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* SPDX-License-Identifier: MIT */
/* Asks netfilter where a redirected connection was going (NEG-34). */
#include "net/intercept.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST of the kernel's headers, which do not go together with the C library's. */
#define ORIGINAL_DESTINATION 80

static int own_address(int fd, struct addr *out)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -1;
	addr_from_sockaddr(out, (const struct sockaddr *)&ss, len);
	return 0;
}

/* Netfilter knows a connection by the family of its packets, whatever the family of our socket. */
static bool is_ipv4(const struct addr *own)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&own->ss;

	return own->ss.ss_family == AF_INET || (own->ss.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr));
}

static bool same_place(const struct addr *a, const struct addr *b)
{
	uint8_t x[16], y[16];

	return addr_bytes(a, x) && addr_bytes(b, y) && memcmp(x, y, sizeof(x)) == 0 && addr_port(a) == addr_port(b);
}

static const char *explain(int error)
{
	switch (error) {
	case ENOPROTOOPT:
		return "the kernel tracks no connections: is nf_conntrack loaded, and a REDIRECT rule in place?";
	case ENOENT:
		return "the kernel does not track this connection (a NOTRACK rule?)";
	default:
		return strerrordesc_np(error);
	}
}

enum intercept_result intercept_destination(int fd, struct addr *out, struct errbuf *err)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	struct addr own;

	*out = (struct addr){0};
	if (own_address(fd, &own) < 0 ||
	    getsockopt(fd, is_ipv4(&own) ? IPPROTO_IP : IPPROTO_IPV6, ORIGINAL_DESTINATION, &ss, &len) < 0) {
		errbuf_set(err, "no original destination: %s", explain(errno));
		return INTERCEPT_FAILED;
	}
	addr_from_sockaddr(out, (const struct sockaddr *)&ss, len);
	return same_place(&own, out) ? INTERCEPT_DIRECT : INTERCEPT_FOUND;
}

/* SPDX-License-Identifier: MIT */
/*
 * Socket addresses as text and back, numeric only. An IPv4-mapped IPv6 address is shown, compared with networks and
 * counted as the IPv4 address it stands for: a dual-stack listener must not make one client look like two.
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == 108, "paths are at most 107 bytes");

static sa_family_t family(const struct addr *a)
{
	return a->len ? a->ss.ss_family : AF_UNSPEC;
}

static const struct sockaddr_in *as_in(const struct addr *a)
{
	return (const struct sockaddr_in *)&a->ss;
}

static const struct sockaddr_in6 *as_in6(const struct addr *a)
{
	return (const struct sockaddr_in6 *)&a->ss;
}

static const char *unix_path(const struct addr *a)
{
	return ((const struct sockaddr_un *)&a->ss)->sun_path;
}

static bool parse_port(const char *text, bool allow_0, uint16_t *out)
{
	unsigned port = 0;
	const char *p;

	for (p = text; *p >= '0' && *p <= '9' && p - text < 5; p++)
		port = port * 10 + (unsigned)(*p - '0');
	if (p == text || *p || port > 65535 || (text[0] == '0' && p - text > 1) || (!port && !allow_0))
		return false;
	*out = htons((uint16_t)port);
	return true;
}

static int parse_unix(struct addr *out, const char *path, const char **why)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&out->ss;
	size_t len = strlen(path);

	if (!len || len >= sizeof(un->sun_path)) {
		*why =
		    len ? "the path of a Unix socket has at most 107 bytes" : "the path of the Unix socket is missing";
		return -1;
	}
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, len + 1);
	out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	return 0;
}

static int parse_host(struct addr *out, const char *host, bool bracketed, uint16_t port, const char **why)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->ss;
	struct sockaddr_in *in = (struct sockaddr_in *)&out->ss;

	if (bracketed && inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = port;
		out->len = sizeof(*in6);
		return 0;
	}
	if (!bracketed && inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = port;
		out->len = sizeof(*in);
		return 0;
	}
	*why = bracketed ? "in the brackets there must be an IPv6 address"
			 : "the host must be a numeric address, with an IPv6 address in brackets";
	return -1;
}

int addr_parse(struct addr *out, const char *text, bool allow_port_0, const char **why_out)
{
	bool bracketed = text[0] == '[';
	const char *host = bracketed ? text + 1 : text;
	const char *end = bracketed ? strchr(text, ']') : strrchr(text, ':');
	char copy[INET6_ADDRSTRLEN];
	uint16_t port;
	size_t len;

	*out = (struct addr){0};
	if (!strncmp(text, "unix:", 5))
		return parse_unix(out, text + 5, why_out);
	if (!end || (bracketed && end[1] != ':')) {
		*why_out = "an address is HOST:PORT, [IPV6]:PORT or unix:PATH";
		return -1;
	}
	if (!parse_port(bracketed ? end + 2 : end + 1, allow_port_0, &port)) {
		*why_out = "the port must be a number from 1 to 65535";
		return -1;
	}
	len = (size_t)(end - host);
	/* A host too long to be an address fails as an empty one does. */
	if (len >= sizeof(copy))
		len = 0;
	memcpy(copy, host, len);
	copy[len] = '\0';
	return parse_host(out, copy, bracketed, port, why_out);
}

void addr_from_sockaddr(struct addr *out, const struct sockaddr *sa, socklen_t len)
{
	*out = (struct addr){0};
	if (len > sizeof(out->ss))
		len = sizeof(out->ss);
	memcpy(&out->ss, sa, len);
	out->len = len;
	if ((family(out) == AF_INET && len < sizeof(struct sockaddr_in)) ||
	    (family(out) == AF_INET6 && len < sizeof(struct sockaddr_in6)))
		*out = (struct addr){0};
}

/* The 16 bytes by which addresses of both families are compared; false where there are none. */
static bool mapped_bytes(const struct addr *a, uint8_t out[16])
{
	static const uint8_t prefix[12] = {[10] = 0xFF, [11] = 0xFF};

	if (family(a) == AF_INET6) {
		memcpy(out, &as_in6(a)->sin6_addr, 16);
		return true;
	}
	if (family(a) != AF_INET)
		return false;
	memcpy(out, prefix, sizeof(prefix));
	memcpy(out + 12, &as_in(a)->sin_addr, 4);
	return true;
}

bool addr_bytes(const struct addr *a, uint8_t out[16])
{
	return mapped_bytes(a, out);
}

static bool is_mapped(const uint8_t bytes[16])
{
	static const uint8_t prefix[12] = {[10] = 0xFF, [11] = 0xFF};

	return !memcmp(bytes, prefix, sizeof(prefix));
}

void addr_host(const struct addr *a, char out[ADDR_TEXT_SIZE])
{
	uint8_t bytes[16];

	out[0] = '\0';
	if (addr_is_unix(a)) {
		(void)snprintf(out, ADDR_TEXT_SIZE, "unix:%.108s", unix_path(a));
		return;
	}
	if (!mapped_bytes(a, bytes))
		return;
	if (is_mapped(bytes))
		(void)inet_ntop(AF_INET, bytes + 12, out, ADDR_TEXT_SIZE);
	else
		(void)inet_ntop(AF_INET6, bytes, out, ADDR_TEXT_SIZE);
}

void addr_text(const struct addr *a, char out[ADDR_TEXT_SIZE])
{
	char host[ADDR_TEXT_SIZE];

	addr_host(a, host);
	if (addr_is_unix(a) || !host[0])
		memcpy(out, host, sizeof(host));
	else
		(void)snprintf(out, ADDR_TEXT_SIZE, strchr(host, ':') ? "[%.64s]:%u" : "%.64s:%u", host, addr_port(a));
}

uint16_t addr_port(const struct addr *a)
{
	if (family(a) == AF_INET)
		return ntohs(as_in(a)->sin_port);
	return family(a) == AF_INET6 ? ntohs(as_in6(a)->sin6_port) : 0;
}

bool addr_is_unix(const struct addr *a)
{
	return family(a) == AF_UNIX;
}

bool addr_is_local(const struct addr *a)
{
	static const uint8_t loopback[16] = {[15] = 1};
	uint8_t bytes[16];

	if (addr_is_unix(a))
		return true;
	if (!mapped_bytes(a, bytes))
		return false;
	return is_mapped(bytes) ? bytes[12] == 127 : !memcmp(bytes, loopback, 16);
}

bool addr_is_any(const struct addr *a)
{
	static const uint8_t zero[16];
	uint8_t bytes[16];

	if (!mapped_bytes(a, bytes))
		return false;
	return is_mapped(bytes) ? !memcmp(bytes + 12, zero, 4) : !memcmp(bytes, zero, 16);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	uint8_t x[16], y[16];

	if (family(a) != family(b))
		return false;
	if (addr_is_unix(a))
		return !strncmp(unix_path(a), unix_path(b), 108);
	if (!mapped_bytes(a, x) || !mapped_bytes(b, y))
		return a->len == 0;
	if (family(a) == AF_INET6 && as_in6(a)->sin6_scope_id != as_in6(b)->sin6_scope_id)
		return false;
	return !memcmp(x, y, 16) && addr_port(a) == addr_port(b);
}

/* any binds every address that b could be. */
static bool any_covers(const struct addr *any, const struct addr *b)
{
	uint8_t x[16], y[16];

	if (!addr_is_any(any) || !mapped_bytes(any, x) || !mapped_bytes(b, y))
		return false;
	return !is_mapped(x) || is_mapped(y);
}

bool addr_clashes(const struct addr *a, const struct addr *b)
{
	uint8_t x[16], y[16];

	if (!mapped_bytes(a, x) || !mapped_bytes(b, y))
		return addr_equal(a, b);
	/* Port 0 is a new port each time. */
	if (addr_port(a) != addr_port(b) || !addr_port(a))
		return false;
	return !memcmp(x, y, 16) || any_covers(a, b) || any_covers(b, a);
}

struct addr_key addr_limit_key(const struct addr *a)
{
	struct addr_key key = {{0}};

	if (addr_is_unix(a)) {
		key.bytes[15] = 2;
		return key;
	}
	if (!mapped_bytes(a, key.bytes) || is_mapped(key.bytes))
		return key;
	/* One subscriber has a /64 to himself (RFC 6177): more bits would let him count as thousands. */
	memset(key.bytes + 8, 0, 8);
	key.bytes[15] = 1;
	return key;
}

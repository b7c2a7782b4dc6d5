/* SPDX-License-Identifier: MIT */
/*
 * Networks of the configuration. IPv4 is kept as mapped IPv6 so that one comparison serves both, but an IPv6 network
 * shorter than the mapped prefix never takes IPv4 in: `::/0` believed for every IPv4 client would be a surprise.
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static bool parse_bits(const char *text, unsigned most, unsigned *out)
{
	unsigned bits = 0;
	const char *p;

	for (p = text; *p >= '0' && *p <= '9' && p - text < 3; p++)
		bits = bits * 10 + (unsigned)(*p - '0');
	if (p == text || *p || bits > most || (text[0] == '0' && p - text > 1))
		return false;
	*out = bits;
	return true;
}

static bool host_bits_are_zero(const struct cidr *net)
{
	unsigned bit;

	for (bit = net->bits; bit < 128; bit++)
		if (net->bytes[bit / 8] & (0x80U >> bit % 8))
			return false;
	return true;
}

/* The address part of text, len bytes; the width of its family in bits, 0 when it is none. */
static unsigned parse_address(struct cidr *out, const char *text, size_t len)
{
	char host[INET6_ADDRSTRLEN];

	if (len >= sizeof(host))
		return 0;
	memcpy(host, text, len);
	host[len] = '\0';
	if (inet_pton(AF_INET6, host, out->bytes) == 1)
		return 128;
	memset(out->bytes, 0, 10);
	memset(out->bytes + 10, 0xFF, 2);
	return inet_pton(AF_INET, host, out->bytes + 12) == 1 ? 32 : 0;
}

int cidr_parse(struct cidr *out, const char *text, const char **why_out)
{
	const char *slash = strchr(text, '/');
	unsigned width, bits;

	*out = (struct cidr){0};
	width = parse_address(out, text, slash ? (size_t)(slash - text) : strlen(text));
	if (!width) {
		*why_out = "a network is a numeric address, or one with /BITS behind it";
		return -1;
	}
	bits = width;
	if (slash && !parse_bits(slash + 1, width, &bits)) {
		*why_out = width == 32 ? "/BITS must be 0 to 32 here" : "/BITS must be 0 to 128 here";
		return -1;
	}
	out->bits = bits + 128 - width;
	if (!host_bits_are_zero(out)) {
		*why_out = "the address has bits set beyond /BITS";
		return -1;
	}
	return 0;
}

static bool address_bytes(const struct addr *a, uint8_t out[16], bool *is_ipv4)
{
	struct in6_addr in6 = {0};

	if (!a->len)
		return false;
	if (a->ss.ss_family == AF_INET6) {
		in6 = ((const struct sockaddr_in6 *)&a->ss)->sin6_addr;
	} else if (a->ss.ss_family == AF_INET) {
		in6.s6_addr[10] = in6.s6_addr[11] = 0xFF;
		memcpy(&in6.s6_addr[12], &((const struct sockaddr_in *)&a->ss)->sin_addr, 4);
	} else {
		return false;
	}
	*is_ipv4 = IN6_IS_ADDR_V4MAPPED(&in6);
	memcpy(out, &in6, 16);
	return true;
}

bool cidr_contains(const struct cidr *net, const struct addr *a)
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;
	uint8_t bytes[16];
	bool is_ipv4;

	if (!address_bytes(a, bytes, &is_ipv4) || (is_ipv4 && net->bits < 96))
		return false;
	if (memcmp(bytes, net->bytes, whole))
		return false;
	return !rest || !((bytes[whole] ^ net->bytes[whole]) & (0xFF00U >> rest & 0xFF));
}

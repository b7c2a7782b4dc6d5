/* SPDX-License-Identifier: MIT */
/*
 * Reads PROXY headers. Every byte is judged as it comes, so that what is no header is known at its first wrong byte,
 * nothing behind the header is ever taken, and no length that a peer states is believed before it is within bounds.
 * Strict where the specification leaves a choice: what cannot be understood ends the connection.
 */
#include "net/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "net/proxy_protocol_private.h"

#define V1_START "PROXY "
#define V1_START_LEN 6
#define V1_MAX 107 /* section 2.1: with its line end */
#define V2_BODY_MAX 2048

struct proxy_parser {
	struct proxy_header header;
	const char *why;
	size_t len;
	unsigned char data[V2_FIXED_LEN + V2_BODY_MAX];
};

struct proxy_parser *proxy_parser_new(void)
{
	return mem_zalloc(sizeof(struct proxy_parser));
}

void proxy_parser_free(struct proxy_parser **parser)
{
	mem_free(*parser);
	*parser = NULL;
}

bool proxy_parser_begun(const struct proxy_parser *p)
{
	return p->len > 0;
}

const struct proxy_header *proxy_parser_header(const struct proxy_parser *p)
{
	return &p->header;
}

const char *proxy_parser_why(const struct proxy_parser *p)
{
	return p->why;
}

static enum proxy_result malformed(struct proxy_parser *p, const char *why)
{
	p->why = why;
	return PROXY_MALFORMED;
}

static unsigned be16(const unsigned char *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

/* port in network order, as both versions of the header and sockaddr have it. */
static void set_in(struct addr *out, const void *bytes, in_port_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};

	memcpy(&in.sin_addr, bytes, sizeof(in.sin_addr));
	addr_from_sockaddr(out, (const struct sockaddr *)&in, sizeof(in));
}

static void set_in6(struct addr *out, const void *bytes, in_port_t port)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};

	memcpy(&in6.sin6_addr, bytes, sizeof(in6.sin6_addr));
	addr_from_sockaddr(out, (const struct sockaddr *)&in6, sizeof(in6));
}

static void set_unix(struct addr *out, const unsigned char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	memcpy(un.sun_path, path, V2_PATH_LEN);
	addr_from_sockaddr(out, (const struct sockaddr *)&un, sizeof(un));
}

/* The next of the fields that exactly one space divides; NULL when there is none. */
static char *next_field(char **rest)
{
	char *field = *rest, *space;

	if (field == NULL)
		return NULL;
	space = strchr(field, ' ');
	*rest = space != NULL ? space + 1 : NULL;
	if (space != NULL)
		*space = '\0';
	return field;
}

static bool parse_port(const char *text, in_port_t *out)
{
	unsigned port = 0;
	size_t len = strlen(text);

	if (len == 0 || len > 5 || (text[0] == '0' && len > 1) || strspn(text, "0123456789") != len)
		return false;
	for (const char *p = text; *p != '\0'; p++)
		port = port * 10 + (unsigned)(*p - '0');
	*out = htons((uint16_t)port);
	return port <= UINT16_MAX;
}

/* inet_pton takes no leading zero in IPv4 and no scope in IPv6: what section 2.1 forbids. */
static bool parse_end(struct addr *out, int family, const char *host, const char *port_text)
{
	unsigned char bytes[sizeof(struct in6_addr)];
	in_port_t port;

	if (inet_pton(family, host, bytes) != 1 || !parse_port(port_text, &port))
		return false;
	if (family == AF_INET)
		set_in(out, bytes, port);
	else
		set_in6(out, bytes, port);
	return true;
}

static enum proxy_result parse_v1_addresses(struct proxy_parser *p, int family, char *rest)
{
	char *source = next_field(&rest), *destination = next_field(&rest);
	char *source_port = next_field(&rest), *destination_port = next_field(&rest);

	if (destination_port == NULL || rest != NULL)
		return malformed(p, "a version 1 header has two addresses and two ports");
	if (!parse_end(&p->header.source, family, source, source_port) ||
	    !parse_end(&p->header.destination, family, destination, destination_port))
		return malformed(p, "an address or port in it is none");
	return PROXY_COMPLETE;
}

/* The line is whole, up to and with its LF. */
static enum proxy_result parse_v1(struct proxy_parser *p)
{
	char *line = (char *)p->data + V1_START_LEN;

	if (p->data[p->len - 2] != '\r')
		return malformed(p, "its line does not end in CRLF");
	p->data[p->len - 2] = '\0';
	if (strlen(line) != p->len - 2 - V1_START_LEN)
		return malformed(p, "a NUL byte in its line");
	if (strncmp(line, "TCP4 ", 5) == 0)
		return parse_v1_addresses(p, AF_INET, line + 5);
	if (strncmp(line, "TCP6 ", 5) == 0)
		return parse_v1_addresses(p, AF_INET6, line + 5);
	/* Section 2.1: whatever stands behind UNKNOWN is passed over. */
	if (strcmp(line, "UNKNOWN") == 0 || strncmp(line, "UNKNOWN ", 8) == 0)
		return PROXY_COMPLETE;
	return malformed(p, "its protocol is none of TCP4, TCP6, UNKNOWN");
}

static enum proxy_result judge_v1(struct proxy_parser *p)
{
	size_t start = p->len < V1_START_LEN ? p->len : V1_START_LEN;

	if (memcmp(p->data, V1_START, start) != 0)
		return malformed(p, "there is none");
	if (p->data[p->len - 1] == '\n')
		return parse_v1(p);
	return p->len < V1_MAX ? PROXY_MORE : malformed(p, "its line is longer than 107 bytes");
}

/* Taken over the whole header with the checksum's own place zero. */
static bool checksum_holds(struct proxy_parser *p, size_t at)
{
	const unsigned char *said = p->data + at;
	uint32_t wanted = (uint32_t)be16(said) << 16 | be16(said + 2);

	memset(p->data + at, 0, CRC32C_LEN);
	return crc32c(p->data, p->len) == wanted;
}

static enum proxy_result walk_tlvs(struct proxy_parser *p, size_t at)
{
	while (at < p->len) {
		size_t left = p->len - at, size = left >= TLV_FIXED_LEN ? be16(p->data + at + 1) : left;

		if (left < TLV_FIXED_LEN || size > left - TLV_FIXED_LEN)
			return malformed(p, "an extension in it is cut off");
		if (p->data[at] == TLV_CRC32C && (size != CRC32C_LEN || !checksum_holds(p, at + TLV_FIXED_LEN)))
			return malformed(p, "its checksum is wrong");
		at += TLV_FIXED_LEN + size;
	}
	return PROXY_COMPLETE;
}

static size_t addresses_len(enum v2_family family)
{
	switch (family) {
	case V2_TCP4:
		return V2_TCP4_LEN;
	case V2_TCP6:
		return V2_TCP6_LEN;
	case V2_UNIX:
		return V2_UNIX_LEN;
	case V2_UNSPEC:
		break;
	}
	return 0;
}

static in_port_t port_at(const unsigned char *at)
{
	return htons((uint16_t)be16(at));
}

static void take_addresses(struct proxy_parser *p, enum v2_family family)
{
	const unsigned char *at = p->data + V2_FIXED_LEN;
	struct proxy_header *h = &p->header;

	switch (family) {
	case V2_TCP4:
		set_in(&h->source, at, port_at(at + 8));
		set_in(&h->destination, at + 4, port_at(at + 10));
		return;
	case V2_TCP6:
		set_in6(&h->source, at, port_at(at + 32));
		set_in6(&h->destination, at + 16, port_at(at + 34));
		return;
	case V2_UNIX:
		set_unix(&h->source, at);
		set_unix(&h->destination, at + V2_PATH_LEN);
		return;
	case V2_UNSPEC:
		return;
	}
}

/* All the bytes that its length announced are there. */
static enum proxy_result parse_v2(struct proxy_parser *p)
{
	enum v2_family family = (enum v2_family)p->data[13];
	size_t size = addresses_len(family);

	/* Section 2.2: a connection that the proxy opened for itself; what else the block says is discarded. */
	if (p->data[12] == V2_LOCAL)
		return PROXY_COMPLETE;
	if (p->len - V2_FIXED_LEN < size)
		return malformed(p, "its addresses are cut off");
	take_addresses(p, family);
	return walk_tlvs(p, V2_FIXED_LEN + size);
}

/* A connection-oriented client behind us: datagrams and numbers the specification has not given out are refused. */
static bool is_family(const struct proxy_parser *p)
{
	int f = p->data[13];

	return p->data[12] == V2_LOCAL || f == V2_UNSPEC || f == V2_TCP4 || f == V2_TCP6 || f == V2_UNIX;
}

static enum proxy_result judge_v2(struct proxy_parser *p)
{
	size_t start = p->len < V2_SIGNATURE_LEN ? p->len : V2_SIGNATURE_LEN;

	if (memcmp(p->data, V2_SIGNATURE, start) != 0)
		return malformed(p, "there is none");
	if (p->len == 13 && p->data[12] != V2_LOCAL && p->data[12] != V2_PROXY)
		return malformed(p, "its version or command is unknown");
	if (p->len == 14 && !is_family(p))
		return malformed(p, "its address family or transport cannot be used");
	if (p->len < V2_FIXED_LEN)
		return PROXY_MORE;
	size_t body = be16(p->data + 14);
	if (body > V2_BODY_MAX)
		return malformed(p, "it is longer than 2048 bytes");
	return p->len < V2_FIXED_LEN + body ? PROXY_MORE : parse_v2(p);
}

enum proxy_result proxy_parser_feed(struct proxy_parser *p, const void *data, size_t len, size_t *used_out)
{
	const unsigned char *bytes = data;
	enum proxy_result result = PROXY_MORE;
	size_t used = 0;

	while (used < len && result == PROXY_MORE) {
		p->data[p->len++] = bytes[used++];
		result = p->data[0] == V1_START[0] ? judge_v1(p) : judge_v2(p);
	}
	*used_out = used;
	return result;
}

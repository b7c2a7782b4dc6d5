/* SPDX-License-Identifier: MIT */
/*
 * The PROXY protocol, versions 1 and 2: the header by which a proxy in front tells who the client is, read and written.
 * Whether a header is to be believed is the caller's business.
 */
#ifndef PROXY_NET_PROXY_PROTOCOL_H
#define PROXY_NET_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/strbuf.h"

/* What a header says. len 0: it tells no address (LOCAL, UNKNOWN, UNSPEC), the connection's own holds. */
struct proxy_header {
	struct addr source;
	struct addr destination;
};

enum proxy_result { PROXY_MORE, PROXY_COMPLETE, PROXY_MALFORMED };

struct proxy_parser;

struct proxy_parser *proxy_parser_new(void);
void proxy_parser_free(struct proxy_parser **parser);
/*
 * Takes bytes, however they are split. *used_out: how many of them belong to the header; the rest is the client's. Not
 * to be called again after COMPLETE or MALFORMED.
 */
enum proxy_result proxy_parser_feed(struct proxy_parser *parser, const void *data, size_t len, size_t *used_out);
/* Has a first byte come? */
bool proxy_parser_begun(const struct proxy_parser *parser);
/* After COMPLETE. Lives as long as the parser. */
const struct proxy_header *proxy_parser_header(const struct proxy_parser *parser);
/* After MALFORMED: what is wrong, in plain words without a byte of the peer's. */
const char *proxy_parser_why(const struct proxy_parser *parser);

/* What version 2 tells besides the addresses. A text that is NULL or "" is left out. */
struct proxy_tlvs {
	const char *alpn;
	const char *authority;   /* the server name the client asked for */
	const char *tls_version; /* "TLSv1.3"; none: the client's connection is not TLS, and nothing of TLS is said */
	const char *cipher;
	bool client_certificate; /* the client presented one in this TLS session */
	bool full_handshake;     /* on this very connection, not on one that it resumes */
	bool client_verified;
	const char *client_name; /* the common name in it */
	bool checksum;           /* CRC-32C over all of it */
};

/*
 * Appends a header. Two IPv4 addresses, also as IPv4-mapped IPv6, make it TCP4; any IPv6 among them TCP6; without two
 * of these it is UNKNOWN (UNSPEC): the receiver then takes the connection's own addresses.
 */
void proxy_header_write_v1(struct strbuf *out, const struct addr *source, const struct addr *destination);
void proxy_header_write_v2(struct strbuf *out, const struct addr *source, const struct addr *destination,
			   const struct proxy_tlvs *tlvs);

#endif

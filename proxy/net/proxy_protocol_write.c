/* SPDX-License-Identifier: MIT */
/*
 * Writes PROXY headers. Nothing of what goes into one was chosen by the client but the server name and its
 * certificate's common name, and both stand behind a length, never in the line of version 1.
 */
#include "net/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/crc32c.h"
#include "net/proxy_protocol_private.h"

/* Both ends as one family: what a header can say. */
struct ends {
	enum v2_family family;
	uint8_t source[16], destination[16]; /* IPv4 as mapped IPv6 */
	uint16_t source_port, destination_port;
};

static bool is_mapped(const uint8_t bytes[16])
{
	return IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)bytes);
}

static void find_ends(struct ends *ends, const struct addr *source, const struct addr *destination)
{
	memset(ends, 0, sizeof(*ends));
	if (!addr_bytes(source, ends->source) || !addr_bytes(destination, ends->destination))
		return;
	ends->source_port = addr_port(source);
	ends->destination_port = addr_port(destination);
	ends->family = is_mapped(ends->source) && is_mapped(ends->destination) ? V2_TCP4 : V2_TCP6;
}

static void host_text(const struct ends *ends, const uint8_t bytes[16], char out[INET6_ADDRSTRLEN])
{
	bool four = ends->family == V2_TCP4;

	out[0] = '\0';
	(void)inet_ntop(four ? AF_INET : AF_INET6, four ? bytes + 12 : bytes, out, INET6_ADDRSTRLEN);
}

void proxy_header_write_v1(struct strbuf *out, const struct addr *source, const struct addr *destination)
{
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
	struct ends ends;

	find_ends(&ends, source, destination);
	if (ends.family == V2_UNSPEC) {
		strbuf_puts(out, "PROXY UNKNOWN\r\n");
		return;
	}
	host_text(&ends, ends.source, from);
	host_text(&ends, ends.destination, to);
	strbuf_printf(out, "PROXY %s %s %s %u %u\r\n", ends.family == V2_TCP4 ? "TCP4" : "TCP6", from, to,
		      ends.source_port, ends.destination_port);
}

static void put_byte(struct strbuf *out, unsigned value)
{
	unsigned char byte = (unsigned char)value;

	strbuf_add(out, &byte, 1);
}

static void put_16(struct strbuf *out, size_t value)
{
	put_byte(out, (unsigned)(value >> 8));
	put_byte(out, (unsigned)value & 0xFF);
}

static void put_32(struct strbuf *out, uint32_t value)
{
	put_16(out, value >> 16);
	put_16(out, value & 0xFFFF);
}

/* Lengths are known when the end is: these go back for them. */
static void set_16(struct strbuf *out, size_t at, size_t value)
{
	out->data[at] = (char)(value >> 8);
	out->data[at + 1] = (char)(value & 0xFF);
}

static void put_text(struct strbuf *out, enum v2_tlv type, const char *text)
{
	if (text == NULL || text[0] == '\0')
		return;
	put_byte(out, type);
	put_16(out, strlen(text));
	strbuf_puts(out, text);
}

static unsigned client_flags(const struct proxy_tlvs *tlvs)
{
	unsigned flags = CLIENT_SSL;

	if (tlvs->client_certificate)
		flags |= CLIENT_CERT_SESS;
	if (tlvs->client_certificate && tlvs->full_handshake)
		flags |= CLIENT_CERT_CONN;
	return flags;
}

static void put_tls(struct strbuf *out, const struct proxy_tlvs *tlvs)
{
	size_t begin = out->len;

	if (tlvs->tls_version == NULL || tlvs->tls_version[0] == '\0')
		return;
	put_byte(out, TLV_SSL);
	put_16(out, 0);
	put_byte(out, client_flags(tlvs));
	/* Section 2.2.6: zero only where a certificate was presented and verified. */
	put_32(out, tlvs->client_certificate && tlvs->client_verified ? 0 : 1);
	put_text(out, TLV_SSL_VERSION, tlvs->tls_version);
	if (tlvs->client_certificate)
		put_text(out, TLV_SSL_CN, tlvs->client_name);
	put_text(out, TLV_SSL_CIPHER, tlvs->cipher);
	set_16(out, begin + 1, out->len - begin - TLV_FIXED_LEN);
}

static void put_addresses(struct strbuf *out, const struct ends *ends)
{
	size_t skip = ends->family == V2_TCP4 ? 12 : 0;

	if (ends->family == V2_UNSPEC)
		return;
	strbuf_add(out, ends->source + skip, 16 - skip);
	strbuf_add(out, ends->destination + skip, 16 - skip);
	put_16(out, ends->source_port);
	put_16(out, ends->destination_port);
}

static void finish(struct strbuf *out, size_t begin, bool checksum)
{
	if (checksum) {
		put_byte(out, TLV_CRC32C);
		put_16(out, CRC32C_LEN);
		put_32(out, 0);
	}
	set_16(out, begin + V2_FIXED_LEN - 2, out->len - begin - V2_FIXED_LEN);
	if (!checksum)
		return;
	uint32_t crc = crc32c(out->data + begin, out->len - begin);
	set_16(out, out->len - 4, crc >> 16);
	set_16(out, out->len - 2, crc & 0xFFFF);
}

void proxy_header_write_v2(struct strbuf *out, const struct addr *source, const struct addr *destination,
			   const struct proxy_tlvs *tlvs)
{
	size_t begin = out->len;
	struct ends ends;

	find_ends(&ends, source, destination);
	strbuf_add(out, V2_SIGNATURE, V2_SIGNATURE_LEN);
	put_byte(out, V2_PROXY);
	put_byte(out, ends.family);
	put_16(out, 0);
	put_addresses(out, &ends);
	put_text(out, TLV_ALPN, tlvs->alpn);
	put_text(out, TLV_AUTHORITY, tlvs->authority);
	put_tls(out, tlvs);
	finish(out, begin, tlvs->checksum);
}

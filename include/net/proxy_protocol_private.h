/* SPDX-License-Identifier: MIT */
/* What reading and writing the PROXY protocol share: the numbers of version 2 (section 2.2 of its specification). */
#ifndef PROXY_NET_PROXY_PROTOCOL_PRIVATE_H
#define PROXY_NET_PROXY_PROTOCOL_PRIVATE_H

#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V2_SIGNATURE_LEN 12
#define V2_FIXED_LEN 16 /* signature, version and command, family and transport, length */

enum v2_command { V2_LOCAL = 0x20, V2_PROXY = 0x21 };
enum v2_family { V2_UNSPEC = 0x00, V2_TCP4 = 0x11, V2_TCP6 = 0x21, V2_UNIX = 0x31 };

#define V2_TCP4_LEN 12  /* two addresses, two ports */
#define V2_TCP6_LEN 36  /* likewise */
#define V2_UNIX_LEN 216 /* two paths */
#define V2_PATH_LEN 108

#define TLV_FIXED_LEN 3 /* type, length */
enum v2_tlv {
	TLV_ALPN = 0x01,
	TLV_AUTHORITY = 0x02,
	TLV_CRC32C = 0x03,
	TLV_SSL = 0x20,
	TLV_SSL_VERSION = 0x21,
	TLV_SSL_CN = 0x22,
	TLV_SSL_CIPHER = 0x23
};
#define CRC32C_LEN 4

enum v2_client { CLIENT_SSL = 0x01, CLIENT_CERT_CONN = 0x02, CLIENT_CERT_SESS = 0x04 };

#endif

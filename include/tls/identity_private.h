/* SPDX-License-Identifier: MIT */
/* The names in a certificate, and which of them says that it is a domain's (CERT-2 to CERT-6). For the tls room only.
 */
#ifndef PROXY_TLS_IDENTITY_PRIVATE_H
#define PROXY_TLS_IDENTITY_PRIVATE_H

#include "tls/peer.h"

struct GENERAL_NAME_st;
struct asn1_string_st;
struct x509_st;

enum tls_name_kind { TLS_NAME_DNS, TLS_NAME_SRV, TLS_NAME_XMPP, TLS_NAME_ADDRESS, TLS_NAME_TEXT, TLS_NAME_OTHER };

struct tls_name {
	enum tls_name_kind kind;
	const unsigned char *data; /* NULL for TLS_NAME_OTHER; else text, or the octets of an address */
	size_t len;
};

void tls_name_read(struct tls_name *out, const struct GENERAL_NAME_st *name);
/* Does it hold an XmppAddr that is a bare domain? */
bool tls_names_xmpp_domain(const struct x509_st *cert);

struct tls_reference {
	const char *domain;  /* normalised */
	const char *service; /* "_xmpp-server" or "_xmpp-client"; NULL: only a DNS-ID will do */
	bool dns_only;       /* an issuer is limited to DNS names: a name of another form proves nothing (CERT-8) */
};

enum tls_match {
	TLS_MATCH,
	TLS_MATCH_NONE,
	TLS_MATCH_BEYOND_ISSUER, /* only one that dns_only keeps from counting */
	TLS_MATCH_NUL,           /* a name with a NUL in it: the certificate is no good at all (CERT-5) */
	TLS_MATCH_UNREADABLE
};
/* matched: "DNS-ID example.com"; "" unless TLS_MATCH. */
enum tls_match tls_identity_match(const struct x509_st *leaf, const struct tls_reference *reference,
				  char matched[TLS_IDENTIFIER_SIZE]);

#endif

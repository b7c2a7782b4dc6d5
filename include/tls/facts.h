/* SPDX-License-Identifier: MIT */
/* What a finished handshake tells, as plain values for records, status and policy. OpenSSL's names. */
#ifndef PROXY_TLS_FACTS_H
#define PROXY_TLS_FACTS_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/decide.h"

struct ssl_st;

struct tls_facts {
	bool established;
	char version[8];    /* "1.3" */
	int version_number; /* 13 */
	char cipher[64];    /* TLS_AES_256_GCM_SHA384 */
	char group[32];     /* "x25519", "" if none */
	bool resumed;
	bool extended_master_secret;
	bool verified;          /* connections of ours: chain and name were checked and are good */
	const char *unverified; /* why they are not, in plain words; lives for ever; NULL if they are */
	char alpn[32];          /* "" if none */
	char server_name[256];  /* SNI as sent (escaped by the record writer), "" if none */
};

void tls_facts_read(struct tls_facts *facts, struct ssl_st *ssl);
void tls_facts_leg(const struct tls_facts *facts, struct leg_facts *out);

#endif

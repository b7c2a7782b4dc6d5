/* SPDX-License-Identifier: MIT */
/* What the initiating entity's certificate tells, if it sent one: plain values, for those behind us who ask. */
#ifndef PROXY_TLS_CLIENT_H
#define PROXY_TLS_CLIENT_H

#include <stdbool.h>

struct ssl_st;

struct tls_client {
	bool presented; /* in this session; where it was resumed, on an earlier connection */
	bool verified;
	char common_name[256]; /* UTF-8; "" if there is none, or none that is plain text */
};

void tls_client_read(struct tls_client *client, const struct ssl_st *ssl);

#endif

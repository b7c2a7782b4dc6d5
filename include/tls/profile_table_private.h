/* SPDX-License-Identifier: MIT */
/* A row of the profile table, for the two files that lay it on contexts and check an operator's strings against it. */
#ifndef PROXY_TLS_PROFILE_TABLE_PRIVATE_H
#define PROXY_TLS_PROFILE_TABLE_PRIVATE_H

#include "policy/config.h"

struct ssl_ctx_st;

struct tls_profile_row {
	const char *name;
	int security_level;
	bool cbc; /* CBC suites are part of it */
	const char *ciphers, *ciphersuites, *sigalgs;
};

const struct tls_profile_row *tls_profile_row(const struct config_tls *tls);
/* NULL: the default groups, the hybrid one first where the library knows it. 0 or -1. */
int tls_profile_set_groups(struct ssl_ctx_st *ctx, const char *groups);

#endif

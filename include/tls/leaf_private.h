/* SPDX-License-Identifier: MIT */
/* The findings about one certificate chain: dates, strength, names, order. For the tls room only. */
#ifndef PROXY_TLS_LEAF_PRIVATE_H
#define PROXY_TLS_LEAF_PRIVATE_H

#include "tls/credential_private.h"

void tls_leaf_check(const struct config *config, const struct config_domain *domain, const struct tls_credential *c,
		    int64_t now, struct diag_list *diags);
/* "ECDSA P-256", "RSA 2048", "Ed25519" */
#define TLS_KEY_TEXT_SIZE 64
void tls_key_text(struct evp_pkey_st *key, char out[TLS_KEY_TEXT_SIZE]);
/* The first name (common name, else DNS name) of a certificate, safe to print; "?" if there is none. */
#define TLS_NAME_TEXT_SIZE 256
void tls_leaf_name(const struct x509_st *leaf, char out[TLS_NAME_TEXT_SIZE]);

#endif

/* SPDX-License-Identifier: MIT */
/* A certificate chain and its key out of the bytes of configuration files. For the tls room only. */
#ifndef PROXY_TLS_CREDENTIAL_PRIVATE_H
#define PROXY_TLS_CREDENTIAL_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errbuf.h"
#include "policy/config.h"

struct asn1_string_st;
struct evp_pkey_st;
struct x509_st;

#define TLS_CHAIN_MAX 16

struct tls_credential {
	struct x509_st *cert[TLS_CHAIN_MAX]; /* as in the file: [0] is the leaf */
	size_t count;
	struct evp_pkey_st *key;
};

/* Both return 0, or -1 with what is wrong in plain words in err. Zero-initialise first; free with _fini in any case. */
int tls_credential_read_certificates(struct tls_credential *c, const struct config_file *file, struct errbuf *err);
int tls_credential_read_key(struct tls_credential *c, const struct config_file *file, struct errbuf *err);
void tls_credential_fini(struct tls_credential *c);
/*
 * Every certificate of a PEM file, in order; each is the callee's to free and may return -1 with err set to stop.
 * Returns 0, or -1 with what is wrong in err: nothing in it, damaged, stopped.
 */
typedef int tls_certificate_fn(void *ctx, struct x509_st *cert, struct errbuf *err);
int tls_certificates_read(const struct config_file *file, tls_certificate_fn *each, void *ctx, struct errbuf *err);
/* The certificate in the file that issued the leaf, or NULL. */
struct x509_st *tls_credential_issuer(const struct tls_credential *c);
/* Seconds since 1970 of an ASN.1 time (UTCTime or GeneralizedTime); false when it is malformed. */
bool tls_asn1_time(const struct asn1_string_st *time, int64_t *out);
/* "2026-12-01" */
#define TLS_DATE_SIZE 24
void tls_date(int64_t seconds, char out[TLS_DATE_SIZE]);

#endif

/* SPDX-License-Identifier: MIT */
/* Fingerprints of certificates. For the tls room only. */
#ifndef PROXY_TLS_CERTIFICATE_PRIVATE_H
#define PROXY_TLS_CERTIFICATE_PRIVATE_H

struct x509_st;

/* SHA-256 in lower-case hex; "" when there is no memory. */
#define TLS_DIGEST_SIZE 65
void tls_digest_certificate(const struct x509_st *cert, char out[TLS_DIGEST_SIZE]);
/* Of the whole SubjectPublicKeyInfo, as RFC 7469 and TLSA records with selector 1 have it. */
void tls_digest_key(const struct x509_st *cert, char out[TLS_DIGEST_SIZE]);

#endif

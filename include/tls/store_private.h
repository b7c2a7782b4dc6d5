/* SPDX-License-Identifier: MIT */
/* What the files of the store share: the store and a virtual host's contexts. For the tls room only. */
#ifndef PROXY_TLS_STORE_PRIVATE_H
#define PROXY_TLS_STORE_PRIVATE_H

#include <stdint.h>

#include "tls/store.h"

struct evp_cipher_st;
struct ssl_ctx_st;

/* An OCSP response for the domain's certificate of that kind of key. */
struct tls_staple {
	int key_type; /* EVP_PKEY_get_base_id; OpenSSL holds one certificate of each */
	const struct config_file *file;
	int64_t until; /* seconds since 1970: not sent past it */
};

struct tls_vhost {
	const struct config_domain *domain;
	struct ssl_ctx_st *ctx[ROLE_COUNT]; /* NULL: a role that is not served, or no certificate */
	struct tls_staple *staples;
	size_t staple_count;
};

struct tls_store {
	unsigned refs;
	struct config *config;
	const struct shared_tickets *tickets; /* NULL: no resumption */
	struct evp_cipher_st *ticket_cipher; /* fetched once: an implicit fetch per ticket costs more than the cipher */
	struct tls_vhost *vhost;             /* one per config->domains, same order */
	struct ssl_ctx_st *client;           /* NULL: no key asks for a connection of ours with TLS */
};

/* A context with everything set and every callback below in place; NULL with the reason in err. */
struct ssl_ctx_st *tls_context_new(const struct config *config, const struct config_domain *domain, enum role role,
				   struct errbuf *err);
/* The callbacks that look at the ClientHello: name, ALPN, extended master secret. */
void tls_hello_install(struct ssl_ctx_st *ctx);
/* Notices an attempt to renegotiate (TLS-10) on every SSL of the context. */
void tls_renegotiation_watch(struct ssl_ctx_st *ctx);
/* Does any key ask for TLS on a connection of ours? */
bool tls_client_wanted(const struct config *config);
/* The context of our own connections: profile of the `tls` block, authorities of tls.ca-file; NULL with the reason. */
struct ssl_ctx_st *tls_client_context_new(const struct config *config, struct errbuf *err);
/* SNI, and the reference identifier as a DNS-ID: never the common name, a wildcard only as the whole left-most label
 * (CERT-3, 4). 0 or -1. */
int tls_name_expect(struct ssl_st *ssl, const char *domain);
/* The callback that seals and opens tickets with the shared keys. */
void tls_ticket_install(struct ssl_ctx_st *ctx);

#endif

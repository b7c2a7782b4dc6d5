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
};

/* A context with everything set and every callback below in place; NULL with the reason in err. */
struct ssl_ctx_st *tls_context_new(const struct config *config, const struct config_domain *domain, enum role role,
				   struct errbuf *err);
/* The callbacks that look at the ClientHello: name, ALPN, extended master secret. */
void tls_hello_install(struct ssl_ctx_st *ctx);
/* The callback that seals and opens tickets with the shared keys. */
void tls_ticket_install(struct ssl_ctx_st *ctx);

#endif

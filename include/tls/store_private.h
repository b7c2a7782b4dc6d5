/* SPDX-License-Identifier: MIT */
/* What the files of the store share: the store and a virtual host's contexts. For the tls room only. */
#ifndef PROXY_TLS_STORE_PRIVATE_H
#define PROXY_TLS_STORE_PRIVATE_H

#include <stdint.h>

#include "tls/store.h"

struct evp_cipher_st;
struct ssl_ctx_st;
struct tls_sessions;
struct x509_store_st;

/* An OCSP response for the domain's certificate of that kind of key. */
struct tls_staple {
	int key_type; /* EVP_PKEY_get_base_id; OpenSSL holds one certificate of each */
	const struct config_file *file;
	int64_t until; /* seconds since 1970: not sent past it */
};

struct tls_vhost {
	const struct config_domain *domain;
	struct ssl_ctx_st *ctx[ROLE_COUNT]; /* inbound roles. NULL: one that is not served, or no certificate */
	struct ssl_ctx_st *peer;            /* connections to remote domains for this one. NULL: no certificate */
	struct tls_staple *staples;
	size_t staple_count;
};

struct tls_store {
	unsigned refs;
	/* tls_store_unref, for those whom store.c calls: modules do not go round in a circle. */
	void (*release)(struct tls_store **store);
	struct config *config;
	const struct shared_tickets *tickets; /* NULL: no resumption */
	struct evp_cipher_st *ticket_cipher; /* fetched once: an implicit fetch per ticket costs more than the cipher */
	struct tls_vhost *vhost;             /* one per config->domains, same order */
	struct ssl_ctx_st *client;           /* to backends. NULL: no key asks for TLS with one */
	struct ssl_ctx_st *peer;             /* to remote domains, without a certificate. NULL: there are none */
	struct x509_store_st *anchors;       /* of tls.ca-file; NULL: nobody is verified */
	struct x509_store_st **peer_anchors; /* one per config->peers; NULL: the rule has no authorities of its own */
	struct tls_sessions *sessions;       /* the one thing here that changes */
};

/* The settings of our own side: those of the configuration, or in mode monitor whatever an old peer can do. */
struct config_tls tls_effective(const struct config *config);
/* Certificates and keys of the domain, all of them. 0, or -1 with the reason in err. */
int tls_context_load(struct ssl_ctx_st *ctx, const struct config_domain *domain, struct errbuf *err);
/* A context with everything set and every callback below in place; NULL with the reason in err. */
struct ssl_ctx_st *tls_context_new(const struct config *config, const struct config_domain *domain, enum role role,
				   struct errbuf *err);
/* The callbacks that look at the ClientHello: name, ALPN, extended master secret. */
void tls_hello_install(struct ssl_ctx_st *ctx);
/* Notices an attempt to renegotiate (TLS-10) on every SSL of the context. */
void tls_renegotiation_watch(struct ssl_ctx_st *ctx);
/* Does any key ask for TLS with a backend? */
bool tls_client_wanted(const struct config *config);
/* The context of connections to backends: profile of the `tls` block; NULL with the reason. */
struct ssl_ctx_st *tls_client_context_new(const struct config *config, struct errbuf *err);
/* The context of connections to remote domains. domain: whose certificate is presented; NULL: none. */
struct ssl_ctx_st *tls_peer_context_new(const struct config *config, const struct config_domain *domain,
					struct errbuf *err);
/* Is there a listener of that role? */
bool tls_role_wanted(const struct config *config, enum role role);
/* The callback that seals and opens tickets with the shared keys. */
void tls_ticket_install(struct ssl_ctx_st *ctx);

#endif

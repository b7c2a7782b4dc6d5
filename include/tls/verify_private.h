/* SPDX-License-Identifier: MIT */
/* The one judgement of certificates that are shown to us. For the tls room only. */
#ifndef PROXY_TLS_VERIFY_PRIVATE_H
#define PROXY_TLS_VERIFY_PRIVATE_H

#include "tls/peer.h"

struct ssl_ctx_st;
struct stack_st_X509;
struct x509_st;
struct x509_store_st;

struct tls_question {
	struct x509_store_st *anchors; /* these and no others (CERT-9) */
	const struct config_tls *tls;  /* key sizes */
	const char *domain;            /* normalised; NULL: the chain alone is asked about */
	const char *service;           /* as in struct tls_reference */
	bool pinned;                   /* the pins of `rule` decide, and nothing else is looked at */
	const struct config_peer *rule;
};

struct tls_finding {
	int error;          /* X509_V_OK, or the code that gives OpenSSL the alert to send (CERT-10) */
	const char *fault;  /* in plain words, lives for ever; NULL: nothing is wrong */
	const char *method; /* "pkix", "fingerprint"; "none" where something is wrong */
	char matched[TLS_IDENTIFIER_SIZE];
};

/* leaf NULL: none was shown. chain: what came with it, in any order, with or without the leaf; NULL: nothing. */
void tls_judge(struct tls_finding *out, const struct tls_question *question, struct x509_st *leaf,
	       struct stack_st_X509 *chain);
/* Of what the SSL's peer has shown, in this handshake or in the one that is resumed. */
void tls_judge_ssl(struct tls_finding *out, const struct tls_question *question, const struct ssl_st *ssl);

/* What is to be asked of the far side of a connection with that domain. */
void tls_question_init(struct tls_question *out, const struct tls_store *store, const struct peer_policy *policy,
		       const char *domain, const char *service);
/* Judges in the handshake, by what the SSL's state says; see on_certificate. */
void tls_verify_install(struct ssl_ctx_st *ctx);
/* The authorities of a file, NULL with the reason in err. */
struct x509_store_st *tls_anchors_new(const struct config_file *file, struct errbuf *err);
/* Does that rule of config->peers name authorities of its own? */
bool tls_anchors_of_peer(const struct config *config, size_t peer);

#endif

/* SPDX-License-Identifier: MIT */
/* The state hung on each SSL that this room makes. For the tls room only. */
#ifndef PROXY_TLS_STATE_PRIVATE_H
#define PROXY_TLS_STATE_PRIVATE_H

#include <stdbool.h>

#include "policy/peer.h"
#include "tls/store.h"

struct tls_vhost;
struct x509_st;

/* One per SSL, in its ex_data, freed with it. Holds the store, so that callbacks never meet a freed one. */
struct tls_state {
	struct tls_store *store;
	void (*release)(struct tls_store **store); /* gives that reference back */
	const struct tls_vhost *vhost;             /* NULL: a connection of ours */
	struct peer_policy policy;                 /* whose settings hold: the common ones, or those of a rule */
	char *server_name;                         /* SNI as sent, NULL if none */
	enum role role;
	enum reason failure; /* REASON_NONE until one of our callbacks refused */
	bool by_name;        /* direct TLS: SNI decides; else the pre-TLS `to` has decided */
	bool to_unknown;     /* the caller's `to` is not ours */
	bool done;           /* the first handshake has ended */
	bool renegotiated;
	/* What the far side of a connection of ours must prove; see struct tls_question. */
	char *domain; /* NULL: an accepted one */
	const char *service;
	bool must_prove;         /* a fault ends the handshake */
	bool judged;             /* a certificate was looked at */
	const char *fault;       /* what was found wrong with it */
	struct x509_st *refused; /* the leaf that ended the handshake: OpenSSL does not keep it */
	char *session_key;       /* its sessions are kept under that; NULL: they are not */
};

/* NULL for an SSL of another origin. */
struct tls_state *tls_state(const struct ssl_st *ssl);
/* The SSL owns the state from here on; false when there is no memory, and the caller still owns it. */
bool tls_state_attach(struct ssl_st *ssl, struct tls_state *state);
/* Lays the settings of the state's policy on the SSL where they differ from its context's. 0 or -1. */
int tls_settings_apply(struct ssl_st *ssl, const struct tls_state *state);
void tls_state_free(struct tls_state *state);

#endif

/* SPDX-License-Identifier: MIT */
/* The state hung on each SSL that tls_accept or tls_connect makes. For the tls room only. */
#ifndef PROXY_TLS_STATE_PRIVATE_H
#define PROXY_TLS_STATE_PRIVATE_H

#include <stdbool.h>

#include "policy/level.h"
#include "tls/store.h"

struct tls_vhost;

/* One per SSL, in its ex_data, freed with it. Holds the store, so that callbacks never meet a freed one. */
struct tls_state {
	struct tls_store *store;
	void (*release)(struct tls_store **store); /* gives that reference back */
	const struct tls_vhost *vhost;             /* NULL: made by tls_connect */
	char *server_name;                         /* SNI as sent, NULL if none */
	enum role role;
	enum reason failure; /* REASON_NONE until one of our callbacks refused */
	bool by_name;        /* direct TLS: SNI decides; else the pre-TLS `to` has decided */
	bool to_unknown;     /* the caller's `to` is not ours */
	bool done;           /* the first handshake has ended */
	bool renegotiated;
	bool must_verify; /* tls_connect: a chain that fails fails the handshake */
	int verify_error; /* tls_connect: the first fault found, X509_V_OK so far */
};

/* NULL for an SSL of another origin. */
struct tls_state *tls_state(const struct ssl_st *ssl);
/* The SSL owns the state from here on; false when there is no memory, and the caller still owns it. */
bool tls_state_attach(struct ssl_st *ssl, struct tls_state *state);
void tls_state_free(struct tls_state *state);

#endif

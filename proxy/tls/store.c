/* SPDX-License-Identifier: MIT */
/*
 * The life of a store, and the SSLs of accepted legs made from it. Immutable after tls_store_new (store_make.c) but for
 * the sessions of earlier connections; each SSL holds a reference through the state in its ex_data, so that a reload
 * never pulls a context from under a handshake. Nothing is parsed, fetched or looked up twice on the way of a
 * connection.
 */
#include "tls/store.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/mem.h"
#include "tls/sessions_private.h"
#include "tls/state_private.h"
#include "tls/store_private.h"

struct tls_store *tls_store_ref(struct tls_store *store)
{
	store->refs++;
	return store;
}

static void store_free(struct tls_store *store)
{
	for (size_t i = 0; i < store->config->domain_count; i++) {
		for (size_t r = 0; r < ROLE_COUNT; r++)
			SSL_CTX_free(store->vhost[i].ctx[r]);
		SSL_CTX_free(store->vhost[i].peer);
		mem_free(store->vhost[i].staples);
	}
	SSL_CTX_free(store->client);
	SSL_CTX_free(store->peer);
	for (size_t i = 0; i < store->config->peer_count; i++)
		X509_STORE_free(store->peer_anchors[i]);
	mem_free(store->peer_anchors);
	X509_STORE_free(store->anchors);
	tls_sessions_free(&store->sessions);
	EVP_CIPHER_free(store->ticket_cipher);
	mem_free(store->vhost);
	config_unref(&store->config);
	mem_free(store);
}

void tls_store_unref(struct tls_store **store)
{
	struct tls_store *s = *store;

	*store = NULL;
	if (s && --s->refs == 0)
		store_free(s);
}

/* Without a key there is nothing to seal with, and an empty ticket would only puzzle the client. */
static void forgo_tickets(SSL *ssl, const struct tls_store *store)
{
	struct shared_ticket_key keys[SHARED_TICKET_KEYS];
	bool usable = store->tickets && tickets_read(store->tickets, keys);

	mem_wipe(keys, sizeof(keys));
	if (usable)
		return;
	SSL_set_options(ssl, SSL_OP_NO_TICKET);
	SSL_set_num_tickets(ssl, 0);
}

static struct tls_state *state_new(struct tls_store *store, enum role role, const char *to,
				   const struct peer_policy *policy)
{
	struct tls_state *state = mem_zalloc(sizeof(*state));
	const struct config_domain *domain = to ? config_find_domain(store->config, to) : NULL;

	state->store = tls_store_ref(store);
	state->release = tls_store_unref;
	state->policy = policy ? *policy : (struct peer_policy){.tls = &store->config->tls};
	state->role = role;
	state->by_name = to == NULL;
	state->to_unknown = to && !domain;
	state->vhost = &store->vhost[domain ? domain - store->config->domains : 0];
	return state;
}

static void request_certificate(SSL *ssl, const struct tls_state *state)
{
	static const int modes[CLIENT_CERTIFICATE_COUNT] = {
	    [CLIENT_CERTIFICATE_NO] = SSL_VERIFY_NONE,
	    [CLIENT_CERTIFICATE_REQUEST] = SSL_VERIFY_PEER,
	    [CLIENT_CERTIFICATE_REQUIRE] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
	};
	int wanted = state->policy.tls->client_certificate;

	if (wanted == CLIENT_CERTIFICATE_REQUIRE && state->store->config->mode == MODE_MONITOR)
		wanted = CLIENT_CERTIFICATE_REQUEST;
	SSL_set_verify(ssl, modes[wanted], NULL);
}

struct ssl_st *tls_accept_peer(struct tls_store *store, enum role role, const char *to,
			       const struct peer_policy *policy)
{
	struct tls_state *state = state_new(store, role, to, policy);
	SSL *ssl = state->vhost->ctx[role] ? SSL_new(state->vhost->ctx[role]) : NULL;

	if (!ssl || !tls_state_attach(ssl, state)) {
		SSL_free(ssl);
		tls_state_free(state);
		return NULL;
	}
	if (tls_settings_apply(ssl, state)) {
		SSL_free(ssl);
		return NULL;
	}
	if (role_is_s2s(role))
		request_certificate(ssl, state);
	else
		forgo_tickets(ssl, store);
	SSL_set_accept_state(ssl);
	return ssl;
}

struct ssl_st *tls_accept(struct tls_store *store, enum role role, const char *to)
{
	return tls_accept_peer(store, role, to, NULL);
}

const char *tls_certificate_domain(const struct ssl_st *ssl)
{
	const struct tls_state *state = tls_state(ssl);

	return state && state->vhost ? state->vhost->domain->name : NULL;
}

enum reason tls_failure_reason(const struct ssl_st *ssl)
{
	const struct tls_state *state = tls_state(ssl);

	return state && state->failure != REASON_NONE ? state->failure : REASON_TLS_FAILED;
}

enum reason tls_objection(const struct ssl_st *ssl)
{
	const struct tls_state *state = tls_state(ssl);

	return state ? state->failure : REASON_NONE;
}

bool tls_renegotiated(const struct ssl_st *ssl)
{
	const struct tls_state *state = tls_state(ssl);

	return state && state->renegotiated;
}

/* SPDX-License-Identifier: MIT */
/*
 * Connections to backends: the one context they have, and an SSL of it. What the backend must prove is a DNS-ID of its
 * domain, by the authorities of tls.ca-file (CERT-3, 4, 9). No session is resumed: they cost little on that side.
 */
#include <openssl/ssl.h>

#include "base/mem.h"
#include "tls/profile_private.h"
#include "tls/state_private.h"
#include "tls/store_private.h"
#include "tls/verify_private.h"

bool tls_client_wanted(const struct config *config)
{
	for (size_t i = 0; i < config->domain_count; i++) {
		if (config->domains[i].backend.tls != BACKEND_TLS_NEVER)
			return true;
	}
	return false;
}

struct ssl_ctx_st *tls_client_context_new(const struct config *config, struct errbuf *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx) {
		errbuf_set(err, "out of memory");
		return NULL;
	}
	if (tls_profile_apply(ctx, &config->tls, err)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	tls_verify_install(ctx);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	tls_renegotiation_watch(ctx);
	return ctx;
}

static struct tls_state *state_new(struct tls_store *store, const char *domain, bool must_verify)
{
	struct tls_state *state = mem_zalloc(sizeof(*state));

	state->store = store;
	store->refs++;
	state->release = store->release;
	state->policy.tls = &store->config->tls;
	state->server_name = mem_strdup(domain);
	state->domain = mem_strdup(domain);
	state->must_prove = must_verify;
	return state;
}

struct ssl_st *tls_connect(struct tls_store *store, const char *domain, bool must_verify)
{
	struct tls_state *state = state_new(store, domain, must_verify);
	SSL *ssl = store->client ? SSL_new(store->client) : NULL;

	if (!ssl || !tls_state_attach(ssl, state)) {
		SSL_free(ssl);
		tls_state_free(state);
		return NULL;
	}
	if (SSL_set_tlsext_host_name(ssl, domain) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_connect_state(ssl);
	return ssl;
}

const char *tls_unverified(const struct ssl_st *ssl)
{
	const struct tls_state *state = tls_state(ssl);

	return state ? state->fault : "the certificate was not looked at";
}

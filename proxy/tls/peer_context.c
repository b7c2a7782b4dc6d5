/* SPDX-License-Identifier: MIT */
/*
 * The contexts of connections to remote domains: one for each local domain, whose certificate is presented where it is
 * asked for, and one without. Weak settings never stand here: they are laid on the one SSL they are for.
 */
#include <openssl/ssl.h>

#include "base/clock.h"
#include "tls/profile_private.h"
#include "tls/sessions_private.h"
#include "tls/state_private.h"
#include "tls/store_private.h"
#include "tls/verify_private.h"

/* A session is worth keeping if the certificate it stands for was good, where it had to be. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	const struct tls_state *state = tls_state(ssl);

	if (state && state->session_key && state->judged && (!state->fault || !state->must_prove))
		tls_sessions_put(state->store->sessions, state->session_key, session,
				 clock_ms() + (uint64_t)state->policy.tls->ticket_lifetime);
	return 0;
}

static void set_resumption(SSL_CTX *ctx)
{
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_session);
	SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_max_early_data(ctx, 0);
}

struct ssl_ctx_st *tls_peer_context_new(const struct config *config, const struct config_domain *domain,
					struct errbuf *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct config_tls tls = tls_effective(config);

	if (!ctx) {
		errbuf_set(err, "out of memory");
		return NULL;
	}
	if (tls_profile_apply(ctx, &tls, err) || (domain && tls_context_load(ctx, domain, err))) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_post_handshake_auth(ctx, 0);
	tls_verify_install(ctx);
	set_resumption(ctx);
	tls_renegotiation_watch(ctx);
	return ctx;
}

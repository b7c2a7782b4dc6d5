/* SPDX-License-Identifier: MIT */
/*
 * Connections to remote domains, and the question what the far side of any connection has proven. A session is only
 * offered again after the certificate it stands for has been judged once more, by today's date and for this domain: a
 * resumed handshake shows no certificate that could be looked at (TLS-14).
 */
#include "tls/peer.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tls/sessions_private.h"
#include "tls/state_private.h"
#include "tls/store_private.h"
#include "tls/verify_private.h"
#include "xmpp/header.h"

static const char *service_of(enum role role)
{
	return role_is_s2s(role) ? "_xmpp-server" : "_xmpp-client";
}

/* Everything that could make a session mean something else (TLS-14). Domains have no '|' in them. */
static char *session_key(const struct tls_store *store, const struct tls_peer_params *params)
{
	const struct config_peer *rule = params->policy->rule;

	return mem_printf("%s|%s|%s|%d|%ld", role_name(params->role), params->domain,
			  params->local ? params->local : "", params->direct,
			  rule ? (long)(rule - store->config->peers) : -1L);
}

static struct tls_state *state_new(struct tls_store *store, const struct tls_peer_params *params)
{
	struct tls_state *state = mem_zalloc(sizeof(*state));

	state->store = store;
	store->refs++;
	state->release = store->release;
	state->role = params->role;
	state->policy = *params->policy;
	state->domain = mem_strdup(params->domain);
	state->service = service_of(params->role);
	state->must_prove = params->must_prove;
	if (!domain_is_address(params->domain))
		state->server_name = mem_strdup(params->domain);
	if (params->policy->tls->session_resumption)
		state->session_key = session_key(store, params);
	return state;
}

static SSL_CTX *context_for(const struct tls_store *store, const char *local)
{
	const struct config_domain *domain = local ? config_find_domain(store->config, local) : NULL;
	const struct tls_vhost *vhost = domain ? &store->vhost[domain - store->config->domains] : NULL;

	return vhost && vhost->peer ? vhost->peer : store->peer;
}

/* On direct TLS only: with STARTTLS the protocol is known already (XEP-0368). */
static bool offer_protocol(SSL *ssl, const char *protocol)
{
	unsigned char wire[32];
	size_t len = strlen(protocol);

	if (len >= sizeof(wire))
		return false;
	wire[0] = (unsigned char)len;
	memcpy(wire + 1, protocol, len);
	return SSL_set_alpn_protos(ssl, wire, (unsigned)len + 1) == 0;
}

static bool prepare(SSL *ssl, const struct tls_state *state, bool direct)
{
	if (tls_settings_apply(ssl, state))
		return false;
	if (!state->session_key)
		SSL_set_options(ssl, SSL_OP_NO_TICKET);
	if (state->server_name && SSL_set_tlsext_host_name(ssl, state->server_name) != 1)
		return false;
	return !direct || offer_protocol(ssl, role_alpn(state->role));
}

/* The SSL knows the session's certificates from here on. */
static bool is_still_good(const SSL *ssl, struct tls_state *state)
{
	struct tls_question question;
	struct tls_finding finding;

	tls_question_init(&question, state->store, &state->policy, state->domain, state->service);
	tls_judge_ssl(&finding, &question, ssl);
	state->judged = true;
	state->fault = finding.fault;
	return !finding.fault || !state->must_prove;
}

static void offer_session(SSL *ssl, struct tls_state *state)
{
	SSL_SESSION *session = tls_sessions_take(state->store->sessions, state->session_key, clock_ms());

	if (!session)
		return;
	if (SSL_set_session(ssl, session) != 1 || !is_still_good(ssl, state)) {
		(void)SSL_set_session(ssl, NULL);
		state->judged = false;
		state->fault = NULL;
		ERR_clear_error();
	}
	SSL_SESSION_free(session);
}

struct ssl_st *tls_connect_peer(struct tls_store *store, const struct tls_peer_params *params)
{
	struct tls_state *state = state_new(store, params);
	SSL_CTX *ctx = context_for(store, params->local);
	SSL *ssl = ctx ? SSL_new(ctx) : NULL;

	if (!ssl || !tls_state_attach(ssl, state)) {
		SSL_free(ssl);
		tls_state_free(state);
		return NULL;
	}
	if (!prepare(ssl, state, params->direct)) {
		SSL_free(ssl);
		return NULL;
	}
	if (params->resume && state->session_key)
		offer_session(ssl, state);
	SSL_set_connect_state(ssl);
	return ssl;
}

void tls_identify(struct tls_identity *out, struct tls_store *store, const struct ssl_st *ssl, enum role role,
		  const char *domain, const struct peer_policy *policy)
{
	struct tls_question question;
	struct tls_finding finding;

	tls_question_init(&question, store, policy, domain, service_of(role));
	tls_judge_ssl(&finding, &question, ssl);
	memset(out, 0, sizeof(*out));
	out->verified = !finding.fault;
	out->method = finding.method;
	out->unverified = finding.fault;
	(void)snprintf(out->reference, sizeof(out->reference), "%s", domain);
	if (out->verified)
		(void)snprintf(out->matched, sizeof(out->matched), "%s", finding.matched);
}

const char *tls_peer_fault(const struct ssl_st *ssl)
{
	const struct tls_state *state = tls_state(ssl);

	return state && state->must_prove ? state->fault : NULL;
}

void tls_forget_session(const struct ssl_st *ssl)
{
	struct tls_state *state = tls_state(ssl);

	if (!state || !state->session_key)
		return;
	tls_sessions_drop(state->store->sessions, state->session_key);
	mem_free(state->session_key); /* tickets that are still to come are not kept either */
	state->session_key = NULL;
}

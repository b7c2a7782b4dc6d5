/* SPDX-License-Identifier: MIT */
/*
 * The contexts of one configuration and the SSLs made from them. Immutable after tls_store_new but for the sessions of
 * earlier connections; each SSL holds a
 * reference through the state in its ex_data, so that a reload never pulls a context from under a handshake. Nothing
 * is parsed, fetched or looked up twice on the way of a connection.
 */
#include "tls/store.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/array.h"
#include "base/mem.h"
#include "tls/credential_private.h"
#include "tls/ocsp_private.h"
#include "tls/profile_private.h"
#include "tls/sessions_private.h"
#include "tls/state_private.h"
#include "tls/store_private.h"
#include "tls/verify_private.h"

/* The roles whose network-facing leg is an accepted one. */
static const enum role served_roles[] = {ROLE_C2S_INBOUND, ROLE_S2S_INBOUND};

/* Connections to remote domains that are remembered for resumption: some 10 KiB each, for their chains. */
#define SESSIONS_MAX 1000

bool tls_role_wanted(const struct config *config, enum role role)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		if (config->listeners[i].role == (int)role)
			return true;
	}
	return false;
}

static bool connects_to_peers(const struct config *config)
{
	return tls_role_wanted(config, ROLE_S2S_OUTBOUND) || tls_role_wanted(config, ROLE_C2S_OUTBOUND);
}

/* Beside its key's kind: which one a client is shown is known in the handshake only. */
static void add_staple(struct tls_vhost *vhost, const struct config_file *certificate,
		       const struct config_file *response)
{
	struct tls_staple *staple = &vhost->staples[vhost->staple_count];
	struct tls_credential c = {0};
	struct errbuf ignored; /* making the context has said it */

	if (response->data && tls_credential_read_certificates(&c, certificate, &ignored) == 0) {
		EVP_PKEY *key = X509_get0_pubkey(c.cert[0]);

		*staple = (struct tls_staple){.key_type = key ? EVP_PKEY_get_base_id(key) : NID_undef,
					      .file = response,
					      .until = tls_ocsp_until(response)};
		vhost->staple_count++;
	}
	tls_credential_fini(&c);
}

static void add_staples(struct tls_vhost *vhost, const struct config_domain *domain)
{
	vhost->staples = mem_array(1 + domain->more_certificate_count, sizeof(*vhost->staples));
	add_staple(vhost, &domain->certificate, &domain->ocsp_response);
	for (size_t i = 0; i < domain->more_certificate_count; i++) {
		const struct config_credential *more = &domain->more_certificates[i];

		add_staple(vhost, &more->certificate, &more->ocsp_response);
	}
}

static int vhost_contexts(struct tls_store *store, struct tls_vhost *vhost, struct errbuf *err)
{
	for (size_t r = 0; r < ARRAY_LEN(served_roles); r++) {
		enum role role = served_roles[r];

		if (role_is_s2s(role) && !tls_role_wanted(store->config, role))
			continue;
		vhost->ctx[role] = tls_context_new(store->config, vhost->domain, role, err);
		if (!vhost->ctx[role])
			return -1;
	}
	if (!connects_to_peers(store->config))
		return 0;
	vhost->peer = tls_peer_context_new(store->config, vhost->domain, err);
	return vhost->peer ? 0 : -1;
}

static int vhost_init(struct tls_store *store, size_t i, struct errbuf *err)
{
	struct tls_vhost *vhost = &store->vhost[i];
	const struct config_domain *domain = &store->config->domains[i];
	struct errbuf reason;

	vhost->domain = domain;
	add_staples(vhost, domain);
	/* A domain without a certificate is in order where no listener needs one; it is then never answered for. */
	if (!domain->certificate.path || vhost_contexts(store, vhost, &reason) == 0)
		return 0;
	errbuf_set(err, "domain %s: %.400s", domain->name, reason.text);
	return -1;
}

static int load_peer_anchors(struct tls_store *store, struct errbuf *err)
{
	const struct config *config = store->config;
	struct errbuf reason;

	for (size_t i = 0; i < config->peer_count; i++) {
		if (!tls_anchors_of_peer(config, i))
			continue;
		store->peer_anchors[i] = tls_anchors_new(&config->peers[i].tls.ca_file, &reason);
		if (store->peer_anchors[i])
			continue;
		errbuf_set(err, "peer %s: tls.ca-file: %.400s", config->peers[i].domain, reason.text);
		return -1;
	}
	return 0;
}

static int load_clients(struct tls_store *store, struct errbuf *err)
{
	const struct config *config = store->config;
	bool peers = connects_to_peers(config);

	if (!peers && !tls_client_wanted(config) && !tls_role_wanted(config, ROLE_S2S_INBOUND))
		return 0;
	store->anchors = tls_anchors_new(&config->tls.ca_file, err);
	if (!store->anchors || load_peer_anchors(store, err))
		return -1;
	if (tls_client_wanted(config)) {
		store->client = tls_client_context_new(config, err);
		if (!store->client)
			return -1;
	}
	if (peers)
		store->peer = tls_peer_context_new(config, NULL, err);
	return !peers || store->peer ? 0 : -1;
}

static int store_init(struct tls_store *store, struct errbuf *err)
{
	const struct config *config = store->config;

	if (!store->ticket_cipher || config->domain_count == 0) {
		errbuf_set(err, store->ticket_cipher ? "no domain is configured" : "OpenSSL offers no AES-256-CBC");
		return -1;
	}
	if (load_clients(store, err))
		return -1;
	for (size_t i = 0; i < config->domain_count; i++) {
		if (vhost_init(store, i, err))
			return -1;
	}
	return 0;
}

struct tls_store *tls_store_new(struct config *config, const struct shared_tickets *tickets, struct errbuf *err)
{
	struct tls_store *store = mem_zalloc(sizeof(*store));

	store->refs = 1;
	store->config = config_ref(config);
	store->tickets = config->tls.session_resumption ? tickets : NULL;
	store->vhost = mem_array(config->domain_count, sizeof(*store->vhost));
	store->peer_anchors = mem_array(config->peer_count, sizeof(struct x509_store_st *));
	store->sessions = tls_sessions_new(SESSIONS_MAX);
	store->ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (store_init(store, err))
		tls_store_unref(&store);
	return store;
}

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

/* In mode monitor every peer may do what the oldest can. */
int tls_settings_apply(struct ssl_st *ssl, const struct tls_state *state)
{
	const struct config_peer *rule = state->policy.rule;
	struct errbuf ignored; /* tls_check has said it */

	if (state->store->config->mode == MODE_MONITOR || !rule || !rule->tls_set)
		return 0;
	return tls_profile_apply_one(ssl, state->policy.tls, &ignored);
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

/* SPDX-License-Identifier: MIT */
/*
 * The contexts of one configuration and the SSLs made from them. Immutable after tls_store_new; each SSL holds a
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
#include "tls/state_private.h"
#include "tls/store_private.h"

/* The roles whose network-facing leg is an accepted one and that this version serves. */
static const enum role served_roles[] = {ROLE_C2S_INBOUND};

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

static int vhost_init(struct tls_store *store, size_t i, struct errbuf *err)
{
	struct tls_vhost *vhost = &store->vhost[i];
	const struct config_domain *domain = &store->config->domains[i];
	struct errbuf reason;

	vhost->domain = domain;
	add_staples(vhost, domain);
	/* A domain without a certificate is in order where no listener needs one; it is then never answered for. */
	for (size_t r = 0; domain->certificate.path && r < ARRAY_LEN(served_roles); r++) {
		enum role role = served_roles[r];
		vhost->ctx[role] = tls_context_new(store->config, domain, role, &reason);
		if (vhost->ctx[role])
			continue;
		errbuf_set(err, "domain %s: %.400s", domain->name, reason.text);
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
	store->ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (!store->ticket_cipher || config->domain_count == 0) {
		errbuf_set(err, store->ticket_cipher ? "no domain is configured" : "OpenSSL offers no AES-256-CBC");
		tls_store_unref(&store);
		return NULL;
	}
	if (tls_client_wanted(config)) {
		store->client = tls_client_context_new(config, err);
		if (!store->client) {
			tls_store_unref(&store);
			return NULL;
		}
	}
	for (size_t i = 0; i < config->domain_count; i++) {
		if (vhost_init(store, i, err)) {
			tls_store_unref(&store);
			return NULL;
		}
	}
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
		mem_free(store->vhost[i].staples);
	}
	SSL_CTX_free(store->client);
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

static struct tls_state *state_new(struct tls_store *store, enum role role, const char *to)
{
	struct tls_state *state = mem_zalloc(sizeof(*state));
	const struct config_domain *domain = to ? config_find_domain(store->config, to) : NULL;

	state->store = tls_store_ref(store);
	state->release = tls_store_unref;
	state->role = role;
	state->by_name = to == NULL;
	state->to_unknown = to && !domain;
	state->vhost = &store->vhost[domain ? domain - store->config->domains : 0];
	return state;
}

struct ssl_st *tls_accept(struct tls_store *store, enum role role, const char *to)
{
	struct tls_state *state = state_new(store, role, to);
	SSL *ssl = state->vhost->ctx[role] ? SSL_new(state->vhost->ctx[role]) : NULL;

	if (!ssl || !tls_state_attach(ssl, state)) {
		SSL_free(ssl);
		tls_state_free(state);
		return NULL;
	}
	forgo_tickets(ssl, store);
	SSL_set_accept_state(ssl);
	return ssl;
}

static struct tls_state *client_state_new(struct tls_store *store, const char *domain, bool must_verify)
{
	struct tls_state *state = mem_zalloc(sizeof(*state));

	state->store = tls_store_ref(store);
	state->release = tls_store_unref;
	state->server_name = mem_strdup(domain);
	state->must_verify = must_verify;
	return state;
}

struct ssl_st *tls_connect(struct tls_store *store, const char *domain, bool must_verify)
{
	struct tls_state *state = client_state_new(store, domain, must_verify);
	SSL *ssl = store->client ? SSL_new(store->client) : NULL;

	if (!ssl || !tls_state_attach(ssl, state)) {
		SSL_free(ssl);
		tls_state_free(state);
		return NULL;
	}
	if (tls_name_expect(ssl, domain)) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_connect_state(ssl);
	return ssl;
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

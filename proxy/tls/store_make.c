/* SPDX-License-Identifier: MIT */
/*
 * Making the contexts of one configuration: those of each domain and role, those of our own connections, anchors and
 * staples. Whatever cannot be made fails the whole of it, with the reason.
 */
#include "tls/store.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/array.h"
#include "base/mem.h"
#include "tls/credential_private.h"
#include "tls/ocsp_private.h"
#include "tls/sessions_private.h"
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

	if (!store->ticket_cipher) {
		errbuf_set(err, "OpenSSL offers no AES-256-CBC");
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
	store->release = tls_store_unref;
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

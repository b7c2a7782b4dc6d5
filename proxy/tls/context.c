/* SPDX-License-Identifier: MIT */
/*
 * One SSL_CTX for one (domain, role): profile, certificate, key, staple, tickets, callbacks. Made once and never
 * changed. The session id context is a digest of everything a resumed session inherits without a new handshake, so
 * that a ticket is good only for the same domain, role, certificate and TLS settings (TLS-14).
 */
#include "tls/state_private.h"
#include "tls/store_private.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/clock.h"
#include "tls/credential_private.h"
#include "tls/profile_private.h"
#include "tls/verify_private.h"

static int failed(struct errbuf *err, const char *what)
{
	struct errbuf reason;

	tls_error_text(&reason);
	errbuf_set(err, "%s: %s", what, reason.text[0] ? reason.text : "refused by OpenSSL");
	return -1;
}

/* Chain certificates pass OpenSSL's security level too: a weak intermediate is as bad as a weak leaf. */
static int use_certificates(SSL_CTX *ctx, struct tls_credential *c, struct errbuf *err)
{
	if (!SSL_CTX_use_certificate(ctx, c->cert[0]))
		return failed(err, "certificate");
	for (size_t i = 1; i < c->count; i++) {
		if (!SSL_CTX_add1_chain_cert(ctx, c->cert[i]))
			return failed(err, "certificate chain");
	}
	if (!SSL_CTX_use_PrivateKey(ctx, c->key) || !SSL_CTX_check_private_key(ctx))
		return failed(err, "private-key");
	return 0;
}

static int load_credential(SSL_CTX *ctx, const struct config_file *certificate, const struct config_file *key,
			   struct errbuf *err)
{
	struct tls_credential c = {0};
	int result = -1;

	if (tls_credential_read_certificates(&c, certificate, err) == 0 && tls_credential_read_key(&c, key, err) == 0)
		result = use_certificates(ctx, &c, err);
	tls_credential_fini(&c);
	return result;
}

/*
 * One of each kind of key. Which one a client gets OpenSSL decides by what the client can verify, in the order of our
 * own signature algorithms and suites: ECDSA first.
 */
int tls_context_load(struct ssl_ctx_st *ctx, const struct config_domain *domain, struct errbuf *err)
{
	if (load_credential(ctx, &domain->certificate, &domain->private_key, err))
		return -1;
	for (size_t i = 0; i < domain->more_certificate_count; i++) {
		const struct config_credential *more = &domain->more_certificates[i];

		if (load_credential(ctx, &more->certificate, &more->private_key, err))
			return -1;
	}
	return 0;
}

/* Length first, so that two neighbouring values can never be read as one other pair. */
static bool digest_add(EVP_MD_CTX *md, const void *data, size_t len)
{
	return EVP_DigestUpdate(md, &len, sizeof(len)) == 1 && EVP_DigestUpdate(md, data, len) == 1;
}

static bool digest_text(EVP_MD_CTX *md, const char *text)
{
	return digest_add(md, text ? text : "", text ? strlen(text) : 0);
}

static bool digest_certificates(EVP_MD_CTX *md, const struct config_domain *domain)
{
	bool ok = digest_add(md, domain->certificate.data, domain->certificate.len);

	for (size_t i = 0; ok && i < domain->more_certificate_count; i++) {
		const struct config_file *file = &domain->more_certificates[i].certificate;

		ok = digest_add(md, file->data, file->len);
	}
	return ok;
}

static bool digest_all(EVP_MD_CTX *md, const struct config_tls *tls, const struct config_domain *domain, enum role role)
{
	int version = policy_min_tls(tls);

	return digest_text(md, role_name(role)) && digest_text(md, domain->name) &&
	       digest_add(md, &tls->profile, sizeof(tls->profile)) && digest_add(md, &version, sizeof(version)) &&
	       digest_text(md, tls->ciphers) && digest_text(md, tls->ciphersuites) && digest_text(md, tls->groups) &&
	       digest_certificates(md, domain);
}

static int set_session_context(SSL_CTX *ctx, const struct config_tls *tls, const struct config_domain *domain,
			       enum role role, struct errbuf *err)
{
	unsigned char id[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 && digest_all(md, tls, domain, role) &&
		  EVP_DigestFinal_ex(md, id, &len) == 1 && SSL_CTX_set_session_id_context(ctx, id, len) == 1;

	EVP_MD_CTX_free(md);
	return ok ? 0 : failed(err, "session context");
}

/*
 * Servers get no tickets: a peer is judged by the chain it has shown, whenever it is asked for (TLS-14), and of that
 * OpenSSL puts nothing but the leaf into a ticket. Streams between servers live for days; what they would save is
 * small.
 */
static void set_resumption(SSL_CTX *ctx, const struct config_tls *tls, enum role role)
{
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_recv_max_early_data(ctx, 0);
	if (!tls->session_resumption || role_is_s2s(role)) {
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ctx, 0);
		return;
	}
	SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ctx, 1);
	if (tls->ticket_lifetime > 0)
		SSL_CTX_set_timeout(ctx, (long)(tls->ticket_lifetime / 1000));
	tls_ticket_install(ctx);
}

/* OpenSSL has chosen the certificate by now. */
static const struct tls_staple *find_staple(const SSL *ssl, const struct tls_vhost *vhost)
{
	X509 *leaf = SSL_get_certificate(ssl);
	EVP_PKEY *key = leaf ? X509_get0_pubkey(leaf) : NULL;

	for (size_t i = 0; key && i < vhost->staple_count; i++)
		if (vhost->staples[i].key_type == EVP_PKEY_get_base_id(key))
			return &vhost->staples[i];
	return NULL;
}

/* An expired staple is worse than none: clients that ask for one fail on it (RFC 6066 section 8). */
static int on_status(SSL *ssl, void *arg)
{
	const struct tls_state *state = tls_state(ssl);
	const struct tls_staple *staple = state ? find_staple(ssl, state->vhost) : NULL;
	const struct config_file *file;
	unsigned char *copy;

	(void)arg;
	if (!staple || staple->until <= clock_real_us() / 1000000)
		return SSL_TLSEXT_ERR_NOACK;
	file = staple->file;
	copy = OPENSSL_memdup(file->data, file->len);
	if (!copy || !SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)file->len)) {
		OPENSSL_free(copy);
		return SSL_TLSEXT_ERR_NOACK;
	}
	return SSL_TLSEXT_ERR_OK;
}

/*
 * TLS-10: with SSL_OP_NO_RENEGOTIATION OpenSSL answers a second ClientHello with a warning and lives on, which a peer
 * can repeat for ever. The attempt shows as a second start, as that warning, or as both. TLS 1.3 reports its tickets
 * and key updates as handshakes and has no renegotiation.
 */
static void on_info(const SSL *ssl, int where, int value)
{
	struct tls_state *state = tls_state(ssl);
	bool attempt;

	if (!state)
		return;
	if (where & SSL_CB_HANDSHAKE_DONE)
		state->done = true;
	if (!state->done || SSL_version(ssl) >= TLS1_3_VERSION)
		return;
	attempt = where & SSL_CB_HANDSHAKE_START;
	if (where & SSL_CB_ALERT && where & SSL_CB_WRITE)
		attempt = (value & 0xff) == SSL_AD_NO_RENEGOTIATION;
	if (attempt)
		state->renegotiated = true;
}

void tls_renegotiation_watch(SSL_CTX *ctx)
{
	SSL_CTX_set_info_callback(ctx, on_info);
}

static void install_callbacks(SSL_CTX *ctx)
{
	tls_hello_install(ctx);
	SSL_CTX_set_tlsext_status_cb(ctx, on_status);
	tls_renegotiation_watch(ctx);
}

/* What a peer is, only the header inside TLS says: the certificate is asked for, and judged then (CERT-11). The list of
 * authorities stays empty: many a server would send none but one of theirs (TLS-20). */
static void set_request(SSL_CTX *ctx, enum role role)
{
	SSL_CTX_set_post_handshake_auth(ctx, 0);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	if (!role_is_s2s(role))
		return;
	SSL_CTX_set0_CA_list(ctx, NULL);
	tls_verify_install(ctx);
}

/* Mode monitor takes whatever an old peer can do; policy_decide then says what enforce would have refused. */
struct config_tls tls_effective(const struct config *config)
{
	struct config_tls tls = config->tls;

	if (config->mode != MODE_MONITOR)
		return tls;
	tls.profile = TLS_PROFILE_COMPAT;
	tls.min_version = 0;
	tls.ciphers = tls.ciphersuites = NULL;
	return tls;
}

struct ssl_ctx_st *tls_context_new(const struct config *config, const struct config_domain *domain, enum role role,
				   struct errbuf *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct config_tls tls = tls_effective(config);

	if (!ctx) {
		failed(err, "TLS context");
		return NULL;
	}
	if (tls_profile_apply(ctx, &tls, err) || tls_context_load(ctx, domain, err) ||
	    set_session_context(ctx, &tls, domain, role, err)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	set_resumption(ctx, &tls, role);
	set_request(ctx, role);
	install_callbacks(ctx);
	return ctx;
}

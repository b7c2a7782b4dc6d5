/* SPDX-License-Identifier: MIT */
/*
 * The client side: the one context of the connections we open, its trust anchors, and what verification found. The
 * anchors are those of tls.ca-file alone (CERT-9); no default path of OpenSSL is ever read. The verify callback records
 * the first fault and decides nothing but what the caller asked for: whether a fault ends the handshake. No session is
 * resumed: a resumed one would carry an old verdict past a change of anchors.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/array.h"
#include "tls/credential_private.h"
#include "tls/profile_private.h"
#include "tls/state_private.h"
#include "tls/store_private.h"

/* Certificates between leaf and anchor; public chains have one or two. */
#define DEPTH_MAX 8

bool tls_client_wanted(const struct config *config)
{
	for (size_t i = 0; i < config->domain_count; i++) {
		if (config->domains[i].backend.tls != BACKEND_TLS_NEVER)
			return true;
	}
	return false;
}

static int trust(void *ctx, X509 *cert, struct errbuf *err)
{
	int added = X509_STORE_add_cert(ctx, cert);

	X509_free(cert);
	if (added != 1)
		errbuf_set(err, "out of memory");
	return added == 1 ? 0 : -1;
}

static X509_STORE *read_authorities(const struct config_file *file, struct errbuf *err)
{
	X509_STORE *store = X509_STORE_new();

	if (!store)
		errbuf_set(err, "out of memory");
	else if (tls_certificates_read(file, trust, store, err) == 0)
		return store;
	X509_STORE_free(store);
	return NULL;
}

static bool is_big_enough(const struct config_tls *tls, X509 *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	int bits = key ? EVP_PKEY_get_bits(key) : 0;

	if (!key || EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
		return bits >= tls->min_rsa_bits;
	return !EVP_PKEY_is_a(key, "EC") || bits >= tls->min_ec_bits;
}

/* Every certificate of a chain that is good so far passes here, the anchor too. */
static bool judge_key(X509_STORE_CTX *chain, const struct config_tls *tls)
{
	int depth = X509_STORE_CTX_get_error_depth(chain);
	X509 *cert = X509_STORE_CTX_get_current_cert(chain);

	if (!cert || is_big_enough(tls, cert))
		return true;
	X509_STORE_CTX_set_error(chain, depth == 0 ? X509_V_ERR_EE_KEY_TOO_SMALL : X509_V_ERR_CA_KEY_TOO_SMALL);
	return false;
}

static int on_verify(int ok, X509_STORE_CTX *chain)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_state *state = ssl ? tls_state(ssl) : NULL;

	if (!state)
		return 0;
	if (ok && judge_key(chain, &state->store->config->tls))
		return 1;
	if (state->verify_error == X509_V_OK)
		state->verify_error = X509_STORE_CTX_get_error(chain);
	return !state->must_verify;
}

/* CERT-7: a chain made for servers. */
static int set_verification(SSL_CTX *ctx, struct errbuf *err)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);

	X509_VERIFY_PARAM_set_depth(param, DEPTH_MAX);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
	if (X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER) == 1)
		return 0;
	errbuf_set(err, "purpose refused by OpenSSL");
	return -1;
}

struct ssl_ctx_st *tls_client_context_new(const struct config *config, struct errbuf *err)
{
	X509_STORE *store = read_authorities(&config->tls.ca_file, err);
	SSL_CTX *ctx = store ? SSL_CTX_new(TLS_client_method()) : NULL;

	if (!ctx) {
		if (store)
			errbuf_set(err, "out of memory");
		X509_STORE_free(store);
		return NULL;
	}
	SSL_CTX_set_cert_store(ctx, store);
	if (tls_profile_apply(ctx, &config->tls, err) || set_verification(ctx, err)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	tls_renegotiation_watch(ctx);
	return ctx;
}

static const struct {
	int error;
	const char *words;
} faults[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, "the certificate, or one it depends on, has expired"},
    {X509_V_ERR_CERT_NOT_YET_VALID, "the certificate, or one it depends on, is not valid yet"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "the certificate is self-signed and not among those trusted"},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "the certificate's issuer is not among those trusted"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "the certificate's issuer is not among those trusted"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "the certificate's issuer is not among those trusted"},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "the certificate's issuer is not among those trusted"},
    {X509_V_ERR_HOSTNAME_MISMATCH, "the certificate is not for this domain"},
    {X509_V_ERR_INVALID_PURPOSE, "the certificate is not meant for servers"},
    {X509_V_ERR_EE_KEY_TOO_SMALL, "the certificate's key is too small"},
    {X509_V_ERR_CA_KEY_TOO_SMALL, "the key of a certificate it depends on is too small"},
    {X509_V_ERR_CA_MD_TOO_WEAK, "the certificate's signature is too weak"},
};

int tls_name_expect(struct ssl_st *ssl, const char *domain)
{
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set_tlsext_host_name(ssl, domain) == 1 && SSL_set1_host(ssl, domain) == 1 ? 0 : -1;
}

const char *tls_unverified(const struct ssl_st *ssl)
{
	const struct tls_state *state = tls_state(ssl);
	long error = state ? state->verify_error : X509_V_ERR_APPLICATION_VERIFICATION;

	if (error == X509_V_OK)
		error = SSL_get_verify_result(ssl);
	if (error == X509_V_OK)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		if (faults[i].error == error)
			return faults[i].words;
	}
	return X509_verify_cert_error_string(error);
}

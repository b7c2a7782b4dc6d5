/* SPDX-License-Identifier: MIT */
/*
 * The judgement of a certificate that is shown to us: by a fingerprint alone, or by its chain (RFC 5280) and then its
 * names. It is asked in the handshake and after it, on either side of it, always with the clock of now: nothing that
 * was found earlier is taken over. Servers are judged by the server purpose whichever side they are on (CERT-12). Trust
 * anchors are those of the caller; no default path of OpenSSL is ever read.
 */
#include "tls/verify_private.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "tls/certificate_private.h"
#include "tls/identity_private.h"
#include "tls/state_private.h"
#include "tls/store_private.h"

/* Certificates between leaf and anchor; public chains have one or two. */
#define DEPTH_MAX 8
/* 112 bits, whatever the connection's own level is: no profile makes a forged signature a proof (TLS-7). */
#define SECURITY_LEVEL 2

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
    {X509_V_ERR_PERMITTED_VIOLATION, "the certificate has a name that its issuer may not give"},
    {X509_V_ERR_EXCLUDED_VIOLATION, "the certificate has a name that its issuer may not give"},
    {X509_V_ERR_CERT_CHAIN_TOO_LONG, "too many certificates stand between this one and those trusted"},
};

static void find_words(struct tls_finding *out, int error, const char *words)
{
	out->error = error;
	out->fault = words;
}

static void find(struct tls_finding *out, int error)
{
	const char *words = X509_verify_cert_error_string(error);

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		if (faults[i].error == error)
			words = faults[i].words;
	}
	find_words(out, error, words);
}

static bool is_big_enough(const struct config_tls *tls, X509 *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	int bits = key ? EVP_PKEY_get_bits(key) : 0;

	if (!key || EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS") || EVP_PKEY_is_a(key, "DSA"))
		return bits >= tls->min_rsa_bits;
	return !EVP_PKEY_is_a(key, "EC") || bits >= tls->min_ec_bits;
}

/* The anchor's key too: what it signs is worth no more than it. */
static bool judge_keys(struct tls_finding *out, const struct tls_question *q, STACK_OF(X509) * path)
{
	for (int i = 0; i < sk_X509_num(path); i++) {
		if (is_big_enough(q->tls, sk_X509_value(path, i)))
			continue;
		find(out, i == 0 ? X509_V_ERR_EE_KEY_TOO_SMALL : X509_V_ERR_CA_KEY_TOO_SMALL);
		return false;
	}
	return true;
}

static bool set_demands(X509_STORE_CTX *ctx)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

	X509_VERIFY_PARAM_set_depth(param, DEPTH_MAX);
	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	X509_VERIFY_PARAM_set_time(param, (time_t)(clock_real_us() / 1000000));
	return X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER) == 1;
}

/* CERT-7: who may sign certificates is an authority and proves no domain (RFC 6120 section 13.7.1.1). */
static bool judge_chain(struct tls_finding *out, const struct tls_question *q, X509_STORE_CTX *ctx, X509 *leaf)
{
	if (X509_verify_cert(ctx) != 1) {
		int error = X509_STORE_CTX_get_error(ctx);

		find(out, error == X509_V_OK ? X509_V_ERR_UNSPECIFIED : error);
		return false;
	}
	if (X509_get_extension_flags(leaf) & EXFLAG_CA) {
		find_words(out, X509_V_ERR_CERT_REJECTED,
			   "the certificate is an authority's (CA:TRUE), not a server's");
		return false;
	}
	return judge_keys(out, q, X509_STORE_CTX_get0_chain(ctx));
}

static bool any_dns(const STACK_OF(GENERAL_SUBTREE) * trees)
{
	for (int i = 0; i < sk_GENERAL_SUBTREE_num(trees); i++) {
		if (sk_GENERAL_SUBTREE_value(trees, i)->base->type == GEN_DNS)
			return true;
	}
	return false;
}

/*
 * CERT-8: an issuer that is held to some DNS names could else name any domain in a form that nobody has thought of
 * limiting. OpenSSL knows no limits on those forms and refuses chains that set them.
 */
static bool limits_dns(STACK_OF(X509) * path)
{
	bool found = false;

	for (int i = 1; !found && i < sk_X509_num(path); i++) {
		NAME_CONSTRAINTS *limits = X509_get_ext_d2i(sk_X509_value(path, i), NID_name_constraints, NULL, NULL);

		found = limits && (any_dns(limits->permittedSubtrees) || any_dns(limits->excludedSubtrees));
		NAME_CONSTRAINTS_free(limits);
	}
	return found;
}

static void judge_names(struct tls_finding *out, const struct tls_question *q, X509 *leaf, STACK_OF(X509) * path)
{
	const struct tls_reference reference = {q->domain, q->service, limits_dns(path)};

	switch (tls_identity_match(leaf, &reference, out->matched)) {
	case TLS_MATCH:
		return;
	case TLS_MATCH_NONE:
		find(out, X509_V_ERR_HOSTNAME_MISMATCH);
		return;
	case TLS_MATCH_BEYOND_ISSUER:
		find_words(out, X509_V_ERR_HOSTNAME_MISMATCH,
			   "the certificate names this domain in a form that its issuer, limited to some DNS names, "
			   "may not vouch for");
		return;
	case TLS_MATCH_NUL:
		find_words(out, X509_V_ERR_CERT_REJECTED, "the certificate has a name with a NUL character in it");
		return;
	case TLS_MATCH_UNREADABLE:
		break;
	}
	find_words(out, X509_V_ERR_CERT_REJECTED, "the certificate's names cannot be read");
}

static void judge_pkix(struct tls_finding *out, const struct tls_question *q, X509 *leaf, STACK_OF(X509) * chain)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();

	if (!ctx || X509_STORE_CTX_init(ctx, q->anchors, leaf, chain) != 1 || !set_demands(ctx))
		find(out, X509_V_ERR_OUT_OF_MEM);
	else if (judge_chain(out, q, ctx, leaf) && q->domain)
		judge_names(out, q, leaf, X509_STORE_CTX_get0_chain(ctx));
	if (out->error == X509_V_OK)
		out->method = "pkix";
	X509_STORE_CTX_free(ctx);
}

/* CERT-16: pins come from the configuration only. One that matches decides alone, past any date in the certificate. */
static void judge_pins(struct tls_finding *out, const struct config_peer *rule, const X509 *leaf)
{
	char digest[2][TLS_DIGEST_SIZE], pin[2][TLS_DIGEST_SIZE + 16];

	tls_digest_certificate(leaf, digest[0]);
	tls_digest_key(leaf, digest[1]);
	(void)snprintf(pin[0], sizeof(pin[0]), "sha256:%s", digest[0]);
	(void)snprintf(pin[1], sizeof(pin[1]), "spki-sha256:%s", digest[1]);
	for (size_t i = 0; rule && i < rule->fingerprint_count; i++) {
		for (size_t k = 0; k < ARRAY_LEN(pin); k++) {
			if (digest[k][0] == '\0' || strcmp(rule->fingerprints[i], pin[k]) != 0)
				continue;
			out->method = "fingerprint";
			(void)snprintf(out->matched, sizeof(out->matched), "%s", pin[k]);
			return;
		}
	}
	find_words(out, X509_V_ERR_CERT_REJECTED, "the certificate has none of the fingerprints that are asked for");
}

void tls_judge(struct tls_finding *out, const struct tls_question *question, struct x509_st *leaf,
	       struct stack_st_X509 *chain)
{
	*out = (struct tls_finding){.error = X509_V_OK, .method = "none"};
	if (!leaf) {
		find_words(out, X509_V_ERR_CERT_REJECTED, "no certificate was shown");
		return;
	}
	/* Whoever reads or writes the connection next looks into OpenSSL's queue of errors. */
	ERR_set_mark();
	if (question->pinned)
		judge_pins(out, question->rule, leaf);
	else
		judge_pkix(out, question, leaf, chain);
	ERR_pop_to_mark();
}

void tls_judge_ssl(struct tls_finding *out, const struct tls_question *question, const struct ssl_st *ssl)
{
	tls_judge(out, question, SSL_get0_peer_certificate(ssl), SSL_get_peer_cert_chain(ssl));
}

void tls_question_init(struct tls_question *out, const struct tls_store *store, const struct peer_policy *policy,
		       const char *domain, const char *service)
{
	const struct config_peer *rule = policy->rule;
	X509_STORE *own = rule ? store->peer_anchors[rule - store->config->peers] : NULL;

	*out = (struct tls_question){
	    .anchors = own ? own : store->anchors,
	    .tls = policy->tls,
	    .domain = domain,
	    .service = service,
	    .pinned = policy->level == LEVEL_FINGERPRINT && domain,
	    .rule = rule,
	};
}

static void keep_refused(struct tls_state *state, X509 *leaf)
{
	if (!state->refused && leaf && X509_up_ref(leaf) == 1)
		state->refused = leaf;
}

/*
 * In the handshake. On a connection of ours that must prove itself a fault ends it, and its code chooses the alert
 * (CERT-10). On an accepted one nothing does: who it is said to be comes with the header (CERT-11).
 */
static int on_certificate(X509_STORE_CTX *chain, void *arg)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_state *state = ssl ? tls_state(ssl) : NULL;
	struct tls_question question;
	struct tls_finding finding;
	X509 *leaf = X509_STORE_CTX_get0_cert(chain);

	(void)arg;
	if (!state)
		return 0;
	tls_question_init(&question, state->store, &state->policy, state->domain, state->service);
	tls_judge(&finding, &question, leaf, X509_STORE_CTX_get0_untrusted(chain));
	state->judged = true;
	state->fault = finding.fault;
	X509_STORE_CTX_set_error(chain, finding.error);
	if (!finding.fault || !state->must_prove)
		return 1;
	keep_refused(state, leaf);
	return 0;
}

void tls_verify_install(struct ssl_ctx_st *ctx)
{
	SSL_CTX_set_cert_verify_callback(ctx, on_certificate, NULL);
}

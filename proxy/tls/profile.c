/* SPDX-License-Identifier: MIT */
/*
 * The profiles as one table, and the one function that lays them on a context. Every parameter OpenSSL has a default
 * for is set here, so that neither a distribution's patch nor openssl.cnf decides one. The order of the TLS 1.2 list is
 * RFC 9325 section 4.2.1's: the stronger AES-256 first where the client offers it, AES-128-GCM before anything weaker.
 */
#include "tls/profile_private.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "policy/peer.h"
#include "tls/profile_table_private.h"
#include "tls/store.h"

#define AEAD_SUITES                                                  \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define CBC_SUITES "ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA"
#define TLS13_SUITES "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
#define SIGALGS                                                                                              \
	"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:" \
	"rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512"

static const struct tls_profile_row rows[] = {
    [TLS_PROFILE_MODERN] = {"modern", 2, false, AEAD_SUITES, TLS13_SUITES, SIGALGS},
    [TLS_PROFILE_BCP195] = {"bcp195", 2, false, AEAD_SUITES, TLS13_SUITES, SIGALGS},
    /* TLS 1.0 and 1.1 sign with MD5 and SHA-1, which OpenSSL lets happen at level 0 only. */
    [TLS_PROFILE_COMPAT] = {"compat", 0, true, AEAD_SUITES ":" CBC_SUITES, TLS13_SUITES,
			    SIGALGS ":ECDSA+SHA1:RSA+SHA1"},
};
_Static_assert(ARRAY_LEN(rows) == TLS_PROFILE_COUNT, "profile without a row");

/* Best first; the hybrid is unknown to older libraries. X25519 costs a third less than P-256. */
static const char *const default_groups[] = {"X25519MLKEM768:X25519:P-256:P-384", "X25519:P-256:P-384"};

const struct tls_profile_row *tls_profile_row(const struct config_tls *tls)
{
	return &rows[tls->profile >= 0 && tls->profile < TLS_PROFILE_COUNT ? tls->profile : TLS_PROFILE_BCP195];
}

static int wire_version(int version)
{
	return TLS1_VERSION + (version - 10);
}

static int failed(struct errbuf *err, const char *key)
{
	struct errbuf reason;

	tls_error_text(&reason);
	errbuf_set(err, "tls.%s: %s", key, reason.text[0] ? reason.text : "refused by OpenSSL");
	return -1;
}

int tls_profile_set_groups(SSL_CTX *ctx, const char *groups)
{
	if (groups)
		return SSL_CTX_set1_groups_list(ctx, groups) == 1 ? 0 : -1;
	for (size_t i = 0; i < ARRAY_LEN(default_groups); i++) {
		if (SSL_CTX_set1_groups_list(ctx, default_groups[i]) == 1)
			return 0;
		ERR_clear_error();
	}
	return -1;
}

static void set_flags(SSL_CTX *ctx)
{
	SSL_CTX_clear_options(ctx, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
				       SSL_OP_ALLOW_CLIENT_RENEGOTIATION | SSL_OP_PRIORITIZE_CHACHA |
				       SSL_OP_NO_EXTENDED_MASTER_SECRET | SSL_OP_NO_ENCRYPT_THEN_MAC |
				       SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_ALLOW_NO_DHE_KEX | SSL_OP_TLSEXT_PADDING |
				       SSL_OP_NO_SSL_MASK);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION |
				     SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
	/* NO_AUTO_CHAIN: the chain is the file's; OpenSSL would search an empty store for it in every handshake. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_dh_auto(ctx, 0);
}

int tls_profile_apply(struct ssl_ctx_st *ctx, const struct config_tls *tls, struct errbuf *err)
{
	const struct tls_profile_row *row = tls_profile_row(tls);

	set_flags(ctx);
	if (!SSL_CTX_set_min_proto_version(ctx, wire_version(policy_min_tls(tls))) ||
	    !SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION))
		return failed(err, "min-version");
	if (!SSL_CTX_set_cipher_list(ctx, tls->ciphers ? tls->ciphers : row->ciphers))
		return failed(err, "ciphers");
	if (!SSL_CTX_set_ciphersuites(ctx, tls->ciphersuites ? tls->ciphersuites : row->ciphersuites))
		return failed(err, "ciphersuites");
	if (tls_profile_set_groups(ctx, tls->groups))
		return failed(err, "groups");
	if (!SSL_CTX_set1_sigalgs_list(ctx, row->sigalgs))
		return failed(err, "profile");
	/* After the list: "@SECLEVEL=0" in it must not have the last word. */
	SSL_CTX_set_security_level(ctx, row->security_level);
	return 0;
}

static bool set_groups_one(SSL *ssl, const char *groups)
{
	bool set = groups && SSL_set1_groups_list(ssl, groups) == 1;

	for (size_t i = 0; !groups && !set && i < ARRAY_LEN(default_groups); i++) {
		set = SSL_set1_groups_list(ssl, default_groups[i]) == 1;
		if (!set)
			ERR_clear_error();
	}
	return set;
}

int tls_profile_apply_one(struct ssl_st *ssl, const struct config_tls *tls, struct errbuf *err)
{
	const struct tls_profile_row *row = tls_profile_row(tls);

	if (!SSL_set_min_proto_version(ssl, wire_version(policy_min_tls(tls))))
		return failed(err, "min-version");
	if (!SSL_set_cipher_list(ssl, tls->ciphers ? tls->ciphers : row->ciphers))
		return failed(err, "ciphers");
	if (!SSL_set_ciphersuites(ssl, tls->ciphersuites ? tls->ciphersuites : row->ciphersuites))
		return failed(err, "ciphersuites");
	if (!set_groups_one(ssl, tls->groups))
		return failed(err, "groups");
	if (!SSL_set1_sigalgs_list(ssl, row->sigalgs))
		return failed(err, "profile");
	SSL_set_security_level(ssl, row->security_level);
	return 0;
}

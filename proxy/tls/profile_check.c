/* SPDX-License-Identifier: MIT */
/*
 * Judges the cipher, suite and group strings of the configuration by what they expand to, not by how they are written
 * (TLS-3, 5, 6): RFC 9325 section 4.1 forbids static RSA, finite-field DH, anonymous, NULL, RC4, export and short-key
 * suites, and advises against CBC. OpenSSL drops names it does not know without a word, so each one is tried alone.
 */
#include "tls/profile_private.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/mem.h"
#include "policy/peer.h"
#include "tls/profile_table_private.h"

#define EC_BITS_LEAST 224

/* Why RFC 9325 does not want this suite, or NULL. */
static const char *suite_fault(const SSL_CIPHER *suite, bool cbc_allowed)
{
	const char *name = SSL_CIPHER_get_name(suite);
	int kx = SSL_CIPHER_get_kx_nid(suite);
	int cipher = SSL_CIPHER_get_cipher_nid(suite);
	bool tls13 = kx == NID_kx_any;

	if (cipher == NID_undef)
		return "no encryption";
	if (SSL_CIPHER_get_auth_nid(suite) == NID_auth_null)
		return "no authentication";
	if (kx == NID_kx_rsa)
		return "static RSA key exchange, no forward secrecy";
	if (kx == NID_kx_dhe)
		return "finite-field Diffie-Hellman";
	if (!tls13 && kx != NID_kx_ecdhe)
		return "key exchange other than ECDHE";
	/* Before the key: since OpenSSL 3.2 these count as 64 bits strong because of their tag. */
	if (strstr(name, "CCM8") || strstr(name, "CCM_8"))
		return "64-bit authentication tag";
	if (SSL_CIPHER_get_bits(suite, NULL) < 128)
		return "key shorter than 128 bits";
	if (cipher == NID_rc4)
		return "RC4";
	if (!SSL_CIPHER_is_aead(suite) && !cbc_allowed)
		return "CBC mode";
	return NULL;
}

static bool is_tls13(const SSL_CIPHER *suite)
{
	return SSL_CIPHER_get_kx_nid(suite) == NID_kx_any;
}

/* Suites of one kind that the context holds now; the first faulty one is told with how many more there are. */
static size_t judge(SSL_CTX *ctx, bool tls13, bool cbc, const char *key, struct config_mark mark,
		    struct diag_list *diags)
{
	STACK_OF(SSL_CIPHER) *suites = SSL_CTX_get_ciphers(ctx);
	const char *first = NULL, *why = NULL;
	size_t seen = 0, faulty = 0;

	for (int i = 0; i < sk_SSL_CIPHER_num(suites); i++) {
		const SSL_CIPHER *suite = sk_SSL_CIPHER_value(suites, i);
		const char *fault;

		if (is_tls13(suite) != tls13)
			continue;
		seen++;
		fault = suite_fault(suite, cbc);
		if (fault && faulty++ == 0) {
			first = SSL_CIPHER_get_name(suite);
			why = fault;
		}
	}
	if (faulty == 1)
		diag_add(diags, DIAG_ERROR, mark, "tls.%s: allows %s (%s), which RFC 9325 forbids", key, first, why);
	else if (faulty)
		diag_add(diags, DIAG_ERROR, mark, "tls.%s: allows %s (%s) and %zu more that RFC 9325 forbids", key,
			 first, why, faulty - 1);
	return seen;
}

typedef bool token_fn(SSL_CTX *ctx, const char *token, struct config_mark mark, struct diag_list *diags);

static bool each_token(SSL_CTX *ctx, const char *list, const char *separators, struct config_mark mark,
		       struct diag_list *diags, token_fn *fn)
{
	char *copy = mem_strdup(list), *save = NULL;
	bool ok = true;

	for (char *t = strtok_r(copy, separators, &save); t; t = strtok_r(NULL, separators, &save)) {
		if (!fn(ctx, t, mark, diags))
			ok = false;
		ERR_clear_error();
	}
	mem_free(copy);
	return ok;
}

static bool try_cipher(SSL_CTX *ctx, const char *token, struct config_mark mark, struct diag_list *diags)
{
	if (strncmp(token, "@SECLEVEL", 9) == 0) {
		diag_add(diags, DIAG_ERROR, mark, "tls.ciphers: %s: the profile sets the security level; remove it",
			 token);
		return false;
	}
	if (strchr("!-+@", token[0]) || SSL_CTX_set_cipher_list(ctx, token))
		return true;
	diag_add(diags, DIAG_ERROR, mark,
		 "tls.ciphers: \"%.64s\" names no TLS 1.2 cipher suite of this OpenSSL (see `openssl ciphers -v`)",
		 token);
	return false;
}

static void check_ciphers(SSL_CTX *ctx, const struct config_tls *tls, struct diag_list *diags)
{
	if (!tls->ciphers || !each_token(ctx, tls->ciphers, ":, ", tls->ciphers_mark, diags, try_cipher))
		return;
	if (SSL_CTX_set_cipher_list(ctx, tls->ciphers) &&
	    judge(ctx, false, tls_profile_row(tls)->cbc, "ciphers", tls->ciphers_mark, diags) > 0)
		return;
	ERR_clear_error();
	diag_add(diags, DIAG_ERROR, tls->ciphers_mark, "tls.ciphers: no TLS 1.2 cipher suite is left of it");
}

static bool try_suite(SSL_CTX *ctx, const char *token, struct config_mark mark, struct diag_list *diags)
{
	if (SSL_CTX_set_ciphersuites(ctx, token)) {
		STACK_OF(SSL_CIPHER) *suites = SSL_CTX_get_ciphers(ctx);
		for (int i = 0; i < sk_SSL_CIPHER_num(suites); i++) {
			if (strcmp(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(suites, i)), token) == 0)
				return true;
		}
	}
	diag_add(diags, DIAG_ERROR, mark,
		 "tls.ciphersuites: \"%.64s\" is no TLS 1.3 cipher suite of this OpenSSL; they are called "
		 "TLS_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256, TLS_CHACHA20_POLY1305_SHA256",
		 token);
	return false;
}

static void check_ciphersuites(SSL_CTX *ctx, const struct config_tls *tls, struct diag_list *diags)
{
	if (!tls->ciphersuites || !each_token(ctx, tls->ciphersuites, ":", tls->ciphersuites_mark, diags, try_suite))
		return;
	if (SSL_CTX_set_ciphersuites(ctx, tls->ciphersuites) &&
	    judge(ctx, true, false, "ciphersuites", tls->ciphersuites_mark, diags) > 0)
		return;
	ERR_clear_error();
	diag_add(diags, DIAG_ERROR, tls->ciphersuites_mark, "tls.ciphersuites: empty: TLS 1.3 needs one");
}

/* Bits of a named elliptic curve, 0 for anything else (X25519, X448 and hybrids are strong by construction). */
static int curve_bits(const char *name)
{
	int nid = EC_curve_nist2nid(name);
	EC_GROUP *group;
	int bits;

	if (nid == NID_undef)
		nid = OBJ_txt2nid(name);
	group = nid == NID_undef ? NULL : EC_GROUP_new_by_curve_name(nid);
	bits = group ? EC_GROUP_get_degree(group) : 0;
	EC_GROUP_free(group);
	return bits;
}

static bool try_group(SSL_CTX *ctx, const char *token, struct config_mark mark, struct diag_list *diags)
{
	int bits;

	if (token[0] == '?') /* newer OpenSSL: optional */
		token++;
	if (tls_profile_set_groups(ctx, token)) {
		diag_add(diags, DIAG_ERROR, mark, "tls.groups: this OpenSSL knows no group \"%.64s\"", token);
		return false;
	}
	bits = curve_bits(token);
	if (bits != 0 && bits < EC_BITS_LEAST) {
		diag_add(diags, DIAG_ERROR, mark, "tls.groups: %s has %d bits; RFC 9325 section 4.5 asks for %d", token,
			 bits, EC_BITS_LEAST);
		return false;
	}
	if (strncasecmp(token, "ffdhe", 5) == 0) {
		diag_add(diags, DIAG_ERROR, mark, "tls.groups: %s is finite-field Diffie-Hellman", token);
		return false;
	}
	return true;
}

static void check_groups(SSL_CTX *ctx, const struct config_tls *tls, struct diag_list *diags)
{
	if (!tls->groups || !each_token(ctx, tls->groups, ":", tls->groups_mark, diags, try_group))
		return;
	if (tls->groups[0] && tls_profile_set_groups(ctx, tls->groups) == 0)
		return;
	ERR_clear_error();
	diag_add(diags, DIAG_ERROR, tls->groups_mark, "tls.groups: not a list of groups separated by colons");
}

static void check_version(const struct config_tls *tls, struct diag_list *diags)
{
	const struct tls_profile_row *row = tls_profile_row(tls);
	const struct config_tls plain = {.profile = tls->profile};
	int version = policy_min_tls(tls), of_profile = policy_min_tls(&plain);

	if (version < 12)
		diag_add(diags, DIAG_ERROR, tls->mark,
			 "tls: profile %s with TLS 1.%d for everyone: RFC 8996 forbids what is below TLS 1.2; profile "
			 "compat and such a min-version are for one peer at a time",
			 row->name, version - 10);
	else if (version < of_profile)
		diag_add(diags, DIAG_WARNING, tls->mark, "tls: min-version 1.%d lowers profile %s, which asks for 1.%d",
			 version - 10, row->name, of_profile - 10);
}

static void check_strings(const struct config_tls *tls, struct diag_list *diags)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx) {
		diag_add(diags, DIAG_ERROR, tls->mark, "tls: OpenSSL cannot make a context");
		return;
	}
	check_ciphers(ctx, tls, diags);
	check_ciphersuites(ctx, tls, diags);
	check_groups(ctx, tls, diags);
	SSL_CTX_free(ctx);
}

void tls_profile_check(const struct config_tls *tls, struct diag_list *diags)
{
	check_version(tls, diags);
	check_strings(tls, diags);
}

static bool is_same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

void tls_profile_check_peer(const struct config_tls *peer, const struct config_tls *common, struct diag_list *diags)
{
	struct config_tls own = *peer;

	if (is_same(own.ciphers, common->ciphers))
		own.ciphers = NULL;
	if (is_same(own.ciphersuites, common->ciphersuites))
		own.ciphersuites = NULL;
	if (is_same(own.groups, common->groups))
		own.groups = NULL;
	check_strings(&own, diags);
}

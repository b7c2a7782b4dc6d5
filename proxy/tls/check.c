/* SPDX-License-Identifier: MIT */
/*
 * `portcullis check` for everything TLS: each certificate and key a configuration names, and the strings of the `tls`
 * block. All findings of one run, each at the line of the key that holds the file. What is found good here makes a
 * context at the end, so that nothing is accepted that a worker could not load.
 */
#include "tls/check.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "base/array.h"
#include "tls/leaf_private.h"
#include "tls/ocsp_private.h"
#include "tls/profile_private.h"
#include "tls/store_private.h"
#include "tls/verify_private.h"

struct seen_kinds {
	int type[8]; /* EVP_PKEY_get_base_id */
	size_t count;
};

static void check_key(const struct config_domain *domain, struct tls_credential *c, struct diag_list *diags)
{
	struct errbuf err;

	if (tls_credential_read_key(c, &domain->private_key, &err))
		diag_add(diags, DIAG_ERROR, domain->private_key.mark, "private-key: %s", err.text);
	else if (c->count > 0 && X509_check_private_key(c->cert[0], c->key) != 1)
		diag_add(diags, DIAG_ERROR, domain->private_key.mark,
			 "private-key: %s does not match the first certificate in %s", domain->private_key.path,
			 domain->certificate.path);
	ERR_clear_error();
}

static void check_context(const struct config *config, const struct config_domain *domain, struct diag_list *diags)
{
	struct errbuf err;
	struct ssl_ctx_st *ctx = tls_context_new(config, domain, ROLE_C2S_INBOUND, &err);

	if (!ctx)
		diag_add(diags, DIAG_ERROR, domain->certificate.mark, "certificate: OpenSSL refuses it: %s", err.text);
	SSL_CTX_free(ctx);
}

/* Where one of its files could not be read, the loader has said so. */
static bool is_read(const struct config_domain *domain)
{
	return domain->name && domain->certificate.data && domain->private_key.data;
}

/* OpenSSL would let the later one of a kind take the place of the earlier, and say nothing. */
static void check_kind(const struct config_domain *domain, const struct tls_credential *c, struct seen_kinds *seen,
		       struct diag_list *diags)
{
	struct evp_pkey_st *key = X509_get0_pubkey(c->cert[0]);
	int type = key ? EVP_PKEY_get_base_id(key) : NID_undef;
	char text[TLS_KEY_TEXT_SIZE];

	if (!key)
		return; /* said elsewhere */
	tls_key_text(key, text);
	for (size_t i = 0; i < seen->count; i++) {
		if (seen->type[i] != type)
			continue;
		diag_add(diags, DIAG_ERROR, domain->certificate.mark,
			 "certificate: the domain has another one with this kind of key (%s): give one of each kind",
			 text);
		return;
	}
	if (seen->count < ARRAY_LEN(seen->type))
		seen->type[seen->count++] = type;
}

/* One certificate with its key and staple, as if the domain had no other. */
static void check_credential(const struct config *config, const struct config_domain *domain, int64_t now,
			     struct seen_kinds *seen, struct diag_list *diags)
{
	struct tls_credential c = {0};
	struct errbuf err;

	if (tls_credential_read_certificates(&c, &domain->certificate, &err)) {
		diag_add(diags, DIAG_ERROR, domain->certificate.mark, "certificate: %s", err.text);
	} else {
		check_kind(domain, &c, seen, diags);
		tls_leaf_check(config, domain, &c, now, diags);
		if (domain->ocsp_response.data)
			tls_ocsp_check(&domain->ocsp_response, &c, now, diags);
	}
	check_key(domain, &c, diags);
	tls_credential_fini(&c);
}

static void check_domain(const struct config *config, const struct config_domain *domain, bool sound, int64_t now,
			 struct diag_list *diags)
{
	struct seen_kinds seen = {.count = 0};
	size_t before = diags->errors;

	check_credential(config, domain, now, &seen, diags);
	for (size_t i = 0; i < domain->more_certificate_count; i++) {
		struct config_domain one = config_domain_with(domain, i);

		if (is_read(&one))
			check_credential(config, &one, now, &seen, diags);
	}
	if (sound && diags->errors == before)
		check_context(config, domain, diags);
}

static void check_authorities(const struct config_file *file, struct diag_list *diags)
{
	struct errbuf err;
	struct x509_store_st *anchors = tls_anchors_new(file, &err);

	if (!anchors)
		diag_add(diags, DIAG_ERROR, file->mark, "tls.ca-file: %s", err.text);
	X509_STORE_free(anchors);
}

static void check_peers(const struct config *config, struct diag_list *diags)
{
	for (size_t i = 0; i < config->peer_count; i++) {
		const struct config_peer *peer = &config->peers[i];

		if (!peer->tls_set)
			continue;
		tls_profile_check_peer(&peer->tls, &config->tls, diags);
		if (peer->tls.ca_file.data && tls_anchors_of_peer(config, i))
			check_authorities(&peer->tls.ca_file, diags);
	}
}

void tls_check(const struct config *config, int64_t now, struct diag_list *diags)
{
	struct config plain = *config;

	const size_t before = diags->errors;

	tls_profile_check(&config->tls, diags);
	if (config->tls.ca_file.data || tls_client_wanted(config))
		check_authorities(&config->tls.ca_file, diags);
	check_peers(config, diags);
	/* The strings were judged above: a fault in them must not be told again for every domain. */
	plain.tls.ciphers = plain.tls.ciphersuites = plain.tls.groups = NULL;
	for (size_t i = 0; i < config->domain_count; i++) {
		if (is_read(&config->domains[i]))
			check_domain(&plain, &config->domains[i], before == 0, now, diags);
	}
}

void tls_describe_certificate(const struct config_domain *domain, int64_t now, char *out, size_t size)
{
	struct tls_credential c = {0};
	char name[TLS_NAME_TEXT_SIZE], key[TLS_KEY_TEXT_SIZE], date[TLS_DATE_SIZE];
	struct errbuf err;
	int64_t until;

	out[0] = '\0';
	if (tls_credential_read_certificates(&c, &domain->certificate, &err) == 0 && X509_get0_pubkey(c.cert[0]) &&
	    tls_asn1_time(X509_get0_notAfter(c.cert[0]), &until)) {
		tls_leaf_name(c.cert[0], name);
		tls_key_text(X509_get0_pubkey(c.cert[0]), key);
		tls_date(until, date);
		if (until < now)
			(void)snprintf(out, size, "%s, %s, expired on %s", name, key, date);
		else
			(void)snprintf(out, size, "%s, %s, valid until %s (%lld days)", name, key, date,
				       (long long)((until - now) / 86400));
	}
	tls_credential_fini(&c);
}

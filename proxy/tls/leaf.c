/* SPDX-License-Identifier: MIT */
/*
 * What is wrong with a domain's own certificate: dates, key and signature strength (TLS-7), names, place in the chain.
 * Names count as RFC 9525 has it: DNS names of subjectAltName only, `*` only as the whole left-most label, the common
 * name never. Text out of a certificate is escaped before it is shown.
 */
#include "tls/leaf_private.h"

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/strbuf.h"
#include "tls/identity_private.h"
#include "tls/store_private.h"

#define DAY_S 86400
#define EXPIRY_WARNING_DAYS 30
#define NAMES_TEXT_MAX 400

struct leaf {
	const struct config *config;
	const struct config_domain *domain;
	const struct tls_credential *c;
	int64_t now;
	struct diag_list *diags;
};

#define finding(l, severity, ...) diag_add((l)->diags, (severity), (l)->domain->certificate.mark, __VA_ARGS__)

static void check_dates(const struct leaf *l)
{
	char date[TLS_DATE_SIZE];
	int64_t from, until;

	if (!tls_asn1_time(X509_get0_notBefore(l->c->cert[0]), &from) ||
	    !tls_asn1_time(X509_get0_notAfter(l->c->cert[0]), &until)) {
		finding(l, DIAG_ERROR, "certificate: unreadable dates");
		return;
	}
	if (l->now < from) {
		tls_date(from, date);
		finding(l, DIAG_ERROR, "certificate: not valid before %s: check the clock of this machine", date);
	}
	tls_date(until, date);
	if (l->now > until)
		finding(l, DIAG_ERROR, "certificate: expired on %s: renew it", date);
	else if (until - l->now < (int64_t)EXPIRY_WARNING_DAYS * DAY_S)
		finding(l, DIAG_WARNING, "certificate: expires on %s, in %lld days: renew it", date,
			(long long)((until - l->now) / DAY_S));
}

static void check_strength(const struct leaf *l)
{
	EVP_PKEY *key = X509_get0_pubkey(l->c->cert[0]);
	const struct config_tls *tls = &l->config->tls;
	int bits = key ? EVP_PKEY_get_bits(key) : 0;
	int type = key ? EVP_PKEY_get_base_id(key) : NID_undef;

	switch (type) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS:
		if (bits < tls->min_rsa_bits)
			finding(l, DIAG_ERROR, "certificate: RSA key of %d bits; tls.min-rsa-bits asks for %lld", bits,
				(long long)tls->min_rsa_bits);
		break;
	case EVP_PKEY_EC:
		if (bits < tls->min_ec_bits)
			finding(l, DIAG_ERROR, "certificate: EC key of %d bits; tls.min-ec-bits asks for %lld", bits,
				(long long)tls->min_ec_bits);
		break;
	case EVP_PKEY_ED25519:
	case EVP_PKEY_ED448:
		break;
	default:
		finding(l, DIAG_ERROR, "certificate: its key is neither RSA nor EC nor Ed25519");
	}
}

/* RFC 9325 section 4.5. A root's signature on itself protects nothing and may be as old as it likes. */
static void check_signatures(const struct leaf *l)
{
	for (size_t i = 0; i < l->c->count; i++) {
		X509 *cert = l->c->cert[i];
		int digest = NID_undef;

		if (i > 0 && X509_get_extension_flags(cert) & EXFLAG_SS)
			continue;
		if (!X509_get_signature_info(cert, &digest, NULL, NULL, NULL) ||
		    (digest != NID_sha1 && digest != NID_md5 && digest != NID_md5_sha1))
			continue;
		finding(l, DIAG_ERROR,
			"certificate: %s is signed with %s, which can be forged: get one signed with SHA-256",
			i == 0 ? "it" : "an intermediate in the chain", OBJ_nid2sn(digest));
	}
}

static void safe_asn1(const ASN1_STRING *text, char *out, size_t size)
{
	(void)log_safe(out, size, (const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text), 128);
}

/* Fills names with "a, b, c"; true if there is any. */
static bool list_names(const X509 *leaf, struct strbuf *names)
{
	GENERAL_NAMES *sans = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	char text[TLS_NAME_TEXT_SIZE];

	for (int i = 0; i < sk_GENERAL_NAME_num(sans); i++) {
		int type;
		const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(sans, i), &type);

		if (type != GEN_DNS)
			continue;
		safe_asn1(value, text, sizeof(text));
		(void)strbuf_printf(names, "%s%s", names->len ? ", " : "", text);
	}
	GENERAL_NAMES_free(sans);
	return names->len > 0;
}

static bool covers(X509 *leaf, const char *name)
{
	return X509_check_host(leaf, name, strlen(name),
			       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

static bool is_ascii(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text > 127)
			return false;
	}
	return true;
}

/* Certificates hold A-labels: an internationalised domain is covered by way of its xn-- form in server-names. */
static bool covers_domain(X509 *leaf, const struct config_domain *domain)
{
	if (covers(leaf, domain->name))
		return true;
	for (size_t i = 0; !is_ascii(domain->name) && i < domain->server_name_count; i++) {
		if (strstr(domain->server_names[i], "xn--") && covers(leaf, domain->server_names[i]))
			return true;
	}
	return false;
}

static void check_names(const struct leaf *l)
{
	struct strbuf names;
	const char *hint = is_ascii(l->domain->name) ? "" : " (name its xn-- form in server-names)";

	if (covers_domain(l->c->cert[0], l->domain))
		return;
	strbuf_init(&names, NAMES_TEXT_MAX);
	if (list_names(l->c->cert[0], &names))
		finding(l, DIAG_ERROR, "certificate: does not cover %s%s; its names are: %s%s", l->domain->name, hint,
			strbuf_text(&names), names.overflow ? " ..." : "");
	else
		finding(
		    l, DIAG_ERROR,
		    "certificate: does not cover %s%s: it has no DNS name in subjectAltName, and a common name does "
		    "not count (RFC 9525)",
		    l->domain->name, hint);
	strbuf_fini(&names);
}

static void check_use(const struct leaf *l)
{
	X509 *leaf = l->c->cert[0];
	uint32_t flags = X509_get_extension_flags(leaf);

	if (flags & EXFLAG_CA)
		finding(l, DIAG_ERROR,
			"certificate: the first one in the file is a CA (CA:TRUE): the server's own must stand first, "
			"and must not be a CA (openssl req -addext basicConstraints=critical,CA:FALSE)");
	else if (X509_check_purpose(leaf, X509_PURPOSE_SSL_SERVER, 0) != 1)
		finding(l, DIAG_WARNING,
			"certificate: its key usage does not allow a TLS server; clients will refuse it");
}

/* It is ours to present on either leg between servers; the name adds nothing that a DNS name does not say. */
static void check_xmpp_address(const struct leaf *l)
{
	if (!tls_role_wanted(l->config, ROLE_S2S_INBOUND) && !tls_role_wanted(l->config, ROLE_S2S_OUTBOUND))
		return;
	if (tls_names_xmpp_domain(l->c->cert[0]))
		finding(l, DIAG_WARNING,
			"certificate: it holds an XmppAddr, and ejabberd 23.01 drops servers that show one: get one "
			"with the DNS name alone");
}

static void check_chain(const struct leaf *l)
{
	const struct tls_credential *c = l->c;

	if (X509_get_extension_flags(c->cert[0]) & EXFLAG_SS) {
		finding(l, DIAG_WARNING, "certificate: self-signed: clients cannot verify it");
		return;
	}
	if (!tls_credential_issuer(c)) {
		finding(
		    l, DIAG_WARNING,
		    "certificate: the file does not hold its issuer: give the full chain, leaf first, unless a root "
		    "signed it");
		return;
	}
	for (size_t i = 1; i < c->count; i++) {
		if (X509_check_issued(c->cert[i], c->cert[i - 1]) == X509_V_OK)
			continue;
		finding(l, DIAG_WARNING, "certificate: the chain is out of order: number %zu did not issue number %zu",
			i + 1, i);
		return;
	}
}

void tls_leaf_check(const struct config *config, const struct config_domain *domain, const struct tls_credential *c,
		    int64_t now, struct diag_list *diags)
{
	struct leaf l = {config, domain, c, now, diags};

	check_dates(&l);
	check_strength(&l);
	check_signatures(&l);
	check_names(&l);
	check_use(&l);
	check_xmpp_address(&l);
	check_chain(&l);
}

void tls_key_text(struct evp_pkey_st *key, char out[TLS_KEY_TEXT_SIZE])
{
	static const char *const curves[][2] = {
	    {"prime256v1", "P-256"}, {"secp384r1", "P-384"}, {"secp521r1", "P-521"}};
	char group[40] = "";
	const char *shown = group;
	int type = EVP_PKEY_get_base_id(key);

	if (type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS) {
		(void)snprintf(out, TLS_KEY_TEXT_SIZE, "RSA %d", EVP_PKEY_get_bits(key));
		return;
	}
	if (type != EVP_PKEY_EC) {
		(void)snprintf(out, TLS_KEY_TEXT_SIZE, "%s", type == EVP_PKEY_ED25519 ? "Ed25519" : OBJ_nid2sn(type));
		return;
	}
	(void)EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
		if (strcmp(group, curves[i][0]) == 0)
			shown = curves[i][1];
	}
	(void)snprintf(out, TLS_KEY_TEXT_SIZE, "ECDSA %s", shown);
}

void tls_leaf_name(const struct x509_st *leaf, char out[TLS_NAME_TEXT_SIZE])
{
	const X509_NAME *subject = X509_get_subject_name(leaf);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	struct strbuf names;

	if (at >= 0) {
		char text[TLS_NAME_TEXT_SIZE];

		safe_asn1(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), text, sizeof(text));
		(void)snprintf(out, TLS_NAME_TEXT_SIZE, "CN=%.200s", text);
		return;
	}
	strbuf_init(&names, TLS_NAME_TEXT_SIZE - 1);
	(void)snprintf(out, TLS_NAME_TEXT_SIZE, "%s", list_names(leaf, &names) ? strbuf_text(&names) : "?");
	strbuf_fini(&names);
}

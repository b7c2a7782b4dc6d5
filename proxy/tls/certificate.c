/* SPDX-License-Identifier: MIT */
/*
 * A peer's leaf as plain values for records and peer memory. All of it is the peer's own text: capped, and made fit to
 * be shown, so that neither a record nor a terminal can be led astray by it.
 */
#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/mem.h"
#include "tls/certificate_private.h"
#include "tls/credential_private.h"
#include "tls/identity_private.h"
#include "tls/state_private.h"

static void hex(const unsigned char *octets, unsigned len, char out[TLS_DIGEST_SIZE])
{
	for (unsigned i = 0; i < len && 2 * i + 2 < TLS_DIGEST_SIZE; i++)
		(void)snprintf(out + 2 * (size_t)i, 3, "%02x", octets[i]);
}

void tls_digest_certificate(const struct x509_st *cert, char out[TLS_DIGEST_SIZE])
{
	unsigned char octets[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	out[0] = '\0';
	if (X509_digest(cert, EVP_sha256(), octets, &len) == 1)
		hex(octets, len, out);
}

/* X509_pubkey_digest leaves out the algorithm: that is not the digest that anybody publishes. */
void tls_digest_key(const struct x509_st *cert, char out[TLS_DIGEST_SIZE])
{
	unsigned char octets[EVP_MAX_MD_SIZE], *der = NULL;
	unsigned len = 0;
	int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);

	out[0] = '\0';
	if (size > 0 && EVP_Digest(der, (size_t)size, octets, &len, EVP_sha256(), NULL) == 1)
		hex(octets, len, out);
	OPENSSL_free(der);
}

/* RFC 2253, but UTF-8 as it is: escape_text escapes what must be. */
static void read_name(const X509_NAME *name, char *out, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long len;

	out[0] = '\0';
	if (!bio)
		return;
	if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0) {
		len = BIO_get_mem_data(bio, &text);
		if (len > 0)
			(void)escape_text(out, size, text, (size_t)len);
	}
	BIO_free(bio);
}

static void read_serial(struct tls_certificate *c, const X509 *leaf)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf), NULL);
	char *text = number ? BN_bn2hex(number) : NULL;

	(void)snprintf(c->serial, sizeof(c->serial), "%s", text ? text : "");
	OPENSSL_free(text);
	BN_free(number);
}

static int64_t read_date(const ASN1_TIME *date, char out[32])
{
	char text[CLOCK_RFC3339_SIZE];
	int64_t seconds = 0;

	if (!tls_asn1_time(date, &seconds))
		return 0;
	clock_rfc3339(seconds * 1000000, text);
	(void)snprintf(out, 32, "%s", text);
	return seconds;
}

static char *name_text(const struct tls_name *name)
{
	char out[TLS_IDENTIFIER_SIZE] = "";

	if (name->kind == TLS_NAME_OTHER)
		return NULL;
	if (name->kind != TLS_NAME_ADDRESS)
		(void)escape_text(out, sizeof(out), (const char *)name->data, name->len);
	else if (name->len == 4 || name->len == 16)
		(void)inet_ntop(name->len == 4 ? AF_INET : AF_INET6, name->data, out, sizeof(out));
	return out[0] ? mem_strdup(out) : NULL;
}

static void read_names(struct tls_certificate *c, const X509 *leaf)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	struct tls_name name;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && c->name_count < TLS_CERTIFICATE_NAMES; i++) {
		tls_name_read(&name, sk_GENERAL_NAME_value(names, i));
		c->names[c->name_count] = name_text(&name);
		c->name_count += c->names[c->name_count] != NULL;
	}
	GENERAL_NAMES_free(names);
}

static void read_algorithms(struct tls_certificate *c, const X509 *leaf)
{
	EVP_PKEY *key = X509_get0_pubkey(leaf);
	const char *name = key ? EVP_PKEY_get0_type_name(key) : NULL;

	(void)snprintf(c->key_algorithm, sizeof(c->key_algorithm), "%s", name ? name : "");
	c->key_size = key ? EVP_PKEY_get_bits(key) : 0;
	(void)snprintf(c->signature_algorithm, sizeof(c->signature_algorithm), "%s",
		       OBJ_nid2ln(X509_get_signature_nid(leaf)));
}

static const X509 *leaf_of(const SSL *ssl)
{
	const struct tls_state *state = tls_state(ssl);
	const X509 *leaf = SSL_get0_peer_certificate(ssl);

	return leaf || !state ? leaf : state->refused;
}

struct tls_certificate *tls_certificate_read(const struct ssl_st *ssl)
{
	const X509 *leaf = leaf_of(ssl);
	struct tls_certificate *c;

	if (!leaf)
		return NULL;
	c = mem_zalloc(sizeof(*c));
	read_name(X509_get_subject_name(leaf), c->subject, sizeof(c->subject));
	read_name(X509_get_issuer_name(leaf), c->issuer, sizeof(c->issuer));
	read_serial(c, leaf);
	(void)read_date(X509_get0_notBefore(leaf), c->not_before);
	c->not_after_s = read_date(X509_get0_notAfter(leaf), c->not_after);
	read_names(c, leaf);
	read_algorithms(c, leaf);
	tls_digest_certificate(leaf, c->sha256);
	tls_digest_key(leaf, c->spki_sha256);
	return c;
}

void tls_certificate_free(struct tls_certificate **certificate)
{
	if (!*certificate)
		return;
	for (size_t i = 0; i < (*certificate)->name_count; i++)
		mem_free((*certificate)->names[i]);
	mem_free(*certificate);
	*certificate = NULL;
}

/* SPDX-License-Identifier: MIT */
/* Keys and certificates made at run time for the tests of the tls room, and a configuration around them. */
#ifndef TEST_UNIT_TLS_CERTS_H
#define TEST_UNIT_TLS_CERTS_H

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/config.h"

struct cert_spec {
	const char *cn;
	const char *san;  /* "DNS:a.example,DNS:b.example", NULL: none */
	const char *key;  /* "P-256" (default), "P-224", "ed25519", "rsa2048", "rsa1024" */
	long from, until; /* seconds relative to now; both 0: -1 day … +90 days */
	const EVP_MD *md; /* NULL: SHA-256 */
	bool ca;
	long serial;
	const char *eku;    /* "serverAuth" */
	const char *limits; /* name constraints: "permitted;DNS:other.example" */
	const char *raw;    /* a DNS name of these bytes beside san */
	size_t raw_len;
};

struct cert {
	EVP_PKEY *key;
	X509 *x509;
};

static inline EVP_PKEY *certs_key(const char *kind)
{
	if (kind && strncmp(kind, "rsa", 3) == 0)
		return EVP_RSA_gen((unsigned)strtoul(kind + 3, NULL, 10));
	if (kind && strcmp(kind, "ed25519") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	return EVP_EC_gen(kind ? kind : "P-256");
}

static inline void certs_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	if (!ext || !X509_add_ext(x, ext, -1))
		abort();
	X509_EXTENSION_free(ext);
}

/* As certs_extension's DNS names, but any bytes. */
static inline void certs_raw_name(X509 *x, const char *data, size_t len)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	if (!names)
		names = sk_GENERAL_NAME_new_null();
	ASN1_STRING_set(text, data, (int)len);
	GENERAL_NAME_set0_value(name, GEN_DNS, text);
	sk_GENERAL_NAME_push(names, name);
	if (X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE) != 1)
		abort();
	GENERAL_NAMES_free(names);
}

/* issuer NULL: self-signed. */
static inline struct cert certs_make(const struct cert_spec *spec, const struct cert *issuer)
{
	struct cert c = {certs_key(spec->key), X509_new()};
	X509_NAME *name = X509_get_subject_name(c.x509);
	bool dated = spec->from || spec->until;
	const EVP_MD *md = spec->key && strcmp(spec->key, "ed25519") == 0 && !issuer ? NULL : EVP_sha256();

	X509_set_version(c.x509, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(c.x509), spec->serial ? spec->serial : 1 + rand());
	X509_gmtime_adj(X509_getm_notBefore(c.x509), dated ? spec->from : -86400);
	X509_gmtime_adj(X509_getm_notAfter(c.x509), dated ? spec->until : 90L * 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)spec->cn, -1, -1, 0);
	X509_set_issuer_name(c.x509, issuer ? X509_get_subject_name(issuer->x509) : name);
	X509_set_pubkey(c.x509, c.key);
	certs_extension(c.x509, NID_basic_constraints, spec->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (spec->san)
		certs_extension(c.x509, NID_subject_alt_name, spec->san);
	if (spec->raw)
		certs_raw_name(c.x509, spec->raw, spec->raw_len);
	if (spec->eku)
		certs_extension(c.x509, NID_ext_key_usage, spec->eku);
	if (spec->limits)
		certs_extension(c.x509, NID_name_constraints, spec->limits);
	if (!X509_sign(c.x509, issuer ? issuer->key : c.key, spec->md ? spec->md : md))
		abort();
	return c;
}

static inline void certs_free(struct cert *c)
{
	EVP_PKEY_free(c->key);
	X509_free(c->x509);
}

static inline void certs_file(struct config_file *file, const char *path, BIO *bio, int line)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	file->path = mem_strdup(path);
	file->data = mem_strndup(data, (size_t)len);
	file->len = (size_t)len;
	file->mark = (struct config_mark){line, 5};
	BIO_free(bio);
}

static inline void certs_put(struct config_file *file, const struct cert *leaf, const struct cert *ca)
{
	BIO *bio = BIO_new(BIO_s_mem());

	PEM_write_bio_X509(bio, leaf->x509);
	if (ca)
		PEM_write_bio_X509(bio, ca->x509);
	certs_file(file, "cert.pem", bio, 20);
}

static inline void certs_put_key(struct config_file *file, const struct cert *c, const char *passphrase)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *copy = mem_strdup(passphrase);

	PEM_write_bio_PKCS8PrivateKey(bio, c->key, passphrase ? EVP_aes_128_cbc() : NULL, copy,
				      copy ? (int)strlen(copy) : 0, NULL, NULL);
	mem_free(copy);
	certs_file(file, "key.pem", bio, 21);
}

static inline void certs_file_fini(struct config_file *file)
{
	mem_free(file->path);
	mem_free(file->data);
	memset(file, 0, sizeof(*file));
}

/* A configuration of bcp195 with room for that many domains; certs_config_free frees everything hung on it. */
static inline struct config *certs_config(size_t domains)
{
	struct config *config = mem_zalloc(sizeof(*config));

	config->refs = 1000; /* never freed by config_unref: the parts are ours */
	config->domains = mem_array(domains, sizeof(*config->domains));
	config->domain_count = domains;
	config->tls.profile = TLS_PROFILE_BCP195;
	config->tls.min_rsa_bits = 2048;
	config->tls.min_ec_bits = 256;
	config->tls.session_resumption = true;
	config->tls.ticket_lifetime = 12L * 3600 * 1000;
	config->tls.mark = (struct config_mark){10, 3};
	return config;
}

static inline void certs_domain(struct config *config, size_t i, const char *name, const struct cert *leaf,
				const struct cert *ca)
{
	config->domains[i].name = mem_strdup(name);
	certs_put(&config->domains[i].certificate, leaf, ca);
	certs_put_key(&config->domains[i].private_key, leaf, NULL);
}

static inline void certs_listener(struct config *config, enum role role)
{
	size_t n = config->listener_count++;

	config->listeners = mem_realloc(config->listeners, (n + 1) * sizeof(*config->listeners));
	memset(&config->listeners[n], 0, sizeof(*config->listeners));
	config->listeners[n].role = (int)role;
}

static inline void certs_authority(struct config_file *file, const struct cert *ca)
{
	BIO *bio = BIO_new(BIO_s_mem());

	PEM_write_bio_X509(bio, ca->x509);
	certs_file(file, "ca.pem", bio, 30);
}

/* A rule for a domain, with the common settings but for what the caller changes afterwards. */
static inline struct config_peer *certs_peer(struct config *config, const char *domain, int level)
{
	size_t n = config->peer_count++;

	config->peers = mem_realloc(config->peers, (n + 1) * sizeof(*config->peers));
	config->peers[n] = (struct config_peer){.domain = mem_strdup(domain), .level = level, .tls = config->tls};
	config->peers[n].tls_set = true;
	return &config->peers[n];
}

/* A further certificate beside the domain's first. */
static inline void certs_more(struct config_domain *d, const struct cert *leaf, const struct cert *ca)
{
	size_t n = d->more_certificate_count++;

	d->more_certificates = mem_realloc(d->more_certificates, (n + 1) * sizeof(*d->more_certificates));
	memset(&d->more_certificates[n], 0, sizeof(*d->more_certificates));
	certs_put(&d->more_certificates[n].certificate, leaf, ca);
	certs_put_key(&d->more_certificates[n].private_key, leaf, NULL);
}

static inline void certs_config_free(struct config *config)
{
	for (size_t i = 0; i < config->domain_count; i++) {
		struct config_domain *d = &config->domains[i];

		mem_free(d->name);
		certs_file_fini(&d->certificate);
		certs_file_fini(&d->private_key);
		certs_file_fini(&d->ocsp_response);
		for (size_t n = 0; n < d->more_certificate_count; n++) {
			certs_file_fini(&d->more_certificates[n].certificate);
			certs_file_fini(&d->more_certificates[n].private_key);
			certs_file_fini(&d->more_certificates[n].ocsp_response);
		}
		mem_free(d->more_certificates);
		for (size_t n = 0; n < d->server_name_count; n++)
			mem_free(d->server_names[n]);
		mem_free(d->server_names);
	}
	mem_free(config->domains);
	for (size_t i = 0; i < config->peer_count; i++) {
		mem_free(config->peers[i].domain);
		mem_free(config->peers[i].fingerprints);
		if (config->peers[i].tls.ca_file.data != config->tls.ca_file.data)
			certs_file_fini(&config->peers[i].tls.ca_file);
	}
	mem_free(config->peers);
	mem_free(config->listeners);
	certs_file_fini(&config->tls.ca_file);
	mem_free(config->tls.ciphers);
	mem_free(config->tls.ciphersuites);
	mem_free(config->tls.groups);
	mem_free(config);
}

#endif

/* SPDX-License-Identifier: MIT */
/* The domains of the tests of streams between servers, and their certificates. */
#ifndef TEST_UNIT_RELAY_SERVERS_PKI_H
#define TEST_UNIT_RELAY_SERVERS_PKI_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>

#include "../tls/certs.h"
#include "base/mem.h"
#include "tls/store.h"

#define LOCAL "local.example"
#define SECOND "second.example"
#define REMOTE "remote.example"
#define OTHER "other.example"

/* What the tests' own files and both sides' certificates are made of; made once. */
static struct pki {
	struct cert ca, local, remote, other, both, self_signed;
	char *files[3]; /* ca.pem, c.pem, k.pem */
} pki;

static inline char *pem_of(void (*put)(struct config_file *file, const struct cert *leaf, const struct cert *ca),
			   const struct cert *cert)
{
	struct config_file file = {0};
	put(&file, cert, NULL);
	char *text = mem_strdup(file.data);
	certs_file_fini(&file);
	return text;
}

static inline void put_key(struct config_file *file, const struct cert *cert, const struct cert *unused)
{
	(void)unused;
	certs_put_key(file, cert, NULL);
}

static inline struct cert issue(const char *san, const struct cert *issuer)
{
	const struct cert_spec spec = {.cn = "server", .san = san};
	return certs_make(&spec, issuer);
}

static inline int pki_setup(void **state)
{
	const struct cert_spec ca = {.cn = "authority", .ca = true};
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	tls_library_init();
	pki.ca = certs_make(&ca, NULL);
	pki.local = issue("DNS:" LOCAL ",DNS:" SECOND, &pki.ca);
	pki.remote = issue("DNS:" REMOTE, &pki.ca);
	pki.other = issue("DNS:" OTHER, &pki.ca);
	pki.both = issue("DNS:" REMOTE ",DNS:" OTHER, &pki.ca);
	pki.self_signed = issue("DNS:" REMOTE, NULL);
	pki.files[0] = pem_of(certs_put, &pki.ca);
	pki.files[1] = pem_of(certs_put, &pki.local);
	pki.files[2] = pem_of(put_key, &pki.local);
	return 0;
}

static inline int pki_teardown(void **state)
{
	struct cert *all[] = {&pki.ca, &pki.local, &pki.remote, &pki.other, &pki.both, &pki.self_signed};
	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		certs_free(all[i]);
	for (size_t i = 0; i < 3; i++)
		mem_free(pki.files[i]);
	return 0;
}

/* "sha256" of a certificate or (key) of its public key, in hex. */
static inline const char *digest_of(const struct cert *cert, bool key)
{
	static char hex[65];
	unsigned char bytes[32], *der = NULL;
	int len = key ? i2d_PUBKEY(cert->key, &der) : i2d_X509(cert->x509, &der);
	assert_true(len > 0);
	EVP_Q_digest(NULL, "SHA256", NULL, der, (size_t)len, bytes, NULL);
	OPENSSL_free(der);
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	return hex;
}

#endif

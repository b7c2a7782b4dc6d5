/* SPDX-License-Identifier: MIT */
/*
 * Certificates and private keys as PEM in memory: files are read by the configuration loader, never here. What is
 * wrong is said in words an operator can act on. Passphrases are not supported: nobody is there to type one.
 */
#include "tls/credential_private.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "tls/store.h"

static BIO *open_file(const struct config_file *file, struct errbuf *err)
{
	BIO *bio = NULL;

	ERR_clear_error();
	if (!file->data || file->len == 0 || file->len > INT32_MAX) {
		errbuf_set(err, file->path ? "%s: the file is empty" : "not set", file->path);
		return NULL;
	}
	bio = BIO_new_mem_buf(file->data, (int)file->len);
	if (!bio)
		errbuf_set(err, "%s: out of memory", file->path);
	return bio;
}

static bool ended(void)
{
	unsigned long code = ERR_peek_last_error();

	return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

/* A DER SEQUENCE begins with 0x30; PEM begins with text. */
static const char *form_hint(const struct config_file *file)
{
	return file->data[0] == 0x30 ? " (it looks like DER: convert it to PEM)" : "";
}

/* The decoder for keys says "unsupported" of everything it cannot read, so the file is asked what it holds. */
static bool holds_key(const struct config_file *file)
{
	static const char begin[] = "-----BEGIN ", end[] = "PRIVATE KEY-----";

	return memmem(file->data, file->len, begin, sizeof(begin) - 1) &&
	       memmem(file->data, file->len, end, sizeof(end) - 1);
}

static int explain(const struct config_file *file, const char *what, bool none, struct errbuf *err)
{
	struct errbuf reason;

	tls_error_text(&reason);
	if (strcmp(reason.text, "unsupported") == 0)
		errbuf_set(&reason, "damaged, or of a kind this OpenSSL does not know");
	if (none)
		errbuf_set(err, "%s: no PEM %s in it%s", file->path, what, form_hint(file));
	else
		errbuf_set(err, "%s: unreadable %s: %.300s", file->path, what, reason.text);
	return -1;
}

int tls_certificates_read(const struct config_file *file, tls_certificate_fn *each, void *ctx, struct errbuf *err)
{
	BIO *bio = open_file(file, err);
	size_t count = 0;
	X509 *cert;
	int result = 0;

	if (!bio)
		return -1;
	while (result == 0 && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		result = each(ctx, cert, err);
		count++;
	}
	if (result == 0 && (count == 0 || !ended()))
		result = explain(file, "certificate", ended(), err);
	ERR_clear_error();
	BIO_free(bio);
	return result;
}

struct chain_reader {
	struct tls_credential *c;
	const char *path;
};

static int add_to_chain(void *ctx, X509 *cert, struct errbuf *err)
{
	struct chain_reader *reader = ctx;

	if (reader->c->count == TLS_CHAIN_MAX) {
		X509_free(cert);
		errbuf_set(err, "%s: more than %d certificates", reader->path, TLS_CHAIN_MAX);
		return -1;
	}
	reader->c->cert[reader->c->count++] = cert;
	return 0;
}

int tls_credential_read_certificates(struct tls_credential *c, const struct config_file *file, struct errbuf *err)
{
	struct chain_reader reader = {c, file->path};

	return tls_certificates_read(file, add_to_chain, &reader, err);
}

/* Called only for an encrypted key. */
static int no_passphrase(char *out, int size, int writing, void *encrypted)
{
	(void)out, (void)size, (void)writing;
	*(bool *)encrypted = true;
	return -1;
}

int tls_credential_read_key(struct tls_credential *c, const struct config_file *file, struct errbuf *err)
{
	bool encrypted = false;
	BIO *bio = open_file(file, err);

	if (!bio)
		return -1;
	c->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
	BIO_free(bio);
	if (c->key) {
		ERR_clear_error();
		return 0;
	}
	if (!encrypted)
		return explain(file, "private key", !holds_key(file), err);
	ERR_clear_error();
	errbuf_set(err,
		   "%s: the private key is encrypted and passphrases are not supported: write it out in clear with "
		   "`openssl pkey -in FILE -out NEW` and mode 0600",
		   file->path);
	return -1;
}

void tls_credential_fini(struct tls_credential *c)
{
	for (size_t i = 0; i < c->count; i++)
		X509_free(c->cert[i]);
	EVP_PKEY_free(c->key);
	memset(c, 0, sizeof(*c));
}

struct x509_st *tls_credential_issuer(const struct tls_credential *c)
{
	for (size_t i = 1; i < c->count; i++) {
		if (X509_check_issued(c->cert[i], c->cert[0]) == X509_V_OK)
			return c->cert[i];
	}
	return NULL;
}

bool tls_asn1_time(const struct asn1_string_st *when, int64_t *out)
{
	struct tm tm;

	if (!when || ASN1_TIME_to_tm(when, &tm) != 1)
		return false;
	*out = timegm(&tm);
	return true;
}

void tls_date(int64_t seconds, char out[TLS_DATE_SIZE])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(out, TLS_DATE_SIZE, "%Y-%m-%d", &tm) == 0)
		(void)snprintf(out, TLS_DATE_SIZE, "?");
}

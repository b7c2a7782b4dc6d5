/* SPDX-License-Identifier: MIT */
/*
 * Reads the client's certificate. Its name is the client's to choose: one with a control character in it, a NUL above
 * all, could be read as another name by whoever gets it, and is left out.
 */
#include "tls/client.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>

static bool is_plain(const unsigned char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] == 0x7F)
			return false;
	return true;
}

/* Of several the last, the most specific (RFC 4514 section 2.1). */
static const ASN1_STRING *common_name(const X509 *cert)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int last = -1, at;

	while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName, last)) >= 0)
		last = at;
	return last < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last));
}

static void read_name(struct tls_client *client, const X509 *cert)
{
	const ASN1_STRING *name = common_name(cert);
	unsigned char *text = NULL;
	int len = name ? ASN1_STRING_to_UTF8(&text, name) : -1;

	if (len > 0 && (size_t)len < sizeof(client->common_name) && is_plain(text, (size_t)len))
		memcpy(client->common_name, text, (size_t)len);
	OPENSSL_free(text);
}

void tls_client_read(struct tls_client *client, const struct ssl_st *ssl)
{
	const X509 *cert = SSL_get0_peer_certificate(ssl);

	memset(client, 0, sizeof(*client));
	if (!cert)
		return;
	client->presented = true;
	client->verified = SSL_get_verify_result(ssl) == X509_V_OK;
	read_name(client, cert);
}

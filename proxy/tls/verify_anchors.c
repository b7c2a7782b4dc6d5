/* SPDX-License-Identifier: MIT */
/* Trust anchors out of the bytes of a configuration file: all of its certificates, and nothing of the machine's. */
#include <openssl/x509.h>
#include <string.h>

#include "tls/credential_private.h"
#include "tls/verify_private.h"

static int trust(void *ctx, X509 *cert, struct errbuf *err)
{
	int added = X509_STORE_add_cert(ctx, cert);

	X509_free(cert);
	if (added != 1)
		errbuf_set(err, "out of memory");
	return added == 1 ? 0 : -1;
}

struct x509_store_st *tls_anchors_new(const struct config_file *file, struct errbuf *err)
{
	X509_STORE *anchors = X509_STORE_new();

	if (!anchors)
		errbuf_set(err, "out of memory");
	else if (tls_certificates_read(file, trust, anchors, err) == 0)
		return anchors;
	X509_STORE_free(anchors);
	return NULL;
}

/* By their bytes: those that a rule shares with everybody, the system's 150, are not kept twice. */
bool tls_anchors_of_peer(const struct config *config, size_t peer)
{
	const struct config_file *own = &config->peers[peer].tls.ca_file, *common = &config->tls.ca_file;

	if (!config->peers[peer].tls_set)
		return false;
	return own->len != common->len || (own->len > 0 && memcmp(own->data, common->data, own->len) != 0);
}

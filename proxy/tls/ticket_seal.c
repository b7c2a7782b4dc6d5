/* SPDX-License-Identifier: MIT */
/*
 * Sealing and opening session tickets with the keys all workers share: AES-256-CBC, then HMAC-SHA256 (RFC 5077
 * section 4). OpenSSL calls the callback of the context an SSL was made from, even after the name has switched it to
 * another one; the callback therefore takes everything from the SSL's own state and is the same on every context.
 * What keeps a ticket of one domain from opening a session of another is the session id context (TLS-14).
 */
#include "tls/state_private.h"
#include "tls/store_private.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/mem.h"

enum { TICKET_ERROR = -1, TICKET_NONE = 0, TICKET_OK = 1, TICKET_RENEW = 2 };

static bool set_mac(EVP_MAC_CTX *mac, struct shared_ticket_key *key)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->hmac, sizeof(key->hmac)),
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int seal(const struct tls_store *store, struct shared_ticket_key *key, unsigned char *name, unsigned char *iv,
		EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	int iv_len = EVP_CIPHER_get_iv_length(store->ticket_cipher);

	if (RAND_bytes(iv, iv_len) != 1)
		return TICKET_ERROR;
	memcpy(name, key->name, sizeof(key->name));
	if (!EVP_EncryptInit_ex2(cipher, store->ticket_cipher, key->aes, iv, NULL) || !set_mac(mac, key))
		return TICKET_ERROR;
	return TICKET_OK;
}

static struct shared_ticket_key *key_named(struct shared_ticket_key *keys, const unsigned char *name)
{
	for (size_t i = 0; i < SHARED_TICKET_KEYS; i++) {
		if (keys[i].made != 0 && memcmp(keys[i].name, name, sizeof(keys[i].name)) == 0)
			return &keys[i];
	}
	return NULL;
}

static int open_ticket(const SSL *ssl, const struct tls_store *store, struct shared_ticket_key *keys,
		       const unsigned char *name, const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	struct shared_ticket_key *key = key_named(keys, name);

	if (!key)
		return TICKET_NONE;
	if (!EVP_DecryptInit_ex2(cipher, store->ticket_cipher, key->aes, iv, NULL) || !set_mac(mac, key))
		return TICKET_ERROR;
	/* A TLS 1.3 ticket is used once: without a new one the client's next connection would be a full handshake. */
	return SSL_version(ssl) >= TLS1_3_VERSION || key != keys ? TICKET_RENEW : TICKET_OK;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
		     int encrypt)
{
	const struct tls_state *state = tls_state(ssl);
	struct shared_ticket_key keys[SHARED_TICKET_KEYS];
	int result;

	if (!state || !state->store->tickets || !tickets_read(state->store->tickets, keys))
		return TICKET_NONE;
	if (encrypt)
		result = seal(state->store, &keys[0], name, iv, cipher, mac);
	else
		result = open_ticket(ssl, state->store, keys, name, iv, cipher, mac);
	mem_wipe(keys, sizeof(keys));
	return result;
}

void tls_ticket_install(struct ssl_ctx_st *ctx)
{
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}

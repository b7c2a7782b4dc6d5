/* SPDX-License-Identifier: MIT */
/*
 * What is decided while a ClientHello is read, before OpenSSL looks at anything in it: which domain's certificate
 * answers (TLS-16), whether the master secret will be bound to the handshake (TLS-11), whether the protocol named by
 * ALPN is ours (TLS-17). Every refusal is remembered in the SSL's state, so that the record can say more than the alert
 * does. Invariant: a name that is not ours is never answered with somebody's certificate (ALPACA).
 */
#include "tls/state_private.h"
#include "tls/store_private.h"

#include <ctype.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/mem.h"
#include "policy/peer.h"

#define SERVER_NAME_MAX 255

static unsigned read16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* RFC 6066 section 3: a list that in practice, and in OpenSSL, holds exactly one host_name. */
static const char *parse_server_name(const unsigned char *ext, size_t len, size_t *len_out)
{
	if (len < 6 || read16(ext) != len - 2 || ext[2] != TLSEXT_NAMETYPE_host_name || read16(ext + 3) != len - 5)
		return NULL;
	*len_out = len - 5;
	return (const char *)ext + 5;
}

/* Lower-cased, one trailing dot removed; false for what cannot be a host name. */
static bool fold_server_name(const char *name, size_t len, char out[SERVER_NAME_MAX + 1])
{
	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0 || len > SERVER_NAME_MAX || memchr(name, '\0', len))
		return false;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)name[i]);
	out[len] = '\0';
	return true;
}

/* Mode monitor refuses nothing: what it objects to is remembered and the handshake goes on. */
static int object(struct tls_state *state, enum reason reason, int alert)
{
	state->failure = reason;
	return state->store->config->mode == MODE_MONITOR ? 0 : alert;
}

static const struct tls_vhost *vhost_of(const struct tls_state *state, const struct config_domain *domain)
{
	return &state->store->vhost[domain - state->store->config->domains];
}

static int choose_by_name(SSL *ssl, struct tls_state *state)
{
	const unsigned char *ext;
	size_t ext_len, len = 0;
	char folded[SERVER_NAME_MAX + 1];
	const struct config_domain *domain;
	const char *name;

	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &ext_len))
		return 0;
	name = parse_server_name(ext, ext_len, &len);
	if (!name)
		return SSL_AD_DECODE_ERROR;
	mem_free(state->server_name);
	state->server_name = mem_strndup(name, len > SERVER_NAME_MAX ? SERVER_NAME_MAX : len);
	domain = fold_server_name(name, len, folded) ? config_find_server_name(state->store->config, folded) : NULL;
	if (!domain || !vhost_of(state, domain)->ctx[state->role])
		return object(state, REASON_SNI_UNKNOWN, SSL_AD_UNRECOGNIZED_NAME);
	if (state->by_name) {
		state->vhost = vhost_of(state, domain);
		SSL_set_SSL_CTX(ssl, state->vhost->ctx[state->role]);
	}
	return 0;
}

/* The highest version we could speak that the client offers; GREASE and future values are above it and do not count. */
static unsigned highest_version(SSL *ssl)
{
	const unsigned char *ext;
	size_t len;
	unsigned best = 0;

	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &ext, &len)) {
		unsigned legacy = SSL_client_hello_get0_legacy_version(ssl);
		return legacy > TLS1_2_VERSION ? TLS1_2_VERSION : legacy;
	}
	for (size_t i = 1; i + 1 < len; i += 2) {
		unsigned v = read16(ext + i);
		if (v > best && v <= TLS1_3_VERSION)
			best = v;
	}
	return best;
}

static int check_master_secret(SSL *ssl, struct tls_state *state)
{
	const unsigned char *ext;
	size_t len;

	/* Where TLS 1.0 is let in for an old peer, policy weighs the missing secret instead. */
	if (policy_min_tls(state->policy.tls) < 12 || state->store->config->mode == MODE_MONITOR)
		return 0;
	if (highest_version(ssl) != TLS1_2_VERSION ||
	    SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_extended_master_secret, &ext, &len))
		return 0;
	state->failure = REASON_NO_EMS;
	return SSL_AD_HANDSHAKE_FAILURE;
}

static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls_state *state = tls_state(ssl);
	int refused;

	(void)arg;
	if (!state || state->to_unknown) {
		if (state)
			state->failure = REASON_SNI_UNKNOWN;
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_CLIENT_HELLO_ERROR;
	}
	refused = choose_by_name(ssl, state);
	if (refused == 0)
		refused = check_master_secret(ssl, state);
	if (refused == 0)
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = refused;
	return SSL_CLIENT_HELLO_ERROR;
}

/* RFC 6066 section 3: a server that used the name says so. It was used, or refused, above. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
	const struct tls_state *state = tls_state(ssl);

	(void)alert;
	(void)arg;
	return state && state->server_name ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
		   unsigned in_len, void *arg)
{
	struct tls_state *state = tls_state(ssl);
	const char *ours = state ? role_alpn(state->role) : "";
	size_t ours_len = strlen(ours);

	(void)arg;
	for (unsigned i = 0; i < in_len && in[i] < in_len - i; i += 1U + in[i]) {
		if (in[i] != ours_len || memcmp(in + i + 1, ours, ours_len) != 0)
			continue;
		*out = in + i + 1;
		*out_len = in[i];
		return SSL_TLSEXT_ERR_OK;
	}
	if (!state || object(state, REASON_ALPN, SSL_AD_NO_APPLICATION_PROTOCOL) != 0)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_NOACK;
}

void tls_hello_install(struct ssl_ctx_st *ctx)
{
	SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
}

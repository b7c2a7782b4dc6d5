/* SPDX-License-Identifier: MIT */
/*
 * Reads a finished handshake into plain values. Names are OpenSSL's. The extended master secret is a matter of TLS 1.2
 * and below: TLS 1.3 has the property built in, while OpenSSL answers "no" for it there (TLS-11).
 */
#include "tls/facts.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "tls/state_private.h"
#include "tls/store.h"

static const struct {
	int wire, number;
	const char *name;
} versions[] = {
    {TLS1_3_VERSION, 13, "1.3"},
    {TLS1_2_VERSION, 12, "1.2"},
    {TLS1_1_VERSION, 11, "1.1"},
    {TLS1_VERSION, 10, "1.0"},
};

static void copy(char *out, size_t size, const char *text)
{
	(void)snprintf(out, size, "%s", text ? text : "");
}

static void read_version(struct tls_facts *facts, const SSL *ssl)
{
	int wire = SSL_version(ssl);

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if (versions[i].wire != wire)
			continue;
		facts->version_number = versions[i].number;
		copy(facts->version, sizeof(facts->version), versions[i].name);
	}
}

/* The cast-free name lookup that knows hybrid groups too; OBJ_nid2sn has no name for those. */
static void read_group(struct tls_facts *facts, SSL *ssl)
{
	int id = (int)SSL_get_negotiated_group(ssl);

	if (id > 0)
		copy(facts->group, sizeof(facts->group), SSL_group_to_name(ssl, id));
}

static void read_alpn(struct tls_facts *facts, const SSL *ssl)
{
	const unsigned char *alpn = NULL;
	unsigned len = 0;

	SSL_get0_alpn_selected(ssl, &alpn, &len);
	if (len > 0 && len < sizeof(facts->alpn))
		memcpy(facts->alpn, alpn, len);
}

static void read_server_name(struct tls_facts *facts, const SSL *ssl)
{
	const struct tls_state *state = tls_state(ssl);

	copy(facts->server_name, sizeof(facts->server_name), state ? state->server_name : NULL);
}

/* Of a handshake in which we were the client. An accepted leg's peer is asked about by tls_identify. */
static void read_verification(struct tls_facts *facts, const SSL *ssl)
{
	const struct tls_state *state = tls_state(ssl);

	if (SSL_is_server(ssl) || !state)
		return;
	facts->unverified = state->judged ? state->fault : "no certificate was shown";
	facts->verified = !facts->unverified;
}

void tls_facts_read(struct tls_facts *facts, struct ssl_st *ssl)
{
	memset(facts, 0, sizeof(*facts));
	read_server_name(facts, ssl);
	if (!SSL_is_init_finished(ssl))
		return;
	facts->established = true;
	read_version(facts, ssl);
	copy(facts->cipher, sizeof(facts->cipher), SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)));
	read_group(facts, ssl);
	read_alpn(facts, ssl);
	read_verification(facts, ssl);
	facts->resumed = SSL_session_reused(ssl) == 1;
	facts->extended_master_secret = facts->version_number >= 13 || SSL_get_extms_support(ssl) == 1;
}

void tls_facts_leg(const struct tls_facts *facts, struct leg_facts *out)
{
	memset(out, 0, sizeof(*out));
	out->encrypted = facts->established;
	out->tls_version = facts->established ? facts->version_number : 0;
	out->extended_master_secret = facts->established && facts->extended_master_secret;
	out->identity_verified = facts->established && facts->verified;
}

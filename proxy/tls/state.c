/* SPDX-License-Identifier: MIT */
/* The state of one SSL: lives in its ex_data, is freed with it and holds the store for as long. */
#include "tls/state_private.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/mem.h"
#include "tls/profile_private.h"
#include "tls/store_private.h"

void tls_state_free(struct tls_state *state)
{
	if (!state)
		return;
	state->release(&state->store);
	mem_free(state->server_name);
	mem_free(state->domain);
	X509_free(state->refused);
	mem_free(state->session_key);
	mem_free(state);
}

static void on_free(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
	(void)parent, (void)data, (void)index, (void)argl, (void)argp;
	tls_state_free(ptr);
}

/* Processes of this program have one thread, so the first call may make the index. */
static int state_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_free);
	return index;
}

struct tls_state *tls_state(const struct ssl_st *ssl)
{
	return SSL_get_ex_data(ssl, state_index());
}

bool tls_state_attach(struct ssl_st *ssl, struct tls_state *state)
{
	return SSL_set_ex_data(ssl, state_index(), state) == 1;
}

/* In mode monitor every peer may do what the oldest can. */
int tls_settings_apply(struct ssl_st *ssl, const struct tls_state *state)
{
	const struct config_peer *rule = state->policy.rule;
	struct errbuf ignored; /* tls_check has said it */

	if (state->store->config->mode == MODE_MONITOR || !rule || !rule->tls_set)
		return 0;
	return tls_profile_apply_one(ssl, state->policy.tls, &ignored);
}

/* SPDX-License-Identifier: MIT */
/* What one context holds: tickets switched off, renegotiation noticed, no certificate request. */
#include "tls/store.h"

#include "handshake.h"

#define NOW 1700000000

static void test_no_tickets_when_switched_off(void **state)
{
	struct config *config = two_domains();
	struct shared_tickets tickets = {0};
	struct tls_store *store;

	(void)state;
	tickets_rotate(&tickets, 3600, NOW);
	config->tls.session_resumption = false;
	store = store_new(config, &tickets);
	for (int max = TLS1_2_VERSION; max <= TLS1_3_VERSION; max++) {
		struct pair p = handshake(store, NULL, &(struct client){.max = max});

		assert_true(p.up);
		assert_true(!p.session || !SSL_SESSION_has_ticket(p.session));
		pair_free(&p);
	}
	tls_store_unref(&store);
	certs_config_free(config);
}

static void test_renegotiation_is_noticed(void **state)
{
	struct config *config = two_domains();
	struct shared_tickets tickets = {0};
	struct tls_store *store;
	struct pair p;
	char byte;

	(void)state;
	tickets_rotate(&tickets, 3600, NOW);
	store = store_new(config, &tickets);
	p = handshake(store, "b.example", &(struct client){.max = TLS1_2_VERSION});
	assert_true(p.up);
	assert_false(tls_renegotiated(p.server));
	SSL_set_app_data(p.client, &p);
	assert_int_equal(SSL_renegotiate(p.client), 1);
	(void)SSL_do_handshake(p.client);
	assert_int_equal(SSL_read(p.server, &byte, 1), -1);
	assert_true(tls_renegotiated(p.server));
	pair_free(&p);
	/* Tickets and key updates of TLS 1.3 are none. */
	p = handshake(store, NULL, &(struct client){0});
	SSL_set_app_data(p.client, &p);
	assert_int_equal(SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED), 1);
	assert_int_equal(SSL_write(p.client, "x", 1), 1);
	assert_int_equal(SSL_read(p.server, &byte, 1), 1);
	assert_int_equal(SSL_write(p.server, "y", 1), 1);
	assert_int_equal(SSL_read(p.client, &byte, 1), 1);
	assert_false(tls_renegotiated(p.server));
	pair_free(&p);
	tls_store_unref(&store);
	certs_config_free(config);
}

static void test_no_client_certificate_is_asked_for(void **state)
{
	struct config *config = two_domains();
	struct tls_store *store = store_new(config, NULL);
	struct pair p = handshake(store, NULL, &(struct client){.status = true});
	const unsigned char *staple;

	(void)state;
	assert_true(p.up);
	assert_int_equal(SSL_get_verify_mode(p.server), SSL_VERIFY_NONE);
	assert_true(SSL_get_tlsext_status_ocsp_resp(p.client, &staple) <= 0);
	pair_free(&p);
	tls_store_unref(&store);
	certs_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_tickets_when_switched_off),
	    cmocka_unit_test(test_renegotiation_is_noticed),
	    cmocka_unit_test(test_no_client_certificate_is_asked_for),
	};

	return cmocka_run_group_tests(tests, certs_setup, certs_teardown);
}

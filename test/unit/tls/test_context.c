/* SPDX-License-Identifier: MIT */
/* What one context holds: tickets switched off, renegotiation noticed, no certificate request. */
#include "tls/store.h"

#include <time.h>

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

static void expect_shown(struct tls_store *store, int max, const char *ciphers, const char *sigalgs,
			 const struct cert *leaf)
{
	struct pair p =
	    handshake(store, "a.example", &(struct client){.max = max, .ciphers = ciphers, .sigalgs = sigalgs});
	X509 *shown = SSL_get1_peer_certificate(p.client);

	assert_true(p.up);
	assert_int_equal(X509_cmp(shown, leaf->x509), 0);
	X509_free(shown);
	pair_free(&p);
}

/* ECDSA where the client can verify it, also where it names RSA first; whichever stands first in the file. */
static void test_two_kinds_of_certificate(void **state)
{
	struct cert rsa = certs_make(&(struct cert_spec){.cn = "a", .san = "DNS:a.example", .key = "rsa2048"}, NULL);
	const struct cert *orders[2][2] = {{&cert_a, &rsa}, {&rsa, &cert_a}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct config *config = certs_config(1);
		struct tls_store *store;

		certs_domain(config, 0, "a.example", orders[i][0], NULL);
		certs_more(&config->domains[0], orders[i][1], NULL);
		store = store_new(config, NULL);
		expect_shown(store, TLS1_3_VERSION, NULL, NULL, &cert_a);
		expect_shown(store, TLS1_3_VERSION, NULL, "RSA-PSS+SHA256:ECDSA+SHA256", &cert_a);
		expect_shown(store, TLS1_3_VERSION, NULL, "RSA-PSS+SHA256", &rsa);
		expect_shown(store, TLS1_2_VERSION, NULL, NULL, &cert_a);
		expect_shown(store, TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256", NULL,
			     &cert_a);
		expect_shown(store, TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", NULL, &rsa);
		tls_store_unref(&store);
		certs_config_free(config);
	}
	certs_free(&rsa);
}

/* A ticket that was given out with one set of certificates is worth nothing with another (TLS-14). */
static void test_ticket_and_more_certificates(void **state)
{
	struct cert rsa = certs_make(&(struct cert_spec){.cn = "a", .san = "DNS:a.example", .key = "rsa2048"}, NULL);
	struct config *before = certs_config(1), *after = certs_config(1);
	struct shared_tickets tickets = {0};
	struct tls_store *old_store, *new_store;
	struct pair first, again;

	(void)state;
	tickets_rotate(&tickets, 3600, time(NULL));
	certs_domain(before, 0, "a.example", &cert_a, NULL);
	certs_domain(after, 0, "a.example", &cert_a, NULL);
	certs_more(&after->domains[0], &rsa, NULL);
	old_store = store_new(before, &tickets);
	new_store = store_new(after, &tickets);
	first = handshake(old_store, "a.example", &(struct client){0});
	assert_non_null(first.session);
	again = handshake(old_store, "a.example", &(struct client){.session = first.session});
	assert_true(again.up && SSL_session_reused(again.server));
	pair_free(&again);
	again = handshake(new_store, "a.example", &(struct client){.session = first.session});
	assert_true(again.up && !SSL_session_reused(again.server));
	pair_free(&again);
	pair_free(&first);
	tls_store_unref(&old_store);
	tls_store_unref(&new_store);
	certs_config_free(before);
	certs_config_free(after);
	certs_free(&rsa);
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
	    cmocka_unit_test(test_no_tickets_when_switched_off),       cmocka_unit_test(test_renegotiation_is_noticed),
	    cmocka_unit_test(test_no_client_certificate_is_asked_for), cmocka_unit_test(test_two_kinds_of_certificate),
	    cmocka_unit_test(test_ticket_and_more_certificates),
	};

	return cmocka_run_group_tests(tests, certs_setup, certs_teardown);
}

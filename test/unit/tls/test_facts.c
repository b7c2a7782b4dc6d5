/* SPDX-License-Identifier: MIT */
/* Facts of real handshakes; our preference among suites shows in them. */
#include "tls/facts.h"

#include "handshake.h"

static void test_preference_is_ours(void **state)
{
	struct config *config = two_domains();
	struct tls_store *store = store_new(config, NULL);
	struct client c = {.max = TLS1_2_VERSION,
			   .ciphers = "AES128-SHA:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256"};
	struct pair p = handshake(store, NULL, &c);
	struct leg_facts leg;
	struct tls_facts facts;

	(void)state;
	assert_true(p.up);
	tls_facts_read(&facts, p.server);
	assert_string_equal(facts.cipher, "ECDHE-ECDSA-AES128-GCM-SHA256");
	assert_string_equal(facts.version, "1.2");
	assert_string_equal(facts.group, "x25519");
	assert_true(facts.extended_master_secret);
	assert_false(facts.resumed);
	tls_facts_leg(&facts, &leg);
	assert_true(leg.encrypted);
	assert_int_equal(leg.tls_version, 12);
	assert_true(leg.extended_master_secret);
	assert_false(leg.identity_verified);
	pair_free(&p);
	p = handshake(store, "b.example", &(struct client){.sni = "b.example"});
	tls_facts_read(&facts, p.server);
	assert_string_equal(facts.cipher, "TLS_AES_256_GCM_SHA384");
	assert_string_equal(facts.version, "1.3");
	assert_string_equal(facts.server_name, "b.example");
	assert_string_equal(facts.alpn, "");
	pair_free(&p);
	tls_store_unref(&store);
	certs_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_preference_is_ours),
	};

	return cmocka_run_group_tests(tests, certs_setup, certs_teardown);
}

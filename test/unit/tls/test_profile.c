/* SPDX-License-Identifier: MIT */
/* Profiles on the wire: versions and suites refused. */
#include "tls/store.h"

#include "handshake.h"

static void test_weak_suites_are_refused(void **state)
{
	static const char *const lists[] = {"AES128-SHA",
					    "AES256-GCM-SHA384",
					    "DHE-RSA-AES128-GCM-SHA256",
					    "ECDHE-RSA-AES128-SHA256",
					    "ECDHE-ECDSA-AES128-SHA256",
					    "ECDHE-ECDSA-AES256-SHA",
					    "aNULL",
					    "eNULL"};
	struct config *config = two_domains();
	struct tls_store *store = store_new(config, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct client c = {.max = TLS1_2_VERSION, .ciphers = lists[i]};

		c.sni = "a.example";
		expect_refused(store, NULL, &c, 40, REASON_TLS_FAILED);
		c.sni = "b.example";
		expect_refused(store, NULL, &c, 40, REASON_TLS_FAILED);
	}
	tls_store_unref(&store);
	certs_config_free(config);
}

static void test_profiles(void **state)
{
	struct config *config = two_domains();
	struct tls_store *store;
	struct pair p;

	(void)state;
	config->tls.profile = TLS_PROFILE_MODERN;
	store = store_new(config, NULL);
	expect_refused(store, NULL, &(struct client){.max = TLS1_2_VERSION}, 70, REASON_TLS_FAILED);
	tls_store_unref(&store);
	config->tls.profile = TLS_PROFILE_COMPAT;
	store = store_new(config, NULL);
	p = handshake(store, NULL, &(struct client){.max = TLS1_VERSION, .options = SSL_OP_NO_EXTENDED_MASTER_SECRET});
	assert_true(p.up);
	assert_int_equal(SSL_version(p.client), TLS1_VERSION);
	pair_free(&p);
	config->tls.min_version = 13;
	tls_store_unref(&store);
	store = store_new(config, NULL);
	expect_refused(store, NULL, &(struct client){.max = TLS1_2_VERSION}, 70, REASON_TLS_FAILED);
	tls_store_unref(&store);
	certs_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_weak_suites_are_refused),
	    cmocka_unit_test(test_profiles),
	};

	return cmocka_run_group_tests(tests, certs_setup, certs_teardown);
}

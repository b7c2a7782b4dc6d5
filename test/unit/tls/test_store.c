/* SPDX-License-Identifier: MIT */
/* The life of a store: references, material that cannot be loaded. */
#include "tls/store.h"

#include "handshake.h"

static void test_ssl_outlives_store(void **state)
{
	struct config *config = two_domains();
	struct tls_store *store = store_new(config, NULL);
	struct pair p = handshake(store, "b.example", &(struct client){0});
	char byte;

	(void)state;
	tls_store_unref(&store);
	assert_null(store);
	assert_string_equal(tls_certificate_domain(p.server), "b.example");
	assert_int_equal(SSL_write(p.client, "x", 1), 1);
	assert_int_equal(SSL_read(p.server, &byte, 1), 1);
	pair_free(&p);
	assert_int_equal(config->refs, 1000);
	certs_config_free(config);
}

static void test_bad_material_is_an_error(void **state)
{
	struct config *config = two_domains();
	struct errbuf err;

	(void)state;
	config->domains[1].certificate.data[40] = '!';
	assert_null(tls_store_new(config, NULL, &err));
	assert_non_null(strstr(err.text, "domain b.example: cert.pem: unreadable certificate"));
	certs_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ssl_outlives_store),
	    cmocka_unit_test(test_bad_material_is_an_error),
	};

	return cmocka_run_group_tests(tests, certs_setup, certs_teardown);
}

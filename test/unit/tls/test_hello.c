/* SPDX-License-Identifier: MIT */
/* What a ClientHello decides: names and their certificates, ALPN, extended master secret. */
#include "tls/store.h"

#include "handshake.h"
#include "tls/facts.h"

static bool got_certificate(const struct pair *p, const struct cert *c)
{
	X509 *got = SSL_get0_peer_certificate(p->client);

	return got && X509_cmp(got, c->x509) == 0;
}

static void test_certificate_follows_name(void **state)
{
	static const struct {
		const char *to, *sni;
		int which;
	} rows[] = {
	    {NULL, NULL, 0},
	    {NULL, "a.example", 0},
	    {NULL, "b.example", 1},
	    {NULL, "B.Example", 1},
	    {NULL, "b.example.", 1},
	    {NULL, "xmpp1.b.example", 1},
	    {"b.example", NULL, 1},
	    {"b.example", "a.example", 1},
	    {"a.example", "xmpp1.b.example", 0},
	    {"a.example", "a.example", 0},
	};
	struct config *config = two_domains();
	struct tls_store *store = store_new(config, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int max = TLS1_2_VERSION; max <= TLS1_3_VERSION; max++) {
			struct pair p = handshake(store, rows[i].to, &(struct client){.sni = rows[i].sni, .max = max});

			assert_true(p.up);
			assert_true(got_certificate(&p, rows[i].which ? &cert_b : &cert_a));
			assert_string_equal(tls_certificate_domain(p.server),
					    rows[i].which ? "b.example" : "a.example");
			pair_free(&p);
		}
	}
	tls_store_unref(&store);
	certs_config_free(config);
}

static void test_unknown_names_are_refused(void **state)
{
	struct config *config = two_domains();
	struct tls_store *store = store_new(config, NULL);
	struct pair p;
	struct tls_facts facts;

	(void)state;
	expect_refused(store, NULL, &(struct client){.sni = "nope.example"}, 112, REASON_SNI_UNKNOWN);
	expect_refused(store, "a.example", &(struct client){.sni = "nope.example"}, 112, REASON_SNI_UNKNOWN);
	expect_refused(store, "nope.example", &(struct client){.sni = "a.example"}, 112, REASON_SNI_UNKNOWN);
	expect_refused(store, "nope.example", &(struct client){0}, 112, REASON_SNI_UNKNOWN);
	expect_refused(store, NULL, &(struct client){.sni = "a.example.."}, 112, REASON_SNI_UNKNOWN);
	expect_refused(store, NULL, &(struct client){.sni = "a.example", .max = TLS1_1_VERSION}, 70, REASON_TLS_FAILED);
	p = handshake(store, NULL, &(struct client){.sni = "Nope.example"});
	tls_facts_read(&facts, p.server);
	assert_false(facts.established);
	assert_string_equal(facts.server_name, "Nope.example");
	pair_free(&p);
	tls_store_unref(&store);
	certs_config_free(config);
}

static void test_alpn(void **state)
{
	struct config *config = two_domains();
	struct tls_store *store = store_new(config, NULL);
	struct tls_facts facts;
	struct pair p;

	(void)state;
	expect_refused(store, NULL, &(struct client){.alpn = "\x02h2"}, 120, REASON_ALPN);
	expect_refused(store, "a.example", &(struct client){.alpn = "\x02h2", .max = TLS1_2_VERSION}, 120, REASON_ALPN);
	expect_refused(store, NULL, &(struct client){.alpn = "\x0bxmpp-server"}, 120, REASON_ALPN);
	expect_refused(store, NULL, &(struct client){.alpn = "\x0axmpp-clien"}, 120, REASON_ALPN);
	p = handshake(store, NULL, &(struct client){.alpn = "\x02h2\x0bxmpp-client"});
	assert_true(p.up);
	tls_facts_read(&facts, p.server);
	assert_string_equal(facts.alpn, "xmpp-client");
	pair_free(&p);
	tls_store_unref(&store);
	certs_config_free(config);
}

static void test_extended_master_secret(void **state)
{
	const uint64_t none = SSL_OP_NO_EXTENDED_MASTER_SECRET;
	struct config *config = two_domains();
	struct tls_store *store = store_new(config, NULL);
	struct tls_facts facts;
	struct pair p;

	(void)state;
	expect_refused(store, NULL, &(struct client){.max = TLS1_2_VERSION, .options = none}, 40, REASON_NO_EMS);
	expect_refused(store, "b.example", &(struct client){.max = TLS1_2_VERSION, .options = none}, 40, REASON_NO_EMS);
	/* What cannot do 1.2 is told about its version, not about this. */
	expect_refused(store, NULL, &(struct client){.max = TLS1_1_VERSION, .options = none}, 70, REASON_TLS_FAILED);
	p = handshake(store, NULL, &(struct client){.options = none});
	assert_true(p.up);
	tls_facts_read(&facts, p.server);
	assert_int_equal(facts.version_number, 13);
	assert_true(facts.extended_master_secret);
	pair_free(&p);
	tls_store_unref(&store);
	certs_config_free(config);
}

static void test_domain_without_certificate_is_not_answered_for(void **state)
{
	struct config *config = two_domains();
	struct tls_store *store;

	(void)state;
	certs_file_fini(&config->domains[1].certificate);
	store = store_new(config, NULL);
	expect_refused(store, NULL, &(struct client){.sni = "b.example"}, 112, REASON_SNI_UNKNOWN);
	assert_null(tls_accept(store, ROLE_C2S_INBOUND, "b.example"));
	assert_null(tls_accept(store, ROLE_S2S_INBOUND, "a.example"));
	tls_store_unref(&store);
	certs_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_certificate_follows_name),
	    cmocka_unit_test(test_unknown_names_are_refused),
	    cmocka_unit_test(test_alpn),
	    cmocka_unit_test(test_extended_master_secret),
	    cmocka_unit_test(test_domain_without_certificate_is_not_answered_for),
	};

	return cmocka_run_group_tests(tests, certs_setup, certs_teardown);
}

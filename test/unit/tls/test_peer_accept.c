/* SPDX-License-Identifier: MIT */
/* Remote servers that connect to us: what they are asked for, whether it ends there, what one of them may do. */
#include "federation.h"
#include "tls/client.h"

static struct cert cert_r, self_signed;

struct arrival {
	struct config *config;
	struct tls_store *store;
	struct remote r;
	SSL *ssl;
	bool up;
};

/* cert NULL: it shows none. */
static void arrive(struct arrival *a, const struct peer_policy *policy, const struct cert *cert, int max)
{
	a->ssl = tls_accept_peer(a->store, ROLE_S2S_INBOUND, "local.example", policy);
	assert_non_null(a->ssl);
	remote_init(&a->r, TLS_client_method(), cert, NULL);
	SSL_CTX_set_max_proto_version(a->r.ctx, max);
	remote_start(&a->r, false);
	a->up = join(a->r.ssl, a->ssl);
}

static void leave(struct arrival *a)
{
	SSL_free(a->ssl);
	remote_fini(&a->r);
	memset(&a->r, 0, sizeof(a->r));
}

/* tls.client-certificate: asked for with an empty list of authorities; one that is missing counts under require only.
 */
static void test_request(void **state)
{
	static const struct {
		int wanted, mode;
		bool shows;
		bool up, seen;
		int alert12, alert13;
	} rows[] = {
	    {CLIENT_CERTIFICATE_NO, MODE_ENFORCE, true, true, false, 0, 0},
	    {CLIENT_CERTIFICATE_REQUEST, MODE_ENFORCE, true, true, true, 0, 0},
	    {CLIENT_CERTIFICATE_REQUEST, MODE_ENFORCE, false, true, false, 0, 0},
	    {CLIENT_CERTIFICATE_REQUIRE, MODE_ENFORCE, true, true, true, 0, 0},
	    {CLIENT_CERTIFICATE_REQUIRE, MODE_ENFORCE, false, false, false, SSL_AD_HANDSHAKE_FAILURE,
	     SSL_AD_CERTIFICATE_REQUIRED},
	    {CLIENT_CERTIFICATE_REQUIRE, MODE_MONITOR, false, true, false, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arrival a = {.config = federation_config()};

		a.config->tls.client_certificate = rows[i].wanted;
		a.config->mode = rows[i].mode;
		a.store = federation_store(a.config);
		for (int max = TLS1_2_VERSION; max <= TLS1_3_VERSION; max++) {
			arrive(&a, NULL, rows[i].shows ? &self_signed : NULL, max);
			assert_int_equal(a.up, rows[i].up);
			assert_int_equal(a.r.alert, max == TLS1_2_VERSION ? rows[i].alert12 : rows[i].alert13);
			assert_int_equal(SSL_get0_peer_certificate(a.ssl) != NULL, rows[i].seen);
			assert_true(sk_X509_NAME_num(SSL_get0_peer_CA_list(a.r.ssl)) <= 0);
			leave(&a);
		}
		federation_free(a.config, a.store);
	}
}

static void test_nothing_shown_is_nothing_proven(void **state)
{
	struct arrival a = {.config = federation_config()};
	struct peer_policy policy = policy_of(a.config, NULL, LEVEL_VERIFY);
	struct tls_identity identity;

	(void)state;
	a.store = federation_store(a.config);
	arrive(&a, NULL, NULL, 0);
	tls_identify(&identity, a.store, a.ssl, ROLE_S2S_INBOUND, "r.example", &policy);
	assert_false(identity.verified);
	assert_string_equal(identity.unverified, "no certificate was shown");
	assert_string_equal(identity.method, "none");
	assert_null(tls_certificate_read(a.ssl));
	leave(&a);
	federation_free(a.config, a.store);
}

/* What the handshake recorded of the chain is there for who asks OpenSSL, too (PROXY v2 does). */
static void test_chain_is_recorded(void **state)
{
	struct arrival a = {.config = federation_config()};
	struct tls_client client;

	(void)state;
	a.store = federation_store(a.config);
	arrive(&a, NULL, &self_signed, 0);
	tls_client_read(&client, a.ssl);
	assert_true(client.presented);
	assert_false(client.verified);
	leave(&a);
	arrive(&a, NULL, &cert_r, 0);
	tls_client_read(&client, a.ssl);
	assert_true(client.verified);
	leave(&a);
	federation_free(a.config, a.store);
}

/* A ticket would bring back the leaf without its chain. */
static void test_no_tickets(void **state)
{
	struct arrival a = {.config = federation_config()};
	struct shared_tickets tickets = {0};
	struct errbuf err;

	(void)state;
	tickets_rotate(&tickets, 3600, 1700000000);
	a.store = tls_store_new(a.config, &tickets, &err);
	for (int max = TLS1_2_VERSION; max <= TLS1_3_VERSION; max++) {
		arrive(&a, NULL, &cert_r, max);
		assert_true(a.up);
		assert_false(SSL_SESSION_has_ticket(SSL_get_session(a.r.ssl)));
		leave(&a);
	}
	federation_free(a.config, a.store);
}

/* Design rule 7, on this side. */
static void test_settings_of_one_peer(void **state)
{
	struct arrival a = {.config = federation_config()};
	struct config_peer *old = certs_peer(a.config, "r.example", LEVEL_ENCRYPT);
	struct peer_policy policy;
	struct tls_facts facts;

	(void)state;
	old->tls.profile = TLS_PROFILE_COMPAT;
	old->tls.client_certificate = CLIENT_CERTIFICATE_REQUIRE;
	a.store = federation_store(a.config);
	policy = policy_of(a.config, old, LEVEL_ENCRYPT);
	for (int round = 0; round < 2; round++) {
		arrive(&a, &policy, &cert_r, TLS1_VERSION);
		assert_true(a.up);
		tls_facts_read(&facts, a.ssl);
		assert_string_equal(facts.version, "1.0");
		leave(&a);
		arrive(&a, &policy, NULL, TLS1_VERSION);
		assert_false(a.up);
		leave(&a);
		arrive(&a, NULL, &cert_r, TLS1_VERSION);
		assert_false(a.up);
		assert_int_equal(a.r.alert, SSL_AD_PROTOCOL_VERSION);
		leave(&a);
		arrive(&a, NULL, NULL, 0);
		assert_true(a.up);
		leave(&a);
	}
	federation_free(a.config, a.store);
}

/* TLS-11: the extended master secret is asked for by the settings that hold for that peer. */
static void test_master_secret_of_one_peer(void **state)
{
	struct arrival a = {.config = federation_config()};
	struct config_peer *old = certs_peer(a.config, "r.example", LEVEL_ENCRYPT);
	struct tls_facts facts;

	(void)state;
	old->tls.profile = TLS_PROFILE_COMPAT;
	a.store = federation_store(a.config);
	for (int with_rule = 0; with_rule < 2; with_rule++) {
		struct peer_policy policy = policy_of(a.config, with_rule ? old : NULL, LEVEL_ENCRYPT);

		a.ssl = tls_accept_peer(a.store, ROLE_S2S_INBOUND, "local.example", &policy);
		remote_init(&a.r, TLS_client_method(), NULL, NULL);
		SSL_CTX_set_max_proto_version(a.r.ctx, TLS1_2_VERSION);
		SSL_CTX_set_options(a.r.ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
		remote_start(&a.r, false);
		assert_int_equal(join(a.r.ssl, a.ssl), with_rule);
		tls_facts_read(&facts, a.ssl);
		assert_false(facts.extended_master_secret);
		assert_int_equal(tls_failure_reason(a.ssl), with_rule ? REASON_TLS_FAILED : REASON_NO_EMS);
		leave(&a);
	}
	federation_free(a.config, a.store);
}

/* Direct TLS: the name chooses the certificate, and one is asked for all the same. */
static void test_direct(void **state)
{
	struct arrival a = {.config = federation_config()};

	(void)state;
	a.store = federation_store(a.config);
	a.ssl = tls_accept(a.store, ROLE_S2S_INBOUND, NULL);
	remote_init(&a.r, TLS_client_method(), &cert_r, NULL);
	remote_start(&a.r, false);
	SSL_set_tlsext_host_name(a.r.ssl, "local.example");
	SSL_set_alpn_protos(a.r.ssl, (const unsigned char *)"\x0bxmpp-server", 12);
	assert_true(join(a.r.ssl, a.ssl));
	assert_non_null(SSL_get0_peer_certificate(a.ssl));
	assert_string_equal(tls_certificate_domain(a.ssl), "local.example");
	leave(&a);
	federation_free(a.config, a.store);
}

/* Without a listener for servers there is nothing to answer them with. */
static void test_no_listener(void **state)
{
	struct config *config = federation_config();
	struct tls_store *store;

	(void)state;
	config->listener_count = 0;
	store = federation_store(config);
	assert_null(tls_accept(store, ROLE_S2S_INBOUND, "local.example"));
	federation_free(config, store);
}

static int setup(void **state)
{
	(void)federation_setup(state);
	cert_r = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:r.example"}, &ca);
	self_signed = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:r.example"}, NULL);
	return 0;
}

static int teardown(void **state)
{
	certs_free(&cert_r);
	certs_free(&self_signed);
	return federation_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_request),
	    cmocka_unit_test(test_nothing_shown_is_nothing_proven),
	    cmocka_unit_test(test_chain_is_recorded),
	    cmocka_unit_test(test_no_tickets),
	    cmocka_unit_test(test_settings_of_one_peer),
	    cmocka_unit_test(test_master_secret_of_one_peer),
	    cmocka_unit_test(test_direct),
	    cmocka_unit_test(test_no_listener),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

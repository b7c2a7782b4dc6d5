/* SPDX-License-Identifier: MIT */
/* What our connections to remote domains show and demand: names, protocols, certificates, settings, pins, sessions. */
#include "tls/peer.h"

#include "base/clock.h"
#include "federation.h"

static struct cert cert_r; /* of r.example and s.example */

static SSL *connect_to(struct tls_store *store, struct remote *r, struct peer_policy policy, const char *domain,
		       bool *up)
{
	struct tls_peer_params params = {.role = ROLE_S2S_OUTBOUND,
					 .domain = domain,
					 .local = "local.example",
					 .policy = &policy,
					 .must_prove = true,
					 .resume = true};

	return meet(store, r, &params, up);
}

static bool is_resumed(struct tls_store *store, struct remote *r, struct peer_policy policy, const char *domain)
{
	bool up, resumed;
	struct tls_facts facts;
	SSL *ssl = connect_to(store, r, policy, domain, &up);

	assert_true(up);
	tls_facts_read(&facts, ssl);
	assert_true(facts.verified);
	resumed = facts.resumed;
	SSL_free(ssl); /* without a word to the other side */
	remote_end(r);
	return resumed;
}

/* The name of the domain, none for an address; a protocol on direct TLS only (TLS-19). */
static void test_what_is_sent(void **state)
{
	static const struct {
		enum role role;
		const char *domain, *sni;
		bool direct;
		const char *alpn;
	} rows[] = {
	    {ROLE_S2S_OUTBOUND, "r.example", "r.example", false, ""},
	    {ROLE_S2S_OUTBOUND, "r.example", "r.example", true, "xmpp-server"},
	    {ROLE_C2S_OUTBOUND, "r.example", "r.example", true, "xmpp-client"},
	    {ROLE_C2S_OUTBOUND, "192.0.2.1", "", true, "xmpp-client"},
	    {ROLE_S2S_OUTBOUND, "2001:db8::1", "", false, ""},
	};
	struct config *config = federation_config();
	struct tls_store *store = federation_store(config);
	struct peer_policy policy = policy_of(config, NULL, LEVEL_ENCRYPT);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls_peer_params params = {
		    .role = rows[i].role, .domain = rows[i].domain, .policy = &policy, .direct = rows[i].direct};
		struct remote r = {.select = rows[i].direct ? "\x0bxmpp-server" : NULL};
		struct tls_facts facts;
		bool up;
		SSL *ssl;

		if (rows[i].role == ROLE_C2S_OUTBOUND)
			r.select = "\x0bxmpp-client";
		remote_init(&r, TLS_server_method(), &cert_r, NULL);
		ssl = meet(store, &r, &params, &up);
		assert_true(up);
		assert_string_equal(r.sni, rows[i].sni);
		assert_string_equal(r.alpn, rows[i].alpn);
		tls_facts_read(&facts, ssl);
		assert_string_equal(facts.alpn, rows[i].alpn);
		assert_string_equal(facts.server_name, rows[i].sni);
		SSL_free(ssl);
		remote_fini(&r);
	}
	federation_free(config, store);
}

/* TLS-19: a protocol that was not offered ends the handshake. */
static void test_other_protocol(void **state)
{
	struct config *config = federation_config();
	struct tls_store *store = federation_store(config);
	struct peer_policy policy = policy_of(config, NULL, LEVEL_ENCRYPT);
	struct tls_peer_params params = {
	    .role = ROLE_S2S_OUTBOUND, .domain = "r.example", .policy = &policy, .direct = true};

	(void)state;
	for (int max = TLS1_2_VERSION; max <= TLS1_3_VERSION; max++) {
		struct remote r = {.select = "\x02h2"};
		bool up;
		SSL *ssl;

		remote_init(&r, TLS_server_method(), &cert_r, NULL);
		SSL_CTX_set_max_proto_version(r.ctx, max);
		ssl = meet(store, &r, &params, &up);
		assert_false(up);
		assert_int_not_equal(r.alert, 0); /* which one depends on the version of OpenSSL */
		SSL_free(ssl);
		remote_fini(&r);
	}
	federation_free(config, store);
}

/* Our own certificate is shown where it is asked for: the local domain's, of the kind the other side can take. */
static void test_own_certificate(void **state)
{
	struct config *config = federation_config();
	struct cert rsa = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:local.example", .key = "rsa2048"}, &ca);
	static const struct {
		const char *local, *sigalgs;
		int key; /* EVP_PKEY type, 0: none shown */
	} rows[] = {
	    {"local.example", NULL, EVP_PKEY_EC},
	    {"local.example", "RSA-PSS+SHA256:RSA+SHA256", EVP_PKEY_RSA},
	    {"none.example", NULL, 0},
	    {NULL, NULL, 0},
	};
	struct tls_store *store;
	struct peer_policy policy;

	(void)state;
	certs_more(&config->domains[0], &rsa, NULL);
	store = federation_store(config);
	policy = policy_of(config, NULL, LEVEL_ENCRYPT);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls_peer_params params = {
		    .role = ROLE_S2S_OUTBOUND, .domain = "r.example", .local = rows[i].local, .policy = &policy};
		struct cert server = certs_make(&(struct cert_spec){.cn = "r", .key = "rsa2048"}, NULL);
		struct remote r = {0};
		X509 *shown;
		bool up;
		SSL *ssl;

		remote_init(&r, TLS_server_method(), &server, NULL);
		SSL_CTX_set_verify(r.ctx, SSL_VERIFY_PEER, NULL);
		if (rows[i].sigalgs)
			SSL_CTX_set1_client_sigalgs_list(r.ctx, rows[i].sigalgs);
		ssl = meet(store, &r, &params, &up);
		assert_true(up);
		shown = SSL_get0_peer_certificate(r.ssl);
		assert_int_equal(shown ? EVP_PKEY_get_base_id(X509_get0_pubkey(shown)) : 0, rows[i].key);
		SSL_free(ssl);
		remote_fini(&r);
		certs_free(&server);
	}
	certs_free(&rsa);
	federation_free(config, store);
}

/* Design rule 7: what one peer is allowed, the next connection of the same store is not. */
static void test_settings_of_one_peer(void **state)
{
	struct config *config = federation_config();
	struct config_peer *old = certs_peer(config, "old.example", LEVEL_ENCRYPT);
	struct tls_store *store;
	struct tls_facts facts;
	struct remote r = {0};
	bool up;
	SSL *ssl;

	(void)state;
	old->tls.profile = TLS_PROFILE_COMPAT;
	store = federation_store(config);
	remote_init(&r, TLS_server_method(), &cert_r, NULL);
	SSL_CTX_set_max_proto_version(r.ctx, TLS1_VERSION);
	for (int round = 0; round < 2; round++) {
		ssl = connect_to(store, &r, policy_of(config, old, LEVEL_ENCRYPT), "r.example", &up);
		assert_true(up);
		tls_facts_read(&facts, ssl);
		assert_string_equal(facts.version, "1.0");
		SSL_free(ssl);
		remote_end(&r);
		ssl = connect_to(store, &r, policy_of(config, NULL, LEVEL_ENCRYPT), "r.example", &up);
		assert_false(up);
		SSL_free(ssl);
		remote_end(&r);
	}
	remote_fini(&r);
	federation_free(config, store);
}

static void test_stricter_settings_of_one_peer(void **state)
{
	struct config *config = federation_config();
	struct config_peer *strict = certs_peer(config, "strict.example", LEVEL_VERIFY);
	char ciphers[] = "ECDHE-ECDSA-CHACHA20-POLY1305", groups[] = "P-384:P-256",
	     suites[] = "TLS_CHACHA20_POLY1305_SHA256";
	struct tls_store *store;
	struct tls_facts facts;
	struct remote r = {0};
	bool up;
	SSL *ssl;

	(void)state;
	strict->tls.ciphers = ciphers;
	strict->tls.ciphersuites = suites;
	strict->tls.groups = groups;
	store = federation_store(config);
	remote_init(&r, TLS_server_method(), &cert_r, NULL);
	/* Newer libraries let the server's own order decide. */
	assert_int_equal(SSL_CTX_set1_groups_list(r.ctx, "P-384"), 1);
	ssl = connect_to(store, &r, policy_of(config, strict, LEVEL_VERIFY), "r.example", &up);
	tls_facts_read(&facts, ssl);
	assert_string_equal(facts.cipher, suites);
	assert_string_equal(facts.group, "secp384r1");
	SSL_free(ssl);
	remote_end(&r);
	assert_int_equal(SSL_CTX_set1_groups_list(r.ctx, "X25519:P-256"), 1);
	SSL_CTX_set_max_proto_version(r.ctx, TLS1_2_VERSION);
	ssl = connect_to(store, &r, policy_of(config, strict, LEVEL_VERIFY), "r.example", &up);
	tls_facts_read(&facts, ssl);
	assert_string_equal(facts.cipher, ciphers);
	SSL_free(ssl);
	remote_end(&r);
	ssl = connect_to(store, &r, policy_of(config, NULL, LEVEL_VERIFY), "s.example", &up);
	tls_facts_read(&facts, ssl);
	assert_string_equal(facts.cipher, "ECDHE-ECDSA-AES256-GCM-SHA384");
	assert_string_equal(facts.group, "x25519");
	SSL_free(ssl);
	remote_fini(&r);
	federation_free(config, store);
}

/* CERT-9: authorities of the peer's own replace the common ones, in both directions. */
static void test_anchors_of_one_peer(void **state)
{
	struct config *config = federation_config();
	struct config_peer *own = certs_peer(config, "own.example", LEVEL_VERIFY);
	struct cert other = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:r.example"}, &other_ca);
	const struct cert *shown[] = {&cert_r, &other};
	struct tls_store *store;

	(void)state;
	memset(&own->tls.ca_file, 0, sizeof(own->tls.ca_file));
	certs_authority(&own->tls.ca_file, &other_ca);
	store = federation_store(config);
	for (int i = 0; i < 4; i++) {
		bool rule = i & 1, foreign = i & 2, up;
		struct remote r = {0};
		SSL *ssl;

		remote_init(&r, TLS_server_method(), shown[foreign], NULL);
		ssl = connect_to(store, &r, policy_of(config, rule ? own : NULL, LEVEL_VERIFY), "r.example", &up);
		assert_int_equal(up, rule == foreign);
		assert_int_equal(r.alert, rule == foreign ? 0 : SSL_AD_UNKNOWN_CA);
		SSL_free(ssl);
		remote_fini(&r);
	}
	certs_free(&other);
	federation_free(config, store);
}

/* CERT-2: what is good for a server among servers is not for one that clients connect to, and the other way round. */
static void test_service_is_of_the_role(void **state)
{
	static const enum role roles[] = {ROLE_S2S_OUTBOUND, ROLE_C2S_OUTBOUND};
	static const char *const names[] = {"otherName:1.3.6.1.5.5.7.8.7;IA5:_xmpp-server.r.example",
					    "otherName:1.3.6.1.5.5.7.8.7;IA5:_xmpp-client.r.example"};
	struct config *config = federation_config();
	struct tls_store *store = federation_store(config);
	struct peer_policy policy = policy_of(config, NULL, LEVEL_VERIFY);

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct cert cert = certs_make(&(struct cert_spec){.cn = "x", .san = names[i / 2]}, &ca);
		struct tls_peer_params params = {
		    .role = roles[i % 2], .domain = "r.example", .policy = &policy, .must_prove = true};
		struct tls_identity identity;
		struct remote r = {0};
		bool up;
		SSL *ssl;

		remote_init(&r, TLS_server_method(), &cert, NULL);
		ssl = meet(store, &r, &params, &up);
		assert_int_equal(up, i / 2 == i % 2);
		tls_identify(&identity, store, ssl, roles[i % 2], "r.example", &policy);
		assert_int_equal(identity.verified, up);
		SSL_free(ssl);
		remote_fini(&r);
		certs_free(&cert);
	}
	federation_free(config, store);
}

/* CERT-16: one of the pins, of certificate or key, and nothing else: an expired, self-signed one that is for nobody. */
static void test_fingerprints(void **state)
{
	struct config *config = federation_config();
	struct cert pinned = certs_make(&(struct cert_spec){.cn = "x", .from = -9 * DAY, .until = -DAY}, NULL);
	struct config_peer *rule = certs_peer(config, "r.example", LEVEL_FINGERPRINT);
	char pin[80] = "sha256:0";
	char *pins[] = {pin, pin};
	struct tls_store *store = federation_store(config);

	(void)state;
	rule->fingerprints = mem_dup(pins, sizeof(pins));
	rule->fingerprint_count = 2;
	for (int kind = 0; kind < 3; kind++) {
		struct peer_policy policy = policy_of(config, rule, LEVEL_FINGERPRINT);
		struct tls_certificate *certificate;
		struct tls_identity identity;
		struct remote r = {0};
		bool up;
		SSL *ssl;

		remote_init(&r, TLS_server_method(), &pinned, NULL);
		ssl = connect_to(store, &r, policy, "r.example", &up);
		assert_int_equal(up, kind > 0);
		assert_int_equal(r.alert, kind > 0 ? 0 : SSL_AD_BAD_CERTIFICATE);
		certificate = tls_certificate_read(ssl);
		tls_identify(&identity, store, ssl, ROLE_S2S_OUTBOUND, "r.example", &policy);
		assert_string_equal(identity.method, kind > 0 ? "fingerprint" : "none");
		assert_string_equal(identity.matched, kind > 0 ? pin : "");
		if (kind == 0)
			assert_string_equal(tls_peer_fault(ssl), NOT_PINNED);
		SSL_free(ssl);
		remote_fini(&r);
		if (kind == 0)
			(void)snprintf(pin, sizeof(pin), "sha256:%s", certificate ? certificate->sha256 : "");
		if (kind == 1)
			(void)snprintf(pin, sizeof(pin), "spki-sha256:%s", certificate ? certificate->spki_sha256 : "");
		tls_certificate_free(&certificate);
	}
	certs_free(&pinned);
	federation_free(config, store);
}

static void test_a_good_certificate_is_no_pin(void **state)
{
	struct config *config = federation_config();
	struct config_peer *rule = certs_peer(config, "r.example", LEVEL_FINGERPRINT);
	struct tls_store *store = federation_store(config);
	struct peer_policy policies[] = {policy_of(config, rule, LEVEL_FINGERPRINT),
					 policy_of(config, NULL, LEVEL_FINGERPRINT)};
	struct remote r = {0};
	bool up;

	(void)state;
	remote_init(&r, TLS_server_method(), &cert_r, NULL);
	for (size_t i = 0; i < 2; i++) {
		SSL *ssl = connect_to(store, &r, policies[i], "r.example", &up);

		assert_false(up);
		assert_int_equal(r.alert, SSL_AD_BAD_CERTIFICATE);
		SSL_free(ssl);
		remote_end(&r);
	}
	remote_fini(&r);
	federation_free(config, store);
}

/* TLS-14: what is resumed, and what never is: another domain, another rule, a store of other settings. */
static void test_resumption(void **state)
{
	for (int max = TLS1_2_VERSION; max <= TLS1_3_VERSION; max++) {
		struct config *config = federation_config();
		struct config_peer *rule = certs_peer(config, "r.example", LEVEL_VERIFY);
		struct tls_store *store = federation_store(config), *reloaded = federation_store(config);
		struct peer_policy common = policy_of(config, NULL, LEVEL_VERIFY);
		struct remote r = {0};
		bool up;
		SSL *ssl;

		(void)state;
		remote_init(&r, TLS_server_method(), &cert_r, NULL);
		SSL_CTX_set_max_proto_version(r.ctx, max);
		assert_false(is_resumed(store, &r, common, "r.example"));
		assert_true(is_resumed(store, &r, common, "r.example"));
		assert_true(is_resumed(store, &r, common, "r.example"));
		assert_false(is_resumed(store, &r, common, "s.example"));
		assert_false(is_resumed(store, &r, policy_of(config, rule, LEVEL_VERIFY), "r.example"));
		assert_false(is_resumed(reloaded, &r, common, "r.example"));
		assert_true(is_resumed(store, &r, common, "r.example"));
		/* The stream is refused: nothing of it is resumed. */
		ssl = connect_to(store, &r, common, "r.example", &up);
		tls_forget_session(ssl);
		SSL_free(ssl);
		remote_end(&r);
		assert_false(is_resumed(store, &r, common, "r.example"));
		remote_fini(&r);
		tls_store_unref(&reloaded);
		federation_free(config, store);
	}
}

/* Another local domain, another service, another way in: each is a session of its own. */
static void test_resumption_is_of_one_kind(void **state)
{
	static const struct {
		enum role role;
		const char *local;
		bool direct;
	} kinds[] = {
	    {ROLE_S2S_OUTBOUND, "local.example", false},
	    {ROLE_S2S_OUTBOUND, NULL, false},
	    {ROLE_S2S_OUTBOUND, "local.example", true},
	    {ROLE_C2S_OUTBOUND, "local.example", false},
	};
	struct config *config = federation_config();
	struct tls_store *store = federation_store(config);
	struct peer_policy policy = policy_of(config, NULL, LEVEL_VERIFY);
	struct remote r = {0};

	(void)state;
	remote_init(&r, TLS_server_method(), &cert_r, NULL);
	for (size_t i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t kind = i % (sizeof(kinds) / sizeof(kinds[0]));
		struct tls_peer_params params = {.role = kinds[kind].role,
						 .domain = "r.example",
						 .local = kinds[kind].local,
						 .policy = &policy,
						 .must_prove = true,
						 .direct = kinds[kind].direct,
						 .resume = true};
		bool up;
		SSL *ssl = meet(store, &r, &params, &up);

		assert_true(up);
		assert_int_equal(SSL_session_reused(ssl), i != kind);
		SSL_free(ssl);
		remote_end(&r);
		/* Kept all the same, for a connection that may resume. */
		params.resume = false;
		ssl = meet(store, &r, &params, &up);
		assert_int_equal(SSL_session_reused(ssl), 0);
		SSL_free(ssl);
		remote_end(&r);
	}
	remote_fini(&r);
	federation_free(config, store);
}

/* A session is good for as long as its certificate, and for the ticket lifetime at most. */
static void test_resumption_ends(void **state)
{
	struct config *config = federation_config();
	struct cert brief =
	    certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:r.example", .from = -DAY, .until = 3600}, &ca);
	int64_t now = clock_real_us();
	struct tls_store *store = federation_store(config);
	struct peer_policy policy = policy_of(config, NULL, LEVEL_VERIFY);
	struct tls_identity identity;
	struct remote r = {0};
	bool up;
	SSL *ssl;

	(void)state;
	remote_init(&r, TLS_server_method(), &brief, NULL);
	clock_fake(1, now);
	assert_false(is_resumed(store, &r, policy, "r.example"));
	ssl = connect_to(store, &r, policy, "r.example", &up);
	assert_true(up && SSL_session_reused(ssl));
	tls_identify(&identity, store, ssl, ROLE_S2S_OUTBOUND, "r.example", &policy);
	assert_true(identity.verified);
	/* Proven for that domain, and not for another. */
	tls_identify(&identity, store, ssl, ROLE_S2S_OUTBOUND, "s.example", &policy);
	assert_string_equal(identity.unverified, NOT_FOR_IT);
	clock_fake(1, now + 3601L * 1000000);
	tls_identify(&identity, store, ssl, ROLE_S2S_OUTBOUND, "r.example", &policy);
	assert_string_equal(identity.unverified, EXPIRED);
	SSL_free(ssl);
	remote_end(&r);
	/* The session is not offered: its server must show a certificate, and shows the old one. */
	ssl = connect_to(store, &r, policy, "r.example", &up);
	assert_false(up);
	assert_int_equal(r.alert, SSL_AD_CERTIFICATE_EXPIRED);
	assert_string_equal(tls_peer_fault(ssl), EXPIRED);
	SSL_free(ssl);
	remote_end(&r);
	clock_fake(1, now);
	assert_false(is_resumed(store, &r, policy, "r.example"));
	clock_fake(1 + 12UL * 3600 * 1000 * 1000000, now);
	assert_false(is_resumed(store, &r, policy, "r.example"));
	assert_true(is_resumed(store, &r, policy, "r.example"));
	clock_unfake();
	remote_fini(&r);
	certs_free(&brief);
	federation_free(config, store);
}

static void test_no_resumption_when_switched_off(void **state)
{
	struct config *config = federation_config();
	struct config_peer *rule = certs_peer(config, "r.example", LEVEL_VERIFY);
	struct tls_store *store;
	struct remote r = {0};

	(void)state;
	rule->tls.session_resumption = false;
	store = federation_store(config);
	remote_init(&r, TLS_server_method(), &cert_r, NULL);
	for (int i = 0; i < 2; i++)
		assert_false(is_resumed(store, &r, policy_of(config, rule, LEVEL_VERIFY), "r.example"));
	remote_fini(&r);
	federation_free(config, store);
}

/* Mode monitor refuses nothing, on our own connections too, whatever a rule says: the facts tell. */
static void test_monitor_takes_what_there_is(void **state)
{
	struct config *config = federation_config();
	struct config_peer *strict = certs_peer(config, "r.example", LEVEL_VERIFY);
	struct tls_store *store;
	struct remote r = {0};

	(void)state;
	config->mode = MODE_MONITOR;
	strict->tls.profile = TLS_PROFILE_MODERN;
	store = federation_store(config);
	remote_init(&r, TLS_server_method(), &cert_r, NULL);
	SSL_CTX_set_max_proto_version(r.ctx, TLS1_1_VERSION);
	for (int i = 0; i < 2; i++) {
		struct tls_facts facts;
		bool up;
		SSL *ssl = connect_to(store, &r, policy_of(config, i ? strict : NULL, LEVEL_VERIFY), "r.example", &up);

		assert_true(up);
		tls_facts_read(&facts, ssl);
		assert_string_equal(facts.version, "1.1");
		SSL_free(ssl);
		remote_end(&r);
	}
	remote_fini(&r);
	federation_free(config, store);
}

/* No listener takes outbound streams: there is nothing to connect with. */
static void test_no_outbound_listener(void **state)
{
	struct config *config = federation_config();
	struct peer_policy policy = policy_of(config, NULL, LEVEL_VERIFY);
	struct tls_peer_params params = {.role = ROLE_S2S_OUTBOUND, .domain = "r.example", .policy = &policy};
	struct tls_store *store;

	(void)state;
	config->listener_count = 1;
	store = federation_store(config);
	assert_null(tls_connect_peer(store, &params));
	federation_free(config, store);
}

static int setup(void **state)
{
	(void)federation_setup(state);
	cert_r = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:r.example,DNS:s.example"}, &ca);
	return 0;
}

static int teardown(void **state)
{
	certs_free(&cert_r);
	return federation_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_sent),
	    cmocka_unit_test(test_other_protocol),
	    cmocka_unit_test(test_own_certificate),
	    cmocka_unit_test(test_settings_of_one_peer),
	    cmocka_unit_test(test_stricter_settings_of_one_peer),
	    cmocka_unit_test(test_anchors_of_one_peer),
	    cmocka_unit_test(test_fingerprints),
	    cmocka_unit_test(test_a_good_certificate_is_no_pin),
	    cmocka_unit_test(test_resumption),
	    cmocka_unit_test(test_resumption_is_of_one_kind),
	    cmocka_unit_test(test_service_is_of_the_role),
	    cmocka_unit_test(test_resumption_ends),
	    cmocka_unit_test(test_no_resumption_when_switched_off),
	    cmocka_unit_test(test_monitor_takes_what_there_is),
	    cmocka_unit_test(test_no_outbound_listener),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

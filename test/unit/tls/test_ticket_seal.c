/* SPDX-License-Identifier: MIT */
/* Tickets across workers that share keys: resumption, rotation, and never from one domain to another. */
#include "tls/store.h"

#include "handshake.h"
#include "tls/facts.h"

#define NOW 1700000000

/* Connects once for a ticket, then again with it; returns whether the second was resumed. */
static bool resumes(struct tls_store *first, struct tls_store *second, int max, const char *sni1, const char *sni2,
		    struct shared_tickets *tickets, int rotations)
{
	struct pair p = handshake(first, NULL, &(struct client){.sni = sni1, .max = max});
	struct tls_facts facts;
	struct pair q;
	bool resumed;

	assert_true(p.up);
	if (!p.session) {
		pair_free(&p);
		return false;
	}
	for (int64_t i = 1; i <= rotations; i++)
		assert_true(tickets_rotate(tickets, 3600, NOW + i * 3600));
	q = handshake(second, NULL, &(struct client){.sni = sni2, .max = max, .session = p.session});
	assert_true(q.up);
	tls_facts_read(&facts, q.server);
	resumed = SSL_session_reused(q.client);
	assert_int_equal(facts.resumed, resumed);
	/* A resumed TLS 1.3 stream must get a fresh ticket: the old one is spent. */
	if (resumed && max == TLS1_3_VERSION)
		assert_non_null(q.session);
	pair_free(&p);
	pair_free(&q);
	return resumed;
}

static void test_tickets(void **state)
{
	struct config *config = two_domains(), *changed = two_domains();
	struct shared_tickets tickets = {0};
	struct tls_store *one = store_new(config, &tickets), *two = store_new(config, &tickets), *other;

	(void)state;
	changed->tls.ciphersuites = mem_strdup("TLS_AES_256_GCM_SHA384");
	other = store_new(changed, &tickets);
	for (int max = TLS1_2_VERSION; max <= TLS1_3_VERSION; max++) {
		memset(&tickets, 0, sizeof(tickets));
		assert_false(resumes(one, two, max, "a.example", "a.example", &tickets, 0)); /* no key yet */
		tickets_rotate(&tickets, 3600, NOW);
		assert_true(resumes(one, two, max, "a.example", "a.example", &tickets, 0));
		assert_true(resumes(one, two, max, "b.example", "b.example", &tickets, 0));
		assert_true(resumes(one, two, max, NULL, NULL, &tickets, 0));
		assert_false(resumes(one, two, max, "a.example", "b.example", &tickets, 0));
		assert_false(resumes(one, two, max, "b.example", "a.example", &tickets, 0));
		assert_false(resumes(one, other, max, "a.example", "a.example", &tickets, 0));
		assert_true(resumes(one, two, max, "b.example", "b.example", &tickets, 1));
		memset(&tickets, 0, sizeof(tickets));
		tickets_rotate(&tickets, 3600, NOW);
		assert_false(resumes(one, two, max, "a.example", "a.example", &tickets, 2));
	}
	tls_store_unref(&one);
	tls_store_unref(&two);
	tls_store_unref(&other);
	certs_config_free(config);
	certs_config_free(changed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tickets),
	};

	return cmocka_run_group_tests(tests, certs_setup, certs_teardown);
}

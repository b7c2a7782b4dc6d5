/* SPDX-License-Identifier: MIT */
/* What is merged, what is bounded, and what the operator changes. */
#include "store_fixture.h"

static void test_unknown(void **state)
{
	static const struct peer_memory nothing;

	(void)state;
	open_store(10);
	assert_memory_equal(get("example.com", PEER_S2S), &nothing, sizeof(nothing));
	assert_int_equal(peer_store_count(store), 0);
	commit();
}

static void test_merge(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	const struct peer_memory *m;

	(void)state;
	open_store(10);
	seen.offered = seen.direct = true;
	seen.version = 13;
	seen.method = PEER_METHOD_PKIX;
	show(&seen, 'a', false);
	observe(&seen);
	/* Seen before it is durable, and after another program start. */
	m = get("example.com", PEER_S2S);
	assert_true(m->known);
	commit();
	peer_store_close(&store);
	open_store(10);
	assert_int_equal(peer_store_count(store), 1);
	m = get("example.com", PEER_S2S);
	assert_true(m->known && m->tls && m->offered && m->direct);
	assert_false(m->required);
	assert_int_equal(m->way[PEER_OUTBOUND].best_version, 13);
	assert_int_equal(m->way[PEER_OUTBOUND].last_version, 13);
	assert_int_equal(m->way[PEER_OUTBOUND].best_method, PEER_METHOD_PKIX);
	assert_int_equal(m->way[PEER_OUTBOUND].last_method, PEER_METHOD_PKIX);
	assert_int_equal(m->certificate_count, 1);
	assert_string_equal(m->certificate[0].subject, "CN=a");
	assert_string_equal(m->certificate[0].issuer, "CN=ca");
	assert_string_equal(m->certificate[0].endpoint, "xmpp.example.com:5269");
	assert_true(m->certificate[0].not_after == NOW + 1000);
	assert_false(get("example.com", PEER_C2S)->known);

	/* Stripped: what was best is known all the same. */
	seen = seen_of("example.com", NOW + 5);
	seen.tls = false;
	seen.version = 0;
	observe(&seen);
	m = get("example.com", PEER_S2S);
	assert_true(m->tls && m->offered && m->direct);
	assert_int_equal(m->way[PEER_OUTBOUND].best_version, 13);
	assert_int_equal(m->way[PEER_OUTBOUND].last_version, 0);
	assert_int_equal(m->way[PEER_OUTBOUND].best_method, PEER_METHOD_PKIX);
	assert_int_equal(m->way[PEER_OUTBOUND].last_method, PEER_METHOD_NONE);
	assert_true(m->first_seen == NOW && m->last_seen == NOW + 5);
	assert_int_equal(m->certificate_count, 1);

	/* One that comes late: older than what is known. */
	seen = seen_of("example.com", NOW - 7);
	seen.required = true;
	observe(&seen);
	m = get("example.com", PEER_S2S);
	assert_true(m->first_seen == NOW - 7 && m->last_seen == NOW + 5);
	assert_int_equal(m->way[PEER_OUTBOUND].last_version, 0);
	assert_true(m->required);
}

static void test_twice(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	struct peer_memory before;

	(void)state;
	open_store(10);
	show(&seen, 'a', true);
	observe(&seen);
	commit();
	before = *get("example.com", PEER_S2S);
	observe(&seen);
	commit();
	assert_memory_equal(get("example.com", PEER_S2S), &before, sizeof(before));
	seen.when++;
	observe(&seen);
	before.last_seen = before.way[PEER_OUTBOUND].last_seen = before.certificate[0].last_seen = NOW + 1;
	assert_memory_equal(get("example.com", PEER_S2S), &before, sizeof(before));
	assert_int_equal(peer_store_count(store), 1);
}

/* What a peer that comes to us was offered says nothing of what it offers. */
static void test_inbound(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	const struct peer_memory *m;

	(void)state;
	open_store(10);
	seen.inbound = seen.offered = seen.required = seen.direct = true;
	observe(&seen);
	m = get("example.com", PEER_S2S);
	assert_true(m->tls);
	assert_false(m->offered || m->required || m->direct);
}

/* What it does when it is called and what it does when it calls are two things. */
static void test_directions(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	const struct peer_way *out, *in;

	(void)state;
	open_store(10);
	seen.version = 13;
	seen.method = PEER_METHOD_PKIX;
	observe(&seen);
	seen = seen_of("example.com", NOW + 5);
	seen.inbound = true;
	seen.method = PEER_METHOD_DIALBACK;
	observe(&seen);
	/* One that comes late is still the last of its own direction. */
	seen = seen_of("example.com", NOW + 2);
	observe(&seen);
	commit();
	peer_store_close(&store);
	open_store(10);
	assert_true(get("example.com", PEER_S2S)->last_seen == NOW + 5);
	out = &get("example.com", PEER_S2S)->way[PEER_OUTBOUND];
	in = &get("example.com", PEER_S2S)->way[PEER_INBOUND];
	assert_true(out->last_seen == NOW + 2 && in->last_seen == NOW + 5);
	assert_true(out->best_version == 13 && out->last_version == 12);
	assert_true(out->best_method == PEER_METHOD_PKIX && out->last_method == PEER_METHOD_NONE);
	assert_true(in->best_version == 12 && in->last_version == 12);
	assert_true(in->best_method == PEER_METHOD_DIALBACK && in->last_method == PEER_METHOD_DIALBACK);
}

static void test_accepted(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	struct errbuf err = {.text = ""};
	const struct peer_memory *m;
	unsigned count;

	(void)state;
	open_store(10);
	/* The first one, verified or not; not the next; a third that proves itself; and what was accepted stays so. */
	show(&seen, 'a', false);
	observe(&seen);
	show(&seen, 'b', false);
	seen.when++;
	observe(&seen);
	show(&seen, 'c', true);
	seen.when++;
	observe(&seen);
	show(&seen, 'c', false);
	seen.when++;
	observe(&seen);
	m = get("example.com", PEER_S2S);
	assert_int_equal(m->certificate_count, 3);
	assert_string_equal(m->certificate[0].subject, "CN=c");
	assert_true(m->certificate[0].accepted);
	assert_false(m->certificate[1].accepted);
	assert_string_equal(m->certificate[2].subject, "CN=a");
	assert_true(m->certificate[2].accepted);

	assert_int_equal(peer_store_accept(store, "other.example", "", &count, &err), 0);
	assert_int_equal(count, 0);
	/* Only what was named, where one was. */
	assert_int_equal(peer_store_accept(store, "example.com", m->certificate[0].sha256, &count, &err), 0);
	assert_int_equal(count, 0);
	show(&seen, 'e', false);
	observe(&seen);
	assert_int_equal(peer_store_accept(store, "example.com", seen.certificate.sha256, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_int_equal(peer_store_accept(store, "example.com", "", &count, &err), 0);
	assert_int_equal(count, 1);
	assert_true(get("example.com", PEER_S2S)->certificate[1].accepted);
	assert_int_equal(peer_store_accept(store, "example.com", "", &count, &err), 0);
	assert_int_equal(count, 0);
	/* Durable, with the batch that was open. */
	peer_store_close(&store);
	open_store(10);
	assert_true(get("example.com", PEER_S2S)->certificate[1].accepted);
	/* One that turns out to be verified is accepted by that. */
	show(&seen, 'd', false);
	observe(&seen);
	assert_false(get("example.com", PEER_S2S)->certificate[0].accepted);
	show(&seen, 'd', true);
	observe(&seen);
	assert_true(get("example.com", PEER_S2S)->certificate[0].accepted);
}

/* A renewal that keeps its key: let in by the session, and not waiting here for the operator the next time. */
static void test_same_key(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	const struct peer_memory *m;

	(void)state;
	open_store(10);
	show(&seen, 'a', false);
	observe(&seen);
	show(&seen, 'b', false);
	memset(seen.certificate.spki_sha256, 'a', 64);
	seen.when++;
	observe(&seen);
	m = get("example.com", PEER_S2S);
	assert_string_equal(m->certificate[0].subject, "CN=b");
	assert_true(m->certificate[0].accepted);
	/* The key of one that nobody has accepted lets nobody in. */
	show(&seen, 'c', false);
	seen.when++;
	observe(&seen);
	memset(seen.certificate.sha256, 'd', 64);
	seen.when++;
	observe(&seen);
	m = get("example.com", PEER_S2S);
	assert_false(m->certificate[0].accepted || m->certificate[1].accepted);
}

/* Who was refused for his certificate is not the peer: nothing that he did besides is held against it later. */
static void test_refused(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	const struct peer_memory *m;
	struct peer_way before;

	(void)state;
	open_store(10);
	show(&seen, 'a', false);
	observe(&seen);
	before = get("example.com", PEER_S2S)->way[PEER_OUTBOUND];
	show(&seen, 'b', false);
	seen.when++;
	seen.version = 13;
	seen.method = PEER_METHOD_PKIX;
	seen.refused = seen.offered = seen.required = seen.direct = seen.srv_secure = true;
	snprintf(seen.certificate.endpoint, sizeof(seen.certificate.endpoint), "new.example.com:5269");
	observe(&seen);
	m = get("example.com", PEER_S2S);
	assert_memory_equal(&m->way[PEER_OUTBOUND], &before, sizeof(before));
	assert_false(m->offered || m->required || m->direct);
	assert_true(m->last_seen == NOW);
	assert_int_equal(m->endpoint_count, 1);
	assert_int_equal(m->certificate_count, 2);
	assert_string_equal(m->certificate[0].subject, "CN=b");
	assert_false(m->certificate[0].accepted);
	/* Accepted meanwhile, it stays so. */
	seen.when++;
	memset(seen.certificate.sha256, 'a', 64);
	observe(&seen);
	assert_true(get("example.com", PEER_S2S)->certificate[0].accepted);
	/* Forgotten meanwhile, it is not the first one. */
	seen = seen_of("other.example", NOW);
	show(&seen, 'b', false);
	seen.refused = true;
	observe(&seen);
	assert_false(get("other.example", PEER_S2S)->known);
	assert_int_equal(peer_store_count(store), 1);
	assert_int_equal(rows_of("SELECT count(*) FROM certificate"), 2);
}

/* Two hosts of one domain with a certificate each: both are known, each with the place where it was seen last. */
static void test_endpoint(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	const struct peer_memory *m;

	(void)state;
	open_store(10);
	show(&seen, 'a', true);
	observe(&seen);
	snprintf(seen.certificate.endpoint, sizeof(seen.certificate.endpoint), "b.example.com:5270");
	seen.when++;
	observe(&seen);
	snprintf(seen.certificate.endpoint, sizeof(seen.certificate.endpoint), "late.example.com:5270");
	seen.when--;
	observe(&seen);
	m = get("example.com", PEER_S2S);
	assert_int_equal(m->certificate_count, 1);
	assert_string_equal(m->certificate[0].endpoint, "b.example.com:5270");
}

static void show_at(struct peer_observation *seen, char digit, unsigned server)
{
	show(seen, digit, false);
	seen->when++;
	snprintf(seen->certificate.endpoint, sizeof(seen->certificate.endpoint), "%u.example.com:5269", server);
}

/* Where an accepted certificate was met is known when it has moved on, and after another program start. */
static void test_servers(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	const struct peer_memory *m;

	(void)state;
	open_store(10);
	show_at(&seen, 'a', 1);
	observe(&seen);
	show_at(&seen, 'a', 2);
	observe(&seen);
	seen.inbound = true;
	show_at(&seen, 'a', 3);
	observe(&seen);
	seen.inbound = false;
	m = get("example.com", PEER_S2S);
	assert_int_equal(m->endpoint_count, 2);
	assert_string_equal(m->endpoint[0], "2.example.com:5269");
	assert_string_equal(m->endpoint[1], "1.example.com:5269");
	commit();
	peer_store_close(&store);
	open_store(10);
	assert_int_equal(get("example.com", PEER_S2S)->endpoint_count, 2);
	/* A further server that proves itself brings its certificate; one that DNSSEC alone names does not. */
	show_at(&seen, 'b', 4);
	seen.certificate.accepted = true;
	observe(&seen);
	m = get("example.com", PEER_S2S);
	assert_true(m->certificate[0].accepted);
	assert_string_equal(m->endpoint[0], "4.example.com:5269");
	seen.srv_secure = true;
	show_at(&seen, 'c', 5);
	observe(&seen);
	m = get("example.com", PEER_S2S);
	assert_false(m->certificate[0].accepted);
	assert_int_equal(m->endpoint_count, 3);
	show_at(&seen, 'd', 1);
	observe(&seen);
	assert_false(get("example.com", PEER_S2S)->certificate[0].accepted);
}

static void test_many_servers(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	struct errbuf err = {.text = ""};
	const struct peer_memory *m;
	unsigned count;

	(void)state;
	open_store(10);
	for (unsigned i = 0; i < 20; i++) {
		show_at(&seen, 'a', i);
		observe(&seen);
	}
	m = get("example.com", PEER_S2S);
	assert_int_equal(m->endpoint_count, PEER_ENDPOINTS);
	assert_string_equal(m->endpoint[0], "19.example.com:5269");
	assert_string_equal(m->endpoint[PEER_ENDPOINTS - 1], "13.example.com:5269");
	assert_int_equal(peer_store_forget(store, "example.com", &count, &err), 0);
	assert_int_equal(rows_of("SELECT count(*) FROM endpoint"), 0);
}

static void test_many_certificates(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	const struct peer_memory *m;
	char name[16];

	(void)state;
	open_store(10);
	show(&seen, 'a', true);
	observe(&seen);
	/* Twenty that prove nothing push each other out, and never the known one. */
	for (int i = 0; i < 20; i++) {
		seen.when++;
		show(&seen, '0', false);
		snprintf(name, sizeof(name), "%02d", i);
		memcpy(seen.certificate.sha256, name, 2);
		observe(&seen);
	}
	m = get("example.com", PEER_S2S);
	assert_int_equal(m->certificate_count, PEER_CERTIFICATES);
	assert_memory_equal(m->certificate[0].sha256, "19", 2);
	assert_memory_equal(m->certificate[6].sha256, "13", 2);
	assert_memory_equal(m->certificate[7].sha256, "aa", 2);
	/* Of proven ones the oldest goes. */
	for (int i = 0; i < 8; i++) {
		seen.when++;
		show(&seen, '0', true);
		snprintf(name, sizeof(name), "f%d", i);
		memcpy(seen.certificate.sha256, name, 2);
		observe(&seen);
	}
	m = get("example.com", PEER_S2S);
	assert_int_equal(m->certificate_count, 7);
	for (int i = 0; i < 7; i++) {
		snprintf(name, sizeof(name), "f%d", 7 - i);
		assert_memory_equal(m->certificate[i].sha256, name, 2);
	}
	/* One place is left for those that wait to be accepted: all seven are there when two have been shown. */
	for (int i = 0; i < 2; i++) {
		seen.when++;
		show(&seen, '0', false);
		snprintf(name, sizeof(name), "e%d", i);
		memcpy(seen.certificate.sha256, name, 2);
		seen.refused = true;
		observe(&seen);
	}
	m = get("example.com", PEER_S2S);
	assert_int_equal(m->certificate_count, PEER_CERTIFICATES);
	assert_memory_equal(m->certificate[0].sha256, "e1", 2);
	assert_memory_equal(m->certificate[1].sha256, "f7", 2);
	assert_memory_equal(m->certificate[7].sha256, "f1", 2);
}

static void test_many_peers(void **state)
{
	struct peer_observation seen;
	char domain[32];

	(void)state;
	open_store(5);
	for (int i = 0; i < 8; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		/* The newest ones have been seen longest ago: the one just written stays all the same. */
		seen = seen_of(domain, NOW - i);
		show(&seen, 'a', true);
		observe(&seen);
		assert_true(get(domain, PEER_S2S)->known);
	}
	assert_int_equal(peer_store_count(store), 5);
	commit();
	assert_true(get("d0.example", PEER_S2S)->known);
	assert_true(get("d3.example", PEER_S2S)->known);
	assert_false(get("d4.example", PEER_S2S)->known);
	assert_false(get("d6.example", PEER_S2S)->known);
	assert_true(get("d7.example", PEER_S2S)->known);
	assert_int_equal(rows_of("SELECT count(*) FROM peer"), 5);
	assert_int_equal(rows_of("SELECT count(*) FROM certificate"), 5);
	assert_int_equal(rows_of("SELECT count(*) FROM endpoint"), 5);
	/* Known ones make no room. */
	seen = seen_of("d0.example", NOW + 1);
	observe(&seen);
	assert_int_equal(peer_store_count(store), 5);
	peer_store_close(&store);
	open_store(5);
	assert_int_equal(peer_store_count(store), 5);
}

static void test_flood(void **state)
{
	struct peer_observation seen = seen_of("old.example", NOW - 604800);
	char domain[32];

	(void)state;
	open_store(5);
	observe(&seen);
	seen.when = NOW;
	observe(&seen);
	for (int i = 1; i <= 20; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		seen = seen_of(domain, NOW + i);
		observe(&seen);
	}
	assert_int_equal(peer_store_count(store), 5);
	assert_true(get("old.example", PEER_S2S)->known);
	assert_false(get("d16.example", PEER_S2S)->known);
	assert_true(get("d17.example", PEER_S2S)->known);
	/* Where all have been known for long, the one not seen for longest goes. */
	for (int i = 17; i <= 20; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		seen = seen_of(domain, NOW + i + 604800);
		observe(&seen);
	}
	seen = seen_of("new.example", NOW + 604900);
	observe(&seen);
	assert_false(get("old.example", PEER_S2S)->known);
	assert_true(get("new.example", PEER_S2S)->known);
}

static void test_forget(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	struct errbuf err = {.text = ""};
	unsigned count;

	(void)state;
	open_store(10);
	show(&seen, 'a', true);
	observe(&seen);
	seen.service = PEER_C2S;
	observe(&seen);
	seen = seen_of("other.example", NOW);
	observe(&seen);
	assert_int_equal(peer_store_forget(store, "example.com", &count, &err), 0);
	assert_int_equal(count, 2);
	assert_int_equal(peer_store_count(store), 1);
	assert_int_equal(rows_of("SELECT count(*) FROM certificate"), 0);
	assert_int_equal(peer_store_forget(store, "example.com", &count, &err), 0);
	assert_int_equal(count, 0);
	peer_store_close(&store);
	open_store(10);
	assert_false(get("example.com", PEER_S2S)->known);
	assert_true(get("other.example", PEER_S2S)->known);
}

static void test_list(void **state)
{
	static const char *const domains[] = {"b.example", "a.example", "c.example"};
	struct peer_observation seen;

	(void)state;
	open_store(10);
	assert_int_equal(list(NULL, PEER_C2S, 10), 0);
	for (size_t i = 0; i < 3; i++) {
		seen = seen_of(domains[i], NOW);
		show(&seen, 'a', true);
		observe(&seen);
	}
	seen = seen_of("b.example", NOW);
	seen.service = PEER_C2S;
	observe(&seen);
	assert_int_equal(list(NULL, PEER_C2S, 10), 4);
	assert_string_equal(listed, "a.example/s2s/1 b.example/c2s/0 b.example/s2s/1 c.example/s2s/1 ");
	assert_int_equal(list(NULL, PEER_C2S, 2), 2);
	assert_string_equal(listed, "a.example/s2s/1 b.example/c2s/0 ");
	assert_int_equal(list("b.example", PEER_C2S, 2), 2);
	assert_string_equal(listed, "b.example/s2s/1 c.example/s2s/1 ");
	assert_int_equal(list("c.example", PEER_S2S, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_unknown),    TEST(test_merge),    TEST(test_twice),        TEST(test_inbound),
	    TEST(test_directions), TEST(test_accepted), TEST(test_same_key),     TEST(test_refused),
	    TEST(test_endpoint),   TEST(test_servers),  TEST(test_many_servers), TEST(test_many_certificates),
	    TEST(test_many_peers), TEST(test_flood),    TEST(test_forget),       TEST(test_list),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

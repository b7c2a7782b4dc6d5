/* SPDX-License-Identifier: MIT */
/*
 * Streams of servers that come to us: what their certificate proves of the header's domain, what is remembered of it,
 * and what of both the visiting server, the backend, the audit log and peer memory get.
 */
#include "servers_world.h"

#include "visitor.h"

#define CHANGE_REFUSED "policy: {on-certificate-change: refuse}\n"
#define ENCRYPT ", level: encrypt" EXCUSE

static struct world *begin(const char *rule, const char *more)
{
	const struct options options = {.rule = rule, .more = more};
	return world_new(&options);
}

/* The visiting server is told so inside TLS, and the backend hears nothing. */
static void refused(struct world *w, const char *condition, const char *code)
{
	char *error = mem_printf("<stream:error><%s xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>", condition);
	char *word = mem_printf("\"code\":\"%s\"", code);
	AWAIT(w, w->near.eof);
	if (strstr(strbuf_text(&w->near.seen), error) == NULL)
		fail_msg("not told %s: %s", error, strbuf_text(&w->near.seen));
	assert_int_equal(w->far.fd, -1);
	recorded(w, "stream-closed", word);
	assert_int_equal(records(w, ACTION("stream-closed")), 1);
	assert_int_equal(records(w, ACTION("stream-established")), 0);
	mem_free(error);
	mem_free(word);
	world_free(w);
}

/* ---- who it is ---- */

static void proven(void **state)
{
	(void)state;
	struct world *w = begin("", "");
	struct peer_observation *seen = &w->seen[0];
	visitor_joins(w, &pki.remote, REMOTE);
	assert_string_equal(w->asked, REMOTE);
	recorded(w, "stream-established",
		 "\"verification\":{\"method\":\"pkix\",\"identity\":\"" REMOTE "\",\"matched\":\"DNS-ID " REMOTE
		 "\",\"result\":\"verified\"}");
	recorded(w, "stream-established", "\"from\":\"" REMOTE "\",\"to\":\"" LOCAL "\"");
	recorded(w, "stream-established", digest_of(&pki.remote, false));
	assert_int_equal(records(w, "\n"), 1);
	assert_int_equal(w->seen_count, 1);
	assert_string_equal(seen->domain, REMOTE);
	assert_true(seen->inbound && seen->tls && !seen->offered && !seen->required && !seen->direct);
	assert_int_equal(seen->version, 13);
	assert_int_equal(seen->method, PEER_METHOD_PKIX);
	assert_true(seen->has_certificate && seen->certificate.accepted);
	assert_string_equal(seen->certificate.sha256, digest_of(&pki.remote, false));
	assert_string_equal(seen->certificate.endpoint, "inbound");
	assert_in_range(seen->certificate.not_after, seen->when + 89L * 86400, seen->when + 91L * 86400);
	world_free(w);
}

static void not_proven(void **state)
{
	const struct cert *const shown[] = {&pki.other, &pki.self_signed, NULL};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct world *w = begin("", "");
		visitor_begins(w, shown[i], VISITOR_HEADER(REMOTE));
		AWAIT(w, w->near.eof);
		assert_int_equal(w->seen_count, 0);
		recorded(w, "stream-refused", "\"result\":\"unverified\",\"reason\":\"");
		if (shown[i] != NULL)
			recorded(w, "stream-refused", digest_of(shown[i], false));
		assert_int_equal(records(w, ACTION("stream-refused")), 1);
		refused(w, "not-authorized", "peer-unverified");
	}
}

/* Level encrypt leaves it to dialback, and what was shown is remembered when that has proven it. */
static void not_proven_at_encrypt(void **state)
{
	(void)state;
	struct world *w = begin(ENCRYPT, "");
	visitor_joins(w, &pki.self_signed, REMOTE);
	recorded(w, "weak-exception-used", "\"reason\":\"old\",\"until\":\"2099-12-31\"");
	recorded(w, "stream-established", "\"method\":\"none\"");
	end_send(w, &w->near, RESULT(REMOTE, LOCAL));
	end_saw(w, &w->far, RESULT(REMOTE, LOCAL));
	assert_int_equal(w->seen_count, 0);
	end_send(w, &w->far, RESULT_IS("valid", LOCAL, REMOTE));
	end_saw(w, &w->near, RESULT_IS("valid", LOCAL, REMOTE));
	assert_int_equal(w->seen_count, 1);
	assert_int_equal(w->seen[0].method, PEER_METHOD_DIALBACK);
	assert_false(w->seen[0].certificate.accepted);
	end_close(&w->near);
	AWAIT(w, records(w, ACTION("stream-closed")) == 1);
	recorded(w, "stream-closed", "\"verification\":{\"method\":\"dialback\",\"identity\":\"" REMOTE "\"");
	world_free(w);
}

static void a_rule_that_is_over(void **state)
{
	(void)state;
	struct world *w = begin(", level: encrypt, reason: old, until: 2020-01-01", "");
	visitor_begins(w, &pki.self_signed, VISITOR_HEADER(REMOTE));
	AWAIT(w, w->near.eof);
	assert_int_equal(records(w, ACTION("weak-exception-used")), 0);
	recorded(w, "stream-refused",
		 "\"policy\":{\"level\":\"verify\",\"mode\":\"enforce\",\"rule\":\"s2s-inbound\"}");
	refused(w, "not-authorized", "peer-unverified");
}

/* NEG-33, whatever it shows. */
static void one_of_our_own(void **state)
{
	(void)state;
	struct world *w = begin("", "");
	visitor_begins(w, &pki.local, VISITOR_HEADER(SECOND));
	AWAIT(w, w->near.eof);
	assert_int_equal(w->questions, 0);
	refused(w, "not-authorized", "self-claim");
}

/* ---- what is remembered ---- */

static void a_new_certificate_that_is_verified(void **state)
{
	(void)state;
	struct world *w = begin("", CHANGE_REFUSED);
	remember(w, &pki.both, true);
	visitor_joins(w, &pki.remote, REMOTE);
	recorded(w, "certificate-changed", "\"severity\":1");
	recorded(w, "certificate-changed",
		 "The certificate is not one that is remembered; it is verified. The one before is of another issuer.");
	recorded(w, "certificate-changed", digest_of(&pki.remote, false));
	char *previous =
	    mem_printf("\"previous\":{\"subject\":\"CN=remembered 1\",\"sha256\":\"%s\"", digest_of(&pki.both, false));
	recorded(w, "certificate-changed", previous);
	mem_free(previous);
	assert_int_equal(records(w, ACTION("certificate-changed")), 1);
	world_free(w);
}

static void a_new_certificate_that_is_not(void **state)
{
	(void)state;
	struct world *w = begin(ENCRYPT, "");
	remember(w, &pki.remote, true);
	visitor_joins(w, &pki.self_signed, REMOTE);
	recorded(w, "certificate-changed", "\"severity\":2");
	world_free(w);
	w = begin(ENCRYPT, CHANGE_REFUSED);
	remember(w, &pki.remote, true);
	visitor_begins(w, &pki.self_signed, VISITOR_HEADER(REMOTE));
	AWAIT(w, w->near.eof);
	recorded(w, "certificate-changed", "\"severity\":2");
	recorded(w, "stream-refused",
		 "\"reason\":\"The certificate is not one that is remembered, is not verified, and "
		 "on-certificate-change is refuse: the certificate is self-signed");
	assert_int_equal(w->seen_count, 0); /* anybody may show it in that name: `peers accept` must not find it */
	refused(w, "policy-violation", "certificate-changed");
}

/* One that was refused before is no news, but still refused; what it is held against is the one before it. */
static void a_certificate_that_was_refused_before(void **state)
{
	(void)state;
	struct world *w = begin(ENCRYPT, CHANGE_REFUSED);
	remember(w, &pki.self_signed, false);
	remember(w, &pki.remote, true);
	visitor_begins(w, &pki.self_signed, VISITOR_HEADER(REMOTE));
	AWAIT(w, w->near.eof);
	assert_int_equal(records(w, ACTION("certificate-changed")), 0);
	refused(w, "policy-violation", "certificate-changed");
	w = begin(ENCRYPT, CHANGE_REFUSED);
	remember(w, &pki.self_signed, false);
	remember(w, &pki.remote, true);
	visitor_begins(w, &pki.other, VISITOR_HEADER(REMOTE));
	AWAIT(w, w->near.eof);
	recorded(w, "certificate-changed", "\"previous\":{\"subject\":\"CN=remembered 2\"");
	refused(w, "policy-violation", "certificate-changed");
}

static void one_that_was_accepted(void **state)
{
	(void)state;
	struct world *w = begin(ENCRYPT, CHANGE_REFUSED);
	remember(w, &pki.self_signed, true);
	visitor_joins(w, &pki.self_signed, REMOTE);
	assert_int_equal(records(w, ACTION("certificate-changed")), 0);
	world_free(w);
}

/* LOG-6: the peer renewed it and kept the key, which nobody else has. */
static void a_new_certificate_of_the_same_key(void **state)
{
	(void)state;
	struct world *w = begin(ENCRYPT, CHANGE_REFUSED);
	struct peer_certificate *before = &w->memory.certificate[0];
	remember(w, &pki.self_signed, true);
	memset(before->sha256, 'f', 64);
	snprintf(before->issuer, sizeof(before->issuer), "CN=server");
	before->not_after = clock_real_us() / 1000000 + 23 * 86400 + 3600;
	visitor_joins(w, &pki.self_signed, REMOTE);
	recorded(w, "certificate-changed", "\"severity\":1");
	recorded(w, "certificate-changed", "\"previous\":{\"subject\":\"CN=remembered 1\"");
	recorded(w, "certificate-changed",
		 "The certificate is not one that is remembered, but its key is the same; nothing else verifies it. "
		 "The one before is of the same issuer and expires in 23 days.");
	recorded(w, "stream-established", digest_of(&pki.self_signed, false));
	world_free(w);
}

/* Only where it decides. */
static void no_memory(void **state)
{
	(void)state;
	struct world *w = begin(ENCRYPT, CHANGE_REFUSED);
	w->memory_broken = true;
	visitor_begins(w, &pki.self_signed, VISITOR_HEADER(REMOTE));
	AWAIT(w, w->near.eof);
	assert_int_equal(w->seen_count, 0);
	refused(w, "internal-server-error", "memory-unavailable");
	w = begin(ENCRYPT, CHANGE_REFUSED);
	w->memory_broken = true;
	visitor_joins(w, &pki.remote, REMOTE);
	assert_int_equal(w->seen_count, 1);
	world_free(w);
	w = begin(ENCRYPT, "");
	w->memory_broken = true;
	visitor_joins(w, &pki.self_signed, REMOTE);
	world_free(w);
}

static void less_than_before(void **state)
{
	(void)state;
	struct world *w = begin(ENCRYPT, "");
	remember(w, &pki.self_signed, true);
	w->memory.way[PEER_INBOUND].best_method = PEER_METHOD_PKIX;
	visitor_joins(w, &pki.self_signed, REMOTE);
	recorded(w, "tls-downgraded", "This peer was verified by pkix before, now it is not.");
	recorded(w, "tls-downgraded", "\"severity\":2");
	world_free(w);
	w = begin("", "");
	remember(w, &pki.remote, true);
	w->memory.required = w->memory.direct = true; /* nothing of which a visitor shows */
	visitor_at(w, VISITOR_HEADER(REMOTE), &pki.remote, TLS1_2_VERSION, VISITOR_HEADER(REMOTE));
	AWAIT(w, w->far.seen.len > 0);
	backend_greets(w, VISITOR_HEADER(REMOTE));
	recorded(w, "tls-downgraded", "TLS 1.3 was used with this peer before, now it is an older version.");
	recorded(w, "tls-downgraded", "\"severity\":2");
	assert_int_equal(records(w, ACTION("tls-downgraded")), 1);
	assert_int_equal(records(w, ACTION("starttls-required-stripped")), 0);
	assert_int_equal(w->seen[0].version, 12);
	world_free(w);
}

/* What it does as a server says nothing of what it does as a client. */
static void less_than_in_the_other_direction(void **state)
{
	(void)state;
	struct world *w = begin(ENCRYPT, "");
	remember(w, &pki.self_signed, true);
	w->memory.way[PEER_OUTBOUND].best_method = PEER_METHOD_PKIX;
	w->memory.way[PEER_INBOUND].best_version = 12;
	visitor_at(w, VISITOR_HEADER(REMOTE), &pki.self_signed, TLS1_2_VERSION, VISITOR_HEADER(REMOTE));
	AWAIT(w, w->far.seen.len > 0);
	backend_greets(w, VISITOR_HEADER(REMOTE));
	assert_int_equal(records(w, ACTION("tls-downgraded")), 0);
	world_free(w);
}

/* Its certificate is named by its rule now: that is no less than what any authority says of it. */
static void pinned_by_its_rule(void **state)
{
	(void)state;
	char *rule =
	    mem_printf(", level: fingerprint, fingerprints: ['sha256:%s']", digest_of(&pki.self_signed, false));
	struct world *w = begin(rule, "");
	remember(w, &pki.self_signed, true);
	w->memory.way[PEER_INBOUND].best_method = PEER_METHOD_PKIX;
	visitor_joins(w, &pki.self_signed, REMOTE);
	recorded(w, "stream-established", "\"method\":\"fingerprint\"");
	assert_int_equal(records(w, ACTION("tls-downgraded")), 0);
	world_free(w);
	mem_free(rule);
}

/* Whoever it claimed to be for an easier handshake (NEG-9). */
static void older_tls_than_the_rule_asks_for(void **state)
{
	(void)state;
	struct world *w = begin(", tls: {min-version: 1.3}", "");
	visitor_at(w, VISITOR_HEADER(OTHER), &pki.self_signed, TLS1_2_VERSION, VISITOR_HEADER(REMOTE));
	AWAIT(w, w->near.eof);
	recorded(w, "stream-refused", "\"reason\":\"The TLS version is lower than policy asks for\",");
	refused(w, "policy-violation", "weak-tls");
}

/* ---- mode monitor, and ends ---- */

static void monitor_goes_on(void **state)
{
	(void)state;
	struct world *w = begin("", "mode: monitor\n");
	connect_from(w, INBOUND, VISITOR);
	end_send(w, &w->near, VISITOR_HEADER(REMOTE));
	end_saw(w, &w->far, VISITOR_HEADER(REMOTE));
	end_send(w, &w->far, BACKEND_HEADER FEATURES(DIALBACK));
	end_saw(w, &w->near, BACKEND_HEADER FEATURES(STARTTLS DIALBACK LIMITS));
	assert_true(visitor_secures(w, &pki.self_signed, 0));
	far_is_gone(w);
	end_send(w, &w->near, VISITOR_HEADER(REMOTE));
	backend_greets(w, VISITOR_HEADER(REMOTE));
	assert_int_equal(records(w, ACTION("stream-refused")), 1);
	recorded(w, "stream-refused", "\"code\":\"peer-unverified\"");
	recorded(w, "stream-refused", "\"outcome\":\"unknown\"");
	world_free(w);
}

static void it_leaves_while_memory_is_asked(void **state)
{
	(void)state;
	struct world *w = begin("", "");
	w->hold_memory = true;
	visitor_begins(w, &pki.remote, VISITOR_HEADER(REMOTE));
	assert_int_equal(w->questions, 1);
	end_close(&w->near);
	AWAIT(w, records(w, ACTION("stream-closed")) == 1);
	assert_int_equal(w->forgotten, 1);
	assert_int_equal(w->far.fd, -1);
	AWAIT(w, engine_count(w->engine) == 0);
	world_free(w);
}

static void shutdown_while_memory_is_asked(void **state)
{
	(void)state;
	struct world *w = begin("", "timeouts: {drain: 0}\n");
	w->hold_memory = true;
	visitor_begins(w, &pki.remote, VISITOR_HEADER(REMOTE));
	engine_drain(w->engine);
	AWAIT(w, w->near.eof);
	assert_int_equal(w->forgotten, 1);
	refused(w, "system-shutdown", "shutdown");
}

/* It is our own delay, and no fault of the backend's. */
static void memory_takes_too_long(void **state)
{
	(void)state;
	struct world *w = begin("", "timeouts: {negotiation: 1s, connect: 1s}\n");
	w->hold_memory = true;
	visitor_begins(w, &pki.remote, VISITOR_HEADER(REMOTE));
	AWAIT(w, w->near.eof);
	assert_int_equal(w->forgotten, 1);
	recorded(w, "stream-refused", "peer memory did not answer in time");
	refused(w, "connection-timeout", "negotiation-timeout");
}

/* The settings of its rule hold for TLS that it asks for late, too. */
static void a_rule_for_who_may_do_without(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world *w = begin(", level: may, tls: {min-version: 1.3}" EXCUSE, "");
		connect_from(w, INBOUND, VISITOR);
		end_send(w, &w->near, VISITOR_HEADER(REMOTE));
		end_saw(w, &w->far, VISITOR_HEADER(REMOTE));
		end_send(w, &w->far, BACKEND_HEADER FEATURES(DIALBACK));
		end_saw(w, &w->near, BACKEND_HEADER FEATURES(STARTTLS DIALBACK LIMITS));
		assert_int_equal(visitor_secures(w, &pki.remote, i == 0 ? TLS1_2_VERSION : 0), i);
		world_free(w);
	}
}

/* They are not to be had by naming somebody else before TLS. */
static void a_rule_that_was_borrowed(void **state)
{
	static const char rules[] = "  - {domain: " OTHER ", level: may" EXCUSE "}\n";
	const struct options options = {.rule = ", tls: {profile: compat}" EXCUSE, .rules = rules};
	(void)state;
	struct world *w = world_new(&options);
	visitor_at(w, VISITOR_HEADER(REMOTE), &pki.other, 0, VISITOR_HEADER(OTHER));
	AWAIT(w, w->near.eof);
	refused(w, "not-authorized", "header-switch");
}

/* … and who goes on in plaintext is recorded and remembered so. */
static void plaintext_where_it_may(void **state)
{
	(void)state;
	struct world *w = begin(", level: may" EXCUSE, "");
	remember(w, &pki.remote, true);
	connect_from(w, INBOUND, VISITOR);
	end_send(w, &w->near, VISITOR_HEADER(REMOTE));
	end_saw(w, &w->far, VISITOR_HEADER(REMOTE));
	end_send(w, &w->far, BACKEND_HEADER FEATURES(DIALBACK));
	end_saw(w, &w->near, BACKEND_HEADER FEATURES(STARTTLS DIALBACK LIMITS));
	assert_int_equal(w->seen_count, 0);
	end_send(w, &w->near, RESULT(REMOTE, LOCAL));
	end_saw(w, &w->far, RESULT(REMOTE, LOCAL));
	recorded(w, "stream-established", "\"tls\":{\"established\":false}");
	recorded(w, "tls-downgraded", "TLS 1.3 was used with this peer before, now it is none.");
	recorded(w, "weak-exception-used", "\"reason\":\"old\"");
	assert_int_equal(w->seen_count, 0);
	end_send(w, &w->far, RESULT_IS("valid", LOCAL, REMOTE));
	end_saw(w, &w->near, RESULT_IS("valid", LOCAL, REMOTE));
	assert_int_equal(w->seen_count, 1);
	assert_false(w->seen[0].tls || w->seen[0].has_certificate);
	world_free(w);
}

/* Two domains of ours meet: also where a trusted proxy stands before the inbound listener. */
static void a_domain_of_ours_behind_a_proxy(void **state)
{
	const struct options options = {.inbound = ", accept-proxy-protocol: [192.0.2.7/32]",
					.rules = "  - {domain: " SECOND ", level: encrypt" EXCUSE "}\n"};
	struct shared_ends ends;
	const char *why;
	(void)state;
	struct world *w = world_new(&options);
	assert_int_equal(addr_parse(&ends.own, "192.0.2.9:40000", false, &why), 0);
	assert_int_equal(addr_parse(&ends.to, "192.0.2.8:5269", false, &why), 0);
	shared_note_own(w->shared, 0, &ends);
	connect_from(w, INBOUND, "192.0.2.7:1");
	end_send(w, &w->near, "PROXY TCP4 192.0.2.9 192.0.2.8 40000 5269\r\n");
	end_send(w, &w->near, VISITOR_HEADER(SECOND));
	AWAIT(w, strstr(strbuf_text(&w->near.seen), FEATURES(REQUIRED)) != NULL);
	strbuf_clear(&w->near.seen);
	assert_true(visitor_secures(w, &pki.remote, 0));
	end_send(w, &w->near, VISITOR_HEADER(SECOND));
	backend_greets(w, VISITOR_HEADER(SECOND));
	world_free(w);
}

static void freed_while_memory_is_asked(void **state)
{
	(void)state;
	struct world *w = begin("", "");
	w->hold_memory = true;
	visitor_begins(w, &pki.remote, VISITOR_HEADER(REMOTE));
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(proven),
	    cmocka_unit_test(not_proven),
	    cmocka_unit_test(not_proven_at_encrypt),
	    cmocka_unit_test(a_rule_that_is_over),
	    cmocka_unit_test(one_of_our_own),
	    cmocka_unit_test(a_new_certificate_that_is_verified),
	    cmocka_unit_test(a_new_certificate_that_is_not),
	    cmocka_unit_test(a_certificate_that_was_refused_before),
	    cmocka_unit_test(one_that_was_accepted),
	    cmocka_unit_test(a_new_certificate_of_the_same_key),
	    cmocka_unit_test(no_memory),
	    cmocka_unit_test(less_than_before),
	    cmocka_unit_test(less_than_in_the_other_direction),
	    cmocka_unit_test(pinned_by_its_rule),
	    cmocka_unit_test(older_tls_than_the_rule_asks_for),
	    cmocka_unit_test(monitor_goes_on),
	    cmocka_unit_test(it_leaves_while_memory_is_asked),
	    cmocka_unit_test(shutdown_while_memory_is_asked),
	    cmocka_unit_test(memory_takes_too_long),
	    cmocka_unit_test(a_rule_for_who_may_do_without),
	    cmocka_unit_test(a_rule_that_was_borrowed),
	    cmocka_unit_test(plaintext_where_it_may),
	    cmocka_unit_test(a_domain_of_ours_behind_a_proxy),
	    cmocka_unit_test(freed_while_memory_is_asked),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}

/* SPDX-License-Identifier: MIT */
/*
 * Pairs of domains on streams between servers: which requests reach the other side, what is answered to the others, and
 * that each pair has the record it deserves.
 */
#include "visitor.h"

#define CHANGE_REFUSED "policy: {on-certificate-change: refuse}\n"
#define ENCRYPT ", level: encrypt" EXCUSE
#define NOT_AUTHORIZED(from, to) RESULT_ERROR(from, to, "auth", "not-authorized")

static struct world *begin(const char *rule, const char *rules, const char *more)
{
	const struct options options = {.rule = rule, .rules = rules, .more = more};
	return world_new(&options);
}

/* `asker` claims a pair, and whoever is on the other side says that it is valid. */
static void prove(struct world *w, struct end *asker, const char *from, const char *to)
{
	struct end *asked = asker == &w->near ? &w->far : &w->near;
	char *request = mem_printf(RESULT("%s", "%s"), from, to);
	char *answer = mem_printf(RESULT_IS("valid", "%s", "%s"), to, from);
	end_send(w, asker, request);
	end_saw(w, asked, request);
	end_send(w, asked, answer);
	end_saw(w, asker, answer);
	mem_free(request);
	mem_free(answer);
}

static void passes(struct world *w, struct end *from, const char *text)
{
	end_send(w, from, text);
	end_saw(w, from == &w->near ? &w->far : &w->near, text);
}

static void ended(struct world *w, const char *condition, const char *code)
{
	char *error = mem_printf("<stream:error><%s xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>", condition);
	char *word = mem_printf("\"code\":\"%s\"", code);
	AWAIT(w, w->near.eof);
	if (strstr(strbuf_text(&w->near.seen), error) == NULL)
		fail_msg("not told %s: %s", error, strbuf_text(&w->near.seen));
	recorded(w, "stream-closed", word);
	assert_int_equal(records(w, ACTION("stream-closed")), 1);
	mem_free(error);
	mem_free(word);
	world_free(w);
}

/* ---- further domains on a visitor's connection ---- */

static void a_second_domain_of_the_certificate(void **state)
{
	(void)state;
	struct world *w = begin("", "", "");
	visitor_joins(w, &pki.both, REMOTE);
	prove(w, &w->near, REMOTE, LOCAL);
	assert_int_equal(records(w, ACTION("stream-established")), 1);
	strbuf_clear(&w->log);
	prove(w, &w->near, OTHER, LOCAL);
	assert_int_equal(records(w, "\n"), 1);
	recorded(w, "stream-established", "\"from\":\"" OTHER "\",\"to\":\"" LOCAL "\"");
	recorded(w, "stream-established",
		 "\"verification\":{\"method\":\"pkix\",\"identity\":\"" OTHER "\",\"matched\":\"DNS-ID " OTHER "\"");
	recorded(w, "stream-established", "\"auth\":{\"method\":\"dialback\",\"identity\":\"" OTHER "\"}");
	passes(w, &w->near, MESSAGE(REMOTE, LOCAL));
	passes(w, &w->near, MESSAGE(OTHER, LOCAL));
	assert_int_equal(w->questions, 1);
	assert_int_equal(w->seen_count, 1);
	/* The stream is still the first one's. */
	end_close(&w->near);
	AWAIT(w, records(w, ACTION("stream-closed")) == 1);
	recorded(w, "stream-closed", "\"from\":\"" REMOTE "\"");
	recorded(w, "stream-closed", "\"identity\":\"" REMOTE "\",\"matched\":\"DNS-ID " REMOTE "\"");
	recorded(w, "stream-closed", "\"auth\":{\"method\":\"dialback\",\"identity\":\"" REMOTE "\"}");
	world_free(w);
}

/* DB-7: the stream lives, for the other pair is good; and nobody has proven that one, dialback or not. */
static void a_domain_that_the_certificate_does_not_have(void **state)
{
	(void)state;
	struct world *w = begin(ENCRYPT, "", "");
	visitor_joins(w, &pki.self_signed, REMOTE);
	prove(w, &w->near, REMOTE, LOCAL);
	strbuf_clear(&w->log);
	end_send(w, &w->near, RESULT(OTHER, LOCAL));
	end_saw(w, &w->near, NOT_AUTHORIZED(LOCAL, OTHER));
	assert_int_equal(w->far.seen.len, 0);
	assert_int_equal(records(w, "\n"), 1);
	recorded(w, "stream-refused", "\"code\":\"peer-unverified\"");
	recorded(w, "stream-refused", "\"from\":\"" OTHER "\"");
	recorded(w, "stream-refused",
		 "\"policy\":{\"level\":\"verify\",\"mode\":\"enforce\",\"rule\":\"s2s-inbound\"}");
	recorded(w, "stream-refused",
		 "\"verification\":{\"method\":\"none\",\"identity\":\"" OTHER
		 "\",\"result\":\"unverified\",\"reason\":\"the certificate is ");
	assert_int_equal(records(w, "\"auth\":"), 0);
	passes(w, &w->near, MESSAGE(REMOTE, LOCAL));
	end_send(w, &w->near, MESSAGE(OTHER, LOCAL));
	assert_int_equal(w->far.seen.len == 0 || strstr(strbuf_text(&w->far.seen), OTHER) == NULL, 1);
	ended(w, "invalid-from", "forged-from");
}

static void the_only_pair_is_refused(void **state)
{
	(void)state;
	struct world *w = begin("", "", "");
	visitor_joins(w, &pki.remote, REMOTE);
	end_send(w, &w->near, RESULT(OTHER, LOCAL));
	AWAIT(w, w->near.eof);
	assert_int_equal(
	    strncmp(strbuf_text(&w->near.seen), NOT_AUTHORIZED(LOCAL, OTHER), strlen(NOT_AUTHORIZED(LOCAL, OTHER))), 0);
	ended(w, "not-authorized", "peer-unverified");
}

static void a_second_domain_with_an_exception(void **state)
{
	(void)state;
	struct world *w = begin("", "  - {domain: " OTHER ENCRYPT "}\n", "");
	visitor_joins(w, &pki.remote, REMOTE);
	prove(w, &w->near, REMOTE, LOCAL);
	strbuf_clear(&w->log);
	prove(w, &w->near, OTHER, LOCAL);
	assert_int_equal(records(w, "\n"), 2);
	recorded(w, "weak-exception-used", "\"from\":\"" OTHER "\"");
	recorded(w, "weak-exception-used", "\"verification\":{\"method\":\"none\"");
	recorded(w, "stream-established", "\"verification\":{\"method\":\"dialback\",\"identity\":\"" OTHER "\"");
	world_free(w);
}

/* Memory is not asked about further domains: where it would decide only a certificate that verifies will do. */
static void a_second_domain_and_memory(void **state)
{
	(void)state;
	struct world *w = begin("", "  - {domain: " OTHER ENCRYPT "}\n", CHANGE_REFUSED);
	visitor_joins(w, &pki.remote, REMOTE);
	prove(w, &w->near, REMOTE, LOCAL);
	end_send(w, &w->near, RESULT(OTHER, LOCAL));
	end_saw(w, &w->near, NOT_AUTHORIZED(LOCAL, OTHER));
	assert_int_equal(w->questions, 1);
	recorded(w, "stream-refused", "\"code\":\"memory-unavailable\"");
	world_free(w);
}

static void domains_that_are_not_hosted_here(void **state)
{
	(void)state;
	struct world *w = begin("", "", "");
	visitor_joins(w, &pki.remote, REMOTE);
	end_send(w, &w->near, RESULT(REMOTE, "nobody.example"));
	end_saw(w, &w->near, RESULT_ERROR("nobody.example", REMOTE, "cancel", "item-not-found"));
	end_send(w, &w->near, RESULT(REMOTE, "elsewhere.example")); /* ours, and another backend's */
	end_saw(w, &w->near, RESULT_ERROR("elsewhere.example", REMOTE, "cancel", "item-not-found"));
	assert_int_equal(w->far.seen.len, 0);
	prove(w, &w->near, REMOTE, SECOND); /* the same backend's */
	world_free(w);
}

static void a_domain_of_ours(void **state)
{
	(void)state;
	struct world *w = begin("", "", "");
	visitor_joins(w, &pki.remote, REMOTE);
	prove(w, &w->near, REMOTE, LOCAL);
	end_send(w, &w->near, RESULT(SECOND, LOCAL));
	assert_int_equal(w->far.seen.len == 0 || strstr(strbuf_text(&w->far.seen), SECOND) == NULL, 1);
	ended(w, "not-authorized", "self-claim");
}

/* DB-9, and the record says who it was that somebody tried to be. */
static void a_key_that_is_wrong(void **state)
{
	(void)state;
	struct world *w = begin("", "", "");
	visitor_joins(w, &pki.both, REMOTE);
	prove(w, &w->near, REMOTE, LOCAL);
	end_send(w, &w->near, RESULT(OTHER, LOCAL));
	end_saw(w, &w->far, RESULT(OTHER, LOCAL));
	end_send(w, &w->far, RESULT_IS("invalid", LOCAL, OTHER));
	end_saw(w, &w->near, RESULT_IS("invalid", LOCAL, OTHER));
	recorded(w, "stanza-violation", "\"code\":\"dialback-failed\"");
	recorded(w, "stanza-violation", "\"from\":\"" OTHER "\"");
	recorded(w, "stanza-violation", "\"identity\":\"" OTHER "\"");
	assert_int_equal(records(w, "\"auth\":"), 0);
	passes(w, &w->near, MESSAGE(REMOTE, LOCAL));
	world_free(w);
	w = begin("", "", "");
	visitor_joins(w, &pki.remote, REMOTE);
	end_send(w, &w->near, RESULT(REMOTE, LOCAL));
	end_saw(w, &w->far, RESULT(REMOTE, LOCAL));
	end_send(w, &w->far, RESULT_IS("invalid", LOCAL, REMOTE));
	ended(w, "not-authorized", "dialback-failed");
}

/* The stream lives while another pair does: whoever has one must not fill the log with names. */
static void many_keys_that_are_wrong(void **state)
{
	(void)state;
	struct world *w = begin("", "", "");
	visitor_joins(w, &pki.both, REMOTE);
	prove(w, &w->near, REMOTE, LOCAL);
	for (int i = 0; i < 22; i++) {
		end_send(w, &w->near, RESULT(OTHER, LOCAL));
		end_saw(w, &w->far, RESULT(OTHER, LOCAL));
		end_send(w, &w->far, RESULT_IS("invalid", LOCAL, OTHER));
		end_saw(w, &w->near, RESULT_IS("invalid", LOCAL, OTHER));
	}
	assert_int_equal(records(w, ACTION("stanza-violation")), 20);
	world_free(w);
}

/* A handshake with the weak settings of one domain's rule is none for another domain. */
static void a_second_domain_and_settings_that_are_not_its_own(void **state)
{
	(void)state;
	struct world *w = begin(", tls: {profile: compat}" EXCUSE, "  - {domain: " OTHER ENCRYPT "}\n", "");
	visitor_joins(w, &pki.remote, REMOTE);
	prove(w, &w->near, REMOTE, LOCAL);
	end_send(w, &w->near, RESULT(OTHER, LOCAL));
	end_saw(w, &w->near, NOT_AUTHORIZED(LOCAL, OTHER));
	assert_int_equal(w->far.seen.len, 0);
	recorded(w, "stream-refused", "\"code\":\"header-switch\"");
	world_free(w);
}

/* Only who asked and did nothing else is closed in order when its time is over. */
static void who_only_asked(void **state)
{
	static const char question[] = "<db:verify from='" REMOTE "' to='" LOCAL "' id='x1'>key</db:verify>";
	static const char answer[] = "<db:verify from='" LOCAL "' to='" REMOTE "' id='x1' type='valid'/>";
	static const char error[] = RESULT_IS("error", LOCAL, REMOTE);
	(void)state;
	struct world *w = begin("", "", "timeouts: {authentication: 1s}\n");
	visitor_joins(w, &pki.remote, REMOTE);
	passes(w, &w->near, question);
	passes(w, &w->far, answer);
	end_saw(w, &w->near, CLOSE);
	recorded(w, "stream-closed", "\"code\":\"closed\"");
	world_free(w);
	w = begin("", "", "timeouts: {authentication: 1s}\n");
	visitor_joins(w, &pki.remote, REMOTE);
	passes(w, &w->near, RESULT(REMOTE, LOCAL));
	passes(w, &w->far, error);
	ended(w, "connection-timeout", "auth-timeout");
}

/* ---- a header without `from` (NEG-39) ---- */

static void named_by_the_first_pair(void **state)
{
	(void)state;
	struct world *w = begin("", "", "");
	w->hold_memory = true;
	visitor_joins(w, &pki.remote, NULL);
	assert_int_equal(w->questions + w->seen_count, 0);
	recorded(w, "stream-established", "\"verification\":{\"method\":\"none\"}");
	end_send(w, &w->near, RESULT(REMOTE, LOCAL));
	assert_string_equal(w->asked, REMOTE);
	end_send(w, &w->near, RESULT(REMOTE, SECOND)); /* waits its turn */
	assert_int_equal(w->far.seen.len, 0);
	w->hold_memory = false;
	end_saw(w, &w->far, RESULT(REMOTE, LOCAL) RESULT(REMOTE, SECOND));
	assert_int_equal(w->questions, 1);
	assert_int_equal(w->seen_count, 1);
	assert_string_equal(w->seen[0].domain, REMOTE);
	assert_int_equal(w->seen[0].method, PEER_METHOD_PKIX);
	end_send(w, &w->far, RESULT_IS("valid", LOCAL, REMOTE));
	end_saw(w, &w->near, RESULT_IS("valid", LOCAL, REMOTE));
	end_close(&w->near);
	AWAIT(w, records(w, ACTION("stream-closed")) == 1);
	recorded(w, "stream-closed", "\"from\":\"" REMOTE "\"");
	recorded(w, "stream-closed", "\"matched\":\"DNS-ID " REMOTE "\"");
	world_free(w);
}

static void named_late_and_refused(void **state)
{
	static const struct {
		const struct cert *cert;
		const char *rule, *more, *code;
		unsigned refused, observed;
		bool known, broken;
	} cases[] = {
	    {&pki.other, "", "", "peer-unverified", 1, 0, false, false},
	    {&pki.other, ENCRYPT, CHANGE_REFUSED, "certificate-changed", 1, 0, true, false},
	    {&pki.other, ENCRYPT, CHANGE_REFUSED, "memory-unavailable", 0, 0, false, true},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = begin(cases[i].rule, "", cases[i].more);
		if (cases[i].known)
			remember(w, &pki.remote, true);
		w->memory_broken = cases[i].broken;
		visitor_joins(w, cases[i].cert, NULL);
		end_send(w, &w->near, RESULT(REMOTE, LOCAL));
		AWAIT(w, w->near.eof);
		assert_non_null(strstr(strbuf_text(&w->near.seen), NOT_AUTHORIZED(LOCAL, REMOTE)));
		assert_null(strstr(strbuf_text(&w->far.seen), "key"));
		assert_int_equal(records(w, ACTION("stream-refused")), cases[i].refused);
		assert_int_equal(w->seen_count, cases[i].observed);
		assert_int_equal(records(w, ACTION("certificate-changed")), cases[i].known);
		recorded(w, "stream-closed", "\"error\":\"not-authorized\"");
		recorded(w, "stream-closed", "\"from\":\"" REMOTE "\"");
		ended(w, "not-authorized", cases[i].code);
	}
}

/* In plaintext, too: what enforce would have refused is recorded with the domain that was named. */
static void monitor_names_late(void **state)
{
	(void)state;
	struct world *w = begin(", level: verify", "", "mode: monitor\n");
	connect_from(w, INBOUND, VISITOR);
	end_send(w, &w->near, HEADER_OF(" to='" LOCAL "' version='1.0'"));
	end_saw(w, &w->far, HEADER_OF(" to='" LOCAL "' version='1.0'"));
	end_send(w, &w->far, BACKEND_HEADER FEATURES(DIALBACK));
	end_saw(w, &w->near, BACKEND_HEADER FEATURES(STARTTLS DIALBACK LIMITS));
	end_send(w, &w->near, RESULT(REMOTE, LOCAL));
	end_saw(w, &w->far, RESULT(REMOTE, LOCAL));
	recorded(w, "stream-refused", "\"outcome\":\"unknown\"");
	recorded(w, "stream-refused", "\"code\":\"tls-required\"");
	world_free(w);
}

static struct world *waiting(const char *more)
{
	struct world *w = begin("", "", more);
	w->hold_memory = true;
	visitor_joins(w, &pki.remote, NULL);
	end_send(w, &w->near, RESULT(REMOTE, LOCAL));
	assert_non_null(w->answer);
	return w;
}

static void ends_while_memory_is_asked(void **state)
{
	(void)state;
	struct world *w = waiting("");
	world_free(w);
	w = waiting("");
	end_close(&w->near);
	AWAIT(w, records(w, ACTION("stream-closed")) == 1);
	assert_int_equal(w->forgotten, 1);
	end_close(&w->far);
	AWAIT(w, engine_count(w->engine) == 0);
	world_free(w);
	w = waiting("");
	end_close(&w->far);
	AWAIT(w, records(w, ACTION("stream-closed")) == 1);
	assert_int_equal(w->forgotten, 1);
	world_free(w);
	w = waiting("timeouts: {drain: 0}\n");
	engine_drain(w->engine);
	AWAIT(w, w->near.eof && w->far.eof);
	assert_int_equal(w->forgotten, 1);
	ended(w, "system-shutdown", "shutdown");
}

/* ---- outbound ---- */

static struct world *outbound(const char *header)
{
	struct world *w = begin("", "", "");
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, header);
	AWAIT(w, w->far.seen.len > 0);
	strbuf_clear(&w->far.seen);
	far_offers(w, STARTTLS);
	far_proceeds(w, &pki.remote, 0);
	end_saw(w, &w->far, header);
	end_send(w, &w->far, REMOTE_HEADER("r2") FEATURES(DIALBACK));
	end_saw(w, &w->near, REMOTE_HEADER("r2") FEATURES(DIALBACK LIMITS));
	return w;
}

static void another_domain_of_ours(void **state)
{
	(void)state;
	struct world *w = outbound(LEGACY_HEADER);
	prove(w, &w->near, LOCAL, REMOTE);
	strbuf_clear(&w->log);
	prove(w, &w->near, SECOND, REMOTE);
	assert_int_equal(records(w, "\n"), 1);
	recorded(w, "stream-established", "\"from\":\"" SECOND "\",\"to\":\"" REMOTE "\"");
	recorded(w, "stream-established", "\"auth\":{\"method\":\"dialback\",\"identity\":\"" SECOND "\"}");
	recorded(w, "stream-established", "\"identity\":\"" REMOTE "\",\"matched\":\"DNS-ID " REMOTE "\"");
	passes(w, &w->near, MESSAGE(SECOND, REMOTE));
	assert_int_equal(w->questions, 1);
	world_free(w);
}

static void a_domain_that_is_not_ours(void **state)
{
	(void)state;
	struct world *w = outbound(LEGACY_HEADER);
	prove(w, &w->near, LOCAL, REMOTE);
	end_send(w, &w->near, RESULT(OTHER, REMOTE));
	assert_null(strstr(strbuf_text(&w->far.seen), OTHER));
	ended(w, "invalid-from", "not-ours");
}

/* It would have to be found and verified by itself: it gets a connection of its own (DB-14). */
static void another_remote_domain(void **state)
{
	(void)state;
	struct world *w = outbound(LEGACY_HEADER);
	prove(w, &w->near, LOCAL, REMOTE);
	end_send(w, &w->near, RESULT(LOCAL, OTHER));
	end_saw(w, &w->near, NOT_AUTHORIZED(OTHER, LOCAL));
	assert_int_equal(w->far.seen.len, 0);
	passes(w, &w->near, MESSAGE(LOCAL, REMOTE));
	world_free(w);
	w = outbound(LEGACY_HEADER);
	end_send(w, &w->near, RESULT(LOCAL, OTHER));
	ended(w, "policy-violation", "remote-unverified");
}

/* Whom it speaks for comes with the first pair; the second one has a record of its own. */
static void a_header_without_from(void **state)
{
	(void)state;
	struct world *w = outbound(HEADER_OF(" to='" REMOTE "' version='1.0'"));
	assert_int_equal(records(w, "\"from\":"), 0);
	prove(w, &w->near, LOCAL, REMOTE);
	assert_int_equal(records(w, ACTION("stream-established")), 1);
	strbuf_clear(&w->log);
	prove(w, &w->near, SECOND, REMOTE);
	recorded(w, "stream-established", "\"from\":\"" SECOND "\"");
	end_close(&w->near);
	AWAIT(w, records(w, ACTION("stream-closed")) == 1);
	recorded(w, "stream-closed", "\"from\":\"" LOCAL "\",\"to\":\"" REMOTE "\"");
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_second_domain_of_the_certificate),
	    cmocka_unit_test(a_domain_that_the_certificate_does_not_have),
	    cmocka_unit_test(the_only_pair_is_refused),
	    cmocka_unit_test(a_second_domain_with_an_exception),
	    cmocka_unit_test(a_second_domain_and_memory),
	    cmocka_unit_test(domains_that_are_not_hosted_here),
	    cmocka_unit_test(a_domain_of_ours),
	    cmocka_unit_test(a_key_that_is_wrong),
	    cmocka_unit_test(many_keys_that_are_wrong),
	    cmocka_unit_test(a_second_domain_and_settings_that_are_not_its_own),
	    cmocka_unit_test(who_only_asked),
	    cmocka_unit_test(named_by_the_first_pair),
	    cmocka_unit_test(named_late_and_refused),
	    cmocka_unit_test(monitor_names_late),
	    cmocka_unit_test(ends_while_memory_is_asked),
	    cmocka_unit_test(another_domain_of_ours),
	    cmocka_unit_test(a_domain_that_is_not_ours),
	    cmocka_unit_test(another_remote_domain),
	    cmocka_unit_test(a_header_without_from),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}

/* SPDX-License-Identifier: MIT */
/*
 * Outbound streams between servers, one address: what the legacy server, the remote server, the audit log and peer
 * memory get of each way that STARTTLS and certificates can go.
 */
#include "servers_world.h"

#define RESULT_WAS(word) "\"result\":\"" word "\"}"
#define NO_TLS "\"tls\":{\"established\":false}"
#define ENDED "\"action\":\"stream-closed\""

/* known: memory knows the remote server's certificate. */
static struct world *begin_with(const char *rule, const char *more, bool known)
{
	const struct options options = {.rule = rule, .more = more};
	struct world *w = world_new(&options);
	if (known)
		remember(w, &pki.remote, true);
	legacy_begins(w);
	return w;
}

static struct world *begin(const char *rule, const char *more)
{
	return begin_with(rule, more, false);
}

/* Ended once, and nothing was established. */
static void refused(struct world *w, const char *condition, const char *code)
{
	char *word = mem_printf("\"code\":\"%s\"", code);
	legacy_is_told(w, condition);
	recorded(w, "stream-refused", word);
	assert_int_equal(records(w, ACTION("stream-refused")), 1);
	assert_int_equal(records(w, ENDED), 1);
	assert_int_equal(records(w, ACTION("stream-established")), 0);
	assert_int_equal(w->seen_count, 0);
	mem_free(word);
	world_free(w);
}

/* ---- the way it should be ---- */

static void dialback_and_stanzas_pass(struct world *w)
{
	end_send(w, &w->near, RESULT(LOCAL, REMOTE));
	end_saw(w, &w->far, RESULT(LOCAL, REMOTE));
	end_send(w, &w->far, RESULT_IS("valid", REMOTE, LOCAL));
	end_saw(w, &w->near, RESULT_IS("valid", REMOTE, LOCAL));
	end_send(w, &w->near, MESSAGE(LOCAL, REMOTE) CLOSE);
	end_saw(w, &w->far, MESSAGE(LOCAL, REMOTE) CLOSE);
	end_send(w, &w->far, CLOSE);
	end_saw(w, &w->near, CLOSE);
	AWAIT(w, w->near.eof && w->far.eof);
}

static void offered_and_verified(void **state)
{
	struct world *w = begin("", "");
	struct peer_observation *seen = &w->seen[0];
	char endpoint[PEER_ENDPOINT_SIZE];
	(void)state;
	assert_string_equal(w->asked, REMOTE);
	far_offers(w, REQUIRED);
	far_proceeds(w, &pki.remote, 0);
	far_is_up(w);
	dialback_and_stanzas_pass(w);
	recorded(w, "stream-established",
		 "\"starttls\":{\"advertised\":true,\"required\":true,\"result\":\"negotiated\"}");
	recorded(w, "stream-established",
		 "\"verification\":{\"method\":\"pkix\",\"identity\":\"" REMOTE "\",\"matched\":\"DNS-ID " REMOTE
		 "\",\"result\":\"verified\"}");
	recorded(w, "stream-established", digest_of(&pki.remote, false));
	recorded(w, "stream-closed", "\"auth\":{\"method\":\"dialback\",\"identity\":\"" LOCAL "\"}");
	assert_int_equal(records(w, "\n"), 2);
	assert_int_equal(w->seen_count, 1);
	assert_string_equal(seen->domain, REMOTE);
	assert_int_equal(seen->version, 13);
	assert_int_equal(seen->method, PEER_METHOD_PKIX);
	assert_true(seen->tls && seen->offered && seen->required && !seen->direct && !seen->inbound);
	assert_false(seen->refused);
	assert_true(seen->has_certificate && seen->certificate.accepted);
	assert_string_equal(seen->certificate.sha256, digest_of(&pki.remote, false));
	assert_string_equal(seen->certificate.spki_sha256, digest_of(&pki.remote, true));
	assert_string_equal(seen->certificate.subject, "CN=server");
	assert_string_equal(seen->certificate.issuer, "CN=authority");
	snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", w->port);
	assert_string_equal(seen->certificate.endpoint, endpoint);
	world_free(w);
}

#define VERIFY "<db:verify from='" LOCAL "' to='" REMOTE "' id='b1'>key</db:verify>"
#define VERIFY_IS(type) "<db:verify from='" REMOTE "' to='" LOCAL "' id='b1' type='" type "'/>"

/* DB-11: what a remote server says of a key, and what that rests on. */
static void asked_about_a_key(const char *answer, bool valid)
{
	struct world *w = begin(", level: encrypt" EXCUSE, "");
	far_offers(w, REQUIRED);
	far_proceeds(w, &pki.self_signed, 0);
	far_is_up(w);
	end_send(w, &w->near, VERIFY);
	end_saw(w, &w->far, VERIFY);
	end_send(w, &w->far, answer);
	end_saw(w, &w->near, answer);
	end_send(w, &w->near, CLOSE);
	end_saw(w, &w->far, CLOSE);
	end_send(w, &w->far, CLOSE);
	end_saw(w, &w->near, CLOSE);
	AWAIT(w, records(w, ENDED) == 1);
	recorded(w, "stream-closed",
		 "\"verification\":{\"method\":\"none\",\"identity\":\"" REMOTE "\",\"result\":\"unverified\"");
	assert_int_equal(records(w, "\"auth\":{\"method\":\"dialback\",\"identity\":\"" REMOTE "\"}"), valid ? 1 : 0);
	assert_int_equal(records(w, "\"auth\":"), valid ? 1 : 0);
	world_free(w);
}

static void keys(void **state)
{
	(void)state;
	asked_about_a_key(VERIFY_IS("valid"), true);
	asked_about_a_key(VERIFY_IS("invalid"), false);
	asked_about_a_key(VERIFY_IS("error"), false);
}

/* Transcript 3.7a: the remote server sees a version, or it would send no features; the rest is the legacy server's. */
static void a_legacy_server_older_than_1_0(void **state)
{
	(void)state;
	struct world *w = world_new(NULL);
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, "<stream:stream from='" LOCAL "' to='" REMOTE "' " NS ">");
	end_saw(w, &w->far, FIRST_HEADER);
	far_offers(w, STARTTLS);
	far_proceeds(w, &pki.remote, 0);
	end_saw(w, &w->far, "<stream:stream version='1.0' from='" LOCAL "' to='" REMOTE "' " NS ">");
	end_send(w, &w->far, REMOTE_HEADER("r2") FEATURES(DIALBACK));
	end_saw(w, &w->near, HEADER_OF(" from='" REMOTE "' to='" LOCAL "' id='r2'")); /* and it hears of none */
	dialback_and_stanzas_pass(w);
	world_free(w);
}

/* ---- the offer is taken away ---- */

static void stripped_and_verified(void **state)
{
	static const char *const offers[] = {"", DIALBACK, "<x xmlns='urn:x'>" STARTTLS "</x>"};
	(void)state;
	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
		struct world *w = begin("", "");
		far_offers(w, offers[i]);
		far_proceeds(w, &pki.remote, 0);
		far_is_up(w);
		dialback_and_stanzas_pass(w);
		assert_int_equal(records(w, ACTION("starttls-stripped")), 1);
		recorded(w, "starttls-stripped", "\"severity\":3");
		recorded(w, "stream-established",
			 "\"starttls\":{\"advertised\":false,\"required\":false,\"result\":\"stripped-negotiated\"}");
		assert_false(w->seen[0].offered);
		world_free(w);
	}
}

static void stripped_and_unverified(void **state)
{
	static const char *const levels[] = {", level: encrypt" EXCUSE, ", level: may" EXCUSE};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct world *w = begin(levels[i], "");
		far_offers(w, "");
		far_proceeds(w, &pki.self_signed, 0);
		far_hears_nothing(w);
		AWAIT(w, w->near.eof);
		recorded(w, "starttls-stripped", "\"severity\":3");
		assert_int_equal(records(w, ACTION("starttls-stripped")), 1);
		recorded(w, "stream-refused", RESULT_WAS("stripped-negotiated"));
		recorded(w, "stream-refused", "\"error\":\"policy-violation\"");
		refused(w, "policy-violation", "stripped");
	}
}

/* Refused, and the words that a remote server is given for it. */
static void no_tls(const char *offer, const char *answer, bool remembered)
{
	struct world *w = begin_with("", "", remembered);
	far_offers(w, offer);
	if (answer != NULL)
		end_send(w, &w->far, answer);
	else
		end_close(&w->far);
	AWAIT(w, w->near.eof);
	assert_string_equal(strbuf_text(&w->far.seen), answer != NULL ? CLOSE : "");
	recorded(w, "stream-refused", NO_TLS);
	if (offer[0] == '\0') {
		recorded(w, "starttls-stripped", remembered ? "\"severity\":3" : "\"severity\":2");
		recorded(w, "stream-refused", RESULT_WAS("stripped-failed"));
	} else {
		recorded(w, "stream-refused", RESULT_WAS("refused"));
	}
	assert_int_equal(records(w, ACTION("starttls-stripped")), offer[0] == '\0' ? 1 : 0);
	refused(w, "policy-violation", "no-tls");
}

static void no_tls_to_be_had(void **state)
{
	static const char *const answers[] = {
	    FAILURE, "<stream:error>" STREAM_ERROR("unsupported-stanza-type") "</stream:error>" CLOSE, "<message/>",
	    CLOSE, NULL};
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		no_tls("", answers[i], false);
		no_tls(STARTTLS, answers[i], false);
	}
	no_tls("", FAILURE, true);
	no_tls("", NULL, true);
}

/* Silence where features are due makes <starttls/> go out; silence behind it is no TLS (STRIP-2, row 27). */
static void silence(void **state)
{
	(void)state;
	struct world *w = begin("", IMPATIENT);
	end_send(w, &w->far, REMOTE_HEADER("r1"));
	end_saw(w, &w->far, STARTTLS);
	end_saw(w, &w->far,
		"<stream:error>" STREAM_ERROR("policy-violation") "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' "
								  "xml:lang='en'>Use of STARTTLS required"
								  "</text></stream:error>" CLOSE);
	recorded(w, "starttls-stripped", "\"severity\":2");
	refused(w, "policy-violation", "no-tls");
}

static void silence_before_features_only(void **state)
{
	(void)state;
	struct world *w = begin("", IMPATIENT);
	end_send(w, &w->far, REMOTE_HEADER("r1"));
	end_saw(w, &w->far, STARTTLS);
	far_proceeds(w, &pki.remote, 0);
	far_is_up(w);
	recorded(w, "starttls-stripped", "\"severity\":3");
	world_free(w);
}

static void silence_from_the_beginning(void **state)
{
	(void)state;
	struct world *w = begin("", IMPATIENT);
	AWAIT(w, w->near.eof);
	assert_int_equal(w->far.seen.len, 0);
	refused(w, "remote-connection-failed", "remote-timeout");
}

/* ---- attacks and faults behind <proceed/> ---- */

static void bytes_behind_proceed(void **state)
{
	static const char *const rules[] = {"", ", level: may" EXCUSE};
	static const char *const behind[] = {"\n", REMOTE_HEADER("r2"), "\x16\x03\x03"};
	(void)state;
	for (size_t i = 0; i < 6; i++) {
		char *text = mem_printf("%s%s", PROCEED, behind[i / 2]);
		struct world *w = begin(rules[i % 2], "");
		far_offers(w, STARTTLS);
		end_send(w, &w->far, text);
		mem_free(text);
		AWAIT(w, w->near.eof);
		assert_int_equal(w->far.seen.len, 0);
		recorded(w, "starttls-injection", "\"severity\":3");
		refused(w, "remote-connection-failed", "remote-injection");
	}
}

static void no_tls_behind_proceed(void **state)
{
	(void)state;
	struct world *w = begin("", "");
	far_offers(w, STARTTLS);
	end_send(w, &w->far, PROCEED);
	AWAIT(w, w->far.seen.len > 0 && w->far.seen.data[0] == 0x16);
	end_send(w, &w->far, "<stream:features/>");
	recorded(w, "stream-refused", RESULT_WAS("refused"));
	refused(w, "remote-connection-failed", "remote-tls");
}

static void silence_in_the_handshake(void **state)
{
	(void)state;
	struct world *w = begin("", IMPATIENT);
	far_offers(w, STARTTLS);
	end_send(w, &w->far, PROCEED);
	refused(w, "remote-connection-failed", "remote-tls");
}

/* The record has what the remote server showed, though it is not connected any more (LOG-4). */
static void unverified(void **state)
{
	(void)state;
	struct world *w = begin("", "");
	far_offers(w, STARTTLS);
	far_proceeds(w, &pki.self_signed, 0);
	AWAIT(w, w->near.eof);
	assert_int_equal(w->far.seen.len, 0);
	recorded(w, "stream-refused", NO_TLS);
	recorded(w, "stream-refused", "\"result\":\"unverified\",\"reason\":\"the certificate is self-signed");
	recorded(w, "stream-refused", digest_of(&pki.self_signed, false));
	refused(w, "policy-violation", "remote-unverified");
}

static void stream_error_instead_of_features(void **state)
{
	static const struct {
		const char *said, *told, *code;
	} cases[] = {
	    {"host-unknown", "host-unknown", "remote-error"},
	    {"bad-format", "remote-connection-failed", "remote-error"},
	    {"see-other-host", "remote-connection-failed", "remote-redirect"},
	};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char *text =
		    mem_printf(REMOTE_HEADER("r1") "<stream:error><%s "
						   "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>" CLOSE,
			       cases[i].said);
		struct world *w = begin("", "");
		end_send(w, &w->far, text);
		mem_free(text);
		AWAIT(w, w->near.eof);
		refused(w, cases[i].told, cases[i].code);
	}
}

/* ---- levels that do without ---- */

/* The new connection hears nothing of TLS. */
static void plaintext_works(struct world *w)
{
	end_saw(w, &w->far, LEGACY_HEADER);
	end_send(w, &w->far, REMOTE_HEADER("r3") FEATURES(STARTTLS DIALBACK));
	end_saw(w, &w->near, REMOTE_HEADER("r3") FEATURES(DIALBACK LIMITS));
	assert_int_equal(w->far.seen.len, 0);
	dialback_and_stanzas_pass(w);
	recorded(w, "stream-established", NO_TLS);
	assert_int_equal(w->seen_count, 1);
	assert_false(w->seen[0].tls || w->seen[0].has_certificate);
	assert_int_equal(w->seen[0].method, PEER_METHOD_NONE);
}

static void may_goes_on_in_plaintext(void **state)
{
	static const char *const offers[] = {"", STARTTLS};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct world *w = begin(", level: may" EXCUSE, "");
		far_offers(w, offers[i]);
		end_send(w, &w->far, FAILURE);
		end_saw(w, &w->far, CLOSE);
		far_again(w);
		plaintext_works(w);
		recorded(w, "stream-established", i == 0 ? RESULT_WAS("stripped-failed") : RESULT_WAS("refused"));
		recorded(w, "weak-exception-used",
			 "\"policy\":{\"level\":\"may\",\"mode\":\"enforce\",\"rule\":\"" REMOTE
			 "\",\"reason\":\"old\","
			 "\"until\":\"2099-12-31\"}");
		assert_int_equal(records(w, ACTION("stream-refused")), 0);
		world_free(w);
	}
}

/* … but not once TLS was up, nor where that connection fails too. */
static void may_does_not_go_back(void **state)
{
	(void)state;
	struct world *w = begin(", level: may" EXCUSE, "");
	far_offers(w, STARTTLS);
	far_proceeds(w, &pki.self_signed, 0);
	end_saw(w, &w->far, LEGACY_HEADER);
	close_fd(&w->listening);
	end_close(&w->far);
	AWAIT(w, w->near.eof);
	recorded(w, "stream-closed", "\"code\":\"remote-closed\"");
	assert_int_equal(records(w, ACTION("stream-established")), 0);
	world_free(w);
	w = begin(", level: may" EXCUSE, "");
	far_offers(w, STARTTLS);
	close_fd(&w->listening);
	end_send(w, &w->far, FAILURE);
	AWAIT(w, w->near.eof);
	recorded(w, "stream-refused", "\"code\":\"remote-down\"");
	world_free(w);
}

static void none_does_not_ask(void **state)
{
	(void)state;
	const struct options options = {.rule = ", level: none" EXCUSE};
	struct world *w = world_new(&options);
	remember(w, &pki.remote, true);
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, LEGACY_HEADER);
	plaintext_works(w);
	recorded(w, "stream-established", RESULT_WAS("not-attempted"));
	recorded(w, "tls-downgraded", "TLS 1.3 was used with this peer before, now it is none.");
	recorded(w, "tls-downgraded", "\"severity\":3");
	world_free(w);
}

/* What enforce would have refused is recorded once. */
static void monitor_goes_on(void **state)
{
	(void)state;
	struct world *w = begin("", "mode: monitor\n");
	far_offers(w, "");
	far_proceeds(w, &pki.self_signed, 0);
	far_is_up(w);
	assert_int_equal(records(w, ACTION("stream-refused")), 1);
	recorded(w, "stream-refused", "\"outcome\":\"unknown\"");
	recorded(w, "stream-refused", "\"code\":\"stripped\"");
	world_free(w);
	w = begin("", "mode: monitor\n");
	far_offers(w, STARTTLS);
	end_send(w, &w->far, FAILURE);
	end_saw(w, &w->far, CLOSE);
	far_again(w);
	plaintext_works(w);
	assert_int_equal(records(w, ACTION("stream-refused")), 1);
	recorded(w, "stream-refused", "\"code\":\"no-tls\"");
	world_free(w);
}

/* Enforce would have refused nothing. */
static void monitor_at_a_level_that_may(void **state)
{
	(void)state;
	struct world *w = begin(", level: may" EXCUSE, "mode: monitor\n");
	far_offers(w, STARTTLS);
	end_send(w, &w->far, FAILURE);
	end_saw(w, &w->far, CLOSE);
	far_again(w);
	plaintext_works(w);
	assert_int_equal(records(w, ACTION("stream-refused")), 0);
	world_free(w);
}

/* ---- memory ---- */

static void required_is_stripped(void **state)
{
	(void)state;
	struct world *w = world_new(NULL);
	remember(w, &pki.remote, true);
	w->memory.required = true;
	legacy_begins(w);
	far_offers(w, STARTTLS);
	far_proceeds(w, &pki.remote, 0);
	far_is_up(w);
	recorded(w, "starttls-required-stripped", "\"severity\":2");
	assert_int_equal(records(w, ACTION("certificate-changed")), 0);
	assert_int_equal(records(w, ACTION("tls-downgraded")), 0);
	world_free(w);
}

#define CHANGE_REFUSED "policy: {on-certificate-change: refuse}\n"

static void certificate_changed(void **state)
{
	(void)state;
	struct world *w = begin_with(", level: encrypt" EXCUSE, CHANGE_REFUSED, true);
	far_offers(w, STARTTLS);
	far_proceeds(w, &pki.self_signed, 0);
	far_hears_nothing(w);
	legacy_is_told(w, "policy-violation");
	recorded(w, "certificate-changed", "\"severity\":2");
	recorded(w, "certificate-changed", "\"previous\":{\"subject\":\"CN=remembered 1\"");
	recorded(w, "certificate-changed", digest_of(&pki.self_signed, false));
	recorded(w, "stream-refused", "\"code\":\"certificate-changed\"");
	recorded(w, "stream-refused", digest_of(&pki.self_signed, false));
	assert_int_equal(records(w, ACTION("certificate-changed")), 1);
	/* `peers accept` must find it. */
	assert_int_equal(w->seen_count, 1);
	assert_string_equal(w->seen[0].certificate.sha256, digest_of(&pki.self_signed, false));
	assert_true(w->seen[0].refused);
	assert_false(w->seen[0].certificate.accepted);
	world_free(w);
}

static void memory_unavailable(void **state)
{
	(void)state;
	struct world *w = world_new(&(struct options){.rule = ", level: encrypt" EXCUSE, .more = CHANGE_REFUSED});
	w->memory_broken = true;
	legacy_begins(w);
	far_offers(w, STARTTLS);
	far_proceeds(w, &pki.self_signed, 0);
	far_hears_nothing(w);
	legacy_is_told(w, "internal-server-error");
	recorded(w, "stream-closed", "\"code\":\"memory-unavailable\"");
	assert_int_equal(w->seen_count, 0);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(offered_and_verified),
	    cmocka_unit_test(keys),
	    cmocka_unit_test(a_legacy_server_older_than_1_0),
	    cmocka_unit_test(stripped_and_verified),
	    cmocka_unit_test(stripped_and_unverified),
	    cmocka_unit_test(no_tls_to_be_had),
	    cmocka_unit_test(silence),
	    cmocka_unit_test(silence_before_features_only),
	    cmocka_unit_test(silence_from_the_beginning),
	    cmocka_unit_test(bytes_behind_proceed),
	    cmocka_unit_test(no_tls_behind_proceed),
	    cmocka_unit_test(silence_in_the_handshake),
	    cmocka_unit_test(unverified),
	    cmocka_unit_test(stream_error_instead_of_features),
	    cmocka_unit_test(may_goes_on_in_plaintext),
	    cmocka_unit_test(may_does_not_go_back),
	    cmocka_unit_test(none_does_not_ask),
	    cmocka_unit_test(monitor_goes_on),
	    cmocka_unit_test(monitor_at_a_level_that_may),
	    cmocka_unit_test(required_is_stripped),
	    cmocka_unit_test(certificate_changed),
	    cmocka_unit_test(memory_unavailable),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}

/* SPDX-License-Identifier: MIT */
/* The inspector's contract where the transcripts cannot see it: how bytes pass, bounds, counters, names in payloads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "xmpp/inspect.h"
#include "xmpp/inspect_private.h"
#include "xmpp/names.h"

#define NS "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
#define OPEN "<stream:stream to='im.example.com' version='1.0' " NS ">"
#define FEATURES "<stream:features><x xmlns='urn:x'/></stream:features>"
#define AUTH "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldAB4</auth>"
#define SUCCESS "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"

static struct inspector *ins;
static struct strbuf passed[INSPECT_SIDES];
static const char *last_data;
static size_t last_len;
static unsigned passes, fails, notes, replies, authentications;
static enum reason fail_reason;
static enum inspect_side fail_culprit;
static char identity[256];

static void op_pass(void *ctx, enum inspect_side from, const void *data, size_t len)
{
	(void)ctx;
	strbuf_add(&passed[from], data, len);
	last_data = data;
	last_len = len;
	passes++;
}

static void op_reply(void *ctx, enum inspect_side to, const void *data, size_t len)
{
	(void)ctx;
	(void)to;
	(void)data;
	assert_true(len > 0);
	replies++;
}

static void op_note(void *ctx, enum inspect_note note)
{
	(void)ctx;
	(void)note;
	notes++;
}

static void op_authenticated(void *ctx, const char *method, const char *who)
{
	(void)ctx;
	(void)method;
	(void)snprintf(identity, sizeof(identity), "%s", who);
	authentications++;
}

static void op_closed(void *ctx, enum inspect_side side)
{
	(void)ctx;
	(void)side;
}

static void op_blind(void *ctx)
{
	(void)ctx;
}

static void op_fail(void *ctx, enum inspect_side culprit, enum reason reason)
{
	(void)ctx;
	fail_culprit = culprit;
	fail_reason = reason;
	fails++;
}

static const struct inspect_ops ops = {.pass = op_pass,
				       .reply = op_reply,
				       .note = op_note,
				       .authenticated = op_authenticated,
				       .closed = op_closed,
				       .blind = op_blind,
				       .fail = op_fail};

static int begin(void **state)
{
	const struct inspect_params params = {
	    .content_ns = XMPP_NS_CLIENT,
	    .domain = "im.example.com",
	    .unauthenticated_limit = 2000,
	    .stanza_limit = 100000,
	    .depth = 16,
	    .auth_attempts = 3,
	    .strip_compression = true,
	    .initiator_header = OPEN,
	    .initiator_header_len = strlen(OPEN),
	    .ops = &ops,
	};

	(void)state;
	passes = fails = notes = replies = authentications = 0;
	fail_reason = REASON_NONE;
	for (int side = 0; side < INSPECT_SIDES; side++)
		strbuf_init(&passed[side], 16u * 1024u * 1024u);
	ins = inspect_new(&params);
	return 0;
}

static int end(void **state)
{
	(void)state;
	inspect_free(&ins);
	assert_null(ins);
	inspect_free(&ins);
	for (int side = 0; side < INSPECT_SIDES; side++)
		strbuf_fini(&passed[side]);
	return 0;
}

static void feed(enum inspect_side side, const char *text)
{
	inspect_feed(ins, side, text, strlen(text));
}

static void log_in(void)
{
	feed(INSPECT_RESPONDER, OPEN FEATURES);
	feed(INSPECT_INITIATOR, AUTH);
	feed(INSPECT_RESPONDER, SUCCESS);
	feed(INSPECT_INITIATOR, OPEN);
	feed(INSPECT_RESPONDER, OPEN FEATURES);
	assert_true(inspect_is_authenticated(ins));
	assert_int_equal(fails, 0);
}

/* A run of whole stanzas passes in one call and straight from the caller's memory. */
static void test_runs_pass_without_copy(void **state)
{
	static const char run[] = "<message><body>1</body></message> <presence/><iq type='get' id='2'/><mess";

	(void)state;
	log_in();
	passes = 0;
	feed(INSPECT_INITIATOR, run);
	assert_int_equal(passes, 1);
	assert_ptr_equal(last_data, run);
	assert_int_equal(last_len, strlen(run) - strlen("<mess"));
	assert_true(inspect_mid_element(ins, INSPECT_INITIATOR));
	assert_false(inspect_mid_element(ins, INSPECT_RESPONDER));
}

/* What was kept passes first, then the rest again without copy. */
static void test_kept_then_rest(void **state)
{
	static const char rest[] = "age/><presence/>";

	(void)state;
	log_in();
	strbuf_clear(&passed[INSPECT_INITIATOR]);
	feed(INSPECT_INITIATOR, "<mess");
	passes = 0;
	feed(INSPECT_INITIATOR, rest);
	assert_int_equal(passes, 2);
	assert_ptr_equal(last_data, rest);
	assert_string_equal(strbuf_text(&passed[INSPECT_INITIATOR]), "<message/><presence/>");
	assert_null(ins->dir[INSPECT_INITIATOR].hold.data);
}

static void test_elements_are_counted(void **state)
{
	(void)state;
	log_in();
	uint64_t before = inspect_elements(ins, INSPECT_INITIATOR);

	feed(INSPECT_INITIATOR, "<presence/><presence/><iq");
	assert_int_equal(inspect_elements(ins, INSPECT_INITIATOR) - before, 2);
	replies = 0;
	feed(INSPECT_INITIATOR, "/><compress xmlns='http://jabber.org/protocol/compress'/>");
	assert_int_equal(inspect_elements(ins, INSPECT_INITIATOR) - before, 3);
	assert_int_equal(replies, 1);
}

/* At rest no parser is left; white space needs none, the next element gets a new one and all goes on as before. */
static void test_rest(void **state)
{
	(void)state;
	log_in();
	feed(INSPECT_INITIATOR, "<mess");
	strbuf_clear(&passed[INSPECT_RESPONDER]);
	inspect_rest(ins);
	assert_non_null(ins->dir[INSPECT_INITIATOR].xs);
	assert_true(inspect_mid_element(ins, INSPECT_INITIATOR));
	uint64_t before = inspect_elements(ins, INSPECT_RESPONDER);

	for (int i = 0; i < 3; i++) {
		feed(INSPECT_RESPONDER, " \n");
		feed(INSPECT_RESPONDER, "<message><stream:x xmlns:stream='urn:x'/></message>");
		inspect_rest(ins);
		inspect_rest(ins);
	}
	assert_int_equal(fails, 0);
	assert_int_equal(inspect_elements(ins, INSPECT_RESPONDER) - before, 3);
	assert_int_equal(passed[INSPECT_RESPONDER].len,
			 3 * strlen(" \n<message><stream:x xmlns:stream='urn:x'/></message>"));
	feed(INSPECT_RESPONDER, "<message><stream:features/></message>");
	assert_int_equal(fail_reason, REASON_SMUGGLING);
	inspect_rest(ins);
}

static void test_no_rest_before_authentication(void **state)
{
	(void)state;
	feed(INSPECT_RESPONDER, OPEN FEATURES);
	inspect_rest(ins);
	assert_true(xmlstream_opened(ins->dir[INSPECT_RESPONDER].xs));
	feed(INSPECT_INITIATOR, AUTH);
	assert_int_equal(fails, 0);
}

static void test_details_end_after_some_elements(void **state)
{
	(void)state;
	log_in();
	for (int i = 0; i < INSPECT_SETTLE_ELEMENTS - 1; i++)
		feed(i % 2 ? INSPECT_INITIATOR : INSPECT_RESPONDER, "<presence/>");
	assert_false(ins->settled);
	feed(INSPECT_INITIATOR, "<presence/>");
	assert_true(ins->settled);
	feed(INSPECT_RESPONDER, "<iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
				"<jid>other@im.example.com/x</jid></bind></iq>");
	assert_int_equal(authentications, 1);
	assert_string_equal(identity, "juliet@im.example.com");
	feed(INSPECT_INITIATOR, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
	assert_int_equal(fail_reason, REASON_STARTTLS_MISUSE);
}

/* A client that is held back cannot make us keep more than the limits say. */
static void test_kept_bytes_are_bounded(void **state)
{
	char chunk[64 * 1024];

	(void)state;
	memset(chunk, ' ', sizeof(chunk));
	feed(INSPECT_RESPONDER, OPEN FEATURES);
	feed(INSPECT_INITIATOR, AUTH);
	for (int i = 0; i < 8 && fails == 0; i++)
		inspect_feed(ins, INSPECT_INITIATOR, chunk, sizeof(chunk));
	assert_int_equal(fails, 1);
	assert_int_equal(fail_reason, REASON_TOO_BIG);
	assert_int_equal(fail_culprit, INSPECT_INITIATOR);
	assert_int_equal(notes, 1);
}

static void test_nothing_after_fail(void **state)
{
	(void)state;
	feed(INSPECT_RESPONDER, OPEN FEATURES);
	feed(INSPECT_INITIATOR, "<!-- -->");
	assert_int_equal(fails, 1);
	passes = replies = 0;
	feed(INSPECT_RESPONDER, "<message/>");
	feed(INSPECT_INITIATOR, "<!-- -->");
	inspect_end(ins, INSPECT_INITIATOR, REASON_SHUTDOWN);
	assert_int_equal(passes + replies, 0);
	assert_int_equal(fails, 1);
	assert_false(inspect_wants(ins, INSPECT_INITIATOR));
}

static void test_what_is_kept_while_held_back(void **state)
{
	(void)state;
	feed(INSPECT_RESPONDER, OPEN FEATURES);
	assert_false(inspect_keeps(ins, INSPECT_INITIATOR));
	feed(INSPECT_INITIATOR, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>");
	assert_false(inspect_wants(ins, INSPECT_INITIATOR));
	assert_false(inspect_keeps(ins, INSPECT_INITIATOR)); /* held back, but nothing came yet */
	feed(INSPECT_INITIATOR, "<i");
	assert_true(inspect_keeps(ins, INSPECT_INITIATOR));
	feed(INSPECT_RESPONDER, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>");
	assert_false(inspect_keeps(ins, INSPECT_INITIATOR));
	assert_true(inspect_wants(ins, INSPECT_INITIATOR));
}

static void test_closed_sides(void **state)
{
	(void)state;
	feed(INSPECT_RESPONDER, OPEN FEATURES "</stream:stream>");
	assert_true(inspect_is_closed(ins, INSPECT_RESPONDER));
	assert_false(inspect_is_closed(ins, INSPECT_INITIATOR));
	assert_false(inspect_wants(ins, INSPECT_RESPONDER));
	assert_true(inspect_wants(ins, INSPECT_INITIATOR));
}

static void expect_identity(const char *method, const char *payload, const char *expected)
{
	char *who = mem_strdup("");

	inspect_identity(&who, method, "im.example.com", payload, strlen(payload));
	assert_string_equal(who, expected);
	mem_free(who);
}

static void test_identities(void **state)
{
	(void)state;
	expect_identity("PLAIN", "AGp1bGlldAByMG0zMG15cjBtMzA=", "juliet@im.example.com");
	expect_identity("PLAIN", "cm9tZW9AaW0uZXhhbXBsZS5jb20AanVsaWV0AHg=", "juliet@im.example.com");
	expect_identity("PLAIN", "AGp1bGlldEBvdGhlci5leGFtcGxlAHg=", "juliet@other.example");
	expect_identity("PLAIN", "AAB4", "");
	expect_identity("PLAIN", "AGp1bGlldA==", "");
	expect_identity("PLAIN", "AGEvYgB4", "");
	expect_identity("PLAIN", "not base64", "");
	expect_identity("PLAIN", "=", "");
	expect_identity("PLAIN", "=AAA", "");
	expect_identity("SCRAM-SHA-1", "biwsbj1qdT0yQz0zRCxyPWFiYw==", "ju,=@im.example.com");
	expect_identity("SCRAM-SHA-256", "eSxhPXgsbj11c2VyLHI9YQ==", "user@im.example.com");
	expect_identity("SCRAM-SHA-1", "biwsbj1qdT0yRCxyPWFiYw==", "");
	expect_identity("SCRAM-SHA-1", "biws", "");
	expect_identity("EXTERNAL", "anVsaWV0QGltLmV4YW1wbGUuY29t", "juliet@im.example.com");
	expect_identity("HT-SHA-256-NONE", "anVsaWV0AHh4", "juliet@im.example.com");
	expect_identity("X-OTHER", "AGp1bGlldAB4", "");
}

static bool has_layer(const char *payload)
{
	return inspect_digest_has_layer(payload, strlen(payload));
}

static void test_digest_layers(void **state)
{
	(void)state;
	assert_false(has_layer("cW9wPWF1dGg="));     /* qop=auth */
	assert_false(has_layer("cW9wPSJhdXRoIg==")); /* qop="auth" */
	assert_false(has_layer("cnNwYXV0aD1hYmM=")); /* rspauth=abc */
	assert_false(has_layer("="));
	assert_true(has_layer("cW9wPWF1dGgtaW50"));             /* qop=auth-int */
	assert_true(has_layer("cW9wPSJhdXRoLWNvbmYi"));         /* qop="auth-conf" */
	assert_true(has_layer("UU9QID0gYXV0aC1pbnQ="));         /* QOP = auth-int */
	assert_true(has_layer("cW9wPWF1dGgscW9wPWF1dGgtaW50")); /* twice */
	assert_true(has_layer("AHFvcD1hdXRo"));                 /* a NUL */
	assert_true(has_layer("cW9w PWF1dGg="));                /* not strict base64 */
}

static void test_method_names(void **state)
{
	(void)state;
	assert_string_equal(inspect_method_name("SCRAM-SHA-1-PLUS"), "SCRAM-SHA-1-PLUS");
	assert_string_equal(inspect_method_name("A1234567890123456789"), "A1234567890123456789");
	assert_string_equal(inspect_method_name("A12345678901234567890"), "invalid");
	assert_string_equal(inspect_method_name("plain"), "invalid");
	assert_string_equal(inspect_method_name(""), "invalid");
	assert_string_equal(inspect_method_name(NULL), "invalid");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_runs_pass_without_copy, begin, end),
	    cmocka_unit_test_setup_teardown(test_kept_then_rest, begin, end),
	    cmocka_unit_test_setup_teardown(test_elements_are_counted, begin, end),
	    cmocka_unit_test_setup_teardown(test_rest, begin, end),
	    cmocka_unit_test_setup_teardown(test_no_rest_before_authentication, begin, end),
	    cmocka_unit_test_setup_teardown(test_details_end_after_some_elements, begin, end),
	    cmocka_unit_test_setup_teardown(test_kept_bytes_are_bounded, begin, end),
	    cmocka_unit_test_setup_teardown(test_nothing_after_fail, begin, end),
	    cmocka_unit_test_setup_teardown(test_what_is_kept_while_held_back, begin, end),
	    cmocka_unit_test_setup_teardown(test_closed_sides, begin, end),
	    cmocka_unit_test(test_identities),
	    cmocka_unit_test(test_digest_layers),
	    cmocka_unit_test(test_method_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

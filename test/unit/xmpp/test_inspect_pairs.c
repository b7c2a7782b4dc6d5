/* SPDX-License-Identifier: MIT */
/* Who may speak for whom between servers: bounds, look-ups, addresses; and the inspector where they are reached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "xmpp/inspect_pairs_private.h"
#include "xmpp/names.h"

static struct inspect_pairs *p;

static int begin(void **state)
{
	(void)state;
	p = inspect_pairs_new("a.example");
	return 0;
}

static int end(void **state)
{
	(void)state;
	inspect_pairs_free(&p);
	assert_null(p);
	inspect_pairs_free(&p);
	return 0;
}

static void prove(enum inspect_side side, const char *from, const char *to)
{
	inspect_claim_prove(p, inspect_claim_make(p, side, from, to), true);
}

static void test_claims(void **state)
{
	struct inspect_claim *claim;

	(void)state;
	assert_string_equal(p->remote_from, "a.example");
	assert_null(inspect_claim_find(p, INSPECT_INITIATOR, "a.example", "b.example"));
	claim = inspect_claim_make(p, INSPECT_INITIATOR, "a.example", "b.example");
	assert_string_equal(claim->from, "a.example");
	assert_string_equal(claim->to, "b.example");
	assert_false(claim->proven || claim->judged || claim->pending);
	assert_ptr_equal(inspect_claim_make(p, INSPECT_INITIATOR, "a.example", "b.example"), claim);
	assert_null(inspect_claim_find(p, INSPECT_RESPONDER, "a.example", "b.example"));
	assert_null(inspect_claim_find(p, INSPECT_INITIATOR, "b.example", "a.example"));
	assert_null(inspect_claim_find(p, INSPECT_INITIATOR, "a.example", "b.exampl"));
	/* Where one ends and the next begins is no matter of their letters. */
	assert_null(inspect_claim_find(p, INSPECT_INITIATOR, "a.exampleb", ".example"));
}

static void test_what_is_pending_and_proven(void **state)
{
	struct inspect_claim *one = inspect_claim_make(p, INSPECT_INITIATOR, "a.example", "b.example");
	struct inspect_claim *back = inspect_claim_make(p, INSPECT_RESPONDER, "b.example", "a.example");

	(void)state;
	for (int i = 0; i < INSPECT_PENDING_MAX; i++)
		assert_true(inspect_claim_ask(p, one));
	assert_false(inspect_claim_ask(p, one));
	assert_true(inspect_claim_ask(p, back));
	assert_int_equal(p->pending, INSPECT_PENDING_MAX);
	inspect_claim_answer(p, one, true);
	inspect_claim_answer(p, one, true);
	assert_true(one->proven);
	assert_int_equal(p->proven, 1);
	assert_int_equal(p->pending, INSPECT_PENDING_MAX - 2);
	inspect_claim_answer(p, back, true);
	assert_int_equal(p->proven, 1);
	inspect_claim_answer(p, one, false);
	assert_false(one->proven);
	assert_int_equal(p->proven, 0);
}

static void test_as_many_claims_as_there_may_be(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i < INSPECT_CLAIMS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "d%d.example", i);
		assert_non_null(inspect_claim_make(p, INSPECT_INITIATOR, name, "b.example"));
	}
	assert_null(inspect_claim_make(p, INSPECT_INITIATOR, "more.example", "b.example"));
	assert_string_equal(inspect_claim_make(p, INSPECT_INITIATOR, "d999.example", "b.example")->from,
			    "d999.example");
	assert_string_equal(inspect_claim_find(p, INSPECT_INITIATOR, "d0.example", "b.example")->from, "d0.example");
}

static void test_keys_asked_about(void **state)
{
	struct inspect_verify *one, *two;

	(void)state;
	one = inspect_verify_add(p, INSPECT_INITIATOR, "a.example", "b.example", "id");
	two = inspect_verify_add(p, INSPECT_INITIATOR, "a.example", "b.example", "other");
	assert_ptr_equal(inspect_verify_find(p, INSPECT_INITIATOR, "a.example", "b.example", "id"), one);
	assert_null(inspect_verify_find(p, INSPECT_RESPONDER, "a.example", "b.example", "id"));
	assert_null(inspect_verify_find(p, INSPECT_INITIATOR, "b.example", "a.example", "id"));
	inspect_verify_rename(p, one, "other");
	assert_null(inspect_verify_find(p, INSPECT_INITIATOR, "a.example", "b.example", "id"));
	/* Two that look alike on the far side are answered in the order in which they were asked. */
	assert_ptr_equal(inspect_verify_find(p, INSPECT_INITIATOR, "a.example", "b.example", "other"), one);
	assert_string_equal(one->theirs, "id");
	inspect_verify_remove(p, one);
	assert_ptr_equal(inspect_verify_find(p, INSPECT_INITIATOR, "a.example", "b.example", "other"), two);
	inspect_verify_remove(p, two);
	assert_null(inspect_verify_find(p, INSPECT_INITIATOR, "a.example", "b.example", "other"));
}

static void test_as_many_keys_as_there_may_be(void **state)
{
	struct inspect_verify *first = NULL, *made;

	(void)state;
	for (int i = 0; i < INSPECT_VERIFIES_MAX; i++) {
		made = inspect_verify_add(p, INSPECT_INITIATOR, "a.example", "b.example", "id");
		first = first ? first : made;
	}
	assert_null(inspect_verify_add(p, INSPECT_INITIATOR, "a.example", "b.example", "id"));
	inspect_verify_remove(p, first);
	assert_non_null(inspect_verify_add(p, INSPECT_INITIATOR, "a.example", "b.example", "id"));
}

static void check(enum inspect_side side, const char *from, const char *to, enum reason expected)
{
	/* Twice: what was found is remembered, and must not be found differently then. */
	for (int i = 0; i < 2; i++)
		if (inspect_pairs_judge(p, side, from, to) != expected)
			fail_msg("%s to %s is not %s", from ? from : "nobody", to ? to : "nobody",
				 reason_info(expected)->word);
}

static void test_addresses(void **state)
{
	static const char *const bad[] = {NULL, "",           "/r",   "@a.example",   "x@", "x@/r",
					  "@",  "a.example/", "x@/@", "x@a.example/", "/",  "@/"};

	(void)state;
	prove(INSPECT_INITIATOR, "a.example", "b.example");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		check(INSPECT_INITIATOR, bad[i], "b.example", REASON_ADDRESSING);
		check(INSPECT_INITIATOR, "a.example", bad[i], REASON_ADDRESSING);
		check(INSPECT_INITIATOR, "a.example", "b.example", REASON_NONE);
	}
	check(INSPECT_INITIATOR, "x@a.example/r@c.example/s", "b.example/x", REASON_NONE);
	check(INSPECT_INITIATOR, "A.Example.", "y@B.EXAMPLE/", REASON_ADDRESSING);
	check(INSPECT_INITIATOR, "A.Example.", "y@B.EXAMPLE/ ", REASON_NONE);
	check(INSPECT_INITIATOR, "c.example/x@a.example", "b.example", REASON_FORGED_FROM);
	check(INSPECT_INITIATOR, "a.exampl", "b.example", REASON_FORGED_FROM);
	check(INSPECT_INITIATOR, "a.examplee", "b.example", REASON_FORGED_FROM);
	check(INSPECT_INITIATOR, "x.a.example", "b.example", REASON_FORGED_FROM);
	check(INSPECT_INITIATOR, "b.example", "a.example", REASON_FORGED_FROM);
}

/* RFC 7622 section 3.1: up to 1023 octets a part. */
static void test_long_addresses(void **state)
{
	char *part = mem_alloc(1100);
	char *jid;

	(void)state;
	prove(INSPECT_INITIATOR, "a.example", "b.example");
	for (int len = 1023; len <= 1024; len++) {
		enum reason expected = len == 1023 ? REASON_NONE : REASON_ADDRESSING;

		memset(part, 'x', (size_t)len);
		part[len] = '\0';
		jid = mem_printf("%s@a.example", part);
		check(INSPECT_INITIATOR, jid, "b.example", expected);
		mem_free(jid);
		jid = mem_printf("a.example/%s", part);
		check(INSPECT_INITIATOR, jid, "b.example", expected);
		mem_free(jid);
		assert_int_not_equal(inspect_pairs_judge(p, INSPECT_INITIATOR, part, "b.example"), REASON_NONE);
	}
	mem_free(part);
}

static void test_a_proof_that_ends(void **state)
{
	struct inspect_claim *claim = inspect_claim_make(p, INSPECT_INITIATOR, "a.example", "b.example");

	(void)state;
	check(INSPECT_INITIATOR, "x@a.example", "b.example", REASON_FORGED_FROM);
	inspect_claim_prove(p, claim, true);
	check(INSPECT_INITIATOR, "x@a.example", "b.example", REASON_NONE);
	inspect_claim_prove(p, claim, false);
	check(INSPECT_INITIATOR, "x@a.example", "b.example", REASON_FORGED_FROM);
	inspect_claim_prove(p, claim, true);
	check(INSPECT_INITIATOR, "x@a.example", "b.example", REASON_NONE);
}

static void test_the_way_back(void **state)
{
	(void)state;
	prove(INSPECT_INITIATOR, "a.example", "b.example");
	check(INSPECT_RESPONDER, "b.example", "a.example", REASON_FORGED_FROM);
	p->bidi = true;
	check(INSPECT_RESPONDER, "b.example", "a.example", REASON_NONE);
	check(INSPECT_RESPONDER, "a.example", "b.example", REASON_FORGED_FROM);
	inspect_claim_make(p, INSPECT_RESPONDER, "b.example", "a.example");
	check(INSPECT_RESPONDER, "b.example", "a.example", REASON_NONE);
	prove(INSPECT_RESPONDER, "c.example", "a.example");
	check(INSPECT_RESPONDER, "c.example", "a.example", REASON_NONE);
	check(INSPECT_INITIATOR, "a.example", "c.example", REASON_FORGED_FROM);
}

/* ---- through the inspector ---- */

#define NS "xmlns='jabber:server' xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'"
#define OPEN "<stream:stream from='a.example' to='b.example' version='1.0' " NS ">"
#define ANSWER "<stream:stream from='b.example' to='a.example' id='1' version='1.0' " NS ">"
#define FEATURES "<stream:features><bidi xmlns='urn:xmpp:features:bidi'/></stream:features>"
#define CLAIM "<db:result from='a.example' to='b.example'>secretkey</db:result>"
#define VALID "<db:result from='b.example' to='a.example' type='valid'/>"

static struct inspector *ins;
static struct strbuf passed[INSPECT_SIDES], replied[INSPECT_SIDES];
static enum inspect_pair says;
static unsigned asked, fails, plaintexts;
static enum reason fail_reason;

static void op_pass(void *ctx, enum inspect_side from, const void *data, size_t len)
{
	(void)ctx;
	strbuf_add(&passed[from], data, len);
}

static void op_reply(void *ctx, enum inspect_side to, const void *data, size_t len)
{
	(void)ctx;
	strbuf_add(&replied[to], data, len);
}

static void op_note(void *ctx, enum inspect_note note)
{
	(void)ctx;
	(void)note;
}

static void op_authenticated(void *ctx, const char *method, const char *who)
{
	(void)ctx;
	(void)method;
	(void)who;
}

static void op_closed(void *ctx, enum inspect_side side)
{
	(void)ctx;
	(void)side;
}

static void op_plaintext(void *ctx)
{
	(void)ctx;
	plaintexts++;
}

static enum inspect_pair op_pair(void *ctx, const char *from, const char *to)
{
	(void)ctx;
	(void)from;
	(void)to;
	asked++;
	return says;
}

static void op_proven(void *ctx, const char *from, const char *to, bool external)
{
	(void)ctx;
	(void)from;
	(void)to;
	(void)external;
}

static void op_unproven(void *ctx, const char *from, const char *to, enum reason reason)
{
	op_proven(ctx, from, to, reason == REASON_NONE);
}

static void op_fail(void *ctx, enum inspect_side culprit, enum reason reason)
{
	(void)ctx;
	(void)culprit;
	fail_reason = reason;
	fails++;
}

/* translate is NULL: no stream here has two names. */
static const struct inspect_ops ops = {.pass = op_pass,
				       .reply = op_reply,
				       .note = op_note,
				       .authenticated = op_authenticated,
				       .closed = op_closed,
				       .plaintext = op_plaintext,
				       .pair = op_pair,
				       .proven = op_proven,
				       .unproven = op_unproven,
				       .fail = op_fail};

static void begin_inspector(bool undecided)
{
	const struct inspect_params params = {
	    .content_ns = XMPP_NS_SERVER,
	    .domain = "b.example",
	    .remote_from = "a.example",
	    .unauthenticated_limit = 2000,
	    .stanza_limit = 100000,
	    .depth = 16,
	    .auth_attempts = 3,
	    .undecided = undecided,
	    .initiator_header = OPEN,
	    .initiator_header_len = strlen(OPEN),
	    .ops = &ops,
	};

	asked = fails = plaintexts = 0;
	says = INSPECT_PAIR_ALLOW;
	for (int side = 0; side < INSPECT_SIDES; side++) {
		strbuf_init(&passed[side], 16u * 1024u * 1024u);
		strbuf_init(&replied[side], 16u * 1024u * 1024u);
	}
	ins = inspect_new(&params);
	inspect_feed(ins, INSPECT_RESPONDER, ANSWER FEATURES, strlen(ANSWER FEATURES));
}

static int begin_stream(void **state)
{
	(void)state;
	begin_inspector(false);
	return 0;
}

static int begin_in_clear(void **state)
{
	(void)state;
	begin_inspector(true);
	return 0;
}

static int end_stream(void **state)
{
	(void)state;
	inspect_free(&ins);
	for (int side = 0; side < INSPECT_SIDES; side++) {
		strbuf_fini(&passed[side]);
		strbuf_fini(&replied[side]);
	}
	return 0;
}

static void feed(enum inspect_side side, const char *text)
{
	inspect_feed(ins, side, text, strlen(text));
}

static void clear(void)
{
	for (int side = 0; side < INSPECT_SIDES; side++) {
		strbuf_clear(&passed[side]);
		strbuf_clear(&replied[side]);
	}
}

static void test_one_claim_too_many(void **state)
{
	char text[200];

	(void)state;
	for (int i = 0; i < INSPECT_CLAIMS_MAX; i++) {
		(void)snprintf(text, sizeof(text), "<db:result from='d%d.example' to='b.example'>k</db:result>", i);
		feed(INSPECT_INITIATOR, text);
	}
	assert_int_equal(asked, INSPECT_CLAIMS_MAX);
	clear();
	feed(INSPECT_INITIATOR, CLAIM);
	assert_int_equal(passed[INSPECT_INITIATOR].len, 0);
	assert_string_equal(
	    strbuf_text(&replied[INSPECT_INITIATOR]),
	    "<db:result xmlns:db='jabber:server:dialback' from='b.example' to='a.example' type='error'><error "
	    "type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>");
	assert_int_equal(asked, INSPECT_CLAIMS_MAX);
	feed(INSPECT_RESPONDER, "<db:result from='b.example' to='d7.example' type='valid'/>");
	feed(INSPECT_INITIATOR, "<message from='d7.example' to='b.example'/>");
	assert_string_equal(strbuf_text(&passed[INSPECT_INITIATOR]), "<message from='d7.example' to='b.example'/>");
	assert_int_equal(fails, 0);
}

static void test_one_claim_too_often(void **state)
{
	(void)state;
	for (int i = 0; i < INSPECT_PENDING_MAX; i++)
		feed(INSPECT_INITIATOR, CLAIM);
	clear();
	feed(INSPECT_INITIATOR, CLAIM);
	assert_int_equal(passed[INSPECT_INITIATOR].len, 0);
	assert_non_null(strstr(strbuf_text(&replied[INSPECT_INITIATOR]), "<resource-constraint "));
	feed(INSPECT_RESPONDER, VALID);
	feed(INSPECT_INITIATOR, CLAIM);
	assert_string_equal(strbuf_text(&passed[INSPECT_INITIATOR]), CLAIM);
}

static void test_one_key_too_many(void **state)
{
	(void)state;
	for (int i = 0; i < INSPECT_VERIFIES_MAX; i++)
		feed(INSPECT_INITIATOR, "<db:verify from='a.example' to='b.example' id='1'>k</db:verify>");
	clear();
	feed(INSPECT_INITIATOR, "<db:verify from='a.example' to='b.example' id='&lt;'>k</db:verify>");
	assert_int_equal(passed[INSPECT_INITIATOR].len, 0);
	assert_string_equal(strbuf_text(&replied[INSPECT_INITIATOR]),
			    "<db:verify xmlns:db='jabber:server:dialback' from='b.example' to='a.example' id='&lt;' "
			    "type='error'><error type='wait'><resource-constraint "
			    "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:verify>");
	assert_int_equal(fails, 0);
}

/* What waits for the session is bounded; the parser may be given back meanwhile. */
static void test_waiting(void **state)
{
	char *much = mem_zalloc(400001);

	(void)state;
	feed(INSPECT_INITIATOR, CLAIM);
	feed(INSPECT_RESPONDER, VALID);
	assert_true(inspect_is_authenticated(ins));
	clear();
	says = INSPECT_PAIR_WAIT;
	feed(INSPECT_INITIATOR, "<db:result from='c.example' to='b.example'>k</db:result><message ");
	inspect_rest(ins);
	assert_false(inspect_wants(ins, INSPECT_INITIATOR));
	assert_true(inspect_wants(ins, INSPECT_RESPONDER));
	assert_true(inspect_keeps(ins, INSPECT_INITIATOR));
	feed(INSPECT_INITIATOR, "from='a.example' to='b.example'/>");
	assert_int_equal(passed[INSPECT_INITIATOR].len, 0);
	inspect_pair_decide(ins, INSPECT_PAIR_ALLOW);
	assert_string_equal(strbuf_text(&passed[INSPECT_INITIATOR]),
			    "<db:result from='c.example' to='b.example'>k</db:result>"
			    "<message from='a.example' to='b.example'/>");
	assert_true(inspect_wants(ins, INSPECT_INITIATOR));
	assert_false(inspect_keeps(ins, INSPECT_INITIATOR));
	feed(INSPECT_INITIATOR, "<db:result from='d.example' to='b.example'>k</db:result>");
	memset(much, ' ', 400000);
	feed(INSPECT_INITIATOR, much);
	mem_free(much);
	assert_int_equal(fails, 1);
	assert_int_equal(fail_reason, REASON_TOO_BIG);
	inspect_pair_decide(ins, INSPECT_PAIR_ALLOW);
	assert_int_equal(fails, 1);
}

static void test_the_responder_waits_too(void **state)
{
	(void)state;
	feed(INSPECT_INITIATOR, "<bidi xmlns='urn:xmpp:bidi'/>");
	says = INSPECT_PAIR_WAIT;
	clear();
	feed(INSPECT_RESPONDER, "<db:result from='b.example' to='a.example'>k</db:result>");
	assert_false(inspect_wants(ins, INSPECT_RESPONDER));
	assert_true(inspect_wants(ins, INSPECT_INITIATOR));
	/* WAIT is no answer. */
	inspect_pair_decide(ins, INSPECT_PAIR_WAIT);
	assert_true(inspect_wants(ins, INSPECT_RESPONDER));
	assert_int_equal(passed[INSPECT_RESPONDER].len, 0);
	assert_non_null(strstr(strbuf_text(&replied[INSPECT_RESPONDER]), "<not-authorized "));
	feed(INSPECT_RESPONDER, "<db:result from='b.example' to='a.example'>k</db:result>");
	assert_int_equal(asked, 1);
	assert_true(inspect_wants(ins, INSPECT_RESPONDER));
}

/* NEG-32: on a plaintext leg nobody may send back. */
static void test_bidi_in_clear(void **state)
{
	(void)state;
	assert_null(strstr(strbuf_text(&passed[INSPECT_RESPONDER]), "bidi"));
	feed(INSPECT_INITIATOR, "<bidi xmlns='urn:xmpp:bidi'/>");
	assert_int_equal(plaintexts, 1);
	inspect_go_on(ins);
	assert_int_equal(fail_reason, REASON_UNSUPPORTED_ELEMENT);
	assert_int_equal(passed[INSPECT_INITIATOR].len, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
#define STREAM(f) cmocka_unit_test_setup_teardown(f, begin_stream, end_stream)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_claims),
	    TEST(test_what_is_pending_and_proven),
	    TEST(test_as_many_claims_as_there_may_be),
	    TEST(test_keys_asked_about),
	    TEST(test_as_many_keys_as_there_may_be),
	    TEST(test_addresses),
	    TEST(test_long_addresses),
	    TEST(test_a_proof_that_ends),
	    TEST(test_the_way_back),
	    STREAM(test_one_claim_too_many),
	    STREAM(test_one_claim_too_often),
	    STREAM(test_one_key_too_many),
	    STREAM(test_waiting),
	    STREAM(test_the_responder_waits_too),
	    cmocka_unit_test_setup_teardown(test_bidi_in_clear, begin_in_clear, end_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

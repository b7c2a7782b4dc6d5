/* SPDX-License-Identifier: MIT */
/* hub: several pairs of domains on one connection, each with a stream of its own; keys stay valid; nobody who asked is
 * left without an answer. */
#include "hub_world.h"

static void two_pairs(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, RESULT(A, B) RESULT(A2, C));
	assert_int_equal(w->fars, 2);
	far_saw(&w->far[0], SPOKE_HEADER(A, B) RESULT(A, B));
	far_saw(&w->far[1], SPOKE_HEADER(A2, C) RESULT(A2, C));
	far_saw(&w->legacy, "");
	assert_false(hub_is_served(w->hub));
	far_send(w, &w->far[1], REMOTE_HEADER("t2") RESULT_IS("valid", C, A2));
	far_saw(&w->legacy, RESULT_IS("valid", C, A2));
	assert_true(hub_is_served(w->hub));
	far_send(w, &w->far[0], REMOTE_HEADER("t1"));
	far_send(w, &w->far[0], RESULT_IS("valid", B, A));
	far_saw(&w->legacy, RESULT_IS("valid", B, A));
	legacy_send(w, MESSAGE(A2, C) "\n" MESSAGE(A, B) MESSAGE(A2, C));
	far_saw(&w->far[0], MESSAGE(A, B));
	far_saw(&w->far[1], MESSAGE(A2, C) MESSAGE(A2, C));
	assert_int_equal(w->fars, 2);
}

/* However the bytes are cut, the same leaves. */
static void cut(struct hub_world *w, const char *text, size_t at)
{
	assert_int_equal(send(w->legacy.fd, text, at, 0), (ssize_t)at);
	turns(w);
	legacy_send(w, text + at);
}

static void every_byte(void **state)
{
	static const char first[] = RESULT(A, B) "\n" VERIFY(A2, C, "q");
	static const char second[] = MESSAGE(A, B) " " RESULT(A2, C) MESSAGE(A, B);
	static const char answer[] = REMOTE_HEADER("theirs") RESULT_IS("valid", B, A);
	struct hub_world *w = *state;
	for (size_t at = 1; at < sizeof(answer) - 1; at++) {
		world_begin(w, NAMELESS, 262144);
		cut(w, first, at < sizeof(first) - 1 ? at : 1);
		far_saw(&w->far[0], SPOKE_HEADER(A, B) RESULT(A, B));
		far_saw(&w->far[1], SPOKE_HEADER(A2, C) VERIFY(A2, C, "q"));
		assert_int_equal(send(w->far[0].fd, answer, at, 0), (ssize_t)at);
		turns(w);
		far_send(w, &w->far[0], answer + at);
		far_saw(&w->legacy, RESULT_IS("valid", B, A));
		cut(w, second, at < sizeof(second) - 1 ? at : 1);
		far_saw(&w->far[0], MESSAGE(A, B) MESSAGE(A, B));
		far_saw(&w->far[1], RESULT(A2, C));
		world_stop(w);
	}
}

static void byte_by_byte(void **state)
{
	static const char text[] = RESULT(A, B) MESSAGE(A, B);
	struct hub_world *w = *state;
	for (size_t i = 0; text[i] != '\0'; i++) {
		if (i == strlen(RESULT(A, B)))
			prove(w, &w->far[0]);
		assert_int_equal(send(w->legacy.fd, text + i, 1, 0), 1);
		turns(w);
	}
	far_saw(&w->far[0], MESSAGE(A, B));
}

/* NEG-20: what the header declares is in scope in the spoke, whatever prefix it has; db is always bound. */
static void prefixes(void **state)
{
	struct hub_world *w = *state;
	world_begin(
	    w, "<s:stream xmlns:s='" NS_STREAM "' xmlns='jabber:server' xmlns:d='" NS_DB "' xmlns:x='urn:x?a&amp;b'>",
	    262144);
	legacy_send(w, "<d:result from='" A "' to='" B "'>k</d:result>");
	far_saw(&w->far[0], "<s:stream xmlns:s='" NS_STREAM "' xmlns='jabber:server' xmlns:d='" NS_DB
			    "' xmlns:x='urn:x?a&amp;b' xmlns:db='" NS_DB "' from='" A "' to='" B "'><d:result from='" A
			    "' to='" B "'>k</d:result>");
	legacy_send(w, "</s:stream>");
	far_saw(&w->far[0], "</s:stream>");
}

/* An answer in prefixes that our header to the legacy server does not bind is said in ours. */
static void foreign_prefix(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, RESULT(A, B) VERIFY(A, B, "q&amp;1"));
	far_send(w, &w->far[0],
		 "<stream:stream xmlns='jabber:server' xmlns:k='" NS_DB "' xmlns:stream='" NS_STREAM "' id='i'>"
		 "<k:verify from='" B "' to='" A "' id='q&amp;1' type='valid'/><k:result from='" B "' to='" A
		 "' type='error'><k:x/></k:result>");
	far_saw(&w->legacy, VERIFY_IS("valid", B, A, "q&amp;1") RESULT_ERROR(B, A, "wait", "remote-server-timeout"));
}

static void names_as_said(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, RESULT("A.Example", "B.example."));
	far_saw(&w->far[0], SPOKE_HEADER("A.Example", "B.example.") RESULT("A.Example", "B.example."));
	legacy_send(w, VERIFY(A, B, "q"));
	assert_int_equal(w->fars, 1);
	far_saw(&w->far[0], VERIFY(A, B, "q"));
	far_close(&w->far[0]);
	turns(w);
	far_saw(&w->legacy, RESULT_ERROR("B.example.", "A.Example", "wait", "remote-server-timeout")
				VERIFY_ERROR("B.example.", "A.Example", "q", "wait", "remote-server-timeout"));
}

static void refused(void **state)
{
	static const struct {
		const char *condition, *type, *said;
	} rows[] = {
	    {"host-unknown", "cancel", "item-not-found"},
	    {"remote-connection-failed", "cancel", "remote-server-not-found"},
	    {"policy-violation", "cancel", "policy-violation"},
	    {"not-authorized", "auth", "not-authorized"},
	    {"internal-server-error", "wait", "remote-server-timeout"},
	};
	struct hub_world *w = *state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[1024];
		legacy_send(w, RESULT(A, B));
		assert_int_equal(w->fars, i + 1);
		snprintf(text, sizeof(text),
			 REMOTE_HEADER("e") "<stream:error><%s xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
					    "</stream:error>" CLOSE,
			 rows[i].condition);
		strbuf_clear(&w->far[i].seen);
		far_send(w, &w->far[i], text);
		snprintf(text, sizeof(text), RESULT_ERROR(B, A, "%s", "%s"), rows[i].type, rows[i].said);
		far_saw(&w->legacy, text);
		far_saw(&w->far[i], CLOSE);
		assert_true(w->far[i].eof);
		far_close(&w->far[i]);
		turns(w);
		assert_false(hub_has_spokes(w->hub));
	}
	assert_int_equal(w->over, 0);
}

/* The remote server says no: the answer as it came, and the stream that proves nothing is given up. */
static void not_valid(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, RESULT(A, B));
	strbuf_clear(&w->far[0].seen);
	far_send(w, &w->far[0], REMOTE_HEADER("t") RESULT_IS("invalid", B, A) RESULT_IS("valid", B, A));
	far_saw(&w->legacy, RESULT_IS("invalid", B, A));
	far_saw(&w->far[0], CLOSE);
	legacy_send(w, RESULT(A, B));
	assert_int_equal(w->fars, 2);
	far_saw(&w->far[1], SPOKE_HEADER(A, B) RESULT(A, B));
}

/* DB-2: nobody asked. */
static void unsolicited(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, VERIFY(A, B, "q"));
	far_send(w, &w->far[0],
		 REMOTE_HEADER("t") RESULT_IS("valid", B, A) VERIFY_IS("valid", B, A, "other")
		     RESULT(B, A) "<message from='" B "' to='" A "'/>");
	far_saw(&w->legacy, "");
	far_send(w, &w->far[0], VERIFY_IS("valid", B, A, "q"));
	far_saw(&w->legacy, VERIFY_IS("valid", B, A, "q"));
	legacy_send(w, MESSAGE(A, B));
	assert_int_equal(w->reason, REASON_FORGED_FROM);
}

/* A stream that only asked about keys is closed when it has its answers. */
static void verify_only(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, VERIFY(A, B, "q1") VERIFY(A, B, "q2"));
	assert_int_equal(w->fars, 1);
	far_saw(&w->far[0], SPOKE_HEADER(A, B) VERIFY(A, B, "q1") VERIFY(A, B, "q2"));
	far_send(w, &w->far[0], REMOTE_HEADER("t") VERIFY_IS("invalid", B, A, "q2"));
	far_saw(&w->far[0], "");
	far_send(w, &w->far[0], VERIFY_IS("valid", B, A, "q1"));
	far_saw(&w->legacy, VERIFY_IS("invalid", B, A, "q2") VERIFY_IS("valid", B, A, "q1"));
	far_saw(&w->far[0], CLOSE);
	assert_true(hub_is_served(w->hub));
	/* Its end is not waited for: the next request has a stream of its own. */
	legacy_send(w, VERIFY(A, B, "q3"));
	assert_int_equal(w->fars, 2);
	far_saw(&w->far[1], SPOKE_HEADER(A, B) VERIFY(A, B, "q3"));
	far_saw(&w->far[0], "");
}

static void lost_verifies(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, VERIFY(A, B, "q1"));
	far_send(w, &w->far[0], REMOTE_HEADER("t") CLOSE);
	far_saw(&w->legacy, VERIFY_ERROR(B, A, "q1", "wait", "remote-server-timeout"));
	assert_int_equal(w->over, 0);
}

/* A proven stream that the remote server ends is opened anew, by the same key, when there is something to say. */
static void renewed(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, RESULT(A, B));
	prove(w, &w->far[0]);
	far_send(w, &w->far[0], CLOSE);
	far_saw(&w->far[0], CLOSE);
	far_saw(&w->legacy, "");
	legacy_send(w, MESSAGE(A, B));
	legacy_send(w, MESSAGE(A, B) VERIFY(A, B, "q"));
	assert_int_equal(w->fars, 2);
	far_saw(&w->far[1], SPOKE_HEADER(A, B) RESULT(A, B) VERIFY(A, B, "q"));
	far_send(w, &w->far[1], REMOTE_HEADER("again") VERIFY_IS("valid", B, A, "q") RESULT_IS("valid", B, A));
	far_saw(&w->far[1], MESSAGE(A, B) MESSAGE(A, B));
	far_saw(&w->legacy, VERIFY_IS("valid", B, A, "q"));
	legacy_send(w, MESSAGE(A, B));
	far_saw(&w->far[1], MESSAGE(A, B));
}

static void not_renewed(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, RESULT(A, B));
	prove(w, &w->far[0]);
	far_close(&w->far[0]);
	turns(w);
	far_saw(&w->legacy, "");
	legacy_send(w, MESSAGE(A, B));
	far_send(w, &w->far[1], REMOTE_HEADER("e") STREAM_ERROR("host-gone"));
	far_saw(&w->legacy, RESULT_ERROR(B, A, "cancel", "item-not-found"));
	/* What was sent before it knew of that is lost; other pairs are none the worse for it, and it may try anew. */
	legacy_send(w, MESSAGE(A, B) RESULT(A2, C));
	assert_int_equal(w->over, 0);
	far_saw(&w->far[2], SPOKE_HEADER(A2, C) RESULT(A2, C));
	legacy_send(w, RESULT(A, B) MESSAGE(A, B));
	far_saw(&w->far[3], SPOKE_HEADER(A, B) RESULT(A, B));
	far_send(w, &w->far[3], REMOTE_HEADER("f") RESULT_IS("invalid", B, A));
	far_saw(&w->legacy, RESULT_IS("invalid", B, A));
	legacy_send(w, MESSAGE(A, B) RESULT(A, B));
	far_send(w, &w->far[4], REMOTE_HEADER("g") RESULT_IS("valid", B, A));
	far_saw(&w->legacy, RESULT_IS("valid", B, A));
	legacy_send(w, MESSAGE(A, B));
	far_saw(&w->far[4], SPOKE_HEADER(A, B) RESULT(A, B) MESSAGE(A, B));
	assert_int_equal(w->over, 0);
}

/* Once proven, then called invalid: the same. */
static void not_valid_any_more(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, RESULT(A, B));
	prove(w, &w->far[0]);
	legacy_send(w, RESULT(A, B));
	far_send(w, &w->far[0], RESULT_IS("invalid", B, A));
	far_saw(&w->legacy, RESULT_IS("invalid", B, A));
	far_saw(&w->far[0], RESULT(A, B) CLOSE);
	legacy_send(w, MESSAGE(A, B));
	far_saw(&w->legacy, "");
	assert_int_equal(w->over, 0);
	assert_int_equal(w->fars, 1);
}

static void wrong_elements(void **state)
{
	static const struct {
		const char *text;
		enum reason reason;
		bool violation;
		const char *condition;
	} rows[] = {
	    {MESSAGE(A, B), REASON_FORGED_FROM, false, "invalid-from"},
	    {"<message to='y@" B "'/>", REASON_ADDRESSING, false, "improper-addressing"},
	    {"<presence from='x@" A "'/>", REASON_ADDRESSING, false, "improper-addressing"},
	    {"<db:result to='" B "'>k</db:result>", REASON_ADDRESSING, false, "improper-addressing"},
	    {"<db:result from='x@" A "' to='" B "'>k</db:result>", REASON_ADDRESSING, false, "improper-addressing"},
	    {"<db:verify from='" A "' to='" B "'>k</db:verify>", REASON_ADDRESSING, false, "improper-addressing"},
	    {"<message xmlns='jabber:client' from='" A "' to='" B "'/>", REASON_UNSUPPORTED_ELEMENT, false,
	     "unsupported-stanza-type"},
	    {"<result from='" A "' to='" B "'/>", REASON_UNSUPPORTED_ELEMENT, false, "unsupported-stanza-type"},
	    {"<!-- c -->", REASON_RESTRICTED_XML, true, "restricted-xml"},
	    {"<?pi?>", REASON_RESTRICTED_XML, true, "restricted-xml"},
	    {"<message></iq>", REASON_NOT_WELL_FORMED, true, "not-well-formed"},
	    {"<message a='\xff'/>", REASON_ENCODING, true, "unsupported-encoding"},
	    {"<stream:x/>", REASON_SMUGGLING, true, "bad-format"},
	    {"<stream:features/>", REASON_UNSUPPORTED_ELEMENT, false, "unsupported-stanza-type"},
	    {"text", REASON_STRAY_TEXT, true, "bad-format"},
	};
	struct hub_world *w = *state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char error[256];
		world_begin(w, NAMELESS, 262144);
		legacy_send(w, RESULT(A2, C));
		far_saw(&w->far[0], SPOKE_HEADER(A2, C) RESULT(A2, C));
		legacy_send(w, rows[i].text);
		snprintf(error, sizeof(error), STREAM_ERROR("%s"), rows[i].condition);
		far_saw(&w->legacy, error);
		assert_int_equal(w->reason, rows[i].reason);
		assert_int_equal(w->violation, rows[i].violation);
		assert_int_equal(w->over, 1);
		/* The other pair's stream ends in good order. */
		far_saw(&w->far[0], CLOSE);
		assert_true(w->far[0].eof && w->legacy.eof);
		assert_int_equal(w->fars, 1);
		far_close(&w->far[0]);
		turns(w);
		assert_int_equal(w->quiet, 1);
		world_stop(w);
	}
}

static void answers_of_its_own(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, RESULT_IS("valid", A, B));
	assert_int_equal(w->reason, REASON_UNSOLICITED_DIALBACK);
	assert_int_equal(w->fars, 0);
	turns(w);
	assert_int_equal(w->quiet, 1);
}

/* jabberd2 ends its connection so when it is told that a key is not valid. */
static void peer_error(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, RESULT(A, B));
	far_saw(&w->far[0], SPOKE_HEADER(A, B) RESULT(A, B));
	legacy_send(w, "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
		       "</stream:error>" CLOSE);
	assert_int_equal(w->reason, REASON_PEER_ERROR);
	far_saw(&w->legacy, CLOSE);
	far_saw(&w->far[0], CLOSE);
}

static void legacy_closes(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, RESULT(A, B) RESULT(A2, C));
	strbuf_clear(&w->far[0].seen);
	strbuf_clear(&w->far[1].seen);
	legacy_send(w, CLOSE);
	assert_int_equal(w->closing, 1);
	assert_true(hub_is_closing(w->hub));
	far_saw(&w->far[0], CLOSE);
	far_saw(&w->far[1], CLOSE);
	far_saw(&w->legacy, "");
	/* What was asked is still answered. */
	far_send(w, &w->far[0], REMOTE_HEADER("t") RESULT_IS("valid", B, A) CLOSE);
	far_close(&w->far[0]);
	turns(w);
	far_saw(&w->legacy, RESULT_IS("valid", B, A));
	assert_int_equal(w->over, 0);
	far_close(&w->far[1]);
	turns(w);
	far_saw(&w->legacy, RESULT_ERROR(C, A2, "wait", "remote-server-timeout") CLOSE);
	assert_int_equal(w->over, 1);
	assert_int_equal(w->reason, REASON_CLOSED);
	assert_int_equal(w->quiet, 1);
	assert_true(w->legacy.eof);
}

/* What was sent before the close tag leaves before it, also where the stream must be renewed first. */
static void closes_while_renewing(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, RESULT(A, B));
	prove(w, &w->far[0]);
	far_close(&w->far[0]);
	turns(w);
	legacy_send(w, MESSAGE(A, B) CLOSE);
	far_saw(&w->far[1], SPOKE_HEADER(A, B) RESULT(A, B));
	far_send(w, &w->far[1], REMOTE_HEADER("t") RESULT_IS("valid", B, A));
	far_saw(&w->far[1], MESSAGE(A, B) CLOSE);
	far_saw(&w->legacy, "");
	far_close(&w->far[1]);
	turns(w);
	far_saw(&w->legacy, CLOSE);
	assert_int_equal(w->reason, REASON_CLOSED);
}

static void closes_at_once(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, CLOSE);
	far_saw(&w->legacy, CLOSE);
	assert_int_equal(w->reason, REASON_CLOSED);
	world_stop(w);
	world_begin(w, "<stream:stream xmlns:stream='" NS_STREAM "' xmlns='jabber:server'/>", 262144);
	turns(w);
	far_saw(&w->legacy, CLOSE);
	assert_int_equal(w->reason, REASON_CLOSED);
}

/* A clean close is never invented for a server that vanished. */
static void legacy_vanishes(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, RESULT(A, B));
	far_saw(&w->far[0], SPOKE_HEADER(A, B) RESULT(A, B));
	far_close(&w->legacy);
	turns(w);
	far_saw(&w->far[0], "");
	assert_true(w->far[0].eof);
	assert_int_equal(w->quiet, 0);
	assert_true(hub_has_spokes(w->hub));
	far_close(&w->far[0]);
	turns(w);
	assert_int_equal(w->quiet, 1);
	assert_false(hub_has_spokes(w->hub));
}

static void ended_from_outside(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, RESULT(A, B));
	strbuf_clear(&w->far[0].seen);
	hub_refuse(w->hub, REASON_SHUTDOWN);
	hub_refuse(w->hub, REASON_SHUTDOWN);
	world_end(w, false);
	turns(w);
	far_saw(&w->legacy, STREAM_ERROR("system-shutdown"));
	far_saw(&w->far[0], CLOSE);
	assert_int_equal(w->over, 0);
}

static void freed_with_spokes(void **state)
{
	struct hub_world *w = *state;
	legacy_send(w, RESULT(A, B) RESULT(A2, C));
	far_send(w, &w->far[0], REMOTE_HEADER("t"));
	hub_free(&w->hub);
	w->ended = true;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define BARE(name) cmocka_unit_test_setup_teardown(name, setup_bare, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(two_pairs),
	    BARE(every_byte),
	    T(byte_by_byte),
	    BARE(prefixes),
	    T(foreign_prefix),
	    T(names_as_said),
	    T(refused),
	    T(not_valid),
	    T(unsolicited),
	    T(verify_only),
	    T(lost_verifies),
	    T(renewed),
	    T(not_renewed),
	    T(not_valid_any_more),
	    BARE(wrong_elements),
	    T(answers_of_its_own),
	    T(peer_error),
	    T(legacy_closes),
	    T(closes_at_once),
	    T(legacy_vanishes),
	    T(ended_from_outside),
	    T(freed_with_spokes),
	    T(closes_while_renewing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

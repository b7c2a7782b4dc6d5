/* SPDX-License-Identifier: MIT */
/* The negotiation engine's contract where the transcripts cannot see it: questions, actions, injection, timing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "xmpp/negotiate.h"
#include "xmpp/negotiate_private.h"

#define NS "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
#define OPEN "<stream:stream from='a@im.example.com' to='IM.example.com' version='1.0' " NS ">"
#define STARTTLS "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
#define PROCEED "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"

static struct negotiator *n;
static struct xmlstream *xs;
static char states[512];

static enum xmlstream_step on_open(void *ctx, const struct xml_node *root, const struct xml_decl *decls, size_t count)
{
	(void)ctx;
	negotiate_open(n, root, decls, count);
	return XMLSTREAM_STOP;
}

static enum xmlstream_step on_element(void *ctx, const struct xml_node *element)
{
	(void)ctx;
	negotiate_element(n, element);
	return XMLSTREAM_STOP;
}

static enum xmlstream_step on_close(void *ctx)
{
	(void)ctx;
	negotiate_close(n);
	return XMLSTREAM_STOP;
}

static const struct xmlstream_handlers handlers = {on_open, on_element, on_close};

static bool hosts(void *ctx, const char *domain)
{
	(void)ctx;
	return strcmp(domain, "im.example.com") == 0 || strcmp(domain, "b.example") == 0;
}

static void new_id(void *ctx, char out[NEG_ID_SIZE])
{
	(void)ctx;
	(void)snprintf(out, NEG_ID_SIZE, "id");
}

static void log_state(void *ctx, const char *from, const char *to)
{
	size_t len = strlen(states);

	(void)ctx;
	(void)snprintf(states + len, sizeof(states) - len, "%s>%s ", from, to);
}

static void new_parser(void)
{
	static const struct xmlstream_limits limits = {.element = 16384, .depth = 16, .attributes = 64};

	xmlstream_free(&xs);
	xs = xmlstream_new(&limits, &handlers, NULL);
}

static void feed(const char *text)
{
	size_t used, len = strlen(text);

	while (len > 0 && xmlstream_feed(xs, text, len, &used) == XMLSTREAM_STOPPED) {
		text += used;
		len -= used;
	}
}

static int begin_accept(bool direct)
{
	const struct neg_accept_params params = {.content_ns = XMPP_NS_CLIENT,
						 .direct_tls = direct,
						 .hosts = hosts,
						 .new_id = new_id,
						 .log_state = log_state};

	states[0] = '\0';
	n = negotiate_accept_new(&params);
	new_parser();
	return 0;
}

static int begin_connect(const char *header)
{
	const struct neg_connect_params params = {
	    .content_ns = XMPP_NS_CLIENT, .header = header, .header_len = strlen(header), .strip_compression = true};

	n = negotiate_connect_new(&params);
	new_parser();
	return 0;
}

static int end(void **state)
{
	(void)state;
	negotiate_free(&n);
	assert_null(n);
	negotiate_free(&n);
	xmlstream_free(&xs);
	return 0;
}

static struct neg_action next(enum neg_action_kind kind)
{
	struct neg_action a;

	assert_true(negotiate_next(n, &a));
	assert_int_equal(a.kind, kind);
	return a;
}

static void expect_nothing(void)
{
	struct neg_action a;

	assert_false(negotiate_next(n, &a));
}

static void to_handshake(void)
{
	begin_accept(false);
	feed(OPEN);
	next(NEG_SEND);
	feed(STARTTLS);
}

static void test_what_is_known_when(void **state)
{
	(void)state;
	begin_accept(false);
	assert_string_equal(negotiate_state(n), "wait-open");
	assert_string_equal(negotiate_domain(n), "");
	assert_null(negotiate_features(n));
	feed(OPEN);
	assert_string_equal(negotiate_domain(n), "im.example.com");
	assert_string_equal(negotiate_header(n)->from, "a@im.example.com");
	feed(STARTTLS);
	assert_true(negotiate_in_handshake(n));
	negotiate_secured(n, "im.example.com");
	assert_false(negotiate_in_handshake(n));
	assert_string_equal(negotiate_domain(n), "");
	assert_null(negotiate_header(n)->from);
	new_parser();
	feed("<stream:stream to='im.example.com' version='1.0' " NS ">");
	assert_true(negotiate_is_ready(n));
	assert_string_equal(negotiate_domain(n), "im.example.com");
	assert_null(negotiate_header(n)->from);
	assert_string_equal(states, "wait-open>wait-starttls wait-starttls>handshake handshake>wait-open-tls "
				    "wait-open-tls>ready ");
}

static void test_order_of_actions(void **state)
{
	(void)state;
	to_handshake();
	struct neg_action proceed = next(NEG_SEND);

	assert_int_equal(proceed.len, strlen(PROCEED));
	assert_memory_equal(proceed.data, PROCEED, proceed.len);
	next(NEG_START_TLS);
	expect_nothing();
	negotiate_secured(n, "im.example.com");
	next(NEG_RESET_XML);
	expect_nothing();
}

/* CVE-2011-0411: the caller finds bytes behind starttls before it has run the actions. */
static void test_injection_takes_proceed_back(void **state)
{
	(void)state;
	to_handshake();
	negotiate_injected(n);
	assert_int_equal(next(NEG_NOTE).note, NEG_NOTE_STARTTLS_INJECTION);
	assert_int_equal(next(NEG_FAIL).reason, REASON_STARTTLS_INJECTION);
	expect_nothing();
	assert_true(negotiate_is_failed(n));
}

static void test_injection_keeps_what_was_before(void **state)
{
	(void)state;
	begin_accept(false);
	feed(OPEN STARTTLS);
	negotiate_injected(n);
	next(NEG_SEND);
	next(NEG_NOTE);
	next(NEG_FAIL);
	expect_nothing();
}

static void test_injection_after_proceed_left(void **state)
{
	(void)state;
	to_handshake();
	next(NEG_SEND);
	next(NEG_START_TLS);
	negotiate_injected(n);
	next(NEG_NOTE);
	next(NEG_FAIL);
	expect_nothing();
}

/* Default deny: XML while the handshake runs, TLS where none was asked for. */
static void test_events_out_of_place(void **state)
{
	(void)state;
	to_handshake();
	next(NEG_SEND);
	next(NEG_START_TLS);
	feed("<iq/>");
	assert_int_equal(next(NEG_FAIL).reason, REASON_INTERNAL);
	expect_nothing();
	end(NULL);
	begin_accept(false);
	negotiate_secured(n, "im.example.com");
	next(NEG_SEND);
	assert_int_equal(next(NEG_FAIL).reason, REASON_INTERNAL);
}

static void test_elements_when_ready(void **state)
{
	(void)state;
	begin_accept(true);
	negotiate_secured(n, "im.example.com");
	feed(OPEN "<iq/>");
	next(NEG_RESET_XML);
	next(NEG_READY);
	next(NEG_SEND);
	assert_int_equal(next(NEG_FAIL).reason, REASON_INTERNAL);
}

static void test_refuse_once(void **state)
{
	(void)state;
	begin_accept(true);
	negotiate_refuse(n, REASON_SHUTDOWN, XMPP_ERROR_NONE);
	negotiate_refuse(n, REASON_SHUTDOWN, XMPP_ERROR_NONE);
	assert_int_equal(next(NEG_FAIL).reason, REASON_SHUTDOWN);
	expect_nothing();
}

static void test_certificate_domain_must_be_one(void **state)
{
	(void)state;
	begin_accept(true);
	negotiate_secured(n, "a@b");
	assert_int_equal(next(NEG_FAIL).reason, REASON_INTERNAL);
}

static void test_connect_questions(void **state)
{
	(void)state;
	begin_connect(OPEN);
	struct neg_action a = next(NEG_SEND);

	assert_int_equal(a.len, strlen(OPEN));
	assert_memory_equal(a.data, OPEN, a.len);
	assert_null(negotiate_features(n));
	feed("<stream:stream id='x' version='1.0' " NS ">"
	     "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>");
	next(NEG_SEND);
	assert_int_equal(next(NEG_FAIL).reason, REASON_BACKEND_MISCONFIGURED);
	assert_true(negotiate_features(n)->starttls);
	assert_string_equal(negotiate_header(n)->id, "x");
}

/* NEG-40: what the initiating entity will be offered stands for what an older server does not say. */
static void test_connect_pre10(void **state)
{
	(void)state;
	begin_connect(OPEN);
	next(NEG_SEND);
	feed("<stream:stream id='3EE948B0' " NS ">");
	next(NEG_READY);
	assert_true(negotiate_is_ready(n));
	assert_true(negotiate_features(n)->iq_auth);
	assert_false(negotiate_features(n)->mechanisms);
	assert_string_equal(negotiate_header(n)->id, "3EE948B0");
}

static void test_connect_peer_error(void **state)
{
	(void)state;
	begin_connect(OPEN);
	assert_int_equal(negotiate_peer_error(n), XMPP_ERROR_NONE);
	feed("<stream:stream version='1.0' " NS "><stream:error><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
	     "<host-gone xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>");
	assert_int_equal(negotiate_peer_error(n), XMPP_ERROR_HOST_GONE);
	end(NULL);
	begin_connect(OPEN);
	feed("<stream:stream version='1.0' " NS "><stream:error/>");
	assert_int_equal(negotiate_peer_error(n), XMPP_ERROR_UNDEFINED_CONDITION);
}

static int begin_starttls(void)
{
	const struct neg_connect_params params = {.content_ns = XMPP_NS_CLIENT,
						  .tls = NEG_TLS_STARTTLS,
						  .header = OPEN,
						  .header_len = strlen(OPEN),
						  .log_state = log_state};

	states[0] = '\0';
	n = negotiate_connect_new(&params);
	new_parser();
	next(NEG_SEND);
	return 0;
}

#define BACKEND_OPEN "<stream:stream id='x' version='1.0' " NS ">"

/* What the backend said in plaintext is not there any more once TLS is up; the header goes out a second time. */
static void test_connect_starttls_questions(void **state)
{
	(void)state;
	begin_starttls();
	feed(BACKEND_OPEN);
	assert_false(negotiate_awaits_tls(n));
	feed("<stream:features>" STARTTLS "</stream:features>");
	assert_null(negotiate_features(n));
	assert_true(negotiate_starttls(n)->advertised);
	assert_true(negotiate_awaits_tls(n));
	assert_false(negotiate_in_handshake(n));
	assert_memory_equal(next(NEG_SEND).data, STARTTLS, strlen(STARTTLS));
	feed("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
	next(NEG_START_TLS);
	assert_true(negotiate_awaits_tls(n) && negotiate_in_handshake(n));
	negotiate_secured(n, NULL);
	assert_false(negotiate_awaits_tls(n) || negotiate_in_handshake(n));
	assert_null(negotiate_header(n)->id);
	next(NEG_RESET_XML);
	struct neg_action a = next(NEG_SEND);

	assert_int_equal(a.len, strlen(OPEN));
	assert_memory_equal(a.data, OPEN, a.len);
	assert_string_equal(states, "wait-open-plain>wait-features-plain wait-features-plain>wait-proceed "
				    "wait-proceed>handshake handshake>wait-open ");
}

static void test_connect_starttls_not_offered(void **state)
{
	(void)state;
	begin_starttls();
	feed(BACKEND_OPEN "<stream:features/>");
	assert_false(negotiate_starttls(n)->advertised);
	assert_true(negotiate_awaits_tls(n));
}

/* An end of the connection is an answer to <starttls/>, and to nothing else. */
static void test_connect_connection_ends(void **state)
{
	(void)state;
	begin_starttls();
	feed(BACKEND_OPEN "<stream:features/>");
	assert_int_equal(negotiate_starttls(n)->answer, NEG_ANSWER_NONE);
	negotiate_close(n);
	assert_int_equal(negotiate_starttls(n)->answer, NEG_ANSWER_CLOSED);
	assert_true(negotiate_is_failed(n));
	end(NULL);
	begin_starttls();
	feed(BACKEND_OPEN);
	negotiate_close(n);
	assert_false(negotiate_starttls(n)->sent);
	assert_int_equal(negotiate_starttls(n)->answer, NEG_ANSWER_NONE);
}

/* Direct TLS: not a byte before the handshake, and its end is no answer to <starttls/>. */
static void test_connect_direct_tls(void **state)
{
	const struct neg_connect_params params = {
	    .content_ns = XMPP_NS_CLIENT, .direct_tls = true, .header = OPEN, .header_len = strlen(OPEN)};

	(void)state;
	n = negotiate_connect_new(&params);
	expect_nothing();
	assert_true(negotiate_in_handshake(n));
	assert_false(negotiate_awaits_tls(n));
	negotiate_injected(n);
	assert_int_equal(next(NEG_FAIL).reason, REASON_INTERNAL);
	expect_nothing();
	end(NULL);
	n = negotiate_connect_new(&params);
	negotiate_secured(n, NULL);
	assert_false(negotiate_in_handshake(n));
	struct neg_action a = next(NEG_SEND);

	assert_int_equal(a.len, strlen(OPEN));
	assert_memory_equal(a.data, OPEN, a.len);
	expect_nothing();
}

/* STRIP-9: a mechanism is not found within another one's name. */
static void test_connect_mechanisms_are_words(void **state)
{
	(void)state;
	begin_starttls();
	feed(BACKEND_OPEN "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
			  "<mechanism>A-1</mechanism></mechanisms></stream:features>"
			  "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
	negotiate_secured(n, NULL);
	new_parser();
	feed(BACKEND_OPEN
	     "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
	     "<mechanism>A-1-PLUS</mechanism><mechanism>SCRAM-A-1</mechanism></mechanisms></stream:features>");
	assert_true(negotiate_is_ready(n));
	assert_true(negotiate_starttls(n)->differs);
}

/* Without an end of the handshake there is no way to READY, whatever is said. */
static void test_connect_no_way_round_tls(void **state)
{
	static const char features[] = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
				       "<mechanism>PLAIN</mechanism></mechanisms></stream:features>";

	(void)state;
	begin_starttls();
	feed(BACKEND_OPEN);
	feed(features);
	next(NEG_SEND);
	feed(features);
	next(NEG_SEND);
	assert_int_equal(next(NEG_FAIL).reason, REASON_BACKEND_TLS);
	end(NULL);
	begin_starttls();
	negotiate_secured(n, NULL);
	assert_true(negotiate_is_failed(n));
}

/* Bytes that stood behind <proceed/> when TLS was about to start, and already had. */
static void test_connect_injection(void **state)
{
	(void)state;
	for (int taken = 0; taken < 2; taken++) {
		begin_starttls();
		feed(BACKEND_OPEN "<stream:features/>");
		next(NEG_SEND);
		feed("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
		if (taken)
			next(NEG_START_TLS);
		negotiate_injected(n);
		assert_int_equal(next(NEG_NOTE).note, NEG_NOTE_STARTTLS_INJECTION);
		assert_int_equal(next(NEG_FAIL).reason, REASON_BACKEND_INJECTION);
		expect_nothing();
		end(NULL);
	}
}

/* A header that our parser cannot read must still not crash the table. */
static void test_connect_odd_header(void **state)
{
	(void)state;
	begin_connect("");
	expect_nothing();
	end(NULL);
	begin_connect("<a");
	next(NEG_SEND);
	negotiate_refuse(n, REASON_SHUTDOWN, XMPP_ERROR_NONE);
	next(NEG_SEND);
	next(NEG_FAIL);
}

/* The longest way through the accept table fits the list of actions without taking any. */
static void test_actions_fit(void **state)
{
	(void)state;
	begin_accept(false);
	feed(OPEN STARTTLS);
	negotiate_secured(n, "im.example.com");
	new_parser();
	feed(OPEN);
	negotiate_refuse(n, REASON_BACKEND_DOWN, XMPP_ERROR_NONE);
	assert_true(n->action_count <= NEG_ACTIONS_MAX / 2);
	assert_true(negotiate_is_failed(n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_what_is_known_when, end),
	    cmocka_unit_test_teardown(test_order_of_actions, end),
	    cmocka_unit_test_teardown(test_injection_takes_proceed_back, end),
	    cmocka_unit_test_teardown(test_injection_keeps_what_was_before, end),
	    cmocka_unit_test_teardown(test_injection_after_proceed_left, end),
	    cmocka_unit_test_teardown(test_events_out_of_place, end),
	    cmocka_unit_test_teardown(test_elements_when_ready, end),
	    cmocka_unit_test_teardown(test_refuse_once, end),
	    cmocka_unit_test_teardown(test_certificate_domain_must_be_one, end),
	    cmocka_unit_test_teardown(test_connect_questions, end),
	    cmocka_unit_test_teardown(test_connect_pre10, end),
	    cmocka_unit_test_teardown(test_connect_peer_error, end),
	    cmocka_unit_test_teardown(test_connect_starttls_questions, end),
	    cmocka_unit_test_teardown(test_connect_starttls_not_offered, end),
	    cmocka_unit_test_teardown(test_connect_connection_ends, end),
	    cmocka_unit_test_teardown(test_connect_direct_tls, end),
	    cmocka_unit_test_teardown(test_connect_mechanisms_are_words, end),
	    cmocka_unit_test_teardown(test_connect_no_way_round_tls, end),
	    cmocka_unit_test_teardown(test_connect_injection, end),
	    cmocka_unit_test_teardown(test_connect_odd_header, end),
	    cmocka_unit_test_teardown(test_actions_fit, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

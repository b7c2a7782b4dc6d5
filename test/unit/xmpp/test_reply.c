/* SPDX-License-Identifier: MIT */
/* reply: golden bytes of everything we send of our own (XML-14, NEG-4, NEG-19). */
#include "xmpp/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "xmpp/names.h"

#define STREAMS "http://etherx.jabber.org/streams"
#define ERROR_NS "xmlns='urn:ietf:params:xml:ns:xmpp-streams'"

static void check(struct strbuf *out, const char *expected)
{
	assert_string_equal(strbuf_text(out), expected);
	assert_int_equal(out->len, strlen(expected));
	assert_false(out->overflow);
	strbuf_clear(out);
}

static void test_negotiation(void **state)
{
	struct strbuf out;

	(void)state;
	strbuf_init(&out, 4096);
	reply_features_starttls(&out);
	check(&out, "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
		    "</stream:features>");
	reply_starttls(&out);
	check(&out, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
	reply_proceed(&out);
	check(&out, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
	reply_starttls_failure(&out);
	check(&out, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
	reply_compress_failure(&out);
	check(&out, "<failure xmlns='http://jabber.org/protocol/compress'><setup-failed/></failure>");
	strbuf_fini(&out);
}

static void test_sasl_failure(void **state)
{
	struct strbuf out;

	(void)state;
	strbuf_init(&out, 4096);
	reply_sasl_failure(&out, false, "encryption-required");
	check(&out, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><encryption-required/></failure>");
	reply_sasl_failure(&out, true, "encryption-required");
	check(&out, "<failure xmlns='urn:xmpp:sasl:2'><encryption-required "
		    "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></failure>");
	strbuf_fini(&out);
}

static void test_stream_error(void **state)
{
	struct strbuf out;

	(void)state;
	strbuf_init(&out, 4096);
	reply_stream_error(&out, REASON_HOST_UNKNOWN, "stream");
	check(&out, "<stream:error><host-unknown " ERROR_NS "/></stream:error></stream:stream>");
	reply_stream_error(&out, REASON_PLAINTEXT_AUTH, "stream");
	check(&out, "<stream:error><policy-violation " ERROR_NS "/><text " ERROR_NS
		    " xml:lang='en'>Use of STARTTLS required</text></stream:error></stream:stream>");
	reply_stream_error(&out, REASON_TOO_BIG, "stream");
	check(&out, "<stream:error><policy-violation " ERROR_NS "/><text " ERROR_NS
		    " xml:lang='en'>The element is too big</text><stanza-too-big xmlns='urn:xmpp:errors'/>"
		    "</stream:error></stream:stream>");
	reply_stream_error(&out, REASON_BACKEND_DOWN, "x");
	check(&out, "<x:error><internal-server-error " ERROR_NS "/></x:error></x:stream>");
	reply_stream_error(&out, REASON_SHUTDOWN, "");
	check(&out, "<error xmlns='" STREAMS "'><system-shutdown " ERROR_NS "/></error></stream>");
	strbuf_fini(&out);
}

/* Rows that end without XML must not even close the stream (rows 1, 4, 15, 16, 17 and 48). */
static void test_silent_reasons(void **state)
{
	static const enum reason silent[] = {REASON_CONNECTION_LIMIT, REASON_SNI_UNKNOWN,   REASON_STARTTLS_INJECTION,
					     REASON_TLS_FAILED,       REASON_RENEGOTIATION, REASON_PEER_GONE};
	struct strbuf out;

	(void)state;
	strbuf_init(&out, 4096);
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		reply_stream_error(&out, silent[i], "stream");
		check(&out, "");
	}
	reply_stream_error_as(&out, XMPP_ERROR_NONE, "text", "stream");
	check(&out, "");
	strbuf_fini(&out);
}

static void test_stream_error_as(void **state)
{
	struct strbuf out;

	(void)state;
	strbuf_init(&out, 4096);
	reply_stream_error_as(&out, XMPP_ERROR_HOST_GONE, NULL, "stream");
	check(&out, "<stream:error><host-gone " ERROR_NS "/></stream:error></stream:stream>");
	reply_stream_error_as(&out, XMPP_ERROR_RESET, "a<b>&'\"", "");
	check(&out, "<error xmlns='" STREAMS "'><reset " ERROR_NS "/><text " ERROR_NS
		    " xml:lang='en'>a&lt;b&gt;&amp;&apos;&quot;</text></error></stream>");
	reply_close(&out, "stream");
	check(&out, "</stream:stream>");
	reply_close(&out, "");
	check(&out, "</stream>");
	strbuf_fini(&out);
}

static void test_what_a_backend_left_out(void **state)
{
	struct stream_limits limits = {.max_bytes = UINT64_MAX};
	struct strbuf out;

	(void)state;
	strbuf_init(&out, 4096);
	reply_features_pre10(&out, "stream", false, false);
	check(&out, "<stream:features><auth xmlns='http://jabber.org/features/iq-auth'/></stream:features>");
	reply_features_pre10(&out, "", false, false);
	check(&out, "<features xmlns='" STREAMS "'><auth xmlns='http://jabber.org/features/iq-auth'/></features>");
	reply_features_pre10(&out, "s", true, true);
	check(&out, "<s:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><dialback "
		    "xmlns='urn:xmpp:features:dialback'/></s:features>");
	reply_limits(&out, &limits);
	check(&out, "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>18446744073709551615</max-bytes></limits>");
	limits = (struct stream_limits){.max_bytes = 1, .idle_seconds = 2};
	reply_limits(&out, &limits);
	check(
	    &out,
	    "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>1</max-bytes><idle-seconds>2</idle-seconds></limits>");
	limits.max_bytes = 0;
	reply_limits(&out, &limits);
	check(&out, "<limits xmlns='urn:xmpp:stream-limits:0'><idle-seconds>2</idle-seconds></limits>");
	strbuf_fini(&out);
}

static void test_dialback_error(void **state)
{
	const struct dialback_error result = {
	    .name = "result", .from = "a<'", .to = "b.example", .type = "cancel", .condition = "item-not-found"};
	const struct dialback_error verify = {.name = "verify",
					      .from = "a.example",
					      .to = "b.example",
					      .id = "\"&",
					      .type = "wait",
					      .condition = "resource-constraint"};
	struct strbuf out;

	(void)state;
	strbuf_init(&out, 4096);
	reply_dialback_error(&out, &result);
	check(&out, "<db:result xmlns:db='jabber:server:dialback' from='b.example' to='a&lt;&apos;' "
		    "type='error'><error type='cancel'><item-not-found "
		    "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>");
	reply_dialback_error(&out, &verify);
	check(&out, "<db:verify xmlns:db='jabber:server:dialback' from='b.example' to='a.example' id='&quot;&amp;' "
		    "type='error'><error type='wait'><resource-constraint "
		    "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:verify>");
	strbuf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_negotiation),     cmocka_unit_test(test_sasl_failure),
	    cmocka_unit_test(test_stream_error),    cmocka_unit_test(test_silent_reasons),
	    cmocka_unit_test(test_stream_error_as), cmocka_unit_test(test_what_a_backend_left_out),
	    cmocka_unit_test(test_dialback_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Which plaintext elements hand a password to whoever listens. */
#include "xmpp/credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "xmpp/names.h"

#define HEADER "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

static enum xmlstream_step on_open(void *ctx, const struct xml_node *root, const struct xml_decl *decls, size_t count)
{
	(void)ctx, (void)root, (void)decls, (void)count;
	return XMLSTREAM_GO_ON;
}

static enum xmlstream_step on_element(void *ctx, const struct xml_node *element)
{
	*(int *)ctx = credentials_in(element);
	return XMLSTREAM_GO_ON;
}

static enum xmlstream_step on_close(void *ctx)
{
	(void)ctx;
	return XMLSTREAM_STOP;
}

static int exposed(const char *element)
{
	static const struct xmlstream_handlers handlers = {on_open, on_element, on_close};
	const struct xmlstream_limits limits = {16384, 64, 64};
	int answer = -1;
	size_t used;
	struct xmlstream *xs = xmlstream_new(&limits, &handlers, &answer);
	assert_int_equal(xmlstream_feed(xs, HEADER, strlen(HEADER), &used), XMLSTREAM_MORE);
	assert_int_equal(xmlstream_feed(xs, element, strlen(element), &used), XMLSTREAM_MORE);
	xmlstream_free(&xs);
	return answer;
}

static void test_table(void **state)
{
	(void)state;
	static const struct {
		const char *element;
		int exposed;
	} rows[] = {
	    {"<auth xmlns='" XMPP_NS_SASL "' mechanism='PLAIN'>AGEAYg==</auth>", 1},
	    {"<x:auth xmlns:x='" XMPP_NS_SASL "' mechanism='PLAIN'>AGEAYg==</x:auth>", 1},
	    {"<auth xmlns='" XMPP_NS_SASL "' mechanism='PLAIN'/>", 0},
	    {"<auth xmlns='" XMPP_NS_SASL "' mechanism='PLAIN'>=</auth>", 0},
	    {"<auth xmlns='" XMPP_NS_SASL "' mechanism='SCRAM-SHA-1'>biwsbj1h</auth>", 0},
	    {"<auth xmlns='" XMPP_NS_SASL "'>AGEAYg==</auth>", 0},
	    {"<auth xmlns='urn:x' mechanism='PLAIN'>AGEAYg==</auth>", 0},
	    {"<authenticate xmlns='" XMPP_NS_SASL2 "' mechanism='PLAIN'><initial-response>AGEAYg==</initial-response>"
	     "</authenticate>",
	     1},
	    {"<authenticate xmlns='" XMPP_NS_SASL2 "' mechanism='PLAIN'/>", 0},
	    {"<iq type='set'><query xmlns='jabber:iq:auth'><username>a</username><password>b</password></query></iq>",
	     1},
	    {"<iq type='set'><query xmlns='jabber:iq:auth'><username>a</username><digest>b</digest></query></iq>", 0},
	    {"<iq type='set'><query xmlns='jabber:iq:register'><password>b</password></query></iq>", 1},
	    {"<iq type='get'><query xmlns='jabber:iq:auth'><username>a</username></query></iq>", 0},
	    {"<message><body><password>b</password></body></message>", 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (exposed(rows[i].element) != rows[i].exposed)
			print_error("row %zu: %s\n", i, rows[i].element);
		assert_int_equal(exposed(rows[i].element), rows[i].exposed);
	}
}

static void test_mechanisms(void **state)
{
	(void)state;
	assert_true(credentials_plain_mechanism("PLAIN"));
	assert_true(credentials_plain_mechanism("OAUTHBEARER"));
	assert_false(credentials_plain_mechanism("SCRAM-SHA-256"));
	assert_false(credentials_plain_mechanism(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_mechanisms)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* features: what is offered, and the exact bytes that are cut (NEG-12, NEG-13, NEG-24, SASL-3). */
#include "xmpp/features.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "xmpp/names.h"

#define HEADER "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client'>"
#define STARTTLS "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
#define STARTTLS_REQUIRED "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
#define COMPRESSION "<compression xmlns='http://jabber.org/features/compress'><method>zlib</method></compression>"
#define MECHANISMS                                                                    \
	"<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1" \
	"</mechanism><mechanism>PLAIN</mechanism></mechanisms>"
#define LIMITS "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>10000</max-bytes></limits>"
#define BIND "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"

struct reader {
	struct features f;
	bool strip;
	uint64_t start, end;
};

static enum xmlstream_step go_open(void *ctx, const struct xml_node *root, const struct xml_decl *decls, size_t count)
{
	(void)ctx;
	(void)root;
	(void)decls;
	(void)count;
	return XMLSTREAM_GO_ON;
}

static enum xmlstream_step take_features(void *ctx, const struct xml_node *element)
{
	struct reader *r = ctx;

	features_read(&r->f, element, r->strip);
	r->start = element->start;
	r->end = element->end;
	return XMLSTREAM_GO_ON;
}

static enum xmlstream_step go_close(void *ctx)
{
	(void)ctx;
	return XMLSTREAM_GO_ON;
}

/* Reads HEADER and the element; answers the element as it would be relayed. The caller frees. */
static char *relay(struct reader *r, const char *element, bool strip, size_t piece)
{
	static const struct xmlstream_handlers handlers = {go_open, take_features, go_close};
	const struct xmlstream_limits limits = {.element = 65536, .depth = 64, .attributes = 64};
	struct xmlstream *xs = xmlstream_new(&limits, &handlers, r);
	char *data = mem_printf("%s%s", HEADER, element), *text;
	size_t len = strlen(data), used;
	struct strbuf out;
	uint64_t at;

	memset(r, 0, sizeof(*r));
	r->strip = strip;
	for (size_t i = 0; i < len; i += piece)
		assert_int_equal(xmlstream_feed(xs, data + i, piece < len - i ? piece : len - i, &used),
				 XMLSTREAM_MORE);
	strbuf_init(&out, 65536);
	at = r->start;
	for (size_t i = 0; i < r->f.cut_count; i++) {
		assert_true(r->f.cut[i].start >= at && r->f.cut[i].end > r->f.cut[i].start);
		strbuf_add(&out, data + at, (size_t)(r->f.cut[i].start - at));
		at = r->f.cut[i].end;
	}
	assert_true(at < r->end);
	strbuf_add(&out, data + at, (size_t)(r->end - at));
	text = mem_strdup(strbuf_text(&out));
	strbuf_fini(&out);
	mem_free(data);
	xmlstream_free(&xs);
	return text;
}

struct cut {
	const char *element, *stripped, *kept; /* with compression stripped, and kept */
};

static const struct cut cuts[] = {
    {"<s:features>" STARTTLS COMPRESSION MECHANISMS "</s:features>", "<s:features>" MECHANISMS "</s:features>",
     "<s:features>" COMPRESSION MECHANISMS "</s:features>"},
    {"<s:features>" MECHANISMS STARTTLS_REQUIRED BIND COMPRESSION "</s:features>",
     "<s:features>" MECHANISMS BIND "</s:features>", "<s:features>" MECHANISMS BIND COMPRESSION "</s:features>"},
    {"<s:features xmlns:s='http://etherx.jabber.org/streams'\nxmlns='jabber:client'> \n" STARTTLS "\t" MECHANISMS
     " </s:features >",
     "<s:features xmlns:s='http://etherx.jabber.org/streams'\nxmlns='jabber:client'> \n\t" MECHANISMS " </s:features >",
     "<s:features xmlns:s='http://etherx.jabber.org/streams'\nxmlns='jabber:client'> \n\t" MECHANISMS
     " </s:features >"},
    {"<features xmlns='http://etherx.jabber.org/streams'><t:starttls xmlns:t='urn:ietf:params:xml:ns:xmpp-tls' "
     "><t:required>"
     "</t:required></t:starttls\n>text" BIND "</features>",
     "<features xmlns='http://etherx.jabber.org/streams'>text" BIND "</features>",
     "<features xmlns='http://etherx.jabber.org/streams'>text" BIND "</features>"},
    {"<s:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tl&#115;'/>" BIND STARTTLS "</s:features>",
     "<s:features>" BIND "</s:features>", "<s:features>" BIND "</s:features>"},
    /* Only look-alikes: nothing is cut. */
    {"<s:features><starttls/><x>" STARTTLS "</x><compression xmlns='urn:x'/></s:features>",
     "<s:features><starttls/><x>" STARTTLS "</x><compression xmlns='urn:x'/></s:features>",
     "<s:features><starttls/><x>" STARTTLS "</x><compression xmlns='urn:x'/></s:features>"},
    {"<s:features/>", "<s:features/>", "<s:features/>"},
};

static void test_cuts_are_exact(void **state)
{
	struct reader r;
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		for (size_t piece = 1; piece < strlen(HEADER) + strlen(cuts[i].element) + 1; piece += 7) {
			text = relay(&r, cuts[i].element, true, piece);
			assert_string_equal(text, cuts[i].stripped);
			mem_free(text);
			text = relay(&r, cuts[i].element, false, piece);
			assert_string_equal(text, cuts[i].kept);
			mem_free(text);
		}
	}
}

static struct features read_features(const char *element)
{
	struct reader r;

	mem_free(relay(&r, element, true, 4096));
	return r.f;
}

static void test_what_is_offered(void **state)
{
	struct features f;

	(void)state;
	f = read_features("<s:features>" STARTTLS COMPRESSION MECHANISMS
			  "<auth xmlns='http://jabber.org/features/iq-auth'/>" BIND
			  "<dialback xmlns='urn:xmpp:features:dialback'/></s:features>");
	assert_true(f.starttls && f.compression && f.mechanisms && f.iq_auth && f.bind && f.dialback);
	assert_false(f.starttls_required || f.sasl2 || f.channel_binding || f.too_many_cuts);
	assert_int_equal(f.children, 6);
	assert_int_equal(f.cut_count, 2);
	f = read_features("<s:features>" STARTTLS_REQUIRED "</s:features>");
	assert_true(f.starttls && f.starttls_required);
	assert_false(f.mechanisms || f.compression || f.iq_auth || f.bind || f.dialback);
	f = read_features("<s:features><authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism>"
			  "</authentication></s:features>");
	assert_true(f.sasl2 && f.mechanisms);
	assert_false(f.channel_binding);
	f = read_features("<s:features/>");
	assert_int_equal(f.children, 0);
}

static void test_empty_mechanisms_offer_nothing(void **state)
{
	(void)state;
	assert_false(read_features("<s:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></s:features>")
			 .mechanisms);
	assert_false(
	    read_features("<s:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism xmlns='x'>"
			  "PLAIN</mechanism></mechanisms></s:features>")
		.mechanisms);
}

static bool binds(const char *mechanism)
{
	char *element = mem_printf("<s:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN"
				   "</mechanism><mechanism>%s</mechanism></mechanisms></s:features>",
				   mechanism);
	bool yes = read_features(element).channel_binding;

	mem_free(element);
	return yes;
}

static void test_channel_binding(void **state)
{
	(void)state;
	assert_true(binds("SCRAM-SHA-256-PLUS"));
	assert_true(binds("SCRAM-SHA-1-PLUS\n "));
	assert_false(binds("SCRAM-SHA-1"));
	assert_false(binds("-PLUS"));
	assert_false(binds("X-PLUSX"));
	assert_false(binds(""));
	assert_true(read_features("<s:features><sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding "
				  "type='tls-exporter'/></sasl-channel-binding></s:features>")
			.channel_binding);
	assert_true(
	    read_features("<s:features><authentication xmlns='urn:xmpp:sasl:2'><inline><x/><sasl-channel-binding "
			  "xmlns='urn:xmpp:sasl-cb:0'/></inline></authentication></s:features>")
		.channel_binding);
	assert_false(read_features("<s:features><x><sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'/></x></s:features>")
			 .channel_binding);
	assert_true(read_features("<s:features><authentication xmlns='urn:xmpp:sasl:2'><mechanism>X-PLUS</mechanism>"
				  "</authentication></s:features>")
			.channel_binding);
}

static void test_emptied(void **state)
{
	struct features f;

	(void)state;
	f = read_features("<s:features>" STARTTLS_REQUIRED "</s:features>");
	assert_true(features_emptied(&f));
	f = read_features("<s:features>" STARTTLS " " COMPRESSION "</s:features>");
	assert_true(features_emptied(&f));
	f = read_features("<s:features>" STARTTLS_REQUIRED LIMITS "</s:features>");
	assert_true(features_emptied(&f));
	f = read_features("<s:features>" LIMITS "</s:features>");
	assert_false(features_emptied(&f));
	f = read_features("<s:features>" STARTTLS MECHANISMS "</s:features>");
	assert_false(features_emptied(&f));
	f = read_features("<s:features/>");
	assert_false(features_emptied(&f));
}

static void test_too_many_cuts(void **state)
{
	struct strbuf element;
	struct features f;

	(void)state;
	strbuf_init(&element, 65536);
	strbuf_puts(&element, "<s:features>");
	for (int i = 0; i < FEATURES_CUTS_MAX; i++)
		strbuf_puts(&element, STARTTLS);
	strbuf_puts(&element, "</s:features>");
	f = read_features(strbuf_text(&element));
	assert_int_equal(f.cut_count, FEATURES_CUTS_MAX);
	assert_false(f.too_many_cuts);
	strbuf_clear(&element);
	strbuf_puts(&element, "<s:features>");
	for (int i = 0; i <= FEATURES_CUTS_MAX; i++)
		strbuf_puts(&element, STARTTLS);
	strbuf_puts(&element, "</s:features>");
	f = read_features(strbuf_text(&element));
	assert_int_equal(f.cut_count, FEATURES_CUTS_MAX);
	assert_true(f.too_many_cuts);
	strbuf_fini(&element);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cuts_are_exact),
	    cmocka_unit_test(test_what_is_offered),
	    cmocka_unit_test(test_empty_mechanisms_offer_nothing),
	    cmocka_unit_test(test_channel_binding),
	    cmocka_unit_test(test_emptied),
	    cmocka_unit_test(test_too_many_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

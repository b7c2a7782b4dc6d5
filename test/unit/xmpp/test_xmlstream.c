/* SPDX-License-Identifier: MIT */
/*
 * xmlstream: events, exact offsets, stopping and going on. Every document is fed whole, cut in two at every byte, byte
 * by byte, and each of these with and without STOP at every event: what is said must be the same (XML-5).
 */
#include "xmpp/xmlstream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/array.h"
#include "xml_record.h"
#include "xmpp/names.h"
#include "xmpp/xmlstream_private.h"

#define STREAMS "http://etherx.jabber.org/streams"
#define TLS "urn:ietf:params:xml:ns:xmpp-tls"
#define SASL "urn:ietf:params:xml:ns:xmpp-sasl"
#define HEADER "<stream:stream xmlns='jabber:client' xmlns:stream='" STREAMS "'>"
#define PROLOG_HEADER                                                            \
	"<?xml version='1.0'?><stream:stream to='im.example.com' version='1.0' " \
	"xml:lang='en' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

static const struct xmlstream_limits wide = {.element = 16384, .depth = 64, .attributes = 64};

static char *run_once(const char *data, size_t len, enum xmlstream_detail detail, enum xmlstream_step step,
		      size_t first, size_t rest, bool rests)
{
	struct record r;
	char *log;

	record_init(&r, &wide, detail, step);
	r.rests = rests;
	record_run(&r, data, len, first, rest);
	assert_false(r.bad_range);
	log = mem_strdup(strbuf_text(&r.log));
	record_fini(&r);
	return log;
}

/* With and without resting wherever that is possible. */
static char *run(const char *data, size_t len, enum xmlstream_detail detail, enum xmlstream_step step, size_t first,
		 size_t rest)
{
	char *awake = run_once(data, len, detail, step, first, rest, false);
	char *rested = run_once(data, len, detail, step, first, rest, true);

	assert_string_equal(rested, awake);
	mem_free(rested);
	return awake;
}

static void check_run(const char *data, const char *expected, enum xmlstream_step step, size_t first, size_t rest)
{
	char *log = run(data, strlen(data), XMLSTREAM_TREE, step, first, rest);

	assert_string_equal(log, expected);
	mem_free(log);
}

static void check_every_split(const char *data, const char *expected)
{
	size_t len = strlen(data);

	check_run(data, expected, XMLSTREAM_GO_ON, len, 1);
	check_run(data, expected, XMLSTREAM_STOP, len, 1);
	check_run(data, expected, XMLSTREAM_GO_ON, 1, 1);
	check_run(data, expected, XMLSTREAM_STOP, 1, 1);
	for (size_t cut = 1; cut < len; cut++) {
		check_run(data, expected, XMLSTREAM_GO_ON, cut, len);
		check_run(data, expected, XMLSTREAM_STOP, cut, len);
	}
}

/* The header of HEADER as record_open writes it. */
#define HEADER_OPEN "open (" STREAMS "|stream|stream 0-85) =>jabber:client stream=>http://etherx.jabber.org/streams\n"

struct document {
	const char *data, *expected;
};

static const struct document documents[] = {
    {"", "more done 0 elements 0 begun 0 opened 0"},
    {" \r\n", "more done 0 elements 0 begun 0 opened 0"},
    {"<", "more done 0 elements 0 begun 1 opened 0"},
    {HEADER, HEADER_OPEN "more done 85 elements 0 begun 1 opened 1"},
    {PROLOG_HEADER "</stream:stream>", "open (" STREAMS "|stream|stream |to=im.example.com |version=1.0 "
				       "http://www.w3.org/XML/1998/namespace|lang=en 21-154)"
				       " =>jabber:client stream=>http://etherx.jabber.org/streams\n"
				       "close\nclosed done 170 elements 0 begun 1 opened 1"},
    {HEADER "<starttls xmlns='" TLS "'/>",
     HEADER_OPEN "element (" TLS "||starttls 85-136)\nmore done 136 elements 1 begun 1 opened 1"},
    {HEADER "<t:starttls xmlns:t='" TLS "'></t:starttls >\r\n ",
     HEADER_OPEN "element (" TLS "|t|starttls 85-139 85-153)\nmore done 156 elements 1 begun 1 opened 1"},
    {HEADER " <proceed xmlns='" TLS "'/>\n<a/>",
     HEADER_OPEN "element (" TLS "||proceed 86-136)\nelement (jabber:client||a 137-141)\n"
		 "more done 141 elements 2 begun 1 opened 1"},
    {HEADER "<auth xmlns='" SASL "' mechanism='PLAIN'>AGEAYg==</auth>",
     HEADER_OPEN "element (" SASL "||auth |mechanism=PLAIN \"AGEAYg==\" 85-150 85-165)\n"
		 "more done 165 elements 1 begun 1 opened 1"},
    {HEADER "<stream:features xmlns='jabber:client'><starttls xmlns='" TLS "'><required/></starttls>"
	    "</stream:features>",
     HEADER_OPEN "element (" STREAMS "|stream|features 85-124 85-214(" TLS "||starttls 124-174 124-196(" TLS
		 "||required 174-185)))\nmore done 214 elements 1 begun 1 opened 1"},
    {HEADER "<m><b>x</b>y<b/>z&lt;<![CDATA[<q>]]>\r\n</m></stream:stream>trailing <",
     HEADER_OPEN "element (jabber:client||m \"yz<<q>\n\" 85-88 85-127(jabber:client||b \"x\" 88-91 88-96)"
		 "(jabber:client||b 97-101))\nclose\nclosed done 143 elements 1 begun 1 opened 1"},
    {HEADER "<a x='1' y='&#233;&amp;&#xA;' z=\"it's\"/><a></a><b",
     HEADER_OPEN "element (jabber:client||a |x=1 |y=\xC3\xA9&\n |z=it's 85-125)\n"
		 "element (jabber:client||a 125-128 125-132)\nmore done 132 elements 2 begun 1 opened 1"},
    {HEADER "<a>gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80</a>",
     HEADER_OPEN "element (jabber:client||a \"gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80\" 85-88 85-103)\n"
		 "more done 103 elements 1 begun 1 opened 1"},
    {HEADER "<a xmlns=''/>", HEADER_OPEN "element (||a 85-98)\nmore done 98 elements 1 begun 1 opened 1"},
    {HEADER "<stream:error/></stream:stream>",
     HEADER_OPEN "element (" STREAMS "|stream|error 85-100)\nclose\nclosed done 116 elements 1 begun 1 opened 1"},
    {"<stream xmlns='" STREAMS "'><features><x xmlns='u'/></features><error/></stream>",
     "open (" STREAMS "||stream 0-49) =>http://etherx.jabber.org/streams\n"
     "element (" STREAMS "||features 49-59 49-84(u||x 59-73))\nelement (" STREAMS "||error 84-92)\n"
     "close\nclosed done 101 elements 2 begun 1 opened 1"},
    {"<?xml version='1.0' ?>\n<s:stream xmlns:s='" STREAMS "' version=\"1.0\"/>",
     "open (" STREAMS "|s|stream |version=1.0 23-91) s=>http://etherx.jabber.org/streams\n"
     "close\nclosed done 91 elements 0 begun 1 opened 1"},
    {"<?xml version=\"1.0\" encoding='utf-8' standalone='no'?><r/>",
     "open (||r 54-58)\nclose\nclosed done 58 elements 0 begun 1 opened 1"},
    {HEADER "  \t", HEADER_OPEN "more done 88 elements 0 begun 1 opened 1"},
    {HEADER "<a/> \r", HEADER_OPEN "element (jabber:client||a 85-89)\nmore done 91 elements 1 begun 1 opened 1"},
    {HEADER "<a>]]</a>", HEADER_OPEN "element (jabber:client||a \"]]\" 85-88 85-94)\n"
				     "more done 94 elements 1 begun 1 opened 1"},
};

static void test_documents(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(documents); i++)
		check_every_split(documents[i].data, documents[i].expected);
}

static void test_top_detail(void **state)
{
	static const char data[] = HEADER "<m to='x'><b c='d'>text</b>more</m><n/>";
	static const char expected[] =
	    HEADER_OPEN "element (jabber:client||m |to=x 85-95 85-120)\nelement (jabber:client||n 120-124)\n"
			"more done 124 elements 2 begun 1 opened 1";

	(void)state;
	for (size_t cut = 1; cut < sizeof(data); cut++) {
		char *log = run(data, sizeof(data) - 1, XMLSTREAM_TOP, XMLSTREAM_STOP, cut, 1);

		assert_string_equal(log, expected);
		mem_free(log);
	}
}

/* What a stream error says must be known even where only names are looked at. */
static void test_streams_namespace_is_read_whole(void **state)
{
	static const char data[] = HEADER "<stream:error><a/></stream:error><m><b/></m>";
	char *log = run(data, sizeof(data) - 1, XMLSTREAM_TOP, XMLSTREAM_GO_ON, 100, 1);

	(void)state;
	assert_non_null(strstr(log, "|a 99-103)"));
	assert_null(strstr(log, "|b"));
	mem_free(log);
}

static enum xmlstream_result feed(struct record *r, const char *text)
{
	size_t used;

	return xmlstream_feed(r->xs, text, strlen(text), &used);
}

static void test_rest(void **state)
{
	struct record r;

	(void)state;
	record_init(&r, &wide, XMLSTREAM_TREE, XMLSTREAM_GO_ON);
	assert_false(xmlstream_rest(r.xs));
	feed(&r, "<?xml version='1.0'?><s:stream xmlns:s='" STREAMS "' xmlns:q='urn:a&amp;&apos;b' xmlns='urn:&lt;'");
	assert_false(xmlstream_rest(r.xs));
	feed(&r, " id='x'>");
	assert_true(xmlstream_rest(r.xs));
	assert_null(r.xs->parser);
	assert_true(xmlstream_rest(r.xs));
	assert_int_equal(feed(&r, " \n\t\r"), XMLSTREAM_MORE);
	assert_null(r.xs->parser);
	assert_int_equal(xmlstream_done(r.xs), 130);
	strbuf_clear(&r.log);
	assert_int_equal(feed(&r, " <q:a b"), XMLSTREAM_MORE);
	assert_non_null(r.xs->parser);
	assert_false(xmlstream_rest(r.xs));
	assert_int_equal(feed(&r, "='c'><d/></q:a>"), XMLSTREAM_MORE);
	assert_string_equal(strbuf_text(&r.log), "element (urn:a&'b|q|a |b=c 131-142 131-152(urn:<||d 142-146))\n");
	assert_true(xmlstream_rest(r.xs));
	assert_int_equal(xmlstream_elements(r.xs), 1);
	assert_int_equal(feed(&r, "</s:stream>"), XMLSTREAM_CLOSED);
	record_fini(&r);
}

/* The limits and rules hold as before. */
static void test_rest_forgets_no_rule(void **state)
{
	static const struct {
		const char *text;
		enum reason reason;
	} cases[] = {
	    {"<?xml version='1.0'?>", REASON_RESTRICTED_XML},
	    {"<!DOCTYPE a>", REASON_RESTRICTED_XML},
	    {"<!-- -->", REASON_RESTRICTED_XML},
	    {"x", REASON_STRAY_TEXT},
	    {"<unbound:a/>", REASON_NOT_WELL_FORMED},
	    {"</stream>", REASON_NOT_WELL_FORMED},
	    {"<a>\xff", REASON_ENCODING},
	    {"<stream:stream>", REASON_SECOND_HEADER},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct record r;

		record_init(&r, &wide, XMLSTREAM_TOP, XMLSTREAM_STOP);
		feed(&r, HEADER);
		assert_true(xmlstream_rest(r.xs));
		assert_int_equal(feed(&r, cases[i].text), XMLSTREAM_FAILED);
		assert_int_equal(xmlstream_failure(r.xs)->reason, cases[i].reason);
		record_fini(&r);
	}
}

/* What nobody declares is not kept for every stream. */
static void test_no_rest_with_a_huge_header(void **state)
{
	struct strbuf header;
	struct record r;

	(void)state;
	strbuf_init(&header, 16384);
	strbuf_puts(&header, "<stream:stream xmlns:stream='" STREAMS "'");
	for (int i = 0; i < 40; i++)
		strbuf_printf(&header, " xmlns:p%d='urn:%060d'", i, i);
	strbuf_puts(&header, ">");
	record_init(&r, &wide, XMLSTREAM_TREE, XMLSTREAM_GO_ON);
	assert_int_equal(feed(&r, strbuf_text(&header)), XMLSTREAM_MORE);
	assert_false(xmlstream_rest(r.xs));
	assert_int_equal(feed(&r, "<p7:a/>"), XMLSTREAM_MORE);
	record_fini(&r);
	strbuf_fini(&header);
}

#define TEXT40 "Shall I hear more, or shall I speak \xC3\xA4t >"
#define TEXT TEXT40 TEXT40 TEXT40 TEXT40 TEXT40

/* Only some of each is given to the parser when nobody reads it: what it comes to is the same. */
static const char *const long_texts[] = {
    TEXT,
    "<b>" TEXT "</b>" TEXT "<c/>" TEXT,
    TEXT "&amp;" TEXT "&#x41;" TEXT,
    TEXT "]" TEXT "]]" TEXT,
    TEXT "]]>" TEXT,
    TEXT "&nbsp;" TEXT,
    TEXT "& " TEXT,
    TEXT "\xFF" TEXT,
    TEXT "\x01" TEXT,
    TEXT "\xEF\xBF\xBF" TEXT,
    "<b c='>" TEXT "&lt;>" TEXT "'>" TEXT "</b>" TEXT,
    "<b c='>" TEXT "<" TEXT "'>" TEXT "</b>" TEXT,
    "<![CDATA[<b>" TEXT "]]>" TEXT "<![CDATA[&>" TEXT "]]>" TEXT,
    "<b>" TEXT "<!-->" TEXT "-->" TEXT "</b>",
    "<b>" TEXT "<?p >" TEXT "?>" TEXT "</b>",
    "<b>" TEXT "</c>" TEXT "</b>",
    "<b>" TEXT "<stream:stream>" TEXT "</stream:stream></b>",
    "</m>" TEXT "<m>",
};

static const char *last_line(const char *log)
{
	const char *newline = strrchr(log, '\n');

	return newline != NULL ? newline + 1 : log;
}

static void check_long_text(const char *text)
{
	struct strbuf data;
	char *tree, *whole, *log;

	strbuf_init(&data, 8192);
	strbuf_printf(&data, HEADER "<m to='x'>%s</m><n>", text);
	strbuf_puts(&data, TEXT "</n></stream:stream>");
	tree = run(data.data, data.len, XMLSTREAM_TREE, XMLSTREAM_GO_ON, data.len, 1);
	whole = run(data.data, data.len, XMLSTREAM_TOP, XMLSTREAM_GO_ON, data.len, 1);
	assert_string_equal(last_line(whole), last_line(tree));
	for (size_t cut = 1; cut < data.len; cut++) {
		log = run(data.data, data.len, XMLSTREAM_TOP, cut % 2 ? XMLSTREAM_STOP : XMLSTREAM_GO_ON, cut,
			  cut % 3 ? data.len : 7);
		assert_string_equal(log, whole);
		mem_free(log);
	}
	mem_free(tree);
	mem_free(whole);
	strbuf_fini(&data);
}

static void test_only_space(void **state)
{
	(void)state;
	assert_true(xml_only_space(NULL, 0));
	assert_true(xml_only_space(" \t\r\n", 4));
	assert_false(xml_only_space(" \0", 2));
	assert_false(xml_only_space("\f", 1));
	assert_false(xml_only_space("  \x16", 3));
}

static void test_long_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(long_texts); i++)
		check_long_text(long_texts[i]);
}

/* Detail and element limit may be changed by the handler of the element before. */
struct changer {
	struct xmlstream *xs;
	unsigned children, seen;
};

static enum xmlstream_step changer_open(void *ctx, const struct xml_node *root, const struct xml_decl *decls, size_t n)
{
	struct changer *c = ctx;

	(void)root;
	(void)decls;
	(void)n;
	xmlstream_set_detail(c->xs, XMLSTREAM_TOP);
	return XMLSTREAM_GO_ON;
}

static enum xmlstream_step changer_element(void *ctx, const struct xml_node *element)
{
	struct changer *c = ctx;

	c->seen++;
	c->children += element->first_child != NULL;
	xmlstream_set_detail(c->xs, XMLSTREAM_TREE);
	xmlstream_set_element_limit(c->xs, 20);
	return XMLSTREAM_GO_ON;
}

static enum xmlstream_step changer_close(void *ctx)
{
	(void)ctx;
	return XMLSTREAM_GO_ON;
}

static void run_changer(const char *data, size_t piece, enum xmlstream_result expected, uint64_t done)
{
	static const struct xmlstream_handlers handlers = {changer_open, changer_element, changer_close};
	struct changer c = {0};
	size_t len = strlen(data), used;
	enum xmlstream_result result = XMLSTREAM_MORE;

	c.xs = xmlstream_new(&wide, &handlers, &c);
	for (size_t at = 0; at < len && result == XMLSTREAM_MORE; at += piece)
		result = xmlstream_feed(c.xs, data + at, piece < len - at ? piece : len - at, &used);
	assert_int_equal(result, expected);
	assert_int_equal(xmlstream_done(c.xs), done);
	assert_int_equal(c.seen, 2);
	assert_int_equal(c.children, 1);
	if (expected == XMLSTREAM_FAILED)
		assert_int_equal(xmlstream_failure(c.xs)->reason, REASON_TOO_BIG);
	xmlstream_free(&c.xs);
	assert_null(c.xs);
}

static void test_changes_hold_from_the_next_element(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 150; piece++) {
		run_changer(HEADER "<a><b/> more than twenty</a> <a><b/>123456789</a>", piece, XMLSTREAM_MORE, 134);
		run_changer(HEADER "<a><b/> more than twenty</a> <a><b/>123456789</a>"
				   " <a><b/>1234567890</a>",
			    piece, XMLSTREAM_FAILED, 135);
	}
}

/* What is behind the event stays unread, is not lost, and may come back with more behind it. */
static void test_stop_leaves_the_rest(void **state)
{
	static const char data[] = HEADER "<proceed xmlns='" TLS "'/><evil/> <next";
	const size_t proceed_end = sizeof(HEADER) - 1 + sizeof("<proceed xmlns='" TLS "'/>") - 1;
	const size_t cut = sizeof(data) - 1 - sizeof("il/> <next") + 1;
	struct record r;
	size_t used;

	(void)state;
	record_init(&r, &wide, XMLSTREAM_TREE, XMLSTREAM_STOP);
	assert_int_equal(xmlstream_feed(r.xs, data, cut, &used), XMLSTREAM_STOPPED);
	assert_int_equal(used, sizeof(HEADER) - 1);
	assert_int_equal(xmlstream_feed(r.xs, data + used, cut - used, &used), XMLSTREAM_STOPPED);
	assert_int_equal(used, proceed_end - (sizeof(HEADER) - 1));
	assert_int_equal(xmlstream_done(r.xs), proceed_end);
	assert_int_equal(xmlstream_elements(r.xs), 1);
	assert_null(strstr(strbuf_text(&r.log), "evil"));
	assert_int_equal(xmlstream_feed(r.xs, data + proceed_end, sizeof(data) - 1 - proceed_end, &used),
			 XMLSTREAM_STOPPED);
	assert_int_equal(used, sizeof("<evil/>") - 1);
	assert_non_null(strstr(strbuf_text(&r.log), "evil"));
	assert_int_equal(xmlstream_feed(r.xs, " <next/>", 8, &used), XMLSTREAM_STOPPED);
	assert_int_equal(used, 8);
	assert_int_equal(xmlstream_elements(r.xs), 3);
	record_fini(&r);
}

/* A header that closes itself is two events at one byte: STOP stands between them, without a byte more. */
static void test_stop_at_self_closing_header(void **state)
{
	static const char data[] = "<stream:stream xmlns:stream='" STREAMS "'/>";
	struct record r;
	size_t used;

	(void)state;
	record_init(&r, &wide, XMLSTREAM_TREE, XMLSTREAM_STOP);
	assert_int_equal(xmlstream_feed(r.xs, data, sizeof(data) - 1, &used), XMLSTREAM_STOPPED);
	assert_int_equal(used, sizeof(data) - 1);
	assert_null(strstr(strbuf_text(&r.log), "close"));
	assert_int_equal(xmlstream_feed(r.xs, "", 0, &used), XMLSTREAM_CLOSED);
	assert_int_equal(used, 0);
	assert_non_null(strstr(strbuf_text(&r.log), "close"));
	assert_int_equal(xmlstream_feed(r.xs, "<a/>", 4, &used), XMLSTREAM_CLOSED);
	assert_int_equal(used, 0);
	record_fini(&r);
}

/* What is incomplete is not done, whatever has been read of it (NEG-36). */
static void test_done_stands_before_the_incomplete(void **state)
{
	struct record r;

	(void)state;
	record_init(&r, &wide, XMLSTREAM_TREE, XMLSTREAM_GO_ON);
	assert_false(xmlstream_begun(r.xs));
	assert_true(record_feed(&r, "\n", 1));
	assert_false(xmlstream_begun(r.xs));
	assert_true(record_feed(&r, "<", 1));
	assert_true(xmlstream_begun(r.xs));
	assert_false(xmlstream_opened(r.xs));
	assert_int_equal(xmlstream_done(r.xs), 0);
	assert_true(record_feed(&r, "r>", 2));
	assert_true(xmlstream_opened(r.xs));
	assert_int_equal(xmlstream_done(r.xs), 4);
	assert_true(record_feed(&r, " <a>text<b/>", 12));
	assert_int_equal(xmlstream_done(r.xs), 5);
	assert_true(record_feed(&r, "</a", 3));
	assert_int_equal(xmlstream_done(r.xs), 5);
	assert_true(record_feed(&r, ">", 1));
	assert_int_equal(xmlstream_done(r.xs), 20);
	record_fini(&r);
}

static void test_node_questions(void **state)
{
	static const struct xml_attr attrs[] = {{"urn:x", "id", "no"}, {NULL, "id", "yes"}};
	struct xml_node second = {.ns = "urn:b", .name = "two"};
	struct xml_node first = {.ns = "urn:a", .name = "one", .next = &second};
	struct xml_node node = {.ns = "urn:a", .name = "top", .attrs = attrs, .attr_count = 2, .first_child = &first};

	(void)state;
	assert_string_equal(xml_node_attr(&node, "id"), "yes");
	assert_null(xml_node_attr(&node, "i"));
	assert_true(xml_node_is(&node, "urn:a", "top"));
	assert_false(xml_node_is(&node, "urn:b", "top"));
	assert_false(xml_node_is(&node, "urn:a", "to"));
	assert_ptr_equal(xml_node_child(&node, "urn:a", "one"), &first);
	assert_ptr_equal(xml_node_child(&node, NULL, "two"), &second);
	assert_ptr_equal(xml_node_child(&node, "urn:b", NULL), &second);
	assert_ptr_equal(xml_node_child(&node, NULL, NULL), &first);
	assert_null(xml_node_child(&node, "urn:a", "two"));
}

static void test_library(void **state)
{
	(void)state;
	assert_memory_equal(xmlstream_library(), "libexpat ", 9);
	assert_non_null(strstr(xmlstream_library(), "reparse deferral"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_documents),
	    cmocka_unit_test(test_top_detail),
	    cmocka_unit_test(test_streams_namespace_is_read_whole),
	    cmocka_unit_test(test_rest),
	    cmocka_unit_test(test_rest_forgets_no_rule),
	    cmocka_unit_test(test_no_rest_with_a_huge_header),
	    cmocka_unit_test(test_long_text),
	    cmocka_unit_test(test_only_space),
	    cmocka_unit_test(test_changes_hold_from_the_next_element),
	    cmocka_unit_test(test_stop_leaves_the_rest),
	    cmocka_unit_test(test_stop_at_self_closing_header),
	    cmocka_unit_test(test_done_stands_before_the_incomplete),
	    cmocka_unit_test(test_node_questions),
	    cmocka_unit_test(test_library),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

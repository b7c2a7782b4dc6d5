/* SPDX-License-Identifier: MIT */
/*
 * xmlstream: everything it must refuse, with the reason, however the bytes are cut; and the bounds, which must hold
 * before memory is taken (XML-1 to XML-10).
 */
#include "xmpp/xmlstream.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/array.h"
#include "xml_record.h"
#include "xmpp/names.h"

#define STREAMS "http://etherx.jabber.org/streams"
#define HEADER "<stream:stream xmlns='jabber:client' xmlns:stream='" STREAMS "'>"

static const struct xmlstream_limits wide = {.element = 16384, .depth = 64, .attributes = 64};

struct violation {
	const char *data;
	enum reason reason;
	unsigned elements; /* whole elements delivered before it */
};

static const struct violation violations[] = {
    /* XML-1, XML-7: comments, processing instructions, document types, entities */
    {"<!-- c --><r>", REASON_RESTRICTED_XML, 0},
    {"<?xml version='1.0'?><!-- c --><r>", REASON_RESTRICTED_XML, 0},
    {HEADER "<!-- c -->", REASON_RESTRICTED_XML, 0},
    {HEADER "<a/> <b><!----></b>", REASON_RESTRICTED_XML, 1},
    {HEADER "<stream:features><!-- c --></stream:features>", REASON_RESTRICTED_XML, 0},
    {"<?pi text?><r>", REASON_RESTRICTED_XML, 0},
    {HEADER "<?pi?>", REASON_RESTRICTED_XML, 0},
    {HEADER "<a><?xml-stylesheet href='x'?></a>", REASON_RESTRICTED_XML, 0},
    {HEADER "<?xml version='1.0'?>", REASON_RESTRICTED_XML, 0},
    {HEADER "<a/><?xml version='1.0'?>" HEADER, REASON_RESTRICTED_XML, 1},
    {" <?xml version='1.0'?><r>", REASON_RESTRICTED_XML, 0},
    {"<?xml version='1.0'?><?xml version='1.0'?><r>", REASON_RESTRICTED_XML, 0},
    {"<!DOCTYPE r><r>", REASON_RESTRICTED_XML, 0},
    {"<!DOCTYPE r SYSTEM 'http://example.org/r.dtd'><r>", REASON_RESTRICTED_XML, 0},
    {"<?xml version='1.0'?><!DOCTYPE r [<!ENTITY a 'b'>]><r>&a;</r>", REASON_RESTRICTED_XML, 0},
    {HEADER "<!DOCTYPE r>", REASON_RESTRICTED_XML, 0},
    {HEADER "<a><!ENTITY x 'y'></a>", REASON_RESTRICTED_XML, 0},
    {HEADER "<a>&nbsp;</a>", REASON_RESTRICTED_XML, 0},
    {HEADER "<a/><a b='&foo;'/>", REASON_RESTRICTED_XML, 1},
    {HEADER "&foo;", REASON_RESTRICTED_XML, 0},
    /* XML-2: not well-formed, with and without namespaces */
    {"hello ", REASON_NOT_WELL_FORMED, 0},
    {"\x16\x03\x01\x02", REASON_NOT_WELL_FORMED, 0},
    {"GET / HTTP/1.1\r\n", REASON_NOT_WELL_FORMED, 0},
    {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", REASON_NOT_WELL_FORMED, 0},
    {"<r><a></b></r>", REASON_NOT_WELL_FORMED, 0},
    {"<stream:stream>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<x:a/>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a x:b=''/>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a b='' b=''/>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a xmlns:x='u' xmlns:y='u' x:b='' y:b=''/>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a b=c/>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a b='<'/>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a>]]></a>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a>& </a>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a>&#1;</a>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a>&#x110000;</a>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a xmlns:xml='urn:x'/>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a xmlns:xmlns='urn:x'/>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a xmlns:x=''/>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a/><a xmlns='urn: x'/>", REASON_NOT_WELL_FORMED, 1},
    {HEADER "<a xmlns:x='urn:x\n'/>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a xmlns='&#9;'/>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a xmlns='urn:x&#1;y'/>", REASON_NOT_WELL_FORMED, 0},
    {"<?xml version='1.1'?><r>", REASON_NOT_WELL_FORMED, 0},
    {"<?xml version='1.0.0'?><r>", REASON_NOT_WELL_FORMED, 0},
    {"<?xml?><r>", REASON_NOT_WELL_FORMED, 0},
    /* XML-3, XML-4: encodings and characters */
    {"<?xml version='1.0' encoding='UTF-16'?><r>", REASON_ENCODING, 0},
    {"<?xml version='1.0' encoding='ISO-8859-1'?><r>", REASON_ENCODING, 0},
    {"<?xml version='1.0' encoding='us-ascii'?><r>", REASON_ENCODING, 0},
    {"\xEF\xBB\xBF<r>", REASON_NOT_WELL_FORMED, 0},
    {"\xEF\xBB\xBF<?xml version='1.0'?><r>", REASON_NOT_WELL_FORMED, 0},
    {"\xEF\xBB\xBE<r>", REASON_NOT_WELL_FORMED, 0},
    {"\xFF\xFE<", REASON_ENCODING, 0},
    {"\xFE\xFF", REASON_ENCODING, 0},
    {HEADER "<a>\xC0\x80</a>", REASON_ENCODING, 0},
    {HEADER "<a>\xC1\xBF</a>", REASON_ENCODING, 0},
    {HEADER "<a>\xE0\x80\xAF</a>", REASON_ENCODING, 0},
    {HEADER "<a>\xF0\x80\x80\xAF</a>", REASON_ENCODING, 0},
    {HEADER "<a>\xED\xA0\x80</a>", REASON_ENCODING, 0},
    {HEADER "<a>\xF4\x90\x80\x80</a>", REASON_ENCODING, 0},
    {HEADER "<a>\xF8\x88\x80\x80\x80</a>", REASON_ENCODING, 0},
    {HEADER "<a>\x80</a>", REASON_ENCODING, 0},
    {HEADER "<a/><a>\xC3</a>", REASON_ENCODING, 1},
    {HEADER "<a b='\xE9'/>", REASON_ENCODING, 0},
    {HEADER "<\xC3(/>", REASON_ENCODING, 0},
    {HEADER "<a/><a>\x01</a>", REASON_NOT_WELL_FORMED, 1},
    {HEADER "<a>\xEF\xBF\xBE</a>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a>\xEF\xBF\xBF</a>", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a/><b/>\x0B", REASON_NOT_WELL_FORMED, 2},
    /* XML-8: smuggling */
    {HEADER "<m><stream:stream/></m>", REASON_SMUGGLING, 0},
    {HEADER "<m><stream:features/></m>", REASON_SMUGGLING, 0},
    {HEADER "<m><x><y:error xmlns:y='" STREAMS "'/></x></m>", REASON_SMUGGLING, 0},
    {HEADER "<m><error xmlns='" STREAMS "'/></m>", REASON_SMUGGLING, 0},
    {HEADER "<stream:other/>", REASON_SMUGGLING, 0},
    {HEADER "<a/><Stream xmlns='" STREAMS "'/>", REASON_SMUGGLING, 1},
    {"<stream xmlns='" STREAMS "'><message/>", REASON_SMUGGLING, 0},
    {HEADER "<stream:stream>", REASON_SECOND_HEADER, 0},
    {HEADER "<a/>" HEADER, REASON_SECOND_HEADER, 1},
    {HEADER "<s:stream xmlns:s='http://etherx.jabber.org/s&#116;reams'/>", REASON_SECOND_HEADER, 0},
    /* XML-10: nothing between elements but white space */
    {HEADER "junk", REASON_STRAY_TEXT, 0},
    {HEADER "<m/>junk<m/>", REASON_STRAY_TEXT, 1},
    {HEADER "<m/> \r\n\xC2\xA0", REASON_STRAY_TEXT, 1},
    {HEADER "]<m/>", REASON_STRAY_TEXT, 0},
    {HEADER "]\xFF", REASON_STRAY_TEXT, 0},
    {HEADER "<m/> text]]>", REASON_STRAY_TEXT, 1},
    {HEADER "\xC3\xA9]]>", REASON_STRAY_TEXT, 0},
    {HEADER "\xC3(", REASON_ENCODING, 0},
    {HEADER "<a =\xC3(", REASON_NOT_WELL_FORMED, 0},
    {HEADER "<a b\xF4\x8F\xBF(", REASON_ENCODING, 0},
    {HEADER "&lt;", REASON_STRAY_TEXT, 0},
    {HEADER "<m/>&#32;<m/>", REASON_STRAY_TEXT, 1},
    {HEADER "&#xA;", REASON_STRAY_TEXT, 0},
    {HEADER "<![CDATA[]]>", REASON_STRAY_TEXT, 0},
    {HEADER "<![CDATA[ ]]>", REASON_STRAY_TEXT, 0},
};

static char *run(const struct violation *v, enum xmlstream_detail detail, enum xmlstream_step step, size_t first,
		 size_t rest)
{
	struct record r;
	char *log;

	record_init(&r, &wide, detail, step);
	record_run(&r, v->data, strlen(v->data), first, rest);
	if (r.result != XMLSTREAM_FAILED)
		print_error("accepted: %s\n", v->data);
	assert_int_equal(r.result, XMLSTREAM_FAILED);
	if (xmlstream_failure(r.xs)->reason != v->reason)
		print_error("%s: %s\n", v->data, xmlstream_failure(r.xs)->detail);
	assert_int_equal(xmlstream_failure(r.xs)->reason, v->reason);
	assert_int_equal(xmlstream_elements(r.xs), v->elements);
	assert_false(r.bad_range);
	log = mem_strdup(strbuf_text(&r.log));
	record_fini(&r);
	return log;
}

static void same_as(const char *expected, char *log)
{
	assert_string_equal(log, expected);
	mem_free(log);
}

static void test_violations(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(violations); i++) {
		const struct violation *v = &violations[i];
		size_t len = strlen(v->data);
		char *whole = run(v, XMLSTREAM_TREE, XMLSTREAM_GO_ON, len, 1);

		for (size_t cut = 1; cut < len; cut++) {
			same_as(whole, run(v, XMLSTREAM_TREE, XMLSTREAM_GO_ON, cut, len));
			same_as(whole, run(v, XMLSTREAM_TREE, XMLSTREAM_STOP, cut, len));
		}
		same_as(whole, run(v, XMLSTREAM_TREE, XMLSTREAM_GO_ON, 1, 1));
		same_as(whole, run(v, XMLSTREAM_TREE, XMLSTREAM_STOP, 1, 1));
		mem_free(whole);
		mem_free(run(v, XMLSTREAM_TOP, XMLSTREAM_STOP, 1, 1));
	}
}

/* A NUL cannot stand in the table. */
static void test_nul(void **state)
{
	static const char data[] = HEADER "<a>\0</a>";
	struct record r;

	(void)state;
	for (size_t piece = 1; piece < sizeof(data); piece++) {
		record_init(&r, &wide, XMLSTREAM_TREE, XMLSTREAM_GO_ON);
		record_run(&r, data, sizeof(data) - 1, piece, piece);
		assert_int_equal(r.result, XMLSTREAM_FAILED);
		assert_int_equal(xmlstream_failure(r.xs)->reason, REASON_NOT_WELL_FORMED);
		record_fini(&r);
	}
}

static void test_failure_stays(void **state)
{
	struct record r;
	size_t used = 1;

	(void)state;
	record_init(&r, &wide, XMLSTREAM_TREE, XMLSTREAM_GO_ON);
	record_run(&r, HEADER "<a/> <!-- c --> <b/>", sizeof(HEADER "<a/> <!-- c --> <b/>") - 1, 200, 1);
	assert_int_equal(r.result, XMLSTREAM_FAILED);
	assert_string_equal(xmlstream_failure(r.xs)->detail, "comment at byte 90");
	assert_int_equal(xmlstream_done(r.xs), 90);
	assert_int_equal(r.consumed, 90);
	assert_int_equal(xmlstream_feed(r.xs, "<c/>", 4, &used), XMLSTREAM_FAILED);
	assert_int_equal(used, 0);
	assert_int_equal(xmlstream_elements(r.xs), 1);
	assert_int_equal(xmlstream_failure(r.xs)->reason, REASON_RESTRICTED_XML);
	record_fini(&r);
}

/* Feeds in pieces; answers the reason of the failure, or NONE. */
static enum reason limited(const struct xmlstream_limits *limits, enum xmlstream_detail detail, const char *data,
			   size_t piece)
{
	enum reason reason = REASON_NONE;
	struct record r;

	record_init(&r, limits, detail, XMLSTREAM_GO_ON);
	record_run(&r, data, strlen(data), piece, piece);
	if (r.result == XMLSTREAM_FAILED)
		reason = xmlstream_failure(r.xs)->reason;
	assert_false(r.bad_range);
	record_fini(&r);
	return reason;
}

static void check_limit(const struct xmlstream_limits *limits, const char *data, enum reason reason)
{
	for (size_t piece = 1; piece <= strlen(data); piece++) {
		assert_int_equal(limited(limits, XMLSTREAM_TREE, data, piece), reason);
		assert_int_equal(limited(limits, XMLSTREAM_TOP, data, piece), reason);
	}
}

/* `before`, then an element or header that is padded to exactly `size` bytes, then `after`. */
static void check_size(const char *before, const char *head, const char *tail, size_t size, const char *after,
		       enum reason reason)
{
	const struct xmlstream_limits limits = {.element = 30, .depth = 64, .attributes = 64};
	size_t fill = size - strlen(head) - strlen(tail);
	char *data = mem_printf("%s%s%0*d%s%s", before, head, (int)fill, 0, tail, after);

	check_limit(&limits, data, reason);
	mem_free(data);
}

/* An element of exactly the limit passes, one byte more does not; white space between elements is not counted. */
static void test_element_limit_is_exact(void **state)
{
	static const char blanks[] = "<r>                                                  ";
	static const char header_blanks[] = "      ";

	(void)state;
	check_size("", "<r x='", "'>", 30, "", REASON_NONE);
	check_size("", "<r x='", "'>", 31, "", REASON_TOO_BIG);
	check_size(header_blanks, "<r x='", "'>", 30 - strlen(header_blanks), "", REASON_NONE);
	check_size(header_blanks, "<r x='", "'>", 31 - strlen(header_blanks), "", REASON_TOO_BIG);
	check_size("<r>", "<a x='", "'/>", 30, "", REASON_NONE);
	check_size("<r>", "<a x='", "'/>", 31, "", REASON_TOO_BIG);
	check_size("<r>", "<a>", "</a>", 30, "<a/>", REASON_NONE);
	check_size("<r>", "<a>", "</a>", 31, "<a/>", REASON_TOO_BIG);
	check_size(blanks, "<a>", "</a>", 30, "<a/> <b/>       ", REASON_NONE);
	check_size(blanks, "<a>", "</a>", 31, "", REASON_TOO_BIG);
	check_size("<r><a/> \n<b/>", "<a>", "</a>", 30, "</r>", REASON_NONE);
	check_size("<r><a/> \n<b/>", "<a>", "</a>", 31, "</r>", REASON_TOO_BIG);
	check_size("<r><a/>", "<a>", "", 30, "", REASON_NONE);
	check_size("<r><a/>", "<a>", "", 31, "", REASON_TOO_BIG);
}

static void test_depth(void **state)
{
	const struct xmlstream_limits limits = {.element = 1000, .depth = 3, .attributes = 64};

	(void)state;
	check_limit(&limits, "<r><a><b><c/></b></a><a><b><c></c><c/></b></a>", REASON_NONE);
	check_limit(&limits, "<r><a><b><c><d/>", REASON_TOO_DEEP);
}

static void test_attributes(void **state)
{
	const struct xmlstream_limits limits = {.element = 1000, .depth = 3, .attributes = 3};

	(void)state;
	check_limit(&limits, "<r a='' b='' c='' xmlns='u' xmlns:x='u' xmlns:y='v'><a a='' b='' c='' xmlns='u'/>",
		    REASON_NONE);
	check_limit(&limits, "<r a='' b='' c='' d=''>", REASON_TOO_BIG);
	check_limit(&limits, "<r><a><b a='' b='' c='' d=''/></a>", REASON_TOO_BIG);
	check_limit(&limits, "<r xmlns='u' xmlns:x='u' xmlns:y='v' xmlns:z='w'>", REASON_TOO_BIG);
	check_limit(&limits, "<r><a><b xmlns='u' xmlns:x='u' xmlns:y='v' xmlns:z='w'/></a>", REASON_TOO_BIG);
}

/* Feeds prefix and then `fill` for ever, until it is refused; answers how much the heap grew by. */
static size_t heap_growth(const char *prefix, const char *fill, size_t total, enum reason reason)
{
	struct xmlstream_limits limits = {.element = 16384, .depth = 64, .attributes = 64};
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, grown = 0, used = 0, at = 0;
	char block[4096];
	struct record r;

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = fill[i % strlen(fill)];
	record_init(&r, &limits, XMLSTREAM_TREE, XMLSTREAM_GO_ON);
	assert_int_equal(xmlstream_feed(r.xs, prefix, strlen(prefix), &used), XMLSTREAM_MORE);
	for (r.result = XMLSTREAM_MORE; at < total && r.result == XMLSTREAM_MORE; at += sizeof(block)) {
		size_t now;

		r.result = xmlstream_feed(r.xs, block, sizeof(block), &used);
		now = mallinfo2().uordblks + mallinfo2().hblkhd;
		grown = now > before && now - before > grown ? now - before : grown;
	}
	assert_int_equal(r.result, XMLSTREAM_FAILED);
	assert_int_equal(xmlstream_failure(r.xs)->reason, reason);
	record_fini(&r);
	return grown;
}

static void test_memory_is_bounded(void **state)
{
	const size_t mib = (size_t)1024 * 1024;

	(void)state;
	assert_in_range(heap_growth(HEADER "<a b='", "x", mib, REASON_TOO_BIG), 0, 200 * 1024);
	assert_in_range(heap_growth(HEADER "<a>", "x", mib, REASON_TOO_BIG), 0, 200 * 1024);
	assert_in_range(heap_growth(HEADER "<", "a", mib, REASON_TOO_BIG), 0, 200 * 1024);
	assert_in_range(heap_growth("<stream a='", "x", mib, REASON_TOO_BIG), 0, 200 * 1024);
	assert_in_range(heap_growth("", " ", mib, REASON_TOO_BIG), 0, 200 * 1024);
	assert_in_range(heap_growth(HEADER, "<a>a", mib, REASON_TOO_DEEP), 0, 200 * 1024);
	assert_in_range(heap_growth(HEADER "<a>", "<b/>", mib, REASON_TOO_BIG), 0, 300 * 1024);
	assert_in_range(heap_growth(HEADER "<!--", "x", mib, REASON_TOO_BIG), 0, 200 * 1024);
	assert_in_range(heap_growth("<!DOCTYPE r", " ", mib, REASON_TOO_BIG), 0, 200 * 1024);
}

static void test_billion_laughs(void **state)
{
	static const char data[] =
	    "<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY a 'lol'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>"
	    "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'><!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;'>]>"
	    "<r>&d;&d;&d;&d;&d;&d;&d;&d;</r>";
	struct record r;
	size_t used;

	(void)state;
	for (size_t cut = 1; cut < sizeof(data); cut++) {
		record_init(&r, &wide, XMLSTREAM_TREE, XMLSTREAM_GO_ON);
		record_run(&r, data, sizeof(data) - 1, cut, 1);
		assert_int_equal(xmlstream_failure(r.xs)->reason, REASON_RESTRICTED_XML);
		assert_string_equal(xmlstream_failure(r.xs)->detail, "document type declaration at byte 36");
		record_fini(&r);
	}
	/* It is refused where the internal subset begins, before a single entity is declared. */
	record_init(&r, &wide, XMLSTREAM_TREE, XMLSTREAM_GO_ON);
	assert_int_equal(xmlstream_feed(r.xs, data, sizeof("<?xml version='1.0'?><!DOCTYPE lolz [") - 1, &used),
			 XMLSTREAM_FAILED);
	record_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_violations),
	    cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_failure_stays),
	    cmocka_unit_test(test_element_limit_is_exact),
	    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_attributes),
	    cmocka_unit_test(test_memory_is_bounded),
	    cmocka_unit_test(test_billion_laughs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

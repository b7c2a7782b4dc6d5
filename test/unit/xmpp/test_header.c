/* SPDX-License-Identifier: MIT */
/* header: reading (NEG-15, NEG-18, NEG-19), writing (NEG-1, golden bytes), passing on with a version. */
#include "xmpp/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "xmpp/names.h"

#define STREAMS "http://etherx.jabber.org/streams"

static const struct xmlstream_limits limits = {.element = 16384, .depth = 64, .attributes = 64};

static enum xmlstream_step take_header(void *ctx, const struct xml_node *root, const struct xml_decl *decls,
				       size_t count)
{
	stream_header_read(ctx, root, decls, count);
	return XMLSTREAM_STOP;
}

static enum xmlstream_step no_element(void *ctx, const struct xml_node *element)
{
	(void)ctx;
	(void)element;
	return XMLSTREAM_STOP;
}

static enum xmlstream_step no_close(void *ctx)
{
	(void)ctx;
	return XMLSTREAM_STOP;
}

static void read_header(struct stream_header *h, const char *data)
{
	static const struct xmlstream_handlers handlers = {take_header, no_element, no_close};
	struct xmlstream *xs = xmlstream_new(&limits, &handlers, h);
	size_t used;

	assert_int_equal(xmlstream_feed(xs, data, strlen(data), &used), XMLSTREAM_STOPPED);
	xmlstream_free(&xs);
}

static void test_read(void **state)
{
	struct stream_header h;

	(void)state;
	read_header(&h,
		    "<?xml version='1.0'?><stream:stream from='juliet@im.example.com' to='im.example.com' id='a&amp;b' "
		    "version='1.0' xml:lang='de' xmlns='jabber:client' xmlns:stream='" STREAMS "'>");
	assert_string_equal(h.from, "juliet@im.example.com");
	assert_string_equal(h.to, "im.example.com");
	assert_string_equal(h.id, "a&b");
	assert_string_equal(h.lang, "de");
	assert_string_equal(h.content_ns, "jabber:client");
	assert_string_equal(h.prefix, "stream");
	assert_string_equal(h.ns, STREAMS);
	assert_string_equal(h.name, "stream");
	assert_true(h.has_version && h.version_valid);
	assert_int_equal(h.major, 1);
	assert_int_equal(h.minor, 0);
	assert_int_equal(stream_header_check(&h, XMPP_NS_CLIENT), REASON_NONE);
	assert_int_equal(stream_header_check(&h, XMPP_NS_SERVER), REASON_NAMESPACE);
	stream_header_fini(&h);
	assert_null(h.from);
	stream_header_fini(&h);
}

/* Attributes in a namespace of their own and `lang` without xml: are somebody else's; an empty address is none. */
static void test_read_absent(void **state)
{
	struct stream_header h;

	(void)state;
	read_header(&h, "<s:stream xmlns:s='" STREAMS "' xmlns:x='urn:x' x:to='evil' x:lang='xx' lang='yy' from=''/>");
	assert_null(h.to);
	assert_null(h.from);
	assert_null(h.id);
	assert_null(h.lang);
	assert_null(h.content_ns);
	assert_string_equal(h.prefix, "s");
	assert_false(h.has_version);
	assert_int_equal(stream_header_check(&h, XMPP_NS_CLIENT), REASON_NONE);
	stream_header_fini(&h);
}

struct version {
	const char *text; /* NULL: absent */
	bool valid;
	unsigned major, minor;
};

static const struct version versions[] = {
    {NULL, false, 0, 0},
    {"1.0", true, 1, 0},
    {"1.10", true, 1, 10},
    {"01.0", true, 1, 0},
    {"2.0", true, 2, 0},
    {"11.0", true, 11, 0},
    {"0.9", true, 0, 9},
    {"1.00", true, 1, 0},
    {"4294967295.0", true, 4294967295U, 0},
    {"4294967296.0", true, 4294967295U, 0},
    {"99999999999999999999.1", true, 4294967295U, 1},
    {"", false, 0, 0},
    {"1", false, 0, 0},
    {"1.", false, 0, 0},
    {".0", false, 0, 0},
    {"1.0.0", false, 0, 0},
    {" 1.0", false, 0, 0},
    {"1.0 ", false, 0, 0},
    {"+1.0", false, 0, 0},
    {"-1.0", false, 0, 0},
    {"1.-0", false, 0, 0},
    {"one.zero", false, 0, 0},
    {"1,0", false, 0, 0},
};

static void test_versions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		const struct version *v = &versions[i];
		struct stream_header h;
		char *data = v->text == NULL ? mem_strdup("<stream xmlns='" STREAMS "'>")
					     : mem_printf("<stream xmlns='" STREAMS "' version='%s'>", v->text);

		read_header(&h, data);
		assert_int_equal(h.has_version, v->text != NULL);
		assert_int_equal(h.version_valid, v->valid);
		assert_int_equal(h.major, v->major);
		assert_int_equal(h.minor, v->minor);
		assert_int_equal(stream_header_is_pre10(&h), v->text == NULL || (v->valid && v->major == 0));
		stream_header_fini(&h);
		mem_free(data);
	}
}

struct check {
	const char *data;
	const char *content_ns;
	enum reason reason;
};

static const struct check checks[] = {
    {"<stream xmlns='" STREAMS "'>", XMPP_NS_CLIENT, REASON_NONE},
    {"<a:stream xmlns:a='" STREAMS "' xmlns='jabber:client'>", XMPP_NS_CLIENT, REASON_NONE},
    {"<a:stream xmlns:a='" STREAMS "' xmlns='jabber:server'>", XMPP_NS_SERVER, REASON_NONE},
    {"<a:stream xmlns:a='" STREAMS "' xmlns='jabber:server'>", XMPP_NS_CLIENT, REASON_NAMESPACE},
    {"<a:stream xmlns:a='" STREAMS "' xmlns='jabber:client'>", XMPP_NS_SERVER, REASON_NAMESPACE},
    {"<a:stream xmlns:a='" STREAMS "' xmlns='http://example.org/ns'>", XMPP_NS_CLIENT, REASON_NAMESPACE},
    {"<a:stream xmlns:a='" STREAMS "/' xmlns='jabber:client'>", XMPP_NS_CLIENT, REASON_NAMESPACE},
    {"<a:stream xmlns:a='http://wrong.example/' xmlns='jabber:client'>", XMPP_NS_CLIENT, REASON_NAMESPACE},
    {"<stream xmlns='jabber:client'>", XMPP_NS_CLIENT, REASON_NAMESPACE},
    {"<stream>", XMPP_NS_CLIENT, REASON_NAMESPACE},
    {"<html>", XMPP_NS_CLIENT, REASON_NAMESPACE},
    {"<a:features xmlns:a='" STREAMS "' xmlns='jabber:client'>", XMPP_NS_CLIENT, REASON_SMUGGLING},
    {"<a:Stream xmlns:a='" STREAMS "' xmlns='jabber:client'>", XMPP_NS_CLIENT, REASON_SMUGGLING},
};

static void test_check(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct stream_header h;

		read_header(&h, checks[i].data);
		assert_int_equal(stream_header_check(&h, checks[i].content_ns), checks[i].reason);
		stream_header_fini(&h);
	}
}

static void check_reply(const struct stream_reply *reply, const char *expected)
{
	struct strbuf out;

	strbuf_init(&out, 4096);
	stream_reply_write(&out, reply);
	assert_string_equal(strbuf_text(&out), expected);
	strbuf_fini(&out);
}

static void test_write(void **state)
{
	const struct stream_reply plain = {.content_ns = XMPP_NS_CLIENT,
					   .from = "im.example.com",
					   .id = "p1-5f0e7c2b9a64",
					   .lang = "en",
					   .version = true};
	const struct stream_reply full = {.content_ns = XMPP_NS_SERVER,
					  .from = "im.example.com",
					  .id = "x",
					  .to = "o'hara@im.example.com",
					  .lang = "en",
					  .version = true};
	const struct stream_reply old = {.content_ns = XMPP_NS_SERVER, .id = "p7-c3d1"};

	(void)state;
	check_reply(&plain,
		    "<?xml version='1.0'?><stream:stream from='im.example.com' id='p1-5f0e7c2b9a64' version='1.0' "
		    "xml:lang='en' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>");
	check_reply(&full,
		    "<?xml version='1.0'?><stream:stream from='im.example.com' id='x' to='o&apos;hara@im.example.com' "
		    "version='1.0' xml:lang='en' xmlns='jabber:server' xmlns:db='jabber:server:dialback' "
		    "xmlns:stream='http://etherx.jabber.org/streams'>");
	check_reply(&old, "<?xml version='1.0'?><stream:stream id='p7-c3d1' xmlns='jabber:server' "
			  "xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'>");
}

static void test_write_first(void **state)
{
	struct strbuf out;

	(void)state;
	strbuf_init(&out, 4096);
	stream_header_first(&out, XMPP_NS_SERVER, "im.example.com", "example.net");
	assert_string_equal(strbuf_text(&out),
			    "<?xml version='1.0'?><stream:stream from='im.example.com' to='example.net' version='1.0' "
			    "xml:lang='en' xmlns='jabber:server' xmlns:db='jabber:server:dialback' "
			    "xmlns:stream='http://etherx.jabber.org/streams'>");
	strbuf_clear(&out);
	stream_header_first(&out, XMPP_NS_SERVER, NULL,
			    "b\xC3\xBC"
			    "cher.example");
	assert_string_equal(strbuf_text(&out), "<?xml version='1.0'?><stream:stream to='b\xC3\xBC"
					       "cher.example' version='1.0' xml:lang='en' xmlns='jabber:server' "
					       "xmlns:db='jabber:server:dialback' "
					       "xmlns:stream='http://etherx.jabber.org/streams'>");
	strbuf_clear(&out);
	/* NEG-29: who logs in is nobody's business before TLS. */
	stream_header_first(&out, XMPP_NS_CLIENT, "juliet@example.net", "example.net");
	assert_string_equal(strbuf_text(&out),
			    "<?xml version='1.0'?><stream:stream to='example.net' version='1.0' xml:lang='en' "
			    "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>");
	strbuf_fini(&out);
}

struct modern {
	const char *raw, *modern; /* NULL: it cannot be read */
};

static const struct modern moderns[] = {
    {"<?xml version='1.0'?><stream:stream to='a'>", "<?xml version='1.0'?><stream:stream version='1.0' to='a'>"},
    {"<stream:stream>", "<stream:stream version='1.0'>"},
    {"<stream:stream/>", "<stream:stream version='1.0'/>"},
    {" \n<s\n to = \"a>b\"\n>", " \n<s version='1.0'\n to = \"a>b\"\n>"},
    {"<s version='0.9' to='a'>", "<s version='1.0' to='a'>"},
    {"<s to='a' version = \"0.9\" >", "<s to='a' version = \"1.0\" >"},
    {"<s version='1.0'>", "<s version='1.0'>"},
    {"<?xml version='0.1'?><s version='1.1' to='a'>", "<?xml version='0.1'?><s version='1.1' to='a'>"},
    {"<s version='2.0'>", "<s version='2.0'>"},
    {"<s version=''>", "<s version='1.0'>"},
    {"<s version='1&#46;0'>", "<s version='1.0'>"},
    {"<s version='one'>", "<s version='1.0'>"},
    {"<s version='000000000000000000000000000000000001.0'>", "<s version='1.0'>"},
    {"<s xmlns:x='urn:x' x:version='0.9'>", "<s version='1.0' xmlns:x='urn:x' x:version='0.9'>"},
    {"", NULL},
    {"stream", NULL},
    {"<s", NULL},
    {"<s to>", NULL},
    {"<s to='a>", NULL},
    {"<>", NULL},
};

static void test_modernise(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(moderns) / sizeof(moderns[0]); i++) {
		const struct modern *m = &moderns[i];
		struct strbuf out;

		strbuf_init(&out, 4096);
		assert_int_equal(stream_header_modernise(&out, m->raw, strlen(m->raw)), m->modern != NULL);
		assert_string_equal(strbuf_text(&out), m->modern != NULL ? m->modern : "");
		strbuf_fini(&out);
	}
}

/* A header that does not fit is not sent in part. */
static void test_modernise_too_long(void **state)
{
	static const char raw[] = "<stream:stream to='a'>";
	struct strbuf out;

	(void)state;
	strbuf_init(&out, sizeof(raw));
	assert_false(stream_header_modernise(&out, raw, sizeof(raw) - 1));
	strbuf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read),      cmocka_unit_test(test_read_absent),
	    cmocka_unit_test(test_versions),  cmocka_unit_test(test_check),
	    cmocka_unit_test(test_write),     cmocka_unit_test(test_write_first),
	    cmocka_unit_test(test_modernise), cmocka_unit_test(test_modernise_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * What expat calls back: judges each piece of XML (XML-1, XML-8, XML-10), builds the element being read and gives whole
 * events to the owner. Invariants: after a failure no handler does anything; an event is given out only when its last
 * byte has been read; nothing here feeds the parser.
 */
#include "xmpp/xmlstream_private.h"

#include <expat.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "xmpp/names.h"

#define ROOT_TAG_MAX 2048

void xmlstream_fail(struct xmlstream *xs, enum reason reason, const char *what, uint64_t where)
{
	if (xs->state == XMLSTREAM_RUN_FAILED)
		return;
	xs->state = XMLSTREAM_RUN_FAILED;
	xs->failure.reason = reason;
	(void)snprintf(xs->failure.detail, sizeof(xs->failure.detail), "%s at byte %llu", what,
		       (unsigned long long)where);
}

static uint64_t event_start(const struct xmlstream *xs)
{
	return xs->base + (uint64_t)XML_GetCurrentByteIndex(xs->parser);
}

/* From inside a handler: expat ends with XML_ERROR_ABORTED as soon as the handler returns. */
static void abort_parse(struct xmlstream *xs, enum reason reason, const char *what)
{
	xmlstream_fail(xs, reason, what, event_start(xs));
	(void)XML_StopParser(xs->parser, XML_FALSE);
}

static uint64_t event_end(const struct xmlstream *xs)
{
	return event_start(xs) + (uint64_t)XML_GetCurrentByteCount(xs->parser);
}

/* A whole event: bytes up to here may be relayed, and limits set inside the handler begin to hold. */
static void finish_event(struct xmlstream *xs, enum xmlstream_step step)
{
	xs->limits.element = xs->element_limit_next;
	xml_tree_reset(&xs->tree);
	xml_tree_set_limit(&xs->tree, xs->limits.element);
	if (step != XMLSTREAM_STOP)
		return;
	xs->state = XMLSTREAM_RUN_STOPPED;
	(void)XML_StopParser(xs->parser, XML_TRUE);
}

void xmlstream_end(struct xmlstream *xs)
{
	xs->state = XMLSTREAM_RUN_CLOSED;
	(void)xs->handlers->on_close(xs->ctx);
}

static bool over_attribute_limit(struct xmlstream *xs, const XML_Char *const *atts, size_t *count_out)
{
	size_t count = 0;

	while (atts[2 * count] != NULL)
		count++;
	*count_out = count;
	if (count <= xs->limits.attributes)
		return false;
	abort_parse(xs, REASON_TOO_BIG, "too many attributes");
	return true;
}

/*
 * What a new parser needs to read on behind the header: the root's name, which the close tag must repeat, and the
 * namespaces in scope. A header that declares more than anyone does is not kept: its stream just never rests.
 */
static void remember_root(struct xmlstream *xs, const struct xml_node *root)
{
	struct strbuf tag;

	strbuf_init(&tag, ROOT_TAG_MAX);
	strbuf_printf(&tag, "<%s%s%s", root->prefix, root->prefix[0] != '\0' ? ":" : "", root->name);
	for (size_t i = 0; i < xs->decl_count; i++) {
		const struct xml_decl *decl = &xs->decls[i];

		strbuf_printf(&tag, " xmlns%s%s='", decl->prefix[0] != '\0' ? ":" : "", decl->prefix);
		strbuf_put_xml(&tag, decl->uri);
		strbuf_puts(&tag, "'");
	}
	strbuf_puts(&tag, ">");
	if (!tag.overflow) {
		xs->root_tag = mem_dup(tag.data, tag.len);
		xs->root_tag_len = tag.len;
	}
	strbuf_fini(&tag);
}

static void open_root(struct xmlstream *xs, const XML_Char *name, const XML_Char *const *atts, size_t count)
{
	struct xml_node *root = xml_tree_open(&xs->tree, name, atts, count);
	enum xmlstream_step step;

	if (root == NULL) {
		abort_parse(xs, REASON_TOO_BIG, "stream header too big");
		return;
	}
	root->start = event_start(xs);
	root->open_end = root->end = event_end(xs);
	xs->opened = true;
	xs->done = root->end;
	remember_root(xs, root);
	step = xs->handlers->on_open(xs->ctx, root, xs->decls, xs->decl_count);
	mem_free(xs->decls);
	xs->decls = NULL;
	finish_event(xs, step);
}

/* XML-8: what another parser could take for a stream of its own never passes. */
static bool is_smuggled(struct xmlstream *xs, const XML_Char *name)
{
	if (!xml_tree_in_ns(name, XMPP_NS_STREAM))
		return false;
	if (xs->level > 1) {
		abort_parse(xs, REASON_SMUGGLING, "nested element of the streams namespace");
		return true;
	}
	if (xml_tree_local_is(name, "features") || xml_tree_local_is(name, "error"))
		return false;
	if (xml_tree_local_is(name, "stream"))
		abort_parse(xs, REASON_SECOND_HEADER, "second stream header");
	else
		abort_parse(xs, REASON_SMUGGLING, "unknown element of the streams namespace");
	return true;
}

static void open_element(struct xmlstream *xs, const XML_Char *name, const XML_Char *const *atts, size_t count)
{
	struct xml_node *node;

	if (is_smuggled(xs, name))
		return;
	if (xs->level > xs->limits.depth) {
		abort_parse(xs, REASON_TOO_DEEP, "element nested too deeply");
		return;
	}
	if (xs->level == 1)
		xs->detail = xml_tree_in_ns(name, XMPP_NS_STREAM) ? XMLSTREAM_TREE : xs->detail_next;
	else if (xs->detail == XMLSTREAM_TOP)
		return;
	node = xml_tree_open(&xs->tree, name, atts, count);
	if (node == NULL) {
		abort_parse(xs, REASON_TOO_BIG, "element with too many parts");
		return;
	}
	node->start = event_start(xs);
	node->open_end = event_end(xs);
	if (xs->level == 1)
		xs->top = node;
}

static void on_start(void *ctx, const XML_Char *name, const XML_Char **atts)
{
	struct xmlstream *xs = ctx;
	const XML_Char *const *pairs = (const XML_Char *const *)atts;
	size_t count;

	xs->decls_here = 0;
	if (xs->state == XMLSTREAM_RUN_FAILED || over_attribute_limit(xs, pairs, &count))
		return;
	if (xs->level == 0)
		open_root(xs, name, pairs, count);
	else
		open_element(xs, name, pairs, count);
	xs->level++;
	xs->tag_end = event_end(xs);
}

static void close_element(struct xmlstream *xs)
{
	struct xml_node *top = xs->top;

	top->end = event_end(xs);
	if (top->end - top->start > xs->limits.element) {
		abort_parse(xs, REASON_TOO_BIG, "element too big");
		return;
	}
	xs->top = NULL;
	xs->done = top->end;
	xs->elements++;
	finish_event(xs, xs->handlers->on_element(xs->ctx, top));
}

static void close_root(struct xmlstream *xs)
{
	xs->done = event_end(xs);
	if (xs->state == XMLSTREAM_RUN_STOPPED) {
		xs->close_pending = true;
		return;
	}
	xmlstream_end(xs);
	(void)XML_StopParser(xs->parser, XML_FALSE);
}

static void on_end(void *ctx, const XML_Char *name)
{
	struct xmlstream *xs = ctx;
	struct xml_node *node = NULL;

	(void)name;
	if (xs->state == XMLSTREAM_RUN_FAILED)
		return;
	xs->level--;
	xs->tag_end = event_end(xs);
	if (xs->level == 0) {
		close_root(xs);
		return;
	}
	if (xs->level == 1 || xs->detail == XMLSTREAM_TREE) {
		node = xml_tree_close(&xs->tree);
		if (node == NULL) {
			abort_parse(xs, REASON_TOO_BIG, "element with too many parts");
			return;
		}
		node->end = event_end(xs);
	}
	if (xs->level == 1)
		close_element(xs);
}

size_t xmlstream_blanks(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && (text[n] == ' ' || text[n] == '\t' || text[n] == '\r' || text[n] == '\n'))
		n++;
	return n;
}

/* Between elements only white space as itself: a character reference to a blank is longer than the blank (XML-10). */
static void check_blank(struct xmlstream *xs, const XML_Char *text, size_t len)
{
	size_t blank = xmlstream_blanks(text, len);
	size_t written = (size_t)XML_GetCurrentByteCount(xs->parser);

	if (blank < len || written > len + 1) {
		xmlstream_fail(xs, REASON_STRAY_TEXT, "text between elements",
			       event_start(xs) + (written == len ? blank : 0));
		(void)XML_StopParser(xs->parser, XML_FALSE);
	}
}

static void on_text(void *ctx, const XML_Char *text, int length)
{
	struct xmlstream *xs = ctx;
	size_t len = (size_t)length;

	if (xs->state == XMLSTREAM_RUN_FAILED)
		return;
	if (xs->level == 1)
		check_blank(xs, text, len);
	else if (xs->detail == XMLSTREAM_TREE && !xml_tree_text(&xs->tree, text, len))
		abort_parse(xs, REASON_TOO_BIG, "too much text");
}

static void on_cdata(void *ctx)
{
	struct xmlstream *xs = ctx;

	if (xs->state != XMLSTREAM_RUN_FAILED && xs->level == 1)
		abort_parse(xs, REASON_STRAY_TEXT, "CDATA section between elements");
}

static void keep_decl(struct xmlstream *xs, const XML_Char *prefix, const XML_Char *uri)
{
	if (xs->decl_count == xs->decl_room) {
		xs->decl_room = xs->decl_room == 0 ? 4 : xs->decl_room * 2;
		xs->decls = mem_realloc(xs->decls, xs->decl_room * sizeof(*xs->decls));
	}
	if (xml_tree_decl(&xs->tree, &xs->decls[xs->decl_count], prefix, uri))
		xs->decl_count++;
	else
		abort_parse(xs, REASON_TOO_BIG, "stream header too big");
}

/* CVE-2022-25236 was a separator inside a namespace name; blanks there serve nobody either (XML-9). */
static void on_decl(void *ctx, const XML_Char *prefix, const XML_Char *uri)
{
	struct xmlstream *xs = ctx;
	static const char bad[] = {' ', '\t', '\r', '\n', XML_TREE_SEPARATOR, '\0'};

	if (xs->state == XMLSTREAM_RUN_FAILED)
		return;
	if (++xs->decls_here > xs->limits.attributes)
		abort_parse(xs, REASON_TOO_BIG, "too many namespace declarations");
	else if (uri != NULL && strpbrk(uri, bad) != NULL)
		abort_parse(xs, REASON_NOT_WELL_FORMED, "white space in a namespace name");
	else if (xs->level == 0)
		keep_decl(xs, prefix, uri);
}

static void on_comment(void *ctx, const XML_Char *text)
{
	(void)text;
	abort_parse(ctx, REASON_RESTRICTED_XML, "comment");
}

static void on_instruction(void *ctx, const XML_Char *target, const XML_Char *text)
{
	(void)target;
	(void)text;
	abort_parse(ctx, REASON_RESTRICTED_XML, "processing instruction");
}

/* Here, before its internal subset is read, so that no entity is ever declared (XML-7). */
static void on_doctype(void *ctx, const XML_Char *name, const XML_Char *sysid, const XML_Char *pubid, int internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	abort_parse(ctx, REASON_RESTRICTED_XML, "document type declaration");
}

static void on_xml_decl(void *ctx, const XML_Char *version, const XML_Char *encoding, int standalone)
{
	struct xmlstream *xs = ctx;

	(void)standalone; /* says nothing without a document type (RFC 6120 section 11.5) */
	if (version == NULL || strcmp(version, "1.0") != 0)
		abort_parse(xs, REASON_NOT_WELL_FORMED, "XML version other than 1.0");
	else if (encoding != NULL && strcasecmp(encoding, "UTF-8") != 0)
		abort_parse(xs, REASON_ENCODING, "declared encoding other than UTF-8");
}

void xmlstream_attach(struct xmlstream *xs)
{
	XML_SetUserData(xs->parser, xs);
	XML_SetElementHandler(xs->parser, on_start, on_end);
	XML_SetCharacterDataHandler(xs->parser, on_text);
	XML_SetStartCdataSectionHandler(xs->parser, on_cdata);
	XML_SetStartNamespaceDeclHandler(xs->parser, on_decl);
	XML_SetCommentHandler(xs->parser, on_comment);
	XML_SetProcessingInstructionHandler(xs->parser, on_instruction);
	XML_SetStartDoctypeDeclHandler(xs->parser, on_doctype);
	XML_SetXmlDeclHandler(xs->parser, on_xml_decl);
}

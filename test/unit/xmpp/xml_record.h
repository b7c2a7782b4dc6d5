/* SPDX-License-Identifier: MIT */
/*
 * Writes down everything an xmlstream says, as text, so that two ways of feeding the same bytes can be compared. For
 * the unit tests and the fuzz target of xmlstream; all functions are static, not every user needs each.
 */
#ifndef TEST_UNIT_XMPP_XML_RECORD_H
#define TEST_UNIT_XMPP_XML_RECORD_H

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "xmpp/xmlstream.h"

struct record {
	struct xmlstream *xs;
	struct strbuf log;
	enum xmlstream_step step; /* what each handler answers */
	const char *data;         /* the whole document, to check ranges against; may be NULL */
	bool rests;               /* xmlstream_rest after every piece */
	bool bad_range;           /* an event's range does not begin with '<' and end with '>' */
	enum xmlstream_result result;
	size_t consumed; /* of all pieces together */
};

static void record_range(struct record *r, uint64_t start, uint64_t end)
{
	if (r->data != NULL && (start >= end || r->data[start] != '<' || r->data[end - 1] != '>'))
		r->bad_range = true;
	strbuf_printf(&r->log, " %u-%u", (unsigned)start, (unsigned)end);
}

/* (ns|prefix|name attr=value… "text" start-open_end-end children…) */
static void record_node(struct record *r, const struct xml_node *node)
{
	strbuf_printf(&r->log, "(%s|%s|%s", node->ns, node->prefix, node->name);
	for (size_t i = 0; i < node->attr_count; i++) {
		const struct xml_attr *a = &node->attrs[i];

		strbuf_printf(&r->log, " %s|%s=%s", a->ns != NULL ? a->ns : "", a->name, a->value);
	}
	if (node->text_len > 0)
		strbuf_printf(&r->log, " \"%s\"", node->text);
	if (strlen(node->text) != node->text_len)
		r->bad_range = true;
	record_range(r, node->start, node->open_end);
	if (node->end != node->open_end)
		record_range(r, node->start, node->end);
	for (const struct xml_node *child = node->first_child; child != NULL; child = child->next) {
		if (child->parent != node || (child->next == NULL && child != node->last_child))
			r->bad_range = true;
		record_node(r, child);
	}
	strbuf_puts(&r->log, ")");
}

static enum xmlstream_step record_open(void *ctx, const struct xml_node *root, const struct xml_decl *decls,
				       size_t decl_count)
{
	struct record *r = ctx;

	strbuf_puts(&r->log, "open ");
	record_node(r, root);
	for (size_t i = 0; i < decl_count; i++)
		strbuf_printf(&r->log, " %s=>%s", decls[i].prefix, decls[i].uri);
	strbuf_puts(&r->log, "\n");
	return r->step;
}

static enum xmlstream_step record_element(void *ctx, const struct xml_node *element)
{
	struct record *r = ctx;

	strbuf_puts(&r->log, "element ");
	record_node(r, element);
	strbuf_puts(&r->log, "\n");
	return r->step;
}

static enum xmlstream_step record_close(void *ctx)
{
	struct record *r = ctx;

	strbuf_puts(&r->log, "close\n");
	return r->step;
}

static const struct xmlstream_handlers record_handlers = {record_open, record_element, record_close};

static void record_init(struct record *r, const struct xmlstream_limits *limits, enum xmlstream_detail detail,
			enum xmlstream_step step)
{
	memset(r, 0, sizeof(*r));
	strbuf_init(&r->log, (size_t)64 * 1024 * 1024);
	r->step = step;
	r->xs = xmlstream_new(limits, &record_handlers, r);
	xmlstream_set_detail(r->xs, detail);
}

static void record_fini(struct record *r)
{
	xmlstream_free(&r->xs);
	strbuf_fini(&r->log);
}

/*
 * Feeds one piece as a session would: after STOP again with what is left. Returns false once nothing more may come.
 * The piece is fed from memory of its own size, so that a sanitiser sees a read past its end.
 */
static bool record_feed(struct record *r, const char *piece, size_t len)
{
	char *copy = mem_dup(piece, len);
	size_t at = 0, used = 0;

	do {
		r->result = xmlstream_feed(r->xs, copy + at, len - at, &used);
		if (used > len - at || (r->result == XMLSTREAM_MORE && used != len - at))
			r->bad_range = true;
		if (r->result == XMLSTREAM_STOPPED && r->consumed + used != xmlstream_done(r->xs))
			r->bad_range = true;
		at += used;
		r->consumed += used;
		if (xmlstream_done(r->xs) > r->consumed)
			r->bad_range = true;
		if (r->rests)
			(void)xmlstream_rest(r->xs);
	} while (r->result == XMLSTREAM_STOPPED);
	mem_free(copy);
	return r->result == XMLSTREAM_MORE;
}

/* The last line: how it stands after everything was fed. */
static void record_end(struct record *r)
{
	static const char *const names[] = {"more", "stopped", "closed", "failed"};

	strbuf_printf(&r->log, "%s done %u elements %u begun %d opened %d", names[r->result],
		      (unsigned)xmlstream_done(r->xs), (unsigned)xmlstream_elements(r->xs), xmlstream_begun(r->xs),
		      xmlstream_opened(r->xs));
	if (r->result == XMLSTREAM_FAILED)
		strbuf_printf(&r->log, " %s (%s)", reason_info(xmlstream_failure(r->xs)->reason)->word,
			      xmlstream_failure(r->xs)->detail);
}

/* Feeds `first` bytes, then pieces of `rest` bytes. */
static void record_run(struct record *r, const char *data, size_t len, size_t first, size_t rest)
{
	size_t at = 0, piece = first < len ? first : len;

	r->data = data;
	while (record_feed(r, data + at, piece)) {
		at += piece;
		if (at >= len)
			break;
		piece = rest < len - at ? rest : len - at;
	}
	record_end(r);
}

#endif

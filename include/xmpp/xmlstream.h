/* SPDX-License-Identifier: MIT */
/*
 * An XML stream read incrementally (expat behind this seam). Gives the stream header, whole first-level elements and
 * the closing tag as events with exact byte ranges, stops at an event's last byte when told to, and enforces
 * XML-1…XML-10 of the protocol page: UTF-8 only (own check), no DTD, entity, comment or processing instruction, no text
 * between elements but white space, bounds before memory is taken, no element of the streams namespace except where it
 * is legal. Matching is by namespace and local name, however bytes are split or prefixed.
 */
#ifndef PROXY_XMPP_XMLSTREAM_H
#define PROXY_XMPP_XMLSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xmpp/reason.h"

struct xml_attr {
	const char *ns; /* NULL: none */
	const char *name;
	const char *value;
};

/* xmlns declarations of the stream header; prefix "" is the default namespace. */
struct xml_decl {
	const char *prefix;
	const char *uri;
};

/*
 * An element. Lives until the handler it is given to returns. Offsets count bytes from the start of this xmlstream.
 * For the stream header, start..open_end is the start tag and `end` equals `open_end`.
 */
struct xml_node {
	const char *ns;     /* "" when it has none */
	const char *name;   /* local name */
	const char *prefix; /* "" when written without */
	const struct xml_attr *attrs;
	size_t attr_count;
	const char *text; /* direct character data, "" if none (XMLSTREAM_TREE only) */
	size_t text_len;
	uint64_t start;    /* of '<' */
	uint64_t open_end; /* behind the start tag's '>' */
	uint64_t end;      /* behind the end tag's '>' */
	struct xml_node *parent, *first_child, *last_child, *next;
};

/* The value of the attribute without namespace, or NULL. */
const char *xml_node_attr(const struct xml_node *node, const char *name);
bool xml_node_is(const struct xml_node *node, const char *ns, const char *name);
/* First child element of that name (name NULL: any name of that namespace; ns NULL: any namespace), or NULL. */
const struct xml_node *xml_node_child(const struct xml_node *node, const char *ns, const char *name);
/* The node behind `node` in document order, within `top` and all below it; NULL behind the last. */
const struct xml_node *xml_node_walk(const struct xml_node *node, const struct xml_node *top);

/* Is all of it white space in XML's sense (space, tab, CR, LF)? True for nothing. */
bool xml_only_space(const char *data, size_t len);

enum xmlstream_detail {
	XMLSTREAM_TREE, /* whole first-level elements, with children and text */
	/* Only the first-level element's own name and attributes: costs nothing per stanza but the parse. An element of
	 * the streams namespace is read whole all the same: it is rare, and its children say what it means. */
	XMLSTREAM_TOP,
};

enum xmlstream_step { XMLSTREAM_GO_ON, XMLSTREAM_STOP };

/* Called from xmlstream_feed; must not free the xmlstream nor feed it. STOP ends the feed right behind this event. */
struct xmlstream_handlers {
	enum xmlstream_step (*on_open)(void *ctx, const struct xml_node *root, const struct xml_decl *decls,
				       size_t decl_count);
	enum xmlstream_step (*on_element)(void *ctx, const struct xml_node *element);
	enum xmlstream_step (*on_close)(void *ctx); /* </stream:stream>; nothing behind it is read */
};

struct xmlstream_limits {
	size_t element;      /* bytes of one first-level element, and of the header with all before it */
	unsigned depth;      /* nested elements, the first-level element being 1 */
	unsigned attributes; /* attributes and namespace declarations of one element, each */
};

enum xmlstream_result {
	XMLSTREAM_MORE,    /* everything was read */
	XMLSTREAM_STOPPED, /* a handler said STOP */
	XMLSTREAM_CLOSED,  /* the stream's end tag was read */
	XMLSTREAM_FAILED,  /* see xmlstream_failure; stays failed */
};

struct xmlstream;

/* handlers and ctx must outlive the xmlstream. Starts with XMLSTREAM_TREE. The caller frees with xmlstream_free. */
struct xmlstream *xmlstream_new(const struct xmlstream_limits *limits, const struct xmlstream_handlers *handlers,
				void *ctx);
void xmlstream_free(struct xmlstream **xs);

/*
 * Reads data. *consumed_out is len for MORE; for STOPPED and CLOSED it ends right behind the event. After STOPPED the
 * caller may free the xmlstream, or feed again *starting with the bytes that were not consumed* (at least as many as
 * were left over), possibly with more behind them. A header that closes itself (<stream:stream/>) is two events at one
 * byte: when on_open says STOP, the next feed, be it of no bytes, gives on_close.
 */
enum xmlstream_result xmlstream_feed(struct xmlstream *xs, const void *data, size_t len, size_t *consumed_out);

/* Takes effect from the next first-level element on; callable inside a handler. */
void xmlstream_set_detail(struct xmlstream *xs, enum xmlstream_detail detail);
void xmlstream_set_element_limit(struct xmlstream *xs, size_t bytes);

/*
 * Gives the memory of the parser back where nothing is half read; the next byte that is no white space makes a new one
 * that knows the header's namespaces, and all goes on as if nothing had happened. False, and nothing changes, where an
 * element is incomplete or the header is not whole. Not from inside a handler.
 */
bool xmlstream_rest(struct xmlstream *xs);

/*
 * Offset behind the last complete event or white space between elements: bytes before it are whole elements and may be
 * relayed; bytes from it on belong to an element that is not complete (NEG-36).
 */
uint64_t xmlstream_done(const struct xmlstream *xs);
/* Whole first-level elements seen so far. */
uint64_t xmlstream_elements(const struct xmlstream *xs);
/* Has the header begun (any byte but white space)? Have we seen it whole? */
bool xmlstream_begun(const struct xmlstream *xs);
bool xmlstream_opened(const struct xmlstream *xs);

struct xmlstream_failure {
	enum reason reason; /* RESTRICTED_XML, NOT_WELL_FORMED, ENCODING, SMUGGLING, STRAY_TEXT, TOO_BIG, TOO_DEEP,
			       SECOND_HEADER; INTERNAL when there is no memory for a parser */
	char detail[96];    /* what and where, no peer bytes: "comment at byte 512" */
};
/* Only after XMLSTREAM_FAILED. */
const struct xmlstream_failure *xmlstream_failure(const struct xmlstream *xs);

/* "libexpat 2.5.0, reparse deferral off" for --version (XML-5, XML-13). */
const char *xmlstream_library(void);

#endif

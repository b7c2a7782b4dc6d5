/* SPDX-License-Identifier: MIT */
/*
 * The state of one XML stream, shared by what feeds expat (xmlstream.c) and what expat calls back
 * (xmlstream_events.c). For these two only.
 */
#ifndef PROXY_XMPP_XMLSTREAM_PRIVATE_H
#define PROXY_XMPP_XMLSTREAM_PRIVATE_H

#include "base/utf8.h"
#include "xmpp/xmlstream.h"
#include "xmpp/xmlstream_tree_private.h"

struct XML_ParserStruct;

enum xmlstream_run {
	XMLSTREAM_RUN_READING,
	XMLSTREAM_RUN_STOPPED, /* a handler said STOP; expat may hold bytes behind the event */
	XMLSTREAM_RUN_CLOSED,
	XMLSTREAM_RUN_FAILED,
};

struct xmlstream {
	struct XML_ParserStruct *parser; /* expat's XML_Parser; NULL while at rest, and when there was no memory */
	const struct xmlstream_handlers *handlers;
	void *ctx;
	struct xmlstream_limits limits;
	size_t element_limit_next;
	enum xmlstream_detail detail, detail_next;
	enum xmlstream_run state;
	struct utf8_state utf8;
	enum utf8_result utf8_result; /* not OK: nothing may be read past `fed` */
	uint64_t utf8_where;          /* of the character that is not OK */
	char carry[4];                /* a character cut in two: expat gets it whole or not at all */
	size_t carry_len;
	unsigned bom; /* bytes of U+FEFF seen at the start */
	uint64_t fed; /* bytes taken: expat has them, but for what is in `carry` */
	uint64_t at;  /* offset of the next byte the caller owes us */
	uint64_t done;
	/* Our offset of expat's byte 0: grows by every text that expat does not get, and is not 0 in a parser that was
	 * made anew behind the header. */
	uint64_t base;
	uint64_t tag_end; /* behind the last tag, and behind the text after it that expat did not get */
	uint64_t elements;
	char *root_tag; /* opens the root in a new parser: its name and namespaces. NULL: none, or too long to keep */
	size_t root_tag_len;
	bool begun, opened;
	bool asleep;        /* expat is suspended */
	bool close_pending; /* the header was self-closing and on_open said STOP */
	unsigned level;     /* open elements, the root included */
	unsigned decls_here;
	struct xml_decl *decls; /* of the root, until on_open has returned */
	size_t decl_count, decl_room;
	struct xml_tree tree;
	struct xml_node *top; /* the first-level element being read */
	struct xmlstream_failure failure;
};

/* The first failure is final: later ones change nothing. */
void xmlstream_fail(struct xmlstream *xs, enum reason reason, const char *what, uint64_t where);
/* How many of the len bytes are white space, from the first on. */
size_t xmlstream_blanks(const char *text, size_t len);
/* Installs the handlers into a parser. */
void xmlstream_attach(struct xmlstream *xs);
/* The stream's end tag: tells the owner, once. */
void xmlstream_end(struct xmlstream *xs);

#endif

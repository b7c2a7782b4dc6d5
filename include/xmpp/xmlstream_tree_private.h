/* SPDX-License-Identifier: MIT */
/*
 * The tree of one element while xmlstream reads it, in an arena that is emptied for the next one. For xmlstream*.c
 * only.
 *
 * The arena is bounded by XML_TREE_FACTOR times the element limit and a little: an element made of nothing but empty
 * children needs thirty bytes of tree for each byte of its own, and is refused before that is spent.
 */
#ifndef PROXY_XMPP_XMLSTREAM_TREE_PRIVATE_H
#define PROXY_XMPP_XMLSTREAM_TREE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "xmpp/xmlstream.h"

#define XML_TREE_FACTOR 8
#define XML_TREE_SLACK ((size_t)16 * 1024)
/* Stands between namespace, name and prefix in what expat reports: a character no XML document can hold. */
#define XML_TREE_SEPARATOR '\1'

struct xml_arena;

struct xml_tree {
	struct xml_arena *arena; /* newest block first; NULL until the first element */
	size_t used, max;        /* bytes handed out since the last reset, and their bound */
	struct strbuf text;      /* character data of the open nodes, innermost last */
	struct xml_tree_node *open;
};

void xml_tree_init(struct xml_tree *tree);
void xml_tree_fini(struct xml_tree *tree);
/* Forgets the nodes; keeps a block and a modest text buffer, so that an ordinary stanza allocates nothing. */
void xml_tree_reset(struct xml_tree *tree);
void xml_tree_set_limit(struct xml_tree *tree, size_t element_limit);

/* All below return NULL or false when the bound would be passed. */

/*
 * Opens a node, child of the one that is open. name and atts are as expat reports them with triplets on; at most
 * 2 * attr_count entries of atts are read.
 */
struct xml_node *xml_tree_open(struct xml_tree *tree, const char *name, const char *const *atts, size_t attr_count);
bool xml_tree_text(struct xml_tree *tree, const char *text, size_t len);
/* Closes the open node, which becomes whole; its parent is open again. */
struct xml_node *xml_tree_close(struct xml_tree *tree);
/* Copies a namespace declaration as expat reports it (NULL: no prefix, no namespace). */
bool xml_tree_decl(struct xml_tree *tree, struct xml_decl *entry, const char *prefix, const char *uri);
/* Plain memory of the arena. */
void *xml_tree_alloc(struct xml_tree *tree, size_t size);

/* Does expat's name lie in that namespace; and is its local name this one? Neither allocates. */
bool xml_tree_in_ns(const char *name, const char *ns);
bool xml_tree_local_is(const char *name, const char *local);

#endif

/* SPDX-License-Identifier: MIT */
/* A YAML document as a tree of our own, with the mark of every node: the only place that knows libyaml is behind it. */
#ifndef PROXY_POLICY_TREE_PRIVATE_H
#define PROXY_POLICY_TREE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/diag.h"

enum tree_kind {
	TREE_SCALAR,
	TREE_SEQUENCE,
	TREE_MAPPING,
	TREE_BAD, /* refused and reported already: say nothing more about it */
	TREE_KIND_COUNT
};

#define TREE_DEPTH 16 /* nested collections; the schema needs five */

struct tree_node {
	enum tree_kind kind;
	struct config_mark mark;
	bool plain; /* scalar without quotes, not a block scalar */
	char *text; /* scalar, never NULL there, without NUL bytes inside */
	size_t len;
	struct tree_node **items; /* sequence: the items; mapping: key, value, key, value */
	size_t count;             /* of items: even for a mapping */
};

/*
 * Parses data as one YAML document. Returns NULL, with an error in diags, if it is not one. Refusals that leave a tree
 * (anchors, aliases, tags, NUL in a scalar) are errors in diags too. The caller frees with tree_free.
 */
struct tree_node *tree_parse(const char *data, size_t len, struct diag_list *diags);
void tree_free(struct tree_node **node);
/* A plain null, ~ or nothing. */
bool tree_is_null(const struct tree_node *node);

#endif

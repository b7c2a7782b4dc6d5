/* SPDX-License-Identifier: MIT */
/*
 * Nodes of the element being read, and the questions one may ask a node. Owns the arena they live in. Invariants: every
 * string is NUL-terminated and inside the arena; used <= max at all times; text of the open nodes lies in one buffer in
 * the order of nesting, so that a node's own text is one piece however many children interrupt it.
 */
#include "xmpp/xmlstream_tree_private.h"

#include <string.h>

#include "base/slab.h"

#define TEXT_KEEP ((size_t)8192)

struct xml_arena {
	struct xml_arena *next;
	size_t size, used; /* of data */
	max_align_t data[];
};

#define BLOCK_SIZE ((size_t)4096 - sizeof(struct xml_arena))

/* A node and what only its making needs. The public part comes first. */
struct xml_tree_node {
	struct xml_node node;
	struct xml_tree_node *parent;
	size_t text_start; /* in the text buffer */
};

void xml_tree_init(struct xml_tree *tree)
{
	memset(tree, 0, sizeof(*tree));
	strbuf_init(&tree->text, SIZE_MAX / 2);
}

static void free_blocks(struct xml_arena *block)
{
	while (block != NULL) {
		struct xml_arena *next = block->next;

		slab_free(block);
		block = next;
	}
}

void xml_tree_fini(struct xml_tree *tree)
{
	free_blocks(tree->arena);
	strbuf_fini(&tree->text);
	xml_tree_init(tree);
}

void xml_tree_reset(struct xml_tree *tree)
{
	if (tree->arena != NULL) {
		free_blocks(tree->arena->next);
		tree->arena->next = NULL;
		tree->arena->used = 0;
		if (tree->arena->size > BLOCK_SIZE) {
			free_blocks(tree->arena);
			tree->arena = NULL;
		}
	}
	if (tree->text.size > TEXT_KEEP)
		strbuf_fini(&tree->text);
	else
		strbuf_clear(&tree->text);
	tree->used = 0;
	tree->open = NULL;
}

void xml_tree_set_limit(struct xml_tree *tree, size_t element_limit)
{
	if (element_limit > (SIZE_MAX - XML_TREE_SLACK) / XML_TREE_FACTOR)
		tree->max = SIZE_MAX;
	else
		tree->max = element_limit * XML_TREE_FACTOR + XML_TREE_SLACK;
}

void *xml_tree_alloc(struct xml_tree *tree, size_t size)
{
	struct xml_arena *block = tree->arena;
	void *at;

	if (size > tree->max - tree->used || size > SIZE_MAX / 2)
		return NULL;
	size = (size + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
	if (block == NULL || size > block->size - block->used) {
		size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;

		block = slab_alloc(sizeof(*block) + room);
		if (block == NULL)
			return NULL;
		*block = (struct xml_arena){.next = tree->arena, .size = room};
		tree->arena = block;
	}
	at = (char *)block->data + block->used;
	block->used += size;
	tree->used = size > tree->max - tree->used ? tree->max : tree->used + size;
	return at;
}

static char *copy(struct xml_tree *tree, const char *text, size_t len)
{
	char *to = xml_tree_alloc(tree, len + 1);

	if (to == NULL)
		return NULL;
	memcpy(to, text, len);
	to[len] = '\0';
	return to;
}

/* expat reports "local", "namespace SEP local" or "namespace SEP local SEP prefix". */
struct triplet {
	const char *ns, *local, *prefix;
	size_t ns_len, local_len, prefix_len;
};

static struct triplet split(const char *name)
{
	struct triplet t = {.ns = "", .local = name, .prefix = ""};
	const char *sep = strchr(name, XML_TREE_SEPARATOR);

	if (sep != NULL) {
		t.ns = name;
		t.ns_len = (size_t)(sep - name);
		t.local = sep + 1;
		sep = strchr(t.local, XML_TREE_SEPARATOR);
	}
	t.local_len = sep != NULL ? (size_t)(sep - t.local) : strlen(t.local);
	if (sep != NULL) {
		t.prefix = sep + 1;
		t.prefix_len = strlen(t.prefix);
	}
	return t;
}

static bool same(const char *text, size_t len, const char *other)
{
	return strncmp(text, other, len) == 0 && other[len] == '\0';
}

bool xml_tree_in_ns(const char *name, const char *ns)
{
	struct triplet t = split(name);

	return same(t.ns, t.ns_len, ns);
}

bool xml_tree_local_is(const char *name, const char *local)
{
	struct triplet t = split(name);

	return same(t.local, t.local_len, local);
}

/* Children mostly share their parent's namespace: one copy of it serves all. */
static bool set_name(struct xml_tree *tree, struct xml_node *node, const char *name)
{
	const struct xml_node *parent = node->parent;
	struct triplet t = split(name);

	if (parent != NULL && same(t.ns, t.ns_len, parent->ns))
		node->ns = parent->ns;
	else
		node->ns = t.ns_len == 0 ? "" : copy(tree, t.ns, t.ns_len);
	if (parent != NULL && same(t.prefix, t.prefix_len, parent->prefix))
		node->prefix = parent->prefix;
	else
		node->prefix = t.prefix_len == 0 ? "" : copy(tree, t.prefix, t.prefix_len);
	node->name = copy(tree, t.local, t.local_len);
	return node->ns != NULL && node->prefix != NULL && node->name != NULL;
}

static bool set_attr(struct xml_tree *tree, struct xml_attr *attr, const char *name, const char *value)
{
	struct triplet t = split(name);

	attr->ns = NULL;
	if (t.ns_len > 0) {
		attr->ns = copy(tree, t.ns, t.ns_len);
		if (attr->ns == NULL)
			return false;
	}
	attr->name = copy(tree, t.local, t.local_len);
	attr->value = copy(tree, value, strlen(value));
	return attr->name != NULL && attr->value != NULL;
}

static bool set_attrs(struct xml_tree *tree, struct xml_node *node, const char *const *atts, size_t count)
{
	struct xml_attr *attrs;

	if (count == 0)
		return true;
	attrs = xml_tree_alloc(tree, count * sizeof(*attrs));
	if (attrs == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!set_attr(tree, &attrs[i], atts[2 * i], atts[2 * i + 1]))
			return false;
	}
	node->attrs = attrs;
	node->attr_count = count;
	return true;
}

static void append_child(struct xml_node *parent, struct xml_node *child)
{
	if (parent == NULL)
		return;
	if (parent->last_child != NULL)
		parent->last_child->next = child;
	else
		parent->first_child = child;
	parent->last_child = child;
}

struct xml_node *xml_tree_open(struct xml_tree *tree, const char *name, const char *const *atts, size_t attr_count)
{
	struct xml_tree_node *n = xml_tree_alloc(tree, sizeof(*n));

	if (n == NULL)
		return NULL;
	memset(n, 0, sizeof(*n));
	n->parent = tree->open;
	n->text_start = tree->text.len;
	n->node.parent = n->parent != NULL ? &n->parent->node : NULL;
	n->node.text = "";
	if (!set_name(tree, &n->node, name) || !set_attrs(tree, &n->node, atts, attr_count))
		return NULL;
	append_child(n->node.parent, &n->node);
	tree->open = n;
	return &n->node;
}

bool xml_tree_text(struct xml_tree *tree, const char *text, size_t len)
{
	return strbuf_add(&tree->text, text, len);
}

struct xml_node *xml_tree_close(struct xml_tree *tree)
{
	struct xml_tree_node *n = tree->open;
	size_t len = tree->text.len - n->text_start;

	if (len > 0) {
		n->node.text = copy(tree, tree->text.data + n->text_start, len);
		if (n->node.text == NULL)
			return NULL;
		n->node.text_len = len;
		tree->text.len = n->text_start;
		tree->text.data[n->text_start] = '\0';
	}
	tree->open = n->parent;
	return &n->node;
}

bool xml_tree_decl(struct xml_tree *tree, struct xml_decl *entry, const char *prefix, const char *uri)
{
	entry->prefix = prefix == NULL ? "" : copy(tree, prefix, strlen(prefix));
	entry->uri = uri == NULL ? "" : copy(tree, uri, strlen(uri));
	return entry->prefix != NULL && entry->uri != NULL;
}

const char *xml_node_attr(const struct xml_node *node, const char *name)
{
	for (size_t i = 0; i < node->attr_count; i++) {
		if (node->attrs[i].ns == NULL && strcmp(node->attrs[i].name, name) == 0)
			return node->attrs[i].value;
	}
	return NULL;
}

bool xml_node_is(const struct xml_node *node, const char *ns, const char *name)
{
	return strcmp(node->name, name) == 0 && strcmp(node->ns, ns) == 0;
}

const struct xml_node *xml_node_child(const struct xml_node *node, const char *ns, const char *name)
{
	for (const struct xml_node *child = node->first_child; child != NULL; child = child->next) {
		if ((ns == NULL || strcmp(child->ns, ns) == 0) && (name == NULL || strcmp(child->name, name) == 0))
			return child;
	}
	return NULL;
}

const struct xml_node *xml_node_walk(const struct xml_node *node, const struct xml_node *top)
{
	if (node->first_child != NULL)
		return node->first_child;
	while (node != top && node->next == NULL)
		node = node->parent;
	return node == top ? NULL : node->next;
}

bool xml_only_space(const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != ' ' && data[i] != '\t' && data[i] != '\r' && data[i] != '\n')
			return false;
	return true;
}

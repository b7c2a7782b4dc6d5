/* SPDX-License-Identifier: MIT */
/*
 * YAML text to a tree of our own, from libyaml's events. Events and not its document API: that one forgets anchors and
 * explicit tags, follows aliases by itself and has no depth cap. One document, UTF-8 only, no anchors, aliases or tags:
 * a configuration is read by people, and what stands there is what it says. Marks are libyaml's plus one (it counts
 * from 0). The stack of open collections bounds the recursion of everyone who walks the tree.
 */
#include "policy/tree_private.h"

#include <string.h>
#include <yaml.h>

#include "base/mem.h"
#include "base/utf8.h"

struct builder {
	struct diag_list *diags;
	struct tree_node *root;
	struct tree_node *open[TREE_DEPTH];
	size_t depth;
	bool failed; /* nothing sensible can follow */
};

static struct config_mark mark_of(yaml_mark_t mark)
{
	/* A file is at most a mebibyte, so neither can pass INT_MAX. */
	return (struct config_mark){(int)mark.line + 1, (int)mark.column + 1};
}

/* Line and column of a byte, columns in characters as libyaml counts them. */
static struct config_mark mark_at(const char *data, size_t offset)
{
	struct config_mark mark = {1, 1};
	for (size_t i = 0; i < offset; i++) {
		if (data[i] == '\n')
			mark = (struct config_mark){mark.line + 1, 1};
		else if (((unsigned char)data[i] & 0xC0) != 0x80)
			mark.column++;
	}
	return mark;
}

static struct tree_node *node_new(enum tree_kind kind, yaml_mark_t mark)
{
	struct tree_node *node = mem_zalloc(sizeof(*node));
	node->kind = kind;
	node->mark = mark_of(mark);
	return node;
}

static void attach(struct builder *b, struct tree_node *node)
{
	struct tree_node *parent = b->depth > 0 ? b->open[b->depth - 1] : NULL;
	if (parent == NULL) {
		b->root = node;
		return;
	}
	if ((parent->count & (parent->count - 1)) == 0) {
		size_t room = parent->count ? parent->count * 2 : 1;
		parent->items = mem_realloc(parent->items, room * sizeof(struct tree_node *));
	}
	parent->items[parent->count++] = node;
}

static void refuse_extras(struct builder *b, yaml_mark_t mark, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor != NULL)
		diag_add(b->diags, DIAG_ERROR, mark_of(mark), "anchors (&NAME) are not allowed here");
	if (tag != NULL)
		diag_add(b->diags, DIAG_ERROR, mark_of(mark), "tags (!NAME) are not allowed here");
}

static void open_collection(struct builder *b, enum tree_kind kind, yaml_mark_t mark)
{
	struct tree_node *node = node_new(kind, mark);
	attach(b, node);
	if (b->depth == TREE_DEPTH) {
		diag_add(b->diags, DIAG_ERROR, node->mark, "nested more than %d deep", TREE_DEPTH);
		b->failed = true;
		return;
	}
	b->open[b->depth++] = node;
}

static void add_scalar(struct builder *b, const yaml_event_t *event)
{
	refuse_extras(b, event->start_mark, event->data.scalar.anchor, event->data.scalar.tag);
	struct tree_node *node = node_new(TREE_SCALAR, event->start_mark);
	node->text = mem_strndup((const char *)event->data.scalar.value, event->data.scalar.length);
	node->len = event->data.scalar.length;
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (strlen((const char *)event->data.scalar.value) != node->len) {
		diag_add(b->diags, DIAG_ERROR, node->mark, "a NUL character is not allowed here");
		node->kind = TREE_BAD;
	}
	attach(b, node);
}

static void add_alias(struct builder *b, const yaml_event_t *event)
{
	diag_add(b->diags, DIAG_ERROR, mark_of(event->start_mark), "aliases (*NAME) are not allowed here");
	attach(b, node_new(TREE_BAD, event->start_mark));
}

static void start_document(struct builder *b, const yaml_event_t *event)
{
	if (b->root == NULL)
		return;
	diag_add(b->diags, DIAG_ERROR, mark_of(event->start_mark), "a second YAML document is not allowed here");
	b->failed = true;
}

static void take(struct builder *b, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		start_document(b, event);
		break;
	case YAML_SCALAR_EVENT:
		add_scalar(b, event);
		break;
	case YAML_ALIAS_EVENT:
		add_alias(b, event);
		break;
	case YAML_SEQUENCE_START_EVENT:
		refuse_extras(b, event->start_mark, event->data.sequence_start.anchor, event->data.sequence_start.tag);
		open_collection(b, TREE_SEQUENCE, event->start_mark);
		break;
	case YAML_MAPPING_START_EVENT:
		refuse_extras(b, event->start_mark, event->data.mapping_start.anchor, event->data.mapping_start.tag);
		open_collection(b, TREE_MAPPING, event->start_mark);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		break;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
}

static void say_syntax(struct builder *b, const yaml_parser_t *parser, const char *data, size_t len)
{
	const char *problem = parser->problem != NULL ? parser->problem : "it cannot be parsed";
	b->failed = true;
	if (parser->error == YAML_READER_ERROR) {
		size_t offset = parser->problem_offset < len ? parser->problem_offset : len;
		diag_add(b->diags, DIAG_ERROR, mark_at(data, offset), "not valid YAML: %s", problem);
	} else if (parser->context != NULL && parser->context_mark.line != parser->problem_mark.line) {
		diag_add(b->diags, DIAG_ERROR, mark_of(parser->problem_mark), "not valid YAML: %s (%s, line %zu)",
			 problem, parser->context, parser->context_mark.line + 1);
	} else {
		diag_add(b->diags, DIAG_ERROR, mark_of(parser->problem_mark), "not valid YAML: %s", problem);
	}
}

static bool check_encoding(const char *data, size_t len, struct diag_list *diags)
{
	struct utf8_state state = {0};
	size_t good = len;
	enum utf8_result result = utf8_check(&state, data, len, &good);
	if (result == UTF8_OK && state.need == 0)
		return true;
	/* Cut off at the end: back to the byte that opens the character. */
	for (bool back = result == UTF8_OK; back && good > 0;)
		back = ((unsigned char)data[--good] & 0xC0) == 0x80;
	diag_add(diags, DIAG_ERROR, mark_at(data, good),
		 result == UTF8_NOT_XML ? "a control character is not allowed here" : "not UTF-8 text");
	return false;
}

static void run_parser(struct builder *b, const char *data, size_t len)
{
	yaml_parser_t parser;
	if (!yaml_parser_initialize(&parser)) {
		diag_add(b->diags, DIAG_ERROR, (struct config_mark){1, 1}, "out of memory");
		b->failed = true;
		return;
	}
	/* Said and not guessed: a byte order mark must not switch to UTF-16 behind the check above. */
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)data, len);
	for (bool done = false; !done && !b->failed;) {
		yaml_event_t event;
		if (!yaml_parser_parse(&parser, &event)) {
			say_syntax(b, &parser, data, len);
			break;
		}
		take(b, &event);
		done = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
}

struct tree_node *tree_parse(const char *data, size_t len, struct diag_list *diags)
{
	/* Some editors begin every file with it; the YAML library takes it only where it guesses the encoding. */
	if (len >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0) {
		data += 3;
		len -= 3;
	}
	if (!check_encoding(data, len, diags))
		return NULL;
	struct builder b = {.diags = diags};
	run_parser(&b, data, len);
	if (b.failed)
		tree_free(&b.root);
	else if (b.root == NULL)
		diag_add(diags, DIAG_ERROR, (struct config_mark){1, 1}, "the file is empty");
	return b.root;
}

void tree_free(struct tree_node **node)
{
	struct tree_node *n = *node;
	*node = NULL;
	if (n == NULL)
		return;
	for (size_t i = 0; i < n->count; i++)
		tree_free(&n->items[i]);
	mem_free(n->items);
	mem_free(n->text);
	mem_free(n);
}

bool tree_is_null(const struct tree_node *node)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};
	if (node->kind != TREE_SCALAR || !node->plain)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(node->text, words[i]) == 0)
			return true;
	}
	return false;
}

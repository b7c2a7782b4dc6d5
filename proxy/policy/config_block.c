/* SPDX-License-Identifier: MIT */
/*
 * One block of keys: every key looked up in the block's table, once. Unknown keys, keys given twice and required keys
 * that are missing are errors here, whatever the values are. The first of two equal keys counts; the second only gets
 * its error. Recursion goes as deep as the schema's tables, not as the file.
 */
#include <string.h>

#include "policy/config_private.h"

#define KEYS_MAX 512 /* of one block in a file, so that looking for duplicates stays cheap */

static const struct schema_row *find_row(const struct schema_block *block, const char *name)
{
	for (size_t i = 0; i < block->count; i++) {
		if (strcmp(block->rows[i].name, name) == 0)
			return &block->rows[i];
	}
	return NULL;
}

static const struct schema_row *near_row(const struct schema_block *block, const char *name)
{
	const struct schema_row *best = NULL;
	unsigned least = ~0u;
	for (size_t i = 0; i < block->count; i++) {
		unsigned distance = config_edit_distance(block->rows[i].name, name);
		if (distance < least && config_is_near(distance, block->rows[i].name)) {
			best = &block->rows[i];
			least = distance;
		}
	}
	return best;
}

static void unknown_key(struct loader *loader, const struct schema_block *block, const struct tree_node *key,
			const struct key_path *path)
{
	char name[KEY_PATH_SIZE], quoted[CONFIG_QUOTE_SIZE];
	const struct schema_row *near = near_row(block, key->text);
	key_path_text(path, name);
	diag_add(loader->diags, DIAG_ERROR, key->mark, "unknown key \"%s%s%s\"%s%s%s", name, name[0] ? "." : "",
		 config_quote(key->text, quoted), near ? " (did you mean \"" : "", near ? near->name : "",
		 near ? "\"?)" : "");
}

/* The line of an equal key before this one, or 0. */
static int earlier_line(const struct tree_node *node, size_t at)
{
	for (size_t i = 0; i < at; i += 2) {
		const struct tree_node *key = node->items[i];
		if (key->kind == TREE_SCALAR && strcmp(key->text, node->items[at]->text) == 0)
			return key->mark.line;
	}
	return 0;
}

static void load_key(struct loader *loader, const struct schema_block *block, const struct tree_node *node, size_t at,
		     const struct key_path *path, void *slot)
{
	const struct tree_node *key = node->items[at];
	char quoted[CONFIG_QUOTE_SIZE];
	if (key->kind == TREE_BAD)
		return;
	if (key->kind != TREE_SCALAR) {
		diag_add(loader->diags, DIAG_ERROR, key->mark, "a key must be a single word");
		return;
	}
	int line = earlier_line(node, at);
	if (line != 0) {
		diag_add(loader->diags, DIAG_ERROR, key->mark, "key \"%s\" is given twice (first in line %d)",
			 config_quote(key->text, quoted), line);
		return;
	}
	const struct schema_row *row = find_row(block, key->text);
	struct key_path here = {.parent = path, .name = key->text};
	if (row == NULL)
		unknown_key(loader, block, key, path);
	else
		config_value_load(loader, row, node->items[at + 1], &here, slot);
}

static void find_missing(struct loader *loader, const struct schema_block *block, const struct tree_node *node,
			 const struct key_path *path)
{
	char name[KEY_PATH_SIZE];
	for (size_t i = 0; i < block->count; i++) {
		const struct schema_row *row = &block->rows[i];
		bool found = !(row->flags & SCHEMA_REQUIRED);
		for (size_t k = 0; k < node->count && !found; k += 2) {
			const struct tree_node *key = node->items[k];
			found = key->kind == TREE_SCALAR && strcmp(key->text, row->name) == 0;
		}
		if (found)
			continue;
		key_path_text(path, name);
		diag_add(loader->diags, DIAG_ERROR, node->mark, "%s%s%smissing key \"%s\"%s%s", name[0] ? "\"" : "",
			 name, name[0] ? "\": " : "", row->name, row->example ? ", for example: " : "",
			 row->example ? row->example : "");
	}
}

void config_block_load(struct loader *loader, const struct schema_block *block, const struct tree_node *node,
		       const struct key_path *path, void *slot)
{
	static const struct schema_row any_block = {.type = SCHEMA_BLOCK};
	if (node->kind == TREE_BAD)
		return;
	if (block->marked)
		*(struct config_mark *)slot = node->mark;
	if (node->kind != TREE_MAPPING) {
		config_wrong_type(loader, &any_block, node, path);
		return;
	}
	if (node->count > (size_t)2 * KEYS_MAX) {
		diag_add(loader->diags, DIAG_ERROR, node->mark, "more than %d keys in one block", KEYS_MAX);
		return;
	}
	for (size_t i = 0; i + 1 < node->count; i += 2)
		load_key(loader, block, node, i, path, slot);
	find_missing(loader, block, node, path);
}

void config_block_default(struct loader *loader, const struct schema_block *block, void *slot)
{
	for (size_t i = 0; i < block->count; i++)
		config_value_default(loader, &block->rows[i], slot);
}

void config_block_free(const struct schema_block *block, void *slot)
{
	for (size_t i = 0; i < block->count; i++)
		config_value_free(&block->rows[i], slot);
}

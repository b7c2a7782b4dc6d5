/* SPDX-License-Identifier: MIT */
/*
 * Values that are one number: bool, whole number, size, duration, choice. Digits are read by our own strict reader: no
 * sign, no leading zero (YAML 1.1 would take it for octal), no fraction, overflow refused. A bare number is no
 * duration, because readers differ on whether it means seconds.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "policy/config_private.h"

const char *config_digits(const char *text, int64_t max, int64_t *out)
{
	const char *p = text;
	int64_t value = 0;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *p - '0', &value))
			return NULL;
	}
	bool padded = text[0] == '0' && p - text > 1;
	if (p == text || padded || value > max)
		return NULL;
	*out = value;
	return p;
}

/* Digits and one of the type's units, or -1. */
static int with_unit(const char *text, enum schema_type type, int64_t *out)
{
	int64_t value;
	const char *end = config_digits(text, INT64_MAX, &value);
	if (end == NULL)
		return -1;
	for (const struct schema_unit *u = schema_units(type); u->name != NULL; u++) {
		if (strcmp(end, u->name) == 0)
			return __builtin_mul_overflow(value, u->factor, out) ? -1 : 0;
	}
	return -1;
}

static bool only_digits(const char *text)
{
	return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static void refuse_value(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			 const struct key_path *path)
{
	char name[KEY_PATH_SIZE], value[CONFIG_QUOTE_SIZE];
	struct strbuf text;
	strbuf_init(&text, 1024);
	schema_describe(row, &text);
	diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s\": \"%s\" is not taken; expected: %s (example: %s)",
		 key_path_text(path, name), config_quote(node->text, value), strbuf_text(&text), schema_example(row));
	strbuf_fini(&text);
}

static int quoted_number(struct loader *loader, const struct tree_node *node, const struct key_path *path)
{
	char name[KEY_PATH_SIZE], value[CONFIG_QUOTE_SIZE];
	diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s\": \"%s\" in quotes is text, write it without quotes",
		 key_path_text(path, name), config_quote(node->text, value));
	return -1;
}

static int check_range(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		       const struct key_path *path, int64_t value)
{
	if ((value >= row->min && value <= row->max) || (value == 0 && (row->flags & SCHEMA_ZERO)))
		return 0;
	char name[KEY_PATH_SIZE], quoted[CONFIG_QUOTE_SIZE];
	struct strbuf text;
	strbuf_init(&text, 256);
	schema_describe_range(row, &text);
	diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s\": %s is out of range: %s%s%s%s",
		 key_path_text(path, name), config_quote(node->text, quoted), strbuf_text(&text), row->why ? " (" : "",
		 row->why ? row->why : "", row->why ? ")" : "");
	strbuf_fini(&text);
	return -1;
}

static int read_bool(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		     const struct key_path *path, int64_t *out)
{
	bool is_true = strcmp(node->text, "true") == 0;
	if (!is_true && strcmp(node->text, "false") != 0) {
		refuse_value(loader, row, node, path);
		return -1;
	}
	if (!node->plain)
		return quoted_number(loader, node, path);
	*out = is_true;
	return 0;
}

static int read_int(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		    const struct key_path *path, int64_t *out)
{
	if (row->word != NULL && strcmp(node->text, row->word) == 0) {
		*out = 0;
		return 0;
	}
	const char *end = config_digits(node->text, INT64_MAX, out);
	if (end == NULL || *end != '\0') {
		refuse_value(loader, row, node, path);
		return -1;
	}
	if (!node->plain)
		return quoted_number(loader, node, path);
	return check_range(loader, row, node, path, *out);
}

static int read_size(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		     const struct key_path *path, int64_t *out)
{
	if (with_unit(node->text, SCHEMA_SIZE, out) != 0) {
		refuse_value(loader, row, node, path);
		return -1;
	}
	if (only_digits(node->text) && !node->plain)
		return quoted_number(loader, node, path);
	return check_range(loader, row, node, path, *out);
}

static int read_duration(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			 const struct key_path *path, int64_t *out)
{
	if (strcmp(node->text, "0") == 0) {
		*out = 0;
		return node->plain ? check_range(loader, row, node, path, 0) : quoted_number(loader, node, path);
	}
	if (only_digits(node->text)) {
		char name[KEY_PATH_SIZE], value[CONFIG_QUOTE_SIZE];
		diag_add(loader->diags, DIAG_ERROR, node->mark,
			 "\"%s\": %s has no unit; it takes ms, s, m, h or d (example: %s)", key_path_text(path, name),
			 config_quote(node->text, value), strcmp(row->dflt, "0") ? row->dflt : "30s");
		return -1;
	}
	if (with_unit(node->text, SCHEMA_DURATION, out) != 0) {
		refuse_value(loader, row, node, path);
		return -1;
	}
	return check_range(loader, row, node, path, *out);
}

static const struct schema_choice *near_choice(const struct schema_row *row, const char *word)
{
	const struct schema_choice *best = NULL;
	unsigned least = ~0u;
	for (const struct schema_choice *c = row->choices; c->word != NULL; c++) {
		unsigned distance = config_edit_distance(c->word, word);
		if (c->refusal == NULL && distance < least && config_is_near(distance, c->word)) {
			best = c;
			least = distance;
		}
	}
	return best;
}

static void unknown_choice(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			   const struct key_path *path)
{
	char name[KEY_PATH_SIZE], value[CONFIG_QUOTE_SIZE];
	const struct schema_choice *near = near_choice(row, node->text);
	struct strbuf text;
	strbuf_init(&text, 1024);
	schema_describe(row, &text);
	diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s\": \"%s\" is not taken; expected: %s%s%s%s",
		 key_path_text(path, name), config_quote(node->text, value), strbuf_text(&text),
		 near ? " (did you mean \"" : "", near ? near->word : "", near ? "\"?)" : "");
	strbuf_fini(&text);
}

static int read_choice(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		       const struct key_path *path, int64_t *out)
{
	char name[KEY_PATH_SIZE];
	for (const struct schema_choice *c = row->choices; c->word != NULL; c++) {
		if (strcmp(c->word, node->text) != 0)
			continue;
		*out = c->value;
		if (c->refusal == NULL)
			return 0;
		diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s: %s\" %s", key_path_text(path, name), c->word,
			 c->refusal);
		return -1;
	}
	unknown_choice(loader, row, node, path);
	return -1;
}

int config_number(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		  const struct key_path *path, int64_t *out)
{
	if (node->kind == TREE_BAD)
		return -1;
	if (node->kind != TREE_SCALAR || tree_is_null(node)) {
		config_wrong_type(loader, row, node, path);
		return -1;
	}
	if (row->type == SCHEMA_BOOL)
		return read_bool(loader, row, node, path, out);
	if (row->type == SCHEMA_INT)
		return read_int(loader, row, node, path, out);
	if (row->type == SCHEMA_SIZE)
		return read_size(loader, row, node, path, out);
	if (row->type == SCHEMA_DURATION)
		return read_duration(loader, row, node, path, out);
	return read_choice(loader, row, node, path, out);
}

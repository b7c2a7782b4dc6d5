/* SPDX-License-Identifier: MIT */
/*
 * One value of the configuration: node and row in, struct member out. A table of three functions per type (load, free,
 * and the same load for defaults, which are YAML text in the row). A value that is wrong leaves the member as the
 * default made it, so that the rest can go on and find more. Key files are wiped when freed.
 */
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "policy/config_private.h"
#include "xmpp/domain.h"

static void *at(void *slot, size_t offset)
{
	return (char *)slot + offset;
}

void config_wrong_type(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		       const struct key_path *path)
{
	static const char *const kinds[] = {
	    [TREE_SCALAR] = "a single value",
	    [TREE_SEQUENCE] = "a list",
	    [TREE_MAPPING] = "a block of keys",
	    [TREE_BAD] = "something else",
	};
	_Static_assert(ARRAY_LEN(kinds) == TREE_KIND_COUNT, "kind without a name");
	char name[KEY_PATH_SIZE];
	struct strbuf text;
	strbuf_init(&text, 1024);
	schema_describe(row, &text);
	const char *example = schema_example(row);
	diag_add(loader->diags, DIAG_ERROR, node->mark, "%s%s%s: found %s, expected: %s%s%s%s", path ? "\"" : "",
		 path ? key_path_text(path, name) : "the file", path ? "\"" : "",
		 tree_is_null(node) ? "nothing" : kinds[node->kind], strbuf_text(&text), *example ? " (example: " : "",
		 example, *example ? ")" : "");
	strbuf_fini(&text);
}

char *config_absolute(const char *directory, const char *text)
{
	if (text[0] == '/')
		return mem_strdup(text);
	return mem_printf("%s%s%s", directory, strcmp(directory, "/") == 0 ? "" : "/", text);
}

const char *config_plain_text(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			      const struct key_path *path)
{
	char name[KEY_PATH_SIZE];
	if (node->kind == TREE_BAD)
		return NULL;
	if (node->kind != TREE_SCALAR || tree_is_null(node)) {
		config_wrong_type(loader, row, node, path);
		return NULL;
	}
	if (node->len == 0) {
		diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s\" is empty", key_path_text(path, name));
		return NULL;
	}
	for (size_t i = 0; i < node->len; i++) {
		if ((unsigned char)node->text[i] >= 0x20 && node->text[i] != 0x7F)
			continue;
		diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s\" contains a line break or control character",
			 key_path_text(path, name));
		return NULL;
	}
	return node->text;
}

static void load_number(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			const struct key_path *path, void *slot)
{
	int64_t value;
	if (config_number(loader, row, node, path, &value) != 0)
		return;
	if (row->type == SCHEMA_BOOL)
		*(bool *)at(slot, row->offset) = value != 0;
	else if (row->type == SCHEMA_CHOICE)
		*(int *)at(slot, row->offset) = (int)value;
	else
		*(int64_t *)at(slot, row->offset) = value;
}

void config_set_text(char **member, char *text)
{
	mem_free(*member);
	*member = text;
}

static void load_string(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			const struct key_path *path, void *slot)
{
	const char *text = config_plain_text(loader, row, node, path);
	if (text != NULL)
		config_set_text(at(slot, row->offset), mem_strdup(text));
}

/* Allocated, or NULL with the error said. */
static char *read_domain(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			 const struct key_path *path)
{
	char domain[XMPP_DOMAIN_SIZE], name[KEY_PATH_SIZE], value[CONFIG_QUOTE_SIZE];
	const char *text = config_plain_text(loader, row, node, path);
	if (text == NULL)
		return NULL;
	if (domain_normalise(text, domain))
		return mem_strdup(domain);
	diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s\": \"%s\" is not a domain name (example: example.com)",
		 key_path_text(path, name), config_quote(text, value));
	return NULL;
}

static void load_domain(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			const struct key_path *path, void *slot)
{
	char *domain = read_domain(loader, row, node, path);
	if (domain != NULL)
		config_set_text(at(slot, row->offset), domain);
}

static void load_path(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		      const struct key_path *path, void *slot)
{
	char name[KEY_PATH_SIZE];
	const char *text = config_plain_text(loader, row, node, path);
	if (text == NULL)
		return;
	char *absolute = config_absolute(loader->directory, text);
	if (row->max > 0 && strlen(absolute) > (size_t)row->max) {
		diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s\" is longer than %d bytes",
			 key_path_text(path, name), (int)row->max);
		mem_free(absolute);
		return;
	}
	config_set_text(at(slot, row->offset), absolute);
}

static void load_file(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		      const struct key_path *path, void *slot)
{
	char name[KEY_PATH_SIZE], quoted[CONFIG_QUOTE_SIZE];
	struct config_file *file = at(slot, row->offset);
	file->mark = node->mark;
	/* Before anything quotes it: a key pasted here must not end up on a terminal or in a log. */
	if (node->kind == TREE_SCALAR && strstr(node->text, "-----BEGIN") != NULL) {
		diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s\" takes the path of a file, not its content",
			 key_path_text(path, name));
		return;
	}
	const char *text = config_plain_text(loader, row, node, path);
	if (text == NULL)
		return;
	struct errbuf err = {{0}};
	file->path = config_absolute(loader->directory, text);
	file->secret = row->flags & SCHEMA_SECRET;
	file->data = loader->source->read(loader->source->ctx, file->path, file->secret, &file->len, &err);
	if (file->data == NULL) {
		diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s\": cannot read %s: %s", key_path_text(path, name),
			 config_quote(file->path, quoted), err.text);
	} else if (file->len == 0) {
		diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s\": %s is empty", key_path_text(path, name),
			 config_quote(file->path, quoted));
		/* As one that cannot be read: said once, here. */
		mem_free(file->data);
		file->data = NULL;
	}
}

/* "unix:run/x" means a path relative to the file, as every path does. */
static char *absolute_address(const struct loader *loader, const char *text)
{
	static const char prefix[] = "unix:";
	size_t len = sizeof(prefix) - 1;
	if (strncmp(text, prefix, len) != 0 || text[len] == '\0')
		return mem_strdup(text);
	char *path = config_absolute(loader->directory, text + len);
	char *result = mem_printf("%s%s", prefix, path);
	mem_free(path);
	return result;
}

static void load_addr(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		      const struct key_path *path, void *slot)
{
	char name[KEY_PATH_SIZE], quoted[CONFIG_QUOTE_SIZE];
	const char *why = NULL;
	const char *text = config_plain_text(loader, row, node, path);
	if (text == NULL)
		return;
	struct addr addr = {0};
	char *absolute = absolute_address(loader, text);
	if (addr_parse(&addr, absolute, false, &why) == 0 && (row->flags & SCHEMA_NO_UNIX) && addr_is_unix(&addr))
		why = "a Unix socket is not possible here";
	mem_free(absolute);
	if (why == NULL) {
		*(struct addr *)at(slot, row->offset) = addr;
		return;
	}
	diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s\": \"%s\": %s (example: %s)", key_path_text(path, name),
		 config_quote(text, quoted), why, schema_example(row));
}

/* audit.output: a word, or file:PATH. */
static void load_output(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			const struct key_path *path, void *slot)
{
	static const char prefix[] = "file:";
	size_t len = sizeof(prefix) - 1;
	char name[KEY_PATH_SIZE];
	if (node->kind != TREE_SCALAR || strncmp(node->text, prefix, len) != 0) {
		int64_t value;
		if (config_number(loader, row, node, path, &value) == 0)
			*(int *)at(slot, row->offset) = (int)value;
		return;
	}
	if (config_plain_text(loader, row, node, path) == NULL)
		return;
	if (node->text[len] == '\0') {
		diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s\": file: needs a path behind it",
			 key_path_text(path, name));
		return;
	}
	*(int *)at(slot, row->offset) = AUDIT_FILE;
	config_set_text(at(slot, row->also), config_absolute(loader->directory, node->text + len));
}

static bool load_cidr(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		      const struct key_path *path, struct cidr *out)
{
	char name[KEY_PATH_SIZE], quoted[CONFIG_QUOTE_SIZE];
	const char *why = "";
	const char *text = config_plain_text(loader, row, node, path);
	if (text == NULL)
		return false;
	if (cidr_parse(out, text, &why) == 0)
		return true;
	diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s\": \"%s\": %s", key_path_text(path, name),
		 config_quote(text, quoted), why);
	return false;
}

static void load_cidrs(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		       const struct key_path *path, void *slot)
{
	size_t *count = at(slot, row->also);
	struct cidr *items = mem_array(node->count, sizeof(*items));
	for (size_t i = 0; i < node->count; i++) {
		struct key_path item = {.parent = path, .index = i};
		if (load_cidr(loader, row, node->items[i], &item, &items[*count]))
			(*count)++;
	}
	*(struct cidr **)at(slot, row->offset) = items;
}

static void load_texts(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		       const struct key_path *path, void *slot)
{
	size_t *count = at(slot, row->also);
	char **items = mem_array(node->count, sizeof(*items));
	for (size_t i = 0; i < node->count; i++) {
		struct key_path item = {.parent = path, .index = i};
		char *text = NULL;
		if (row->type == SCHEMA_DOMAINS)
			text = read_domain(loader, row, node->items[i], &item);
		else if (row->type == SCHEMA_FINGERPRINTS)
			text = config_fingerprint(loader, row, node->items[i], &item);
		else
			text = mem_strdup(config_plain_text(loader, row, node->items[i], &item));
		if (text != NULL)
			items[(*count)++] = text;
	}
	*(char ***)at(slot, row->offset) = items;
}

static void load_list(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		      const struct key_path *path, void *slot)
{
	char *items = mem_array(node->count, row->block->size);
	*(void **)at(slot, row->offset) = items;
	*(size_t *)at(slot, row->also) = node->count;
	for (size_t i = 0; i < node->count; i++) {
		struct key_path item = {.parent = path, .index = i};
		config_block_default(loader, row->block, items + i * row->block->size);
		config_block_load(loader, row->block, node->items[i], &item, items + i * row->block->size);
	}
}

static void load_block(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		       const struct key_path *path, void *slot)
{
	config_block_load(loader, row->block, node, path, at(slot, row->offset));
}

static void free_string(const struct schema_row *row, void *slot)
{
	config_set_text(at(slot, row->offset), NULL);
}

static void free_file(const struct schema_row *row, void *slot)
{
	struct config_file *file = at(slot, row->offset);
	if (file->secret && file->data != NULL)
		mem_wipe(file->data, file->len);
	mem_free(file->data);
	mem_free(file->path);
}

static void free_output(const struct schema_row *row, void *slot)
{
	config_set_text(at(slot, row->also), NULL);
}

static void free_texts(const struct schema_row *row, void *slot)
{
	char **items = *(char ***)at(slot, row->offset);
	for (size_t i = 0; i < *(size_t *)at(slot, row->also); i++)
		mem_free(items[i]);
	mem_free(items);
}

static void free_array(const struct schema_row *row, void *slot)
{
	mem_free(*(void **)at(slot, row->offset));
}

static void free_list(const struct schema_row *row, void *slot)
{
	char *items = *(char **)at(slot, row->offset);
	for (size_t i = 0; i < *(size_t *)at(slot, row->also); i++)
		config_block_free(row->block, items + i * row->block->size);
	mem_free(items);
}

static void free_block(const struct schema_row *row, void *slot)
{
	config_block_free(row->block, at(slot, row->offset));
}

static const struct value_type {
	void (*load)(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		     const struct key_path *path, void *slot);
	void (*free)(const struct schema_row *row, void *slot); /* NULL: owns nothing */
} types[] = {
    [SCHEMA_BOOL] = {load_number, NULL},
    [SCHEMA_INT] = {load_number, NULL},
    [SCHEMA_SIZE] = {load_number, NULL},
    [SCHEMA_DURATION] = {load_number, NULL},
    [SCHEMA_CHOICE] = {load_number, NULL},
    [SCHEMA_STRING] = {load_string, free_string},
    [SCHEMA_DOMAIN] = {load_domain, free_string},
    [SCHEMA_PATH] = {load_path, free_string},
    [SCHEMA_FILE] = {load_file, free_file},
    [SCHEMA_ADDR] = {load_addr, NULL},
    [SCHEMA_OUTPUT] = {load_output, free_output},
    [SCHEMA_STRINGS] = {load_texts, free_texts},
    [SCHEMA_SERVERS] = {config_servers_value, free_array},
    [SCHEMA_DOMAINS] = {load_texts, free_texts},
    [SCHEMA_CIDRS] = {load_cidrs, free_array},
    [SCHEMA_FINGERPRINTS] = {load_texts, free_texts},
    [SCHEMA_PATTERN] = {config_pattern_load, free_string},
    [SCHEMA_TARGET] = {config_target_load, free_string},
    [SCHEMA_DATE] = {config_date_load, free_string},
    [SCHEMA_BLOCK] = {load_block, free_block},
    [SCHEMA_LIST] = {load_list, free_list},
};
_Static_assert(ARRAY_LEN(types) == SCHEMA_TYPE_COUNT, "type without functions");

static bool is_number(enum schema_type type)
{
	return type <= SCHEMA_CHOICE;
}

/* What does not exist yet is null; anything else is refused, once it is a value of its kind at all. */
static void check_later(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			const struct key_path *path)
{
	char name[KEY_PATH_SIZE];
	bool shown = is_number(row->type);
	int64_t value;
	if (tree_is_null(node) || (shown && config_number(loader, row, node, path, &value) != 0))
		return;
	diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s%s%s\" %s", key_path_text(path, name), shown ? ": " : "",
		 shown ? node->text : "", schema_later);
}

/* Lists are as long as they are written; only `listeners` and `domains` must have something. */
static bool list_is_usable(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			   const struct key_path *path)
{
	char name[KEY_PATH_SIZE];
	if (node->kind != TREE_SEQUENCE) {
		config_wrong_type(loader, row, node, path);
		return false;
	}
	if (node->count > 0 || !(row->flags & SCHEMA_NOT_EMPTY))
		return node->count > 0;
	diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s\" is empty: at least one is needed",
		 key_path_text(path, name));
	return false;
}

void config_value_load(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		       const struct key_path *path, void *slot)
{
	if (node->kind == TREE_BAD)
		return;
	if (row->flags & SCHEMA_LATER) {
		check_later(loader, row, node, path);
		return;
	}
	if (schema_nullable(row) && tree_is_null(node))
		return;
	if (row->mark != 0)
		*(struct config_mark *)at(slot, row->mark) = node->mark;
	if (schema_is_list(row->type) && !list_is_usable(loader, row, node, path))
		return;
	if (row->set != 0)
		*(bool *)at(slot, row->set) = true;
	types[row->type].load(loader, row, node, path, slot);
}

void config_value_default(struct loader *loader, const struct schema_row *row, void *slot)
{
	if (row->flags & SCHEMA_NO_STORE)
		return;
	if (row->type == SCHEMA_BLOCK)
		config_block_default(loader, row->block, at(slot, row->offset));
	/* Out of every range, so that a missing role is never taken for the first one of the enum. */
	else if (row->type == SCHEMA_CHOICE && (row->dflt == NULL || (row->flags & SCHEMA_UNSET)))
		*(int *)at(slot, row->offset) = -1;
	else if (row->type == SCHEMA_DATE)
		*(int64_t *)at(slot, row->also) = INT64_MAX;
	if (row->dflt == NULL || schema_nullable(row) || schema_is_list(row->type))
		return;
	struct tree_node node = {.kind = TREE_SCALAR, .plain = true, .text = mem_strdup(row->dflt)};
	node.len = strlen(node.text);
	types[row->type].load(loader, row, &node, NULL, slot);
	mem_free(node.text);
}

void config_value_free(const struct schema_row *row, void *slot)
{
	if (!(row->flags & SCHEMA_NO_STORE) && types[row->type].free != NULL)
		types[row->type].free(row, slot);
}

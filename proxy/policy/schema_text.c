/* SPDX-License-Identifier: MIT */
/*
 * A row of the schema put into words. Errors, the reference page and the sample say the same thing about a key because
 * all of them ask here.
 */
#include <inttypes.h>
#include <string.h>

#include "base/array.h"
#include "policy/schema_private.h"

static const char *const type_texts[] = {
    [SCHEMA_BOOL] = "true or false",
    [SCHEMA_INT] = "whole number",
    [SCHEMA_SIZE] = "size in bytes, or with k, m, g",
    [SCHEMA_DURATION] = "duration with ms, s, m, h, d",
    [SCHEMA_CHOICE] = "one of",
    [SCHEMA_STRING] = "text",
    [SCHEMA_DOMAIN] = "domain name",
    [SCHEMA_PATH] = "path",
    [SCHEMA_FILE] = "path of a file",
    [SCHEMA_ADDR] = "HOST:PORT with a numeric host, or unix:PATH",
    [SCHEMA_OUTPUT] = "file:PATH or one of",
    [SCHEMA_STRINGS] = "list of texts",
    [SCHEMA_SERVERS] = "list of HOST or HOST@PORT with numeric hosts",
    [SCHEMA_DOMAINS] = "list of domain names",
    [SCHEMA_CIDRS] = "list of networks such as 10.0.0.0/8",
    [SCHEMA_PATTERN] = "domain name, or one with *. before it",
    [SCHEMA_FINGERPRINTS] = "list of fingerprints, sha256: or spki-sha256: and 64 hexadecimal digits",
    [SCHEMA_TARGET] = "HOST:PORT",
    [SCHEMA_DATE] = "date",
    [SCHEMA_BLOCK] = "block of keys",
    [SCHEMA_LIST] = "list of blocks",
};
_Static_assert(ARRAY_LEN(type_texts) == SCHEMA_TYPE_COUNT, "type without a text");

bool schema_is_list(enum schema_type type)
{
	return type == SCHEMA_SERVERS || type == SCHEMA_STRINGS || type == SCHEMA_DOMAINS || type == SCHEMA_CIDRS ||
	       type == SCHEMA_FINGERPRINTS || type == SCHEMA_LIST;
}

bool schema_nullable(const struct schema_row *row)
{
	return row->dflt != NULL && strcmp(row->dflt, "null") == 0;
}

const char *schema_example(const struct schema_row *row)
{
	if (row->example != NULL)
		return row->example;
	return row->dflt != NULL ? row->dflt : "";
}

const struct schema_unit *schema_units(enum schema_type type)
{
	static const struct schema_unit durations[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
						       {"s", 1000},     {"ms", 1},      {NULL, 0}};
	static const struct schema_unit sizes[] = {{"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10}, {"", 1}, {NULL, 0}};
	static const struct schema_unit none[] = {{"", 1}, {NULL, 0}};
	if (type == SCHEMA_DURATION)
		return durations;
	return type == SCHEMA_SIZE ? sizes : none;
}

void schema_format_number(const struct schema_row *row, int64_t value, char out[SCHEMA_NUMBER_SIZE])
{
	const struct schema_unit *unit = schema_units(row->type);
	while (value % unit->factor != 0)
		unit++;
	(void)snprintf(out, SCHEMA_NUMBER_SIZE, "%" PRId64 "%s", value / unit->factor, value == 0 ? "" : unit->name);
}

void schema_describe_range(const struct schema_row *row, struct strbuf *out)
{
	char min[SCHEMA_NUMBER_SIZE], max[SCHEMA_NUMBER_SIZE];
	schema_format_number(row, row->min, min);
	schema_format_number(row, row->max, max);
	strbuf_printf(out, "%s to %s", min, max);
	if (row->flags & SCHEMA_ZERO)
		strbuf_puts(out, ", or 0");
	if (row->word != NULL)
		strbuf_printf(out, ", or %s", row->word);
}

/* Of those with that refusal: NULL for the ones that are taken. */
static void list_choices(const struct schema_row *row, const char *refusal, struct strbuf *out)
{
	const char *comma = "";
	for (const struct schema_choice *c = row->choices; c->word != NULL; c++) {
		if (c->refusal != refusal)
			continue;
		strbuf_printf(out, "%s%s", comma, c->word);
		comma = ", ";
	}
}

static size_t taken_choices(const struct schema_row *row)
{
	size_t count = 0;
	for (const struct schema_choice *c = row->choices; c != NULL && c->word != NULL; c++)
		count += c->refusal == NULL;
	return count;
}

void schema_describe(const struct schema_row *row, struct strbuf *out)
{
	if (row->type == SCHEMA_ADDR && (row->flags & SCHEMA_NO_UNIX))
		strbuf_puts(out, "HOST:PORT with a numeric host");
	else if (row->type == SCHEMA_CHOICE && taken_choices(row) == 1)
		strbuf_puts(out, "only");
	else
		strbuf_puts(out, type_texts[row->type]);
	if (row->choices != NULL) {
		strbuf_puts(out, " ");
		list_choices(row, NULL, out);
	} else if (row->type == SCHEMA_INT || row->type == SCHEMA_SIZE || row->type == SCHEMA_DURATION) {
		strbuf_puts(out, ", ");
		schema_describe_range(row, out);
	}
	if (schema_nullable(row))
		strbuf_puts(out, ", or null");
}

void schema_describe_refused(const struct schema_row *row, struct strbuf *out)
{
	if (row->flags & SCHEMA_LATER) {
		strbuf_puts(out, "not available in this version");
		return;
	}
	for (const struct schema_choice *c = row->choices; c != NULL && c->word != NULL; c++) {
		if (c->refusal == schema_later) {
			strbuf_puts(out, "not available in this version: ");
			list_choices(row, schema_later, out);
			return;
		}
	}
}

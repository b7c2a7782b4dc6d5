/* SPDX-License-Identifier: MIT */
/*
 * The schema as JSON Schema 2020-12, for editors. It takes what this version takes: words and keys that do not exist
 * yet are described, and refused just as the loader refuses them. Rules between keys are the loader's alone.
 */
#include <inttypes.h>
#include <string.h>

#include "policy/schema.h"
#include "policy/schema_private.h"

struct writer {
	FILE *out;
	int depth;
};

static void line(struct writer *w)
{
	fputc('\n', w->out);
	for (int i = 0; i < w->depth; i++)
		fputs("  ", w->out);
}

/* Texts of the tables: ASCII without control characters. */
static void quoted(struct writer *w, const char *text)
{
	fputc('"', w->out);
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			fputc('\\', w->out);
		fputc(*p, w->out);
	}
	fputc('"', w->out);
}

static void member(struct writer *w, const char *name)
{
	fputc(',', w->out);
	line(w);
	quoted(w, name);
	fputs(": ", w->out);
}

/* A default is text in the table; what YAML reads as a number, bool, null or list is that in JSON too. */
static void scalar(struct writer *w, const char *text)
{
	static const char *const raw[] = {"true", "false", "null", "[]"};
	bool is_raw = text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
	for (size_t i = 0; i < sizeof(raw) / sizeof(raw[0]); i++)
		is_raw = is_raw || strcmp(text, raw[i]) == 0;
	if (is_raw)
		fputs(text, w->out);
	else
		quoted(w, text);
}

static bool looks_like_number(const char *word)
{
	return word[strspn(word, "0123456789.")] == '\0';
}

/* "1.2" may be written with or without quotes, so both forms are in the list. */
static void write_enum(struct writer *w, const struct schema_row *row)
{
	const char *comma = "";
	fputs("\"enum\": [", w->out);
	for (const struct schema_choice *c = row->choices; c->word != NULL; c++) {
		if (c->refusal != NULL)
			continue;
		fputs(comma, w->out);
		quoted(w, c->word);
		if (looks_like_number(c->word))
			fprintf(w->out, ", %s", c->word);
		comma = ", ";
	}
	fprintf(w->out, "%s]", schema_nullable(row) ? ", null" : "");
}

static void write_int(struct writer *w, const struct schema_row *row)
{
	if (row->word != NULL) {
		fputs("\"anyOf\": [{\"const\": ", w->out);
		quoted(w, row->word);
		fputs("}, {", w->out);
	}
	fprintf(w->out, "\"type\": %s, \"minimum\": %" PRId64 ", \"maximum\": %" PRId64,
		schema_nullable(row) ? "[\"integer\", \"null\"]" : "\"integer\"", row->min, row->max);
	if (row->word != NULL)
		fputs("}]", w->out);
}

static void write_size(struct writer *w, const struct schema_row *row)
{
	fprintf(w->out, "\"type\": [\"integer\", \"string\"], \"minimum\": %" PRId64 ", \"maximum\": %" PRId64,
		row->flags & SCHEMA_ZERO ? 0 : row->min, row->max);
	fputs(", \"pattern\": \"^(0|[1-9][0-9]*)[kmg]$\"", w->out);
}

static void write_duration(struct writer *w, const struct schema_row *row)
{
	if (row->flags & SCHEMA_ZERO)
		fputs("\"type\": [\"integer\", \"string\"], \"minimum\": 0, \"maximum\": 0", w->out);
	else
		fprintf(w->out, "\"type\": %s", schema_nullable(row) ? "[\"string\", \"null\"]" : "\"string\"");
	fputs(", \"pattern\": \"^(0|[1-9][0-9]*)(ms|s|m|h|d)$\"", w->out);
}

static void write_texts(struct writer *w)
{
	fputs("\"type\": \"array\", \"items\": {\"type\": \"string\", \"minLength\": 1}", w->out);
}

static void write_text(struct writer *w, const struct schema_row *row)
{
	fprintf(w->out, "\"type\": %s, \"minLength\": 1",
		schema_nullable(row) ? "[\"string\", \"null\"]" : "\"string\"");
}

static void write_pattern(struct writer *w, const struct schema_row *row, const char *pattern)
{
	write_text(w, row);
	fputs(", \"pattern\": ", w->out);
	quoted(w, pattern);
}

static void write_output(struct writer *w, const struct schema_row *row)
{
	fputs("\"anyOf\": [{", w->out);
	write_enum(w, row);
	fputs("}, {\"type\": \"string\", \"pattern\": \"^file:.\"}]", w->out);
}

static void write_block(struct writer *w, const struct schema_block *block);

static void write_list(struct writer *w, const struct schema_row *row)
{
	fprintf(w->out, "\"type\": \"array\", \"minItems\": %d, \"items\": {", row->flags & SCHEMA_NOT_EMPTY ? 1 : 0);
	w->depth++;
	line(w);
	write_block(w, row->block);
	w->depth--;
	line(w);
	fputc('}', w->out);
}

static void write_shape(struct writer *w, const struct schema_row *row)
{
	switch (row->type) {
	case SCHEMA_BOOL:
		fprintf(w->out, "\"type\": %s", schema_nullable(row) ? "[\"boolean\", \"null\"]" : "\"boolean\"");
		break;
	case SCHEMA_INT:
		write_int(w, row);
		break;
	case SCHEMA_SIZE:
		write_size(w, row);
		break;
	case SCHEMA_DURATION:
		write_duration(w, row);
		break;
	case SCHEMA_CHOICE:
		write_enum(w, row);
		break;
	case SCHEMA_OUTPUT:
		write_output(w, row);
		break;
	case SCHEMA_STRINGS:
	case SCHEMA_SERVERS:
	case SCHEMA_DOMAINS:
	case SCHEMA_CIDRS:
		write_texts(w);
		break;
	case SCHEMA_FINGERPRINTS:
		fputs("\"type\": \"array\", \"items\": {\"type\": \"string\", \"pattern\": "
		      "\"^(spki-)?sha256:([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$\"}",
		      w->out);
		break;
	case SCHEMA_DATE:
		write_pattern(w, row, "^[0-9]{4}-[0-9]{2}-[0-9]{2}$");
		break;
	case SCHEMA_TARGET:
		write_pattern(w, row, ":[1-9][0-9]*$");
		break;
	case SCHEMA_BLOCK:
		write_block(w, row->block);
		break;
	case SCHEMA_LIST:
		write_list(w, row);
		break;
	case SCHEMA_STRING:
	case SCHEMA_DOMAIN:
	case SCHEMA_PATTERN:
	case SCHEMA_PATH:
	case SCHEMA_FILE:
	case SCHEMA_ADDR:
	case SCHEMA_TYPE_COUNT:
		write_text(w, row);
		break;
	}
}

static void write_description(struct writer *w, const struct schema_row *row)
{
	struct strbuf text;
	strbuf_init(&text, 2048);
	strbuf_printf(&text, "%s (", row->help);
	schema_describe(row, &text);
	struct strbuf refused;
	strbuf_init(&refused, 1024);
	schema_describe_refused(row, &refused);
	strbuf_printf(&text, "%s%s)", refused.len > 0 ? "; " : "", strbuf_text(&refused));
	member(w, "description");
	quoted(w, strbuf_text(&text));
	strbuf_fini(&refused);
	strbuf_fini(&text);
}

static void write_row(struct writer *w, const struct schema_row *row)
{
	quoted(w, row->name);
	fputs(": {", w->out);
	w->depth++;
	line(w);
	write_shape(w, row);
	write_description(w, row);
	if (row->dflt != NULL) {
		member(w, "default");
		scalar(w, row->dflt);
		if (row->flags & SCHEMA_LATER)
			fputs(", \"const\": null", w->out);
	}
	w->depth--;
	line(w);
	fputc('}', w->out);
}

static void write_required(struct writer *w, const struct schema_block *block)
{
	const char *comma = "";
	member(w, "required");
	fputc('[', w->out);
	for (size_t i = 0; i < block->count; i++) {
		if (!(block->rows[i].flags & SCHEMA_REQUIRED))
			continue;
		fputs(comma, w->out);
		quoted(w, block->rows[i].name);
		comma = ", ";
	}
	fputc(']', w->out);
}

static void write_block(struct writer *w, const struct schema_block *block)
{
	fputs("\"type\": \"object\", \"additionalProperties\": false", w->out);
	write_required(w, block);
	member(w, "properties");
	fputc('{', w->out);
	w->depth++;
	for (size_t i = 0; i < block->count; i++) {
		if (i > 0)
			fputc(',', w->out);
		line(w);
		write_row(w, &block->rows[i]);
	}
	w->depth--;
	line(w);
	fputc('}', w->out);
}

void schema_write_json(FILE *out)
{
	struct writer w = {.out = out, .depth = 1};
	fputs("{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
	      "  \"title\": \"portcullis.yaml\",\n  ",
	      out);
	write_block(&w, &schema_root);
	fputs("\n}\n", out);
}

/* SPDX-License-Identifier: MIT */
/*
 * The schema as the KEYS section of portcullis.yaml(5): one subsection a block, in the order of the file. Every key of
 * the tables is there, also what this version refuses, and says so.
 */
#include <string.h>

#include "policy/schema.h"
#include "policy/schema_private.h"

#define LINE_MAX_COLUMNS 78

/* A word of a text line: nothing in it may be taken for a request or an escape. */
static void word(FILE *out, const char *text, size_t len, bool starts_line)
{
	if (starts_line && (text[0] == '.' || text[0] == '\''))
		fputs("\\&", out);
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\\')
			fputs("\\e", out);
		else
			fputc(text[i], out);
	}
}

/* One sentence, filled; the formatter fills it again, but its lint wants short lines. */
static void text_line(FILE *out, const char *text)
{
	size_t column = 0;
	while (*text != '\0') {
		size_t len = strcspn(text, " ");
		bool wraps = column > 0 && column + 1 + len > LINE_MAX_COLUMNS;
		if (column > 0)
			fputc(wraps ? '\n' : ' ', out);
		column = wraps || column == 0 ? len : column + 1 + len;
		word(out, text, len, column == len);
		text += len + strspn(text + len, " ");
	}
	fputs(".\n", out);
}

static void capital(char *text)
{
	if (text[0] >= 'a' && text[0] <= 'z')
		text[0] = (char)(text[0] - 'a' + 'A');
}

static void write_facts(FILE *out, const struct schema_row *row)
{
	struct strbuf text;
	strbuf_init(&text, 2048);
	schema_describe(row, &text);
	capital(text.data);
	text_line(out, strbuf_text(&text));
	strbuf_clear(&text);
	schema_describe_refused(row, &text);
	if (text.len > 0) {
		capital(text.data);
		text_line(out, strbuf_text(&text));
	}
	strbuf_fini(&text);
	if (row->flags & SCHEMA_REQUIRED)
		fputs("Required.\n", out);
	else if (row->dflt != NULL)
		fprintf(out, "Default:\n.Ql %s .\n", row->dflt);
}

static void write_row(FILE *out, const struct schema_row *row, const char *below)
{
	fprintf(out, ".It Ic %s\n", row->name);
	text_line(out, row->help);
	if (row->block == NULL)
		write_facts(out, row);
	else if (row->flags & SCHEMA_REQUIRED)
		fputs("Required.\n", out);
	if (row->block != NULL)
		fprintf(out, "See\n.Sx %s .\n", below);
}

/* "domains.backend" for the block behind a row. */
static void name_below(struct strbuf *out, const char *name, const struct schema_row *row)
{
	strbuf_init(out, 256);
	strbuf_printf(out, "%s%s%s", name, name[0] ? "." : "", row->name);
}

static void write_block(FILE *out, const struct schema_block *block, const char *name)
{
	fprintf(out, ".Ss %s\n.Bl -tag -width Ds\n", name[0] ? name : "Top level");
	for (size_t i = 0; i < block->count; i++) {
		const struct schema_row *row = &block->rows[i];
		struct strbuf below;
		name_below(&below, name, row);
		write_row(out, row, strbuf_text(&below));
		strbuf_fini(&below);
	}
	fputs(".El\n", out);
	for (size_t i = 0; i < block->count; i++) {
		const struct schema_row *row = &block->rows[i];
		if (row->block == NULL)
			continue;
		struct strbuf below;
		name_below(&below, name, row);
		write_block(out, row->block, strbuf_text(&below));
		strbuf_fini(&below);
	}
}

void schema_write_mdoc(FILE *out)
{
	write_block(out, &schema_root, "");
}

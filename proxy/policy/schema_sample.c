/* SPDX-License-Identifier: MIT */
/*
 * The schema as a YAML file that loads: every key that this version takes with its default, or an example where the
 * default shows nothing. Keys that do not exist yet are left to the reference page.
 */
#include <string.h>

#include "policy/schema.h"
#include "policy/schema_private.h"

static void indent(FILE *out, int depth)
{
	for (int i = 0; i < depth; i++)
		fputs("  ", out);
}

static void comment(FILE *out, int depth, const struct schema_row *row)
{
	indent(out, depth);
	fprintf(out, "# %s\n", row->help);
	if (row->block != NULL)
		return;
	struct strbuf text;
	strbuf_init(&text, 2048);
	schema_describe(row, &text);
	indent(out, depth);
	fprintf(out, "#   %s%s\n", row->flags & SCHEMA_REQUIRED ? "required; " : "", strbuf_text(&text));
	strbuf_fini(&text);
}

static void write_block(FILE *out, const struct schema_block *block, int depth, const char *dash);

static void write_row(FILE *out, const struct schema_row *row, int depth, const char *dash)
{
	/* The dash of a list element stands where the key's indentation would: two columns of it. */
	indent(out, depth - (dash[0] ? 1 : 0));
	fprintf(out, "%s%s:", dash, row->name);
	bool optional = row->type == SCHEMA_LIST && row->dflt != NULL;
	if (row->block == NULL || optional) {
		bool example = row->dflt == NULL || (row->flags & SCHEMA_SHOWN);
		fprintf(out, " %s\n", example ? schema_example(row) : row->dflt);
		return;
	}
	fputc('\n', out);
	bool list = row->type == SCHEMA_LIST;
	write_block(out, row->block, depth + (list ? 2 : 1), list ? "- " : "");
}

static void write_block(FILE *out, const struct schema_block *block, int depth, const char *dash)
{
	for (size_t i = 0; i < block->count; i++) {
		const struct schema_row *row = &block->rows[i];
		if (row->flags & SCHEMA_LATER)
			continue;
		if (depth == 0)
			fputc('\n', out);
		comment(out, depth - (dash[0] ? 1 : 0), row);
		write_row(out, row, depth, dash);
		dash = "";
	}
}

void schema_write_sample(FILE *out)
{
	fputs(
	    "# portcullis.yaml: every key of this version. What is shown is the default, or an example where there is "
	    "none.\n"
	    "# Only listeners and domains are needed: portcullis.minimal.yaml. All about the keys: "
	    "portcullis.yaml(5).\n"
	    "# Relative paths start from the directory of this file.\n",
	    out);
	write_block(out, &schema_root, 0, "");
}

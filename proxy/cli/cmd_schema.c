/* SPDX-License-Identifier: MIT */
/*
 * `portcullis schema json|mdoc|sample`: what is made from the configuration's one table. For editors and for the build,
 * so it is not among the commands --help lists.
 */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "cli/command.h"
#include "policy/schema.h"

static const struct {
	const char *name;
	void (*write)(FILE *out);
} forms[] = {{"json", schema_write_json}, {"mdoc", schema_write_mdoc}, {"sample", schema_write_sample}};

int cli_schema(const struct cli_args *args)
{
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		if (strcmp(args->operands[0], forms[i].name) != 0)
			continue;
		forms[i].write(stdout);
		return CLI_OK;
	}
	fprintf(stderr, "portcullis: schema knows json, mdoc and sample, not \"%s\"\n", args->operands[0]);
	return CLI_USAGE;
}

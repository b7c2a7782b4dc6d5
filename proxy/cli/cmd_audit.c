/* SPDX-License-Identifier: MIT */
/*
 * `portcullis audit verify|report|query`. verify reads the files given, oldest first, as one chain, and names the first
 * record that does not fit.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit/writer.h"
#include "cli/command.h"

static void print_bad(void *ctx, const char *file, uint64_t line, const char *why)
{
	bool *said = ctx;

	*said = true;
	fprintf(stderr, "%s:%" PRIu64 ": %s\n", file, line, why);
}

static int verify(char *const *files, size_t count)
{
	uint64_t records = 0;
	bool said = false;

	for (size_t i = 0; i < count; i++) {
		if (access(files[i], R_OK) == 0)
			continue;
		fprintf(stderr, "portcullis: %s cannot be read\n", files[i]);
		return CLI_CANNOT;
	}
	if (audit_verify_files(files, count, &records, print_bad, &said) < 0) {
		fprintf(stderr, "portcullis: the audit log is NOT intact%s\n", said ? "" : ": it cannot be read");
		return CLI_BAD;
	}
	printf("ok: %" PRIu64 " records, the chain is whole\n", records);
	return CLI_OK;
}

int cli_audit(const struct cli_args *args)
{
	const char *what = args->operands[0];

	if (strcmp(what, "report") == 0 || strcmp(what, "query") == 0)
		return cli_unavailable(args);
	if (strcmp(what, "verify") != 0) {
		fprintf(stderr, "portcullis: audit knows verify, report and query, not \"%s\"\n", what);
		return CLI_USAGE;
	}
	if (args->operand_count < 2) {
		fprintf(stderr, "portcullis: audit verify needs at least one FILE\n");
		return CLI_USAGE;
	}
	for (size_t i = 1; i < args->operand_count; i++) {
		if (args->operands[i][0] != '-')
			continue;
		fprintf(stderr, "portcullis: audit verify takes no option \"%s\"\n", args->operands[i]);
		return CLI_USAGE;
	}
	return verify(args->operands + 1, args->operand_count - 1);
}

/* SPDX-License-Identifier: MIT */
/* The subcommands and what they have in common. */
#ifndef PROXY_CLI_COMMAND_H
#define PROXY_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#define CLI_CONFIG_DEFAULT "/etc/portcullis/portcullis.yaml"

/* Exit statuses: scripts depend on them. */
enum cli_status {
	CLI_OK = 0,
	CLI_BAD = 1,   /* what was asked about is bad */
	CLI_USAGE = 2, /* wrong usage */
	CLI_CANNOT = 3 /* could not be done */
};

/* What stands on the command line; which of it a subcommand takes is in its row. */
struct cli_args {
	const char *config;
	bool config_said; /* by -c, not the default */
	const char *socket;
	bool json;
	char **operands;
	size_t operand_count;
};

struct command {
	const char *name;
	const char *synopsis; /* behind the name */
	const char *summary;  /* one line */
	const char *help;     /* paragraphs for `portcullis NAME --help` */
	bool takes_json, takes_socket;
	size_t operands_min, operands_max;
	bool loose; /* options it does not know are left to it, as operands */
	bool hidden;
	int (*run)(const struct cli_args *args);
};

/* Row i of the table of subcommands; NULL behind the last. */
const struct command *cli_command(size_t i);

int cli_run(const struct cli_args *args);
int cli_check(const struct cli_args *args);
int cli_status_show(const struct cli_args *args);
int cli_streams(const struct cli_args *args);
int cli_reload(const struct cli_args *args);
int cli_peers(const struct cli_args *args);
int cli_audit(const struct cli_args *args);
int cli_schema(const struct cli_args *args);
/* Prints that this version cannot; CLI_CANNOT. */
int cli_unavailable(const struct cli_args *args);

#endif

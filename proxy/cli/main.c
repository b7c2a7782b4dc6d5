/* SPDX-License-Identifier: MIT */
/*
 * The command line: options may stand before or behind the subcommand, which is the first word that is no option.
 * Anything not understood is exit status 2, with what was probably meant.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/mem.h"
#include "cli/command.h"
#include "daemon/about.h"
#include "tls/store.h"

struct parsed {
	struct cli_args args;
	const struct command *command;
	const char *word; /* the subcommand as written */
	bool help, version, socket_said;
};

static const char *const options[] = {"-c", "-h", "--config", "--help", "--json", "--socket", "--version"};

/* Letters to insert, delete or change to make b of a; anything from 9 up is 9. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[32], previous, diagonal;
	size_t la = strlen(a), lb = strlen(b);

	if (la >= ARRAY_LEN(row) || lb >= ARRAY_LEN(row))
		return 9;
	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			previous = row[j];
			row[j] = diagonal + (a[i - 1] != b[j - 1]);
			if (previous + 1 < row[j])
				row[j] = previous + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			diagonal = previous;
		}
	}
	return row[lb];
}

static void consider(const char *word, const char *name, unsigned *best, const char **found)
{
	unsigned d = distance(word, name);

	if (d < *best && d <= strlen(word) / 2) {
		*best = d;
		*found = name;
	}
}

static int usage_error(const char *what, const char *word, const char *meant)
{
	fprintf(stderr, "portcullis: %s \"%s\"", what, word);
	if (meant)
		fprintf(stderr, " (did you mean \"%s\"?)", meant);
	fprintf(stderr, "\ntry: portcullis --help\n");
	return CLI_USAGE;
}

static int unknown_command(const char *word)
{
	const struct command *command;
	const char *meant = NULL;
	unsigned best = 4;

	for (size_t i = 0; (command = cli_command(i)); i++)
		if (!command->hidden)
			consider(word, command->name, &best, &meant);
	return usage_error("unknown command", word, meant);
}

static int unknown_option(const char *word)
{
	const char *meant = NULL;
	unsigned best = 4;

	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (strlen(options[i]) > 2)
			consider(word, options[i], &best, &meant);
	return usage_error("unknown option", word, meant);
}

static void print_help(FILE *out)
{
	const struct command *command;

	fprintf(out, "usage: portcullis [-c FILE] COMMAND [OPTIONS]\n\n"
		     "Stands between an XMPP server that cannot do TLS properly and a network that demands it.\n\n"
		     "commands\n");
	for (size_t i = 0; (command = cli_command(i)); i++)
		if (!command->hidden)
			fprintf(out, "  %-8s %s\n", command->name, command->summary);
	fprintf(
	    out,
	    "\noptions\n"
	    "  -c, --config FILE  the configuration (default %s)\n"
	    "  --json             for machines (check, status, streams, peers)\n"
	    "  --socket PATH      the control socket, instead of the configuration's (status, streams, peers, reload)\n"
	    "  -h, --help         this, or behind a command: about that command\n"
	    "  --version          versions of portcullis and of its libraries\n\n"
	    "exit status: 0 done and well; 1 what was asked about is bad; 2 wrong usage; 3 could not be done\n"
	    "manual pages: portcullis(1), portcullis.yaml(5)\n",
	    CLI_CONFIG_DEFAULT);
}

static void print_command_help(FILE *out, const struct command *command)
{
	fprintf(out, "usage: portcullis %s %s\n\n%s\n\n%s", command->name, command->synopsis, command->summary,
		command->help);
}

/* The value of an option that has one: behind `=`, or the next word. NULL: there is none. */
static const char *option_value(const char *name, char **argv, int *at)
{
	const char *word = argv[*at];
	size_t len = strlen(name);

	if (strncmp(word, name, len) == 0 && word[len] == '=')
		return word + len + 1;
	if (!argv[*at + 1])
		return NULL;
	(*at)++;
	return argv[*at];
}

static bool is_option(const char *word, const char *name)
{
	size_t len = strlen(name);

	return strncmp(word, name, len) == 0 && (word[len] == '\0' || (word[len] == '=' && name[1] == '-'));
}

static int parse_value(const char *name, const char **out, char **argv, int *at)
{
	*out = option_value(name, argv, at);
	if (*out && **out)
		return CLI_OK;
	fprintf(stderr, "portcullis: %s needs a value\ntry: portcullis --help\n", name);
	return CLI_USAGE;
}

static const struct command *find_command(const char *word)
{
	const struct command *command;

	for (size_t i = 0; (command = cli_command(i)); i++)
		if (strcmp(word, command->name) == 0)
			return command;
	return NULL;
}

static int parse_option(struct parsed *p, char **argv, int *at)
{
	const char *word = argv[*at];

	if (is_option(word, "-c") || is_option(word, "--config")) {
		p->args.config_said = true;
		return parse_value(word[1] == 'c' ? "-c" : "--config", &p->args.config, argv, at);
	}
	if (is_option(word, "--socket")) {
		p->socket_said = true;
		return parse_value("--socket", &p->args.socket, argv, at);
	}
	if (strcmp(word, "--json") == 0)
		p->args.json = true;
	else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		p->help = true;
	else if (strcmp(word, "--version") == 0)
		p->version = true;
	else if (p->command && p->command->loose)
		p->args.operands[p->args.operand_count++] = argv[*at];
	else
		return unknown_option(word);
	return CLI_OK;
}

static void parse_word(struct parsed *p, char *word)
{
	if (p->word) {
		p->args.operands[p->args.operand_count++] = word;
		return;
	}
	p->word = word;
	p->command = find_command(word);
}

static int parse(struct parsed *p, int argc, char **argv)
{
	bool options_over = false;

	for (int i = 1; i < argc; i++) {
		int status = CLI_OK;

		if (!options_over && strcmp(argv[i], "--") == 0)
			options_over = true;
		else if (!options_over && argv[i][0] == '-' && argv[i][1] != '\0')
			status = parse_option(p, argv, &i);
		else
			parse_word(p, argv[i]);
		if (status != CLI_OK)
			return status;
	}
	if (!p->word)
		return CLI_OK;
	return p->command ? CLI_OK : unknown_command(p->word);
}

static int check_args(const struct parsed *p)
{
	const struct command *c = p->command;
	const char *wrong = NULL;

	if (p->args.json && !c->takes_json)
		wrong = "takes no --json";
	else if (p->socket_said && !c->takes_socket)
		wrong = "takes no --socket";
	else if (p->args.operand_count < c->operands_min)
		wrong = "needs more";
	else if (p->args.operand_count > c->operands_max)
		wrong = "takes no more words";
	if (!wrong)
		return CLI_OK;
	fprintf(stderr, "portcullis: %s %s\nusage: portcullis %s %s\n", c->name, wrong, c->name, c->synopsis);
	return CLI_USAGE;
}

static int act(const struct parsed *p)
{
	int status;

	if (p->version) {
		about_print(stdout);
		return CLI_OK;
	}
	if (p->help && p->command) {
		print_command_help(stdout, p->command);
		return CLI_OK;
	}
	if (p->help || !p->command) {
		print_help(p->help ? stdout : stderr);
		return p->help ? CLI_OK : CLI_USAGE;
	}
	status = check_args(p);
	return status == CLI_OK ? p->command->run(&p->args) : status;
}

/*
 * Started with a standard stream closed, the next file opened would be it: children, which keep the three, would have
 * the bundle with its private keys, and the log would be written into whatever it is. What is opened instead cannot be
 * written to: an answer or an audit record that went nowhere would count as given.
 */
static bool standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY | O_NOCTTY) != fd)
			return false;
	return true;
}

int main(int argc, char **argv)
{
	struct parsed p = {.args = {.config = CLI_CONFIG_DEFAULT}};
	int status;

	if (!standard_streams())
		return CLI_CANNOT;
	tls_library_init();
	p.args.operands = mem_array((size_t)argc + 1, sizeof(*p.args.operands));
	status = parse(&p, argc, argv);
	if (status == CLI_OK)
		status = act(&p);
	mem_free(p.args.operands);
	/* An answer that did not reach its reader is no success. */
	if (fflush(stdout) != 0 && status == CLI_OK)
		status = CLI_CANNOT;
	return status;
}

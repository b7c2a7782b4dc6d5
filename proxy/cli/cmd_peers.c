/* SPDX-License-Identifier: MIT */
/* `portcullis peers`: one question to the control socket, about a domain that is brought into its one form first. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "cli/ask.h"
#include "daemon/control.h"
#include "daemon/peers_print.h"
#include "xmpp/header.h"

static const struct verb {
	const char *name, *command;
	size_t operands;
	cli_print_fn *print;
} verbs[] = {
    {"list", "peers-list", 1, peers_print_list},
    {"show", "peers-show", 2, peers_print_show},
    {"accept", "peers-accept", 2, peers_print_change},
    {"forget", "peers-forget", 2, peers_print_change},
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strcmp(name, verbs[i].name) == 0)
			return &verbs[i];
	return NULL;
}

static int ask(const struct cli_args *args, const struct verb *verb, const char *domain)
{
	json_t *request = json_object();
	char *text;
	int status;

	json_object_set_new(request, "command", json_string(verb->command));
	if (domain)
		json_object_set_new(request, "domain", json_string(domain));
	text = json_dumps(request, JSON_COMPACT);
	status = cli_ask(args, text, CONTROL_WAIT_MS, args->json ? peers_print_json : verb->print);
	free(text);
	json_decref(request);
	return status;
}

int cli_peers(const struct cli_args *args)
{
	const struct verb *verb = find_verb(args->operands[0]);
	char domain[XMPP_DOMAIN_SIZE];

	if (!verb) {
		fprintf(stderr, "portcullis: peers knows list, show, accept and forget, not \"%s\"\n",
			args->operands[0]);
		return CLI_USAGE;
	}
	if (args->operand_count != verb->operands) {
		fprintf(stderr, "portcullis: peers %s %s\n", verb->name,
			verb->operands == 1 ? "takes no more words" : "needs one DOMAIN");
		return CLI_USAGE;
	}
	if (verb->operands == 1)
		return ask(args, verb, NULL);
	if (domain_normalise(args->operands[1], domain))
		return ask(args, verb, domain);
	fprintf(stderr, "portcullis: \"%s\" is no domain\n", args->operands[1]);
	return CLI_USAGE;
}

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
#include "memory/peer.h"
#include "xmpp/header.h"

static const struct verb {
	const char *name, *command;
	size_t least, most; /* words */
	cli_print_fn *print;
} verbs[] = {
    {"list", "peers-list", 1, 1, peers_print_list},
    {"show", "peers-show", 2, 2, peers_print_show},
    {"accept", "peers-accept", 2, 3, peers_print_change},
    {"forget", "peers-forget", 2, 2, peers_print_change},
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strcmp(name, verbs[i].name) == 0)
			return &verbs[i];
	return NULL;
}

/* As it stands in the configuration and in tools, too. */
static const char *bare_digits(const char *fingerprint)
{
	static const char prefix[] = "sha256:";

	return strncmp(fingerprint, prefix, strlen(prefix)) == 0 ? fingerprint + strlen(prefix) : fingerprint;
}

static int ask(const struct cli_args *args, const struct verb *verb, const char *domain)
{
	json_t *request = json_object();
	char *text;
	int status;

	json_object_set_new(request, "command", json_string(verb->command));
	if (domain)
		json_object_set_new(request, "domain", json_string(domain));
	if (args->operand_count > 2)
		json_object_set_new(request, "sha256", json_string(bare_digits(args->operands[2])));
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
	if (args->operand_count < verb->least || args->operand_count > verb->most) {
		fprintf(stderr, "portcullis: peers %s %s\n", verb->name,
			verb->most == 1   ? "takes no more words"
			: verb->most == 2 ? "needs one DOMAIN"
					  : "needs one DOMAIN and takes one SHA256 more");
		return CLI_USAGE;
	}
	if (verb->most == 1)
		return ask(args, verb, NULL);
	if (args->operand_count > 2 && !peer_digest_valid(bare_digits(args->operands[2]))) {
		fprintf(stderr, "portcullis: \"%s\" is no SHA-256 fingerprint: 64 digits 0-9 a-f\n", args->operands[2]);
		return CLI_USAGE;
	}
	if (domain_normalise(args->operands[1], domain))
		return ask(args, verb, domain);
	fprintf(stderr, "portcullis: \"%s\" is no domain\n", args->operands[1]);
	return CLI_USAGE;
}

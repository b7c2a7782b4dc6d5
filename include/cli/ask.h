/* SPDX-License-Identifier: MIT */
/* Asking the running portcullis. */
#ifndef PROXY_CLI_ASK_H
#define PROXY_CLI_ASK_H

#include <stdio.h>

#include "base/errbuf.h"
#include "cli/command.h"

typedef int cli_print_fn(FILE *out, const char *json, size_t len, struct errbuf *err);

/* Sends request to the control socket (--socket, or the configuration's) and prints the answer; an exit status. */
int cli_ask(const struct cli_args *args, const char *request, cli_print_fn *print);

#endif

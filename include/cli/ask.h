/* SPDX-License-Identifier: MIT */
/* Asking the running portcullis. */
#ifndef PROXY_CLI_ASK_H
#define PROXY_CLI_ASK_H

#include <stdint.h>
#include <stdio.h>

#include "base/errbuf.h"
#include "cli/command.h"

/* 0; 1: what the answer says is bad, and was said or is in err; -1 with err set: it is no answer, or an error. */
typedef int cli_print_fn(FILE *out, const char *json, size_t len, struct errbuf *err);

/* Sends request to the control socket (--socket, or the configuration's) and prints the answer; an exit status,
 * CLI_CANNOT for no answer. */
int cli_ask(const struct cli_args *args, const char *request, uint64_t wait_ms, cli_print_fn *print);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * `portcullis status`, `streams` and `reload`: one question each to the control socket. The answers' form for people is
 * the daemon room's; machines get the answer as it came.
 */
#include "cli/ask.h"
#include "daemon/control.h"
#include "daemon/reload.h"
#include "daemon/status.h"

int cli_status_show(const struct cli_args *args)
{
	return cli_ask(args, "{\"command\":\"status\"}", CONTROL_WAIT_MS, args->json ? answer_print : status_print);
}

int cli_streams(const struct cli_args *args)
{
	return cli_ask(args, "{\"command\":\"streams\"}", CONTROL_WAIT_MS, args->json ? answer_print : streams_print);
}

/* Findings go where those of `check` go. */
static int print_reload(FILE *out, const char *json, size_t len, struct errbuf *err)
{
	return reload_print(out, stderr, json, len, err);
}

int cli_reload(const struct cli_args *args)
{
	return cli_ask(args, "{\"command\":\"reload\"}", CONTROL_RELOAD_WAIT_MS, print_reload);
}

/* SPDX-License-Identifier: MIT */
/*
 * `portcullis status`, `streams` and `reload`: one question each to the control socket. The answers' form for people is
 * the daemon room's; machines get the answer as it came.
 */
#include "cli/ask.h"
#include "daemon/status.h"

int cli_status_show(const struct cli_args *args)
{
	return cli_ask(args, "{\"command\":\"status\"}", args->json ? answer_print : status_print);
}

int cli_streams(const struct cli_args *args)
{
	return cli_ask(args, "{\"command\":\"streams\"}", args->json ? answer_print : streams_print);
}

int cli_reload(const struct cli_args *args)
{
	return cli_ask(args, "{\"command\":\"reload\"}", answer_print);
}

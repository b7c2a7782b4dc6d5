/* SPDX-License-Identifier: MIT */
/*
 * Commands of the product that this version does not have: they say so, whatever stands behind them, and never pretend
 * to have done something.
 */
#include <stdio.h>

#include "cli/command.h"

int cli_unavailable(const struct cli_args *args)
{
	(void)args;
	fprintf(stderr, "portcullis: not available in this version\n");
	return CLI_CANNOT;
}

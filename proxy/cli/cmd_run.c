/* SPDX-License-Identifier: MIT */
/*
 * `portcullis run`: hands over to the master, in the foreground. No daemonising here: a service manager does that
 * better, and a terminal shows the log.
 */
#include "cli/command.h"
#include "daemon/master.h"

int cli_run(const struct cli_args *args)
{
	return master_run(args->config);
}

/* SPDX-License-Identifier: MIT */
/*
 * `portcullis check`: the same preflight that `run` does, and nothing started. Findings first, then the policy that
 * would be in force, then `ok`: the last line tells, and so does the exit status.
 */
#include <stdio.h>

#include "base/clock.h"
#include "cli/command.h"
#include "daemon/preflight.h"
#include "daemon/report.h"

int cli_check(const struct cli_args *args)
{
	struct file_source disk = file_source_disk();
	int64_t now = clock_real_us() / 1000000;
	struct config *config;
	struct diag_list diags;
	int status;

	diag_init(&diags, args->config);
	config = preflight(args->config, &disk, &diags);
	status = config ? CLI_OK : CLI_BAD;
	if (args->json) {
		diag_sort(&diags);
		report_json(stdout, config, &diags, now);
	} else {
		preflight_print(stderr, &diags);
		if (config) {
			report_text(stdout, config, now);
			printf("ok\n");
		}
	}
	if (config)
		config_unref(&config);
	diag_fini(&diags);
	return status;
}

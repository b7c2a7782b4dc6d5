/* SPDX-License-Identifier: MIT */
/* `portcullis check`: the findings, and the policy that would be in force. */
#ifndef PROXY_DAEMON_REPORT_H
#define PROXY_DAEMON_REPORT_H

#include <stdio.h>

#include "policy/config.h"

/* config NULL: it is not valid, and findings are all there is to say. now: seconds since 1970. */
void report_text(FILE *out, const struct config *config, int64_t now);
void report_json(FILE *out, const struct config *config, const struct diag_list *diags, int64_t now);

#endif

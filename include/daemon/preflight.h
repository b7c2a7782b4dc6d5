/* SPDX-License-Identifier: MIT */
/* Everything that can be found wrong before anything starts: what `run` and `check` share. */
#ifndef PROXY_DAEMON_PREFLIGHT_H
#define PROXY_DAEMON_PREFLIGHT_H

#include <stdio.h>

#include "policy/config.h"

/* config_load, then tls_check, the permissions of key files, the account and its right to write the audit log. NULL if
 * any finding is an error. */
struct config *preflight(const char *path, const struct file_source *source, struct diag_list *diags);

/* Findings, a line each, sorted. */
void preflight_print(FILE *out, struct diag_list *diags);

#endif

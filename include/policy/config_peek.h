/* SPDX-License-Identifier: MIT */
/* One key of a configuration that may not be valid just now: enough to reach the program that runs with an older one.
 */
#ifndef PROXY_POLICY_CONFIG_PEEK_H
#define PROXY_POLICY_CONFIG_PEEK_H

#include "policy/files.h"

/*
 * The admin.socket that the file at `path` names, made absolute; NULL if the file cannot be read or names none. Says
 * nothing about whether the file is valid. The caller frees.
 */
char *config_peek_socket(const char *path, const struct file_source *source);

#endif

/* SPDX-License-Identifier: MIT */
/* What differs between two configurations, found by the schema: a key that is added to the one is compared here. */
#ifndef PROXY_POLICY_CONFIG_DIFF_H
#define PROXY_POLICY_CONFIG_DIFF_H

#include <stdbool.h>

#include "policy/config.h"

/* key: dotted, "tls.min-version"; a list is one key, "domains". */
typedef void config_diff_fn(void *ctx, const char *key);
/*
 * Calls each for every key whose value is not the same, in the schema's order. Files are compared by what is in them,
 * so a renewed certificate is a difference and another path to the same one is not. Where a private key was wiped from
 * memory its length is all that is left to compare; a key that changes without its certificate does not exist.
 */
void config_diff(const struct config *before, const struct config *after, config_diff_fn *each, void *ctx);
bool config_same_listener(const struct config_listener *a, const struct config_listener *b);
bool config_same_domain(const struct config_domain *a, const struct config_domain *b);
/* What the system gave where the file said nothing counts, too. */
bool config_same_dns(const struct config_dns *a, const struct config_dns *b);

#endif

/* SPDX-License-Identifier: MIT */
/* Opens every certificate and key a configuration names: dates, key match, names against the domain, strength,
 * signature, OCSP response; cipher and group strings against the profile (TLS-1, 3, 7). Findings name the key's line.
 */
#ifndef PROXY_TLS_CHECK_H
#define PROXY_TLS_CHECK_H

#include <stdint.h>

#include "policy/config.h"

/* now: seconds since 1970. Adds errors and warnings to diags. */
void tls_check(const struct config *config, int64_t now, struct diag_list *diags);
/* For `portcullis check`: "CN=… , ECDSA P-256, valid until 2026-12-01 (9 days)" of a domain's certificate; "" if it
 * cannot be read. */
void tls_describe_certificate(const struct config_domain *domain, int64_t now, char *out, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
/* The OCSP response an operator's file holds for stapling: is it one, is it ours, until when. For the tls room only. */
#ifndef PROXY_TLS_OCSP_PRIVATE_H
#define PROXY_TLS_OCSP_PRIVATE_H

#include <stdint.h>

#include "tls/credential_private.h"

/* Until when the response may be stapled (INT64_MAX: it names no end, 0: it cannot be read). */
int64_t tls_ocsp_until(const struct config_file *file);
/* Findings about domain->ocsp_response for that chain (TLS-23). */
void tls_ocsp_check(const struct config_file *file, const struct tls_credential *c, int64_t now,
		    struct diag_list *diags);

#endif

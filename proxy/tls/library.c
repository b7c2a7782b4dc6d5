/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL as a library: started without its configuration file, and its error queue as words. openssl.cnf (or
 * $OPENSSL_CONF) could lower the security level or the versions of every context behind our back; the first
 * initialisation of a process decides, so tls_library_init must come before any other call into OpenSSL.
 */
#include "tls/store.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tls_library_init(void)
{
	if (!OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL))
		abort();
}

const char *tls_library(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}

static const char *reason_of(unsigned long code)
{
	if (ERR_SYSTEM_ERROR(code))
		return strerrordesc_np(ERR_GET_REASON(code));
	return ERR_reason_error_string(code);
}

void tls_error_text(struct errbuf *out)
{
	size_t used = 0;
	unsigned long code;

	out->text[0] = '\0';
	while ((code = ERR_get_error()) != 0) {
		const char *reason = reason_of(code);
		size_t room = sizeof(out->text) - used;
		int n;

		/* One failure often leaves the same reason at several depths. */
		if (!reason || strstr(out->text, reason) || strlen(reason) + 3 > room)
			continue;
		n = snprintf(out->text + used, room, "%s%s", used ? "; " : "", reason);
		used += n > 0 ? (size_t)n : 0;
	}
}

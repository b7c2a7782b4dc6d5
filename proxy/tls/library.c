/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL as a library: started without its configuration file, and its error queue as words. openssl.cnf (or
 * $OPENSSL_CONF) could lower the security level or the versions of every context behind our back; the first
 * initialisation of a process decides, also for every process it forks, so tls_library_init must come before any other
 * call into OpenSSL. Memory that OpenSSL gives back is wiped: its PEM and ASN.1 decoders leave private keys in theirs,
 * and the master, which checks the keys, is copied into a keeper that must not have them.
 */
#include "tls/store.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void *take(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return malloc(size);
}

static void give_back(void *ptr, const char *file, int line)
{
	(void)file;
	(void)line;
	if (ptr)
		mem_wipe(ptr, malloc_usable_size(ptr));
	free(ptr);
}

/* The C library's own would leave the old place as it was. */
static void *take_again(void *ptr, size_t size, const char *file, int line)
{
	size_t old = ptr ? malloc_usable_size(ptr) : 0;
	void *other;

	if (size == 0) {
		give_back(ptr, file, line);
		return NULL;
	}
	other = malloc(size);
	if (other && ptr) {
		memcpy(other, ptr, old < size ? old : size);
		give_back(ptr, file, line);
	}
	return other;
}

void tls_library_init(void)
{
	/* Refused once OpenSSL has memory: in a process where this was done already. */
	(void)CRYPTO_set_mem_functions(take, take_again, give_back);
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

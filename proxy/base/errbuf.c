/* SPDX-License-Identifier: MIT */
/*
 * Owns nothing: formats one sentence into the caller's buffer. A caller that passes NULL does not care why, so every
 * function that takes an errbuf may hand it on without looking.
 */
#include "base/errbuf.h"

#include <stdarg.h>
#include <stdio.h>

void errbuf_set(struct errbuf *err, const char *fmt, ...)
{
	/* The old text may be among the arguments ("%s: %s", path, err->text). */
	char text[sizeof(err->text)];
	va_list ap;

	if (!err)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)snprintf(err->text, sizeof(err->text), "%s", text);
}

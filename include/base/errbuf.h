/* SPDX-License-Identifier: MIT */
/* Error text returned through the caller's own buffer: the rooms below `relay` return errors, they do not log them. */
#ifndef PROXY_BASE_ERRBUF_H
#define PROXY_BASE_ERRBUF_H

struct errbuf {
	char text[512];
};

/* Replaces the text (truncating). err may be NULL. */
void errbuf_set(struct errbuf *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

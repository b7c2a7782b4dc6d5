/* SPDX-License-Identifier: MIT */
/*
 * A growing byte string with a ceiling. Invariants: len <= max; data is NUL-terminated whenever it is not NULL;
 * once `overflow` is set nothing more is added, so that a cut text can never be taken for a whole one.
 */
#ifndef PROXY_BASE_STRBUF_H
#define PROXY_BASE_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

struct strbuf {
	char *data; /* NULL until the first byte */
	size_t len; /* bytes, without the NUL */
	size_t size;
	size_t max;
	bool overflow;
};

void strbuf_init(struct strbuf *b, size_t max);
/* Frees the storage; the buffer may be used again. */
void strbuf_fini(struct strbuf *b);
/* Empties, keeps the storage, clears overflow. */
void strbuf_clear(struct strbuf *b);
/* All return false, and set overflow, when the ceiling would be passed; nothing is added then. */
bool strbuf_add(struct strbuf *b, const void *data, size_t len);
bool strbuf_puts(struct strbuf *b, const char *text);
bool strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds text with & < > ' " as entities, fit for XML text and attribute values. */
bool strbuf_put_xml(struct strbuf *b, const char *text);
/* Removes the first n bytes (n <= len). */
void strbuf_drain(struct strbuf *b, size_t n);
/* The text, "" when empty. */
const char *strbuf_text(const struct strbuf *b);

#endif

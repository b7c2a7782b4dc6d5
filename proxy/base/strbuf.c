/* SPDX-License-Identifier: MIT */
/*
 * The bounded byte string. The ceiling is checked before memory is taken, an addition is whole or does not happen, and
 * after the first refused one everything later is refused too: half a stanza or half a record never leaves this module.
 */
#include "base/strbuf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

void strbuf_init(struct strbuf *b, size_t max)
{
	*b = (struct strbuf){.max = max};
}

void strbuf_fini(struct strbuf *b)
{
	mem_free(b->data);
	strbuf_init(b, b->max);
}

void strbuf_clear(struct strbuf *b)
{
	b->len = 0;
	b->overflow = false;
	if (b->data)
		b->data[0] = '\0';
}

/* Room for n more bytes and the NUL. */
static bool strbuf_reserve(struct strbuf *b, size_t n)
{
	size_t size;

	if (b->overflow || n > b->max - b->len) {
		b->overflow = true;
		return false;
	}
	if (b->data && b->len + n < b->size)
		return true;
	size = b->size ? b->size : 32;
	while (size <= b->len + n)
		size *= 2;
	if (size > b->max + 1)
		size = b->max + 1;
	b->data = mem_realloc(b->data, size);
	b->size = size;
	return true;
}

bool strbuf_add(struct strbuf *b, const void *data, size_t len)
{
	if (!strbuf_reserve(b, len))
		return false;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
	return true;
}

bool strbuf_puts(struct strbuf *b, const char *text)
{
	return strbuf_add(b, text, strlen(text));
}

bool strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !strbuf_reserve(b, (size_t)n)) {
		va_end(again);
		b->overflow = true;
		return false;
	}
	(void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
	va_end(again);
	b->len += (size_t)n;
	return true;
}

static const char *xml_entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '\'':
		return "&apos;";
	case '"':
		return "&quot;";
	default:
		return NULL;
	}
}

bool strbuf_put_xml(struct strbuf *b, const char *text)
{
	const char *entity;
	size_t need = 0;
	const char *p;

	for (p = text; *p; p++) {
		entity = xml_entity(*p);
		need += entity ? strlen(entity) : 1;
	}
	if (!strbuf_reserve(b, need))
		return false;
	for (p = text; *p; p++) {
		entity = xml_entity(*p);
		(void)strbuf_add(b, entity ? entity : p, entity ? strlen(entity) : 1);
	}
	return true;
}

void strbuf_drain(struct strbuf *b, size_t n)
{
	assert(n <= b->len);
	if (!n)
		return;
	b->len -= n;
	memmove(b->data, b->data + n, b->len);
	b->data[b->len] = '\0';
}

const char *strbuf_text(const struct strbuf *b)
{
	return b->data ? b->data : "";
}

/* SPDX-License-Identifier: MIT */
/*
 * Allocation for everything small. The one invariant: nothing here returns NULL for want of memory, so no caller has an
 * error ladder. A process that runs out of memory dies at once and is started again by its master, which is the only
 * recovery that can be tested.
 */
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static _Noreturn void mem_exhausted(size_t size)
{
	log_error("out of memory: %zu bytes", size);
	abort();
}

static void *mem_checked(void *ptr, size_t size)
{
	if (!ptr)
		mem_exhausted(size);
	return ptr;
}

void *mem_alloc(size_t size)
{
	return mem_checked(malloc(size ? size : 1), size);
}

void *mem_zalloc(size_t size)
{
	return mem_checked(calloc(1, size ? size : 1), size);
}

void *mem_array(size_t count, size_t size)
{
	if (size && count > SIZE_MAX / size)
		mem_exhausted(SIZE_MAX);
	return mem_zalloc(count * size);
}

void *mem_realloc(void *ptr, size_t size)
{
	/* realloc(p, 0) may free and return NULL (C11 7.22.3.5 leaves it open). */
	return mem_checked(realloc(ptr, size ? size : 1), size);
}

char *mem_strdup(const char *text)
{
	return text ? mem_strndup(text, strlen(text)) : NULL;
}

char *mem_strndup(const char *text, size_t len)
{
	size_t n;
	char *copy;

	if (!text)
		return NULL;
	n = strnlen(text, len);
	copy = mem_alloc(n + 1);
	memcpy(copy, text, n);
	copy[n] = '\0';
	return copy;
}

void *mem_dup(const void *data, size_t len)
{
	void *copy;

	if (!data)
		return NULL;
	copy = mem_alloc(len);
	if (len)
		memcpy(copy, data, len);
	return copy;
}

char *mem_printf(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		mem_exhausted(0);
	return text;
}

void mem_free(void *ptr)
{
	free(ptr);
}

void mem_wipe(void *ptr, size_t len)
{
	if (len)
		explicit_bzero(ptr, len);
}

/* SPDX-License-Identifier: MIT */
/*
 * Memory that aborts: small allocations never fail from the caller's point of view, so constructors
 * have no error ladders. A size that comes from a peer must be bounded before it reaches this module.
 */
#ifndef PROXY_BASE_MEM_H
#define PROXY_BASE_MEM_H

#include <stddef.h>

/* Returns size bytes (size 0 gives a valid pointer), never NULL; aborts when memory is exhausted. */
void *mem_alloc(size_t size);
/* As mem_alloc, zeroed. */
void *mem_zalloc(size_t size);
/* count * size zeroed bytes; aborts on overflow. */
void *mem_array(size_t count, size_t size);
/* Grows or shrinks; ptr may be NULL. */
void *mem_realloc(void *ptr, size_t size);
/* Copies; the NULL pointer gives NULL. The caller frees with mem_free. */
char *mem_strdup(const char *text);
char *mem_strndup(const char *text, size_t len);
void *mem_dup(const void *data, size_t len);
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void mem_free(void *ptr);
/* Overwrites in a way the compiler may not remove. */
void mem_wipe(void *ptr, size_t len);

#endif

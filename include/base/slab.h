/* SPDX-License-Identifier: MIT */
/*
 * Memory for small things that die together while all around them live on, such as an XML parser's while its stream's
 * TLS stays: from the common heap their holes could never be given back. Pieces of one size lie together in slabs, and
 * a slab with nothing in it goes back to the system. For one thread.
 */
#ifndef PROXY_BASE_SLAB_H
#define PROXY_BASE_SLAB_H

#include <stddef.h>

/* As malloc, realloc and free of the C library: NULL when there is no memory. Aligned to 16 bytes. */
void *slab_alloc(size_t size);
void *slab_realloc(void *ptr, size_t size);
void slab_free(void *ptr);

/* Bytes taken from the system now. */
size_t slab_held(void);

#endif

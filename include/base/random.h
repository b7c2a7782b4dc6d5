/* SPDX-License-Identifier: MIT */
/* Unpredictable bytes from getrandom(2), pooled; safe across fork (the pool is dropped in the child). Aborts if the
 * kernel has none. */
#ifndef PROXY_BASE_RANDOM_H
#define PROXY_BASE_RANDOM_H

#include <stddef.h>

void random_bytes(void *out, size_t len);
/* Writes 2*len lower-case hex digits and a NUL. */
void random_hex(char *out, size_t len);

#endif

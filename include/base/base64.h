/* SPDX-License-Identifier: MIT */
/* Strict base64 (RFC 4648 section 4, RFC 6120 section 13.9.1): no white space, no missing padding, no stray bits. */
#ifndef PROXY_BASE_BASE64_H
#define PROXY_BASE_BASE64_H

#include <stddef.h>
#include <sys/types.h>

/* Decodes text of len characters into out (size bytes). Returns the decoded length, -1 when malformed or too long. */
ssize_t base64_decode(void *out, size_t size, const char *text, size_t len);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Base64 as RFC 6120 section 13.9.1 wants it read: anything outside the alphabet, padding anywhere but at the end, and
 * bits behind the last byte that are not zero are all refused, so that a text has exactly one encoding.
 */
#include "base/base64.h"

#include <stdint.h>

/* The six bits of a character; 64 for one that has none. */
static uint32_t base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint32_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint32_t)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0') + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : 64;
}

/* Bytes that the last four characters stand for: 3, 2 with "=", 1 with "==". */
static size_t base64_last_bytes(const char *four)
{
	if (four[3] != '=')
		return 3;
	return four[2] == '=' ? 1 : 2;
}

/* One group of four with its first `bytes` bytes meant; false when malformed. */
static int base64_group(uint8_t *out, const char *four, size_t bytes)
{
	uint32_t bits = 0, v;
	size_t i;

	for (i = 0; i < 4; i++) {
		v = i <= bytes ? base64_value(four[i]) : 0;
		if (v > 63)
			return 0;
		bits = bits << 6 | v;
	}
	if (bits & ((1U << (8 * (3 - bytes))) - 1))
		return 0;
	for (i = 0; i < bytes; i++)
		out[i] = (uint8_t)(bits >> (16 - 8 * i));
	return 1;
}

ssize_t base64_decode(void *out, size_t size, const char *text, size_t len)
{
	uint8_t *to = out;
	size_t i, bytes, done = 0;

	if (len % 4)
		return -1;
	for (i = 0; i < len; i += 4) {
		bytes = i + 4 == len ? base64_last_bytes(text + i) : 3;
		if (bytes > size - done || !base64_group(to + done, text + i, bytes))
			return -1;
		done += bytes;
	}
	return (ssize_t)done;
}

/* SPDX-License-Identifier: MIT */
/*
 * Strict incremental UTF-8 check (RFC 3629) with XML 1.0's character rule on top, independent of expat (XML-3 of the
 * protocol page; CVE-2022-25235 is why). Zero-initialise the state; bytes may be split anywhere.
 */
#ifndef PROXY_BASE_UTF8_H
#define PROXY_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

struct utf8_state {
	uint32_t point; /* bits gathered so far */
	uint32_t least; /* smallest code point allowed for this length: catches overlong forms */
	unsigned need;  /* continuation bytes still to come */
};

enum utf8_result {
	UTF8_OK,
	UTF8_INVALID, /* not UTF-8: overlong, surrogate, above 10FFFF, stray or missing continuation */
	UTF8_NOT_XML, /* UTF-8, but a character XML 1.0 forbids: C0 controls but tab, LF, CR; U+FFFE; U+FFFF */
};

/*
 * Checks len bytes, carrying a character cut at the end over to the next call. On anything but UTF8_OK,
 * *good_out is the number of bytes before the offending character's byte. good_out may be NULL.
 */
enum utf8_result utf8_check(struct utf8_state *state, const void *data, size_t len, size_t *good_out);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Shows hostile text without letting it act: on a terminal, in a log collector, in an auditor's browser. What comes out
 * is always valid UTF-8 without control characters. A backslash is not doubled: the result is for reading, not
 * decoding.
 */
#include "base/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/utf8.h"

struct range {
	uint32_t first, last;
};

/* Characters that hide, reorder or break a line although they are not ASCII controls. */
static const struct range hidden[] = {
    {0x7F, 0x9F},     {0xAD, 0xAD},     {0x61C, 0x61C},   {0x180E, 0x180E}, {0x200B, 0x200F},   {0x2028, 0x202E},
    {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xFFFE, 0xFFFF}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
};

static bool is_hidden(uint32_t c)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(hidden); i++)
		if (c >= hidden[i].first && c <= hidden[i].last)
			return true;
	return false;
}

/* Length of the whole UTF-8 character at text, its code point in *point; 0 if it is none. */
static size_t whole_char(const char *text, size_t len, uint32_t *point)
{
	struct utf8_state state = {0};
	size_t i;

	for (i = 0; i < len && i < 4; i++) {
		if (utf8_check(&state, text + i, 1, NULL) == UTF8_INVALID)
			return 0;
		if (!state.need) {
			*point = i ? state.point : (uint8_t)text[0];
			return i + 1;
		}
	}
	return 0;
}

size_t escape_one(char out[ESCAPE_ONE_SIZE], const char *text, size_t len)
{
	uint32_t point = 0;
	size_t n = whole_char(text, len, &point);

	if (!n || point < 0x20 || point == 0x7F) {
		(void)snprintf(out, ESCAPE_ONE_SIZE, "\\x%02x", (uint8_t)text[0]);
		return 1;
	}
	if (is_hidden(point)) {
		(void)snprintf(out, ESCAPE_ONE_SIZE, "\\u{%04X}", (unsigned)(point & 0x1FFFFF));
		return n;
	}
	memcpy(out, text, n);
	out[n] = '\0';
	return n;
}

/* Printable ASCII, which is nearly everything, needs no look at each character's meaning. */
static size_t plain_run(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && text[n] >= 0x20 && text[n] < 0x7F)
		n++;
	return n;
}

size_t escape_text(char *out, size_t size, const char *text, size_t len)
{
	char shown[ESCAPE_ONE_SIZE];
	size_t taken, n, done = 0;

	if (!size)
		return 0;
	while (len) {
		n = plain_run(text, len < size - done ? len : size - done - 1);
		memcpy(out + done, text, n);
		done += n;
		text += n;
		len -= n;
		if (!len)
			break;
		taken = escape_one(shown, text, len);
		n = strlen(shown);
		if (n >= size - done)
			break;
		memcpy(out + done, shown, n);
		done += n;
		text += taken;
		len -= taken;
	}
	out[done] = '\0';
	return done;
}

/* SPDX-License-Identifier: MIT */
/*
 * The UTF-8 check that stands before the XML parser. It keeps nothing but the bits of one character, so a byte stream
 * may be cut anywhere. Whole words of printable ASCII, which is what stanzas are made of, are passed eight at a time.
 */
#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

#define EVERY_BYTE(b) (UINT64_MAX / 255 * (b))

/* Eight bytes from 20 to 7F: the subtraction borrows into the top bit of a byte that is less. */
static bool word_is_plain(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return !((w | (w - EVERY_BYTE(0x20))) & EVERY_BYTE(0x80));
}

/* XML 1.0 section 2.2, production 2, for what UTF-8 lets through. */
static bool is_xml_char(uint32_t c)
{
	if (c < 0x20)
		return c == '\t' || c == '\n' || c == '\r';
	return c != 0xFFFE && c != 0xFFFF;
}

static bool start_sequence(struct utf8_state *s, uint8_t byte)
{
	if (byte >= 0xC2 && byte <= 0xDF)
		*s = (struct utf8_state){byte & 0x1FU, 0x80, 1};
	else if (byte >= 0xE0 && byte <= 0xEF)
		*s = (struct utf8_state){byte & 0x0FU, 0x800, 2};
	else if (byte >= 0xF0 && byte <= 0xF4)
		*s = (struct utf8_state){byte & 0x07U, 0x10000, 3};
	else
		return false;
	return true;
}

/* RFC 3629 section 3: the shortest form only, no surrogate, nothing above 10FFFF. */
static enum utf8_result end_sequence(const struct utf8_state *s)
{
	if (s->point < s->least || s->point > 0x10FFFF || (s->point >= 0xD800 && s->point <= 0xDFFF))
		return UTF8_INVALID;
	return is_xml_char(s->point) ? UTF8_OK : UTF8_NOT_XML;
}

static enum utf8_result take_byte(struct utf8_state *s, uint8_t byte)
{
	if (!s->need) {
		if (byte < 0x80)
			return is_xml_char(byte) ? UTF8_OK : UTF8_NOT_XML;
		return start_sequence(s, byte) ? UTF8_OK : UTF8_INVALID;
	}
	if ((byte & 0xC0) != 0x80)
		return UTF8_INVALID;
	s->point = s->point << 6 | (byte & 0x3FU);
	s->need--;
	return s->need ? UTF8_OK : end_sequence(s);
}

enum utf8_result utf8_check(struct utf8_state *state, const void *data, size_t len, size_t *good_out)
{
	enum utf8_result result = UTF8_OK;
	const uint8_t *p = data;
	size_t i = 0, whole = 0; /* whole: where the character now being read began in this call */

	while (i < len) {
		if (!state->need) {
			while (len - i >= 8 && word_is_plain(p + i))
				i += 8;
			whole = i;
			if (i == len)
				break;
		}
		result = take_byte(state, p[i]);
		if (result != UTF8_OK)
			break;
		i++;
	}
	if (good_out)
		*good_out = result == UTF8_OK ? len : whole;
	return result;
}

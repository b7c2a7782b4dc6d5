/* SPDX-License-Identifier: MIT */
/*
 * Making peer text fit to be shown on one line: what the log and the audit records have in common. A character passes
 * as it is, or becomes visible ASCII: \xNN for a control or a byte that is not UTF-8, \u{NNNN} for a character that
 * changes how others are shown (bidirectional and invisible ones, C1 controls, line separators).
 */
#ifndef PROXY_BASE_ESCAPE_H
#define PROXY_BASE_ESCAPE_H

#include <stddef.h>

/* Longest text for one character: "\u{10FFFF}" and the NUL. */
#define ESCAPE_ONE_SIZE 11

/*
 * Reads the character at text (len > 0 bytes). Writes what is shown for it, NUL-terminated; returns how many bytes of
 * text it took (1 for each byte that is not UTF-8).
 */
size_t escape_one(char out[ESCAPE_ONE_SIZE], const char *text, size_t len);
/* Escapes all of text until out is full, never half a character; returns the length written, out is NUL-terminated. */
size_t escape_text(char *out, size_t size, const char *text, size_t len);

#endif

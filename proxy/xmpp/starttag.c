/* SPDX-License-Identifier: MIT */
/*
 * Scans a start tag: '<' name (S name S? '=' S? quoted)* S? '/'? '>' (XML 1.0 productions 40, 41, 44). Invariants: no
 * byte at or behind `len` is read; the whole tag is scanned whatever is looked for, so that a tag that is not
 * understood is never half understood; nothing is decoded, only located.
 */
#include "xmpp/starttag.h"

#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_space(const char *raw, size_t len, size_t at)
{
	while (at < len && is_space(raw[at]))
		at++;
	return at;
}

/* The parser has judged the characters of a name; here it ends where none can go on. */
static size_t skip_name(const char *raw, size_t len, size_t at)
{
	while (at < len && !is_space(raw[at]) && memchr("=/><'\"", raw[at], 6) == NULL)
		at++;
	return at;
}

size_t start_tag_name_end(const char *raw, size_t len)
{
	size_t end;

	if (len < 3 || raw[0] != '<' || raw[len - 1] != '>')
		return 0;
	end = skip_name(raw, len, 1);
	return end == 1 ? 0 : end;
}

bool start_tag_is_empty(const char *raw, size_t len)
{
	return len >= 2 && raw[len - 2] == '/';
}

/* What stands behind the name, from `at` on: an equals sign and the quoted value. */
static bool read_value(const char *raw, size_t len, size_t at, struct start_tag_attr *a)
{
	const char *close;

	at = skip_space(raw, len, at);
	if (at >= len || raw[at] != '=')
		return false;
	at = skip_space(raw, len, at + 1);
	if (at >= len || (raw[at] != '\'' && raw[at] != '"'))
		return false;
	a->value = at + 1;
	close = memchr(raw + a->value, raw[at], len - a->value);
	if (close == NULL)
		return false;
	a->value_end = (size_t)(close - raw);
	a->end = a->value_end + 1;
	return true;
}

/* The attribute whose white space begins at `at`. */
static enum start_tag_result read_attr(const char *raw, size_t len, size_t at, struct start_tag_attr *a)
{
	a->space = at;
	a->name = skip_space(raw, len, at);
	if (a->name == len - 1 || (a->name == len - 2 && raw[a->name] == '/'))
		return START_TAG_ABSENT;
	a->name_end = skip_name(raw, len, a->name);
	if (a->name == a->space || a->name_end == a->name || !read_value(raw, len, a->name_end, a))
		return START_TAG_BROKEN;
	return START_TAG_FOUND;
}

enum start_tag_result start_tag_find(const char *raw, size_t len, const char *name, struct start_tag_attr *out)
{
	enum start_tag_result found = START_TAG_ABSENT, next;
	size_t at = start_tag_name_end(raw, len), name_len = strlen(name);
	struct start_tag_attr a;

	if (at == 0)
		return START_TAG_BROKEN;
	while ((next = read_attr(raw, len, at, &a)) == START_TAG_FOUND) {
		if (a.name_end - a.name == name_len && memcmp(raw + a.name, name, name_len) == 0) {
			*out = a;
			found = START_TAG_FOUND;
		}
		at = a.end;
	}
	return next == START_TAG_BROKEN ? START_TAG_BROKEN : found;
}

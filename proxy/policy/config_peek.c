/* SPDX-License-Identifier: MIT */
/*
 * Finding admin.socket in a file that need not be YAML: `portcullis reload` of a broken configuration must still reach
 * the running program, which then says what is wrong. Line by line: the block that a line beginning with `admin:`
 * opens, and in it the word `socket:`. What is found by mistake is a path that does not answer, no more.
 */
#include "policy/config_peek.h"

#include <string.h>

#include "base/mem.h"
#include "policy/config_private.h"

/* A piece of the file's text. */
struct piece {
	const char *at;
	size_t len;
};

/* Takes the next line off `rest`; false at the end. */
static bool next_line(struct piece *rest, struct piece *line)
{
	if (rest->len == 0)
		return false;
	const char *end = memchr(rest->at, '\n', rest->len);
	line->at = rest->at;
	line->len = end != NULL ? (size_t)(end - rest->at) : rest->len;
	size_t taken = line->len + (end != NULL ? 1 : 0);
	rest->at += taken;
	rest->len -= taken;
	return true;
}

static bool begins(const struct piece *text, const char *word)
{
	size_t len = strlen(word);
	return text->len >= len && memcmp(text->at, word, len) == 0;
}

static void drop(struct piece *text, size_t n)
{
	text->at += n;
	text->len -= n;
}

static void trim(struct piece *text)
{
	while (text->len > 0 && strchr(" \t\r", text->at[text->len - 1]) != NULL)
		text->len--;
	while (text->len > 0 && (text->at[0] == ' ' || text->at[0] == '\t'))
		drop(text, 1);
}

/* The scalar at the start of text: quoted, or up to what ends a plain one. */
static char *scalar(struct piece text)
{
	static const char *const ends[] = {",", "}", " #"};
	trim(&text);
	if (text.len > 0 && (text.at[0] == '"' || text.at[0] == '\'')) {
		const char *end = memchr(text.at + 1, text.at[0], text.len - 1);
		return end != NULL ? mem_strndup(text.at + 1, (size_t)(end - text.at - 1)) : NULL;
	}
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		const char *end = text.len > 0 ? memmem(text.at, text.len, ends[i], strlen(ends[i])) : NULL;
		if (end != NULL)
			text.len = (size_t)(end - text.at);
	}
	trim(&text);
	return text.len > 0 ? mem_strndup(text.at, text.len) : NULL;
}

/* `socket:` as a key of its own, not as the end of a longer one. */
static char *socket_in(struct piece line)
{
	static const char key[] = "socket:";
	for (bool fresh = true; line.len > 0; drop(&line, 1)) {
		if (fresh && begins(&line, key)) {
			drop(&line, sizeof(key) - 1);
			return scalar(line);
		}
		if (line.at[0] == '#')
			return NULL;
		fresh = line.at[0] == ' ' || line.at[0] == '{' || line.at[0] == ',';
	}
	return NULL;
}

static char *find(struct piece rest)
{
	struct piece line;
	bool inside = false;
	char *found = NULL;
	while (found == NULL && next_line(&rest, &line)) {
		if (begins(&line, "admin:")) {
			inside = true;
			drop(&line, strlen("admin:"));
		} else if (line.len > 0 && line.at[0] != ' ' && line.at[0] != '#' && line.at[0] != '\r') {
			inside = false;
		}
		if (inside)
			found = socket_in(line);
	}
	return found;
}

char *config_peek_socket(const char *path, const struct file_source *source)
{
	struct errbuf err = {{0}};
	size_t len = 0;
	char *data = source->read(source->ctx, path, 0, &len, &err);
	if (data == NULL)
		return NULL;
	char *named = find((struct piece){data, len}), *directory = config_directory(path), *result = NULL;
	if (named != NULL && strlen(named) > 0 && directory != NULL)
		result = config_absolute(directory, named);
	mem_free(named);
	mem_free(directory);
	mem_free(data);
	return result;
}

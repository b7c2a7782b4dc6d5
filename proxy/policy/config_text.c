/* SPDX-License-Identifier: MIT */
/*
 * Words for the loader's messages: where a key stands, text of the file made safe to show, and which known word an
 * unknown one is near to. Nothing here fails; what is too long is cut.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "policy/config_private.h"

const char *key_path_text(const struct key_path *path, char out[KEY_PATH_SIZE])
{
	out[0] = '\0';
	if (path == NULL)
		return out;
	key_path_text(path->parent, out);
	size_t len = strlen(out);
	if (path->name == NULL)
		(void)snprintf(out + len, KEY_PATH_SIZE - len, "[%zu]", path->index);
	else
		(void)snprintf(out + len, KEY_PATH_SIZE - len, "%s%s", len > 0 ? "." : "", path->name);
	return out;
}

const char *config_quote(const char *text, char out[CONFIG_QUOTE_SIZE])
{
	return log_safe(out, CONFIG_QUOTE_SIZE, text, strlen(text), 100);
}

#define NEAR_MAX 40

/* Levenshtein's distance with one row of the table; words longer than any of ours are simply far away. */
unsigned config_edit_distance(const char *a, const char *b)
{
	size_t alen = strlen(a), blen = strlen(b);
	if (alen > NEAR_MAX || blen > NEAR_MAX)
		return NEAR_MAX;
	unsigned row[NEAR_MAX + 1];
	for (unsigned j = 0; j <= blen; j++)
		row[j] = j;
	for (unsigned i = 1; i <= alen; i++) {
		unsigned diagonal = row[0];
		row[0] = i;
		for (unsigned j = 1; j <= blen; j++) {
			unsigned change = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			unsigned gap = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
			row[j] = change < gap ? change : gap;
		}
	}
	return row[blen];
}

bool config_is_near(unsigned distance, const char *word)
{
	size_t len = strlen(word);
	/* A word all of whose letters would have to change is no suggestion. */
	return distance < len && (distance <= 2 || distance <= len / 3);
}

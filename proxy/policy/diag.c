/* SPDX-License-Identifier: MIT */
/*
 * Findings of one run over a configuration. Texts are owned here. Sorting keeps the order of findings at one place, so
 * that the output of two runs over one file is the same.
 */
#include "policy/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

void diag_init(struct diag_list *list, const char *file)
{
	*list = (struct diag_list){.file = mem_strdup(file)};
}

void diag_fini(struct diag_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		mem_free(list->items[i].text);
	mem_free(list->items);
	mem_free(list->file);
	*list = (struct diag_list){0};
}

__attribute__((format(printf, 1, 0))) static char *format(const char *fmt, va_list args)
{
	va_list again;
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, fmt, args);
	size_t size = len < 0 ? 1 : (size_t)len + 1;
	char *text = mem_zalloc(size);
	if (len > 0)
		(void)vsnprintf(text, size, fmt, again);
	va_end(again);
	return text;
}

void diag_add(struct diag_list *list, enum diag_severity severity, struct config_mark mark, const char *fmt, ...)
{
	/* Grown by doubling at powers of two: no capacity needs to be kept. */
	if ((list->count & (list->count - 1)) == 0)
		list->items = mem_realloc(list->items, (list->count ? list->count * 2 : 1) * sizeof(*list->items));
	va_list args;
	va_start(args, fmt);
	list->items[list->count++] = (struct diag){.severity = severity, .mark = mark, .text = format(fmt, args)};
	va_end(args);
	if (severity == DIAG_ERROR)
		list->errors++;
}

bool diag_has_error_at(const struct diag_list *list, struct config_mark mark)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct diag *d = &list->items[i];
		if (d->severity == DIAG_ERROR && d->mark.line == mark.line && d->mark.column == mark.column)
			return true;
	}
	return false;
}

static bool comes_after(const struct diag *a, const struct diag *b)
{
	if (a->mark.line != b->mark.line)
		return a->mark.line > b->mark.line;
	return a->mark.column > b->mark.column;
}

/* Merges two sorted neighbours; the left one wins a tie, which is what keeps the sort stable (qsort is not). */
static void merge(struct diag *to, const struct diag *from, size_t left, size_t middle, size_t right)
{
	size_t a = left, b = middle;
	for (size_t i = left; i < right; i++) {
		bool take_b = a == middle || (b < right && comes_after(&from[a], &from[b]));
		to[i] = take_b ? from[b++] : from[a++];
	}
}

void diag_sort(struct diag_list *list)
{
	struct diag *spare = mem_array(list->count, sizeof(*spare));
	for (size_t width = 1; width < list->count; width *= 2) {
		for (size_t at = 0; at < list->count; at += 2 * width) {
			size_t middle = at + width < list->count ? at + width : list->count;
			size_t right = at + 2 * width < list->count ? at + 2 * width : list->count;
			merge(spare, list->items, at, middle, right);
		}
		for (size_t i = 0; i < list->count; i++)
			list->items[i] = spare[i];
	}
	mem_free(spare);
}

char *diag_format(const struct diag_list *list, const struct diag *item)
{
	const char *kind = item->severity == DIAG_WARNING ? "warning: " : "";
	if (item->mark.line <= 0)
		return mem_printf("%s: %s%s", list->file, kind, item->text);
	return mem_printf("%s:%d:%d: %s%s", list->file, item->mark.line, item->mark.column, kind, item->text);
}

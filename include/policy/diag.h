/* SPDX-License-Identifier: MIT */
/* Findings about a configuration: every error of one run, each with file, line and column (1-based; 0: the whole file).
 */
#ifndef PROXY_POLICY_DIAG_H
#define PROXY_POLICY_DIAG_H

#include <stdbool.h>
#include <stddef.h>

struct config_mark {
	int line, column;
};

enum diag_severity { DIAG_ERROR, DIAG_WARNING };

struct diag {
	enum diag_severity severity;
	struct config_mark mark;
	char *text; /* names the key and the remedy; never a secret */
};

struct diag_list {
	char *file; /* as the operator named it */
	struct diag *items;
	size_t count;
	size_t errors;
};

void diag_init(struct diag_list *list, const char *file);
void diag_fini(struct diag_list *list);
void diag_add(struct diag_list *list, enum diag_severity severity, struct config_mark mark, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Is there an error at that very place? What follows from it need not be said again. */
bool diag_has_error_at(const struct diag_list *list, struct config_mark mark);
/* Sorted by line and column; "FILE:LINE:COLUMN: message", warnings as "FILE:LINE:COLUMN: warning: message". The caller
 * frees. */
void diag_sort(struct diag_list *list);
char *diag_format(const struct diag_list *list, const struct diag *item);

#endif

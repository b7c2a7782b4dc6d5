/* SPDX-License-Identifier: MIT */
/*
 * What a reload may change and what it does change, in words; its outcome, and the answer `portcullis reload` gets. No
 * process and no socket: the master acts on it.
 */
#ifndef PROXY_DAEMON_RELOAD_H
#define PROXY_DAEMON_RELOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/errbuf.h"
#include "base/strbuf.h"
#include "policy/config.h"

/* What is fixed while the program runs, apart from what the running configuration says. */
struct reload_fixed {
	unsigned workers;     /* that run */
	unsigned workers_new; /* that the new configuration asks for, `auto` worked out */
	uint32_t connections; /* that memory was set aside for */
};

/* An error for each change that needs a restart. */
void reload_refuse(const struct config *before, const struct config *after, const struct reload_fixed *fixed,
		   struct diag_list *diags);
/* "listeners: 127.0.0.1:5223 added; domains: im.test changed; tls.min-version", or "nothing has changed". */
#define RELOAD_TEXT_MAX 900
void reload_describe(const struct config *before, const struct config *after, struct strbuf *out);
/* The listener of that address, or -1: by it a listener keeps its sockets from one configuration to the next. */
int reload_find_listener(const struct config *config, const struct addr *address);

/* How the last one went, for status. */
struct reload_outcome {
	int64_t at_us; /* 0: there was none */
	bool ok;
	char *text; /* what changed, or why nothing did */
};

/* The answer to {"command":"reload"}, allocated: text, and every finding as a line. */
char *reload_answer(bool ok, const char *text, const struct diag_list *findings);
/* Prints an answer for people: findings to err_out, then what happened. 0; 1: it was refused; -1 with err set: it is no
 * answer. */
int reload_print(FILE *out, FILE *err_out, const char *json, size_t len, struct errbuf *err);

#endif

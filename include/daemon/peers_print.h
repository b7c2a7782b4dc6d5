/* SPDX-License-Identifier: MIT */
/* The answers to `portcullis peers` for people. */
#ifndef PROXY_DAEMON_PEERS_PRINT_H
#define PROXY_DAEMON_PEERS_PRINT_H

#include <stddef.h>
#include <stdio.h>

#include "base/errbuf.h"

/* All: 0; 1: nothing is remembered of the domain; -1 with err set: it is an error, or none of our answers. */
int peers_print_list(FILE *out, const char *json, size_t len, struct errbuf *err);
int peers_print_show(FILE *out, const char *json, size_t len, struct errbuf *err);
/* Of accept and forget. */
int peers_print_change(FILE *out, const char *json, size_t len, struct errbuf *err);
/* Any of them as it came, for machines. */
int peers_print_json(FILE *out, const char *json, size_t len, struct errbuf *err);

#endif

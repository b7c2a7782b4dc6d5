/* SPDX-License-Identifier: MIT */
/* Reading an answer of the control socket, for those who print it. */
#ifndef PROXY_DAEMON_ANSWER_PRIVATE_H
#define PROXY_DAEMON_ANSWER_PRIVATE_H

#include <stddef.h>

#include "base/errbuf.h"

struct json_t;

/* NULL with err set: it is an error answer, or none of ours. */
struct json_t *answer_load(const char *json, size_t len, struct errbuf *err);
/* "-": there is none. */
const char *answer_text(const struct json_t *object, const char *name);
long long answer_number(const struct json_t *object, const char *name);

#endif

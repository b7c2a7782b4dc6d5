/* SPDX-License-Identifier: MIT */
/* Asking a running portcullis: one JSON line to the control socket, one JSON answer until it closes. */
#ifndef PROXY_DAEMON_CONTROL_H
#define PROXY_DAEMON_CONTROL_H

#include <stddef.h>

#include "base/errbuf.h"

/* request: {"command":"status"}. The answer is allocated, the caller frees with mem_free; NULL with err set. */
char *control_ask(const char *socket_path, const char *request, size_t *len_out, struct errbuf *err);

#endif

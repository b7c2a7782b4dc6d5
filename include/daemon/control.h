/* SPDX-License-Identifier: MIT */
/* Asking a running portcullis: one JSON line to the control socket, one JSON answer until it closes. */
#ifndef PROXY_DAEMON_CONTROL_H
#define PROXY_DAEMON_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "base/errbuf.h"

/* Longer than the master waits for its slowest worker. */
#define CONTROL_WAIT_MS 15000
/* ... and for all of them to read a new configuration. */
#define CONTROL_RELOAD_WAIT_MS 120000

/* request: {"command":"status"}. Waits at most wait_ms. The answer is allocated, the caller frees with mem_free; NULL
 * with err set. */
char *control_ask(const char *socket_path, const char *request, uint64_t wait_ms, size_t *len_out, struct errbuf *err);

#endif

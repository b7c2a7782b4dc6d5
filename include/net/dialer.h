/* SPDX-License-Identifier: MIT */
/* Starting connections to given addresses. */
#ifndef PROXY_NET_DIALER_H
#define PROXY_NET_DIALER_H

#include "base/addr.h"
#include "base/errbuf.h"

/*
 * A non-blocking socket whose connect(2) has been started; whoever gets it waits for writability and asks
 * dialer_result. -1 with err set when it failed at once (no such socket, connection refused on loopback, no
 * descriptors).
 */
int dialer_start(const struct addr *to, struct errbuf *err);
/* Once writable: 0 connected, else the errno of the failure. */
int dialer_result(int fd);
/* The same words as dialer_start's for a failure that came later. */
void dialer_explain(const struct addr *to, int error, struct errbuf *err);

#endif

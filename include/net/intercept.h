/* SPDX-License-Identifier: MIT */
/* Where an intercepted connection was going, from the kernel (netfilter REDIRECT: SO_ORIGINAL_DST, IPv4 and IPv6). */
#ifndef PROXY_NET_INTERCEPT_H
#define PROXY_NET_INTERCEPT_H

#include "base/addr.h"
#include "base/errbuf.h"

enum intercept_result {
	INTERCEPT_FOUND,
	INTERCEPT_DIRECT, /* not redirected: it was made to the listener itself (row "loop" of NEG-34) */
	INTERCEPT_FAILED, /* the kernel says nothing; err tells why */
};

/* Of an accepted connection on a listener with intercept: redirect. */
enum intercept_result intercept_destination(int fd, struct addr *out, struct errbuf *err);

#endif

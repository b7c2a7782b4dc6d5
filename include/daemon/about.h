/* SPDX-License-Identifier: MIT */
/* What this program is made of. */
#ifndef PROXY_DAEMON_ABOUT_H
#define PROXY_DAEMON_ABOUT_H

#include <stdio.h>

/* Four lines: portcullis, OpenSSL, expat, libevent, each with its version. */
void about_print(FILE *out);

#endif

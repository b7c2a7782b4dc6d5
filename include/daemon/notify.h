/* SPDX-License-Identifier: MIT */
/* Telling the service manager how it goes (the sd_notify protocol): one datagram to $NOTIFY_SOCKET. */
#ifndef PROXY_DAEMON_NOTIFY_H
#define PROXY_DAEMON_NOTIFY_H

/* state: "READY=1", "STATUS=…", several separated by newlines. 1 sent, 0 nobody asked for it, -1 with errno. */
int notify_send(const char *state);

#endif

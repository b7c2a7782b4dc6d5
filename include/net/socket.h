/* SPDX-License-Identifier: MIT */
/* What every TCP connection of ours is set to. */
#ifndef PROXY_NET_SOCKET_H
#define PROXY_NET_SOCKET_H

/* TCP_NODELAY, and keepalive that notices a vanished peer after four minutes. On a listening socket: for every
 * connection that it will accept (Linux hands the options down). */
void socket_set_options(int fd);

#endif

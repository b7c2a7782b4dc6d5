/* SPDX-License-Identifier: MIT */
/* Listening sockets (made by the master, one SO_REUSEPORT socket per worker slot and listener) and accepting from them.
 */
#ifndef PROXY_NET_LISTENER_H
#define PROXY_NET_LISTENER_H

#include "base/addr.h"
#include "base/errbuf.h"

/*
 * Is the address free? With SO_REUSEPORT a second proxy of the same account could bind it all the same and take half of
 * the first one's connections. 0, or -1 with err set.
 */
int listener_probe(const struct addr *address, struct errbuf *err);
/* A bound, listening, non-blocking, close-on-exec socket with SO_REUSEPORT, and IPV6_V6ONLY off for [::]; -1 with err
 * set. */
int listener_open(const struct addr *address, struct errbuf *err);

/* The two halves of listener_open: the address is ours, and no client gets in yet; then it does (0, or -1 with err
 * set).
 */
int listener_bind(const struct addr *address, struct errbuf *err);
int listener_listen(int fd, const struct addr *address, struct errbuf *err);

struct event_base;
struct acceptor;

/* One accepted connection: non-blocking, close-on-exec, TCP_NODELAY and keepalive set. The callee owns fd. */
typedef void acceptor_fn(void *ctx, int fd, const struct addr *peer);
/* accept(2) failed for want of descriptors or memory (errno given): told once per spell, when it begins. */
typedef void acceptor_error_fn(void *ctx, int error);

/*
 * Accepts from fd (not owned: the master's slot keeps it). Out of descriptors: stops listening for 100 ms at a time, no
 * busy loop, no connection lost that the kernel still holds.
 */
struct acceptor *acceptor_new(struct event_base *base, int fd, acceptor_fn *on_accept, acceptor_error_fn *on_error,
			      void *ctx);
/* Stops taking connections (drain, audit log unavailable) until resumed. */
void acceptor_pause(struct acceptor *a);
void acceptor_resume(struct acceptor *a);
void acceptor_free(struct acceptor **a);
/* Takes what is queued (the connections that closing the socket would reset), then frees. Not from inside its
 * callbacks.
 */
void acceptor_finish(struct acceptor **a);

#endif

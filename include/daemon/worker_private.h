/* SPDX-License-Identifier: MIT */
/* The worker's state, shared by worker.c (its life) and worker_reload.c. */
#ifndef PROXY_DAEMON_WORKER_PRIVATE_H
#define PROXY_DAEMON_WORKER_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errbuf.h"
#include "daemon/message.h"
#include "daemon/outbox.h"
#include "daemon/worker.h"

struct event;
struct event_base;

/* A listening socket of this slot. On the heap each: its acceptor points to it while the list around it changes. */
struct port {
	struct worker *worker;
	size_t listener; /* its number in the configuration in force */
	int fd;
	struct acceptor *acceptor; /* NULL: not accepting yet */
};

/* What a reload has prepared, until it is committed or aborted. */
struct prepared {
	uint64_t number; /* of the reload */
	struct config *config;
	struct tls_store *store;
	struct resolver *resolver; /* NULL: the one in force goes on */
	int *fds;                  /* sockets that came along, by number of the new listeners; -1: none */
	size_t fd_count;
};

struct worker {
	struct worker_params params;
	struct event_base *base;
	struct config *config;
	struct tls_store *store;
	struct resolver *resolver; /* one for life: a reload replaces what is in it */
	struct engine *engine;
	struct courier *courier;
	char *id_prefix;
	struct port **ports;
	size_t port_count;
	struct prepared next;
	struct outbox outbox;
	struct event *control_in, *control_out, *channel_in, *channel_out, *wake, *tick;
	bool accepting, paused, losing, draining, empty, leaving;
	uint8_t buffer[MESSAGE_SIZE_MAX];
};

/* The configuration in a sealed bundle; NULL with err set. fd stays the caller's. */
struct config *worker_read_config(const struct worker *w, int fd, struct errbuf *err);
/* As that configuration asks for it; NULL with err set. */
struct resolver *worker_make_resolver(const struct worker *w, const struct config *config, struct errbuf *err);
/* Sends what the control channel takes, the rest when it takes more. */
void worker_flush_outbox(struct worker *w);
struct port *worker_port_new(struct worker *w, size_t listener, int fd);
/* Takes connections there, unless the worker does not, or not yet. */
void worker_port_open(struct port *port);
/* Closes the socket, too. queued: the connections that wait on it are taken first. */
void worker_port_free(struct port *port, bool queued);

/* worker_reload.c: what the master's messages ask for. fd: what came along, the callee's. */
void worker_reload_listener(struct worker *w, uint64_t listener, int fd);
void worker_reload_prepare(struct worker *w, uint64_t number, int fd);
/* false: there is nothing of that number to commit. */
bool worker_reload_commit(struct worker *w, uint64_t number);
void worker_reload_abort(struct worker *w);

#endif

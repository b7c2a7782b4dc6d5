/* SPDX-License-Identifier: MIT */
/*
 * A worker's part in a reload. Preparing makes configuration and TLS contexts beside those in force and can fail;
 * committing only exchanges pointers and cannot. Sessions hold references on what they started with, so nothing is
 * taken from under them. A listener that stays keeps its very socket with everything queued on it; one that goes gets
 * its queue emptied first, into sessions that still start with the old configuration, which is the one that knows it.
 */
#include "daemon/worker_private.h"

#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/courier.h"
#include "daemon/reload.h"
#include "net/resolver.h"
#include "policy/config.h"
#include "policy/config_diff.h"
#include "relay/engine.h"
#include "tls/store.h"

#define LISTENERS_MAX 65536 /* nobody has so many: a number beyond is none of the master's */

void worker_reload_abort(struct worker *w)
{
	struct prepared *next = &w->next;

	for (size_t i = 0; i < next->fd_count; i++)
		if (next->fds[i] >= 0)
			close(next->fds[i]);
	mem_free(next->fds);
	if (next->store)
		tls_store_unref(&next->store);
	resolver_free(&next->resolver);
	if (next->config)
		config_unref(&next->config);
	memset(next, 0, sizeof(*next));
}

void worker_reload_listener(struct worker *w, uint64_t listener, int fd)
{
	struct prepared *next = &w->next;

	/* The first message of the next reload: what an earlier one has left was never committed. */
	if (next->config)
		worker_reload_abort(w);
	if (fd < 0 || listener >= LISTENERS_MAX) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (listener >= next->fd_count) {
		next->fds = mem_realloc(next->fds, ((size_t)listener + 1) * sizeof(*next->fds));
		while (next->fd_count <= listener)
			next->fds[next->fd_count++] = -1;
	}
	if (next->fds[listener] >= 0)
		close(next->fds[listener]);
	next->fds[listener] = fd;
}

/* Every listener keeps its socket, or got one. A descriptor that did not fit (EMFILE) is noticed here. */
static bool has_sockets(const struct worker *w, struct errbuf *err)
{
	const struct prepared *next = &w->next;
	char name[ADDR_TEXT_SIZE];

	for (size_t i = 0; i < next->config->listener_count; i++) {
		const struct addr *address = &next->config->listeners[i].address;

		if (reload_find_listener(w->config, address) >= 0 || (i < next->fd_count && next->fds[i] >= 0))
			continue;
		addr_text(address, name);
		errbuf_set(err, "the socket of %s did not arrive: too few descriptors?", name);
		return false;
	}
	return true;
}

/* One that stays as it is keeps its caches. */
static bool make_resolver(struct worker *w, struct errbuf *err)
{
	struct prepared *next = &w->next;

	if (config_needs_dns(next->config) == config_needs_dns(w->config) &&
	    config_same_dns(&next->config->dns, &w->config->dns))
		return true;
	next->resolver = worker_make_resolver(w, next->config, err);
	return next->resolver;
}

static bool make(struct worker *w, int fd, struct errbuf *err)
{
	struct prepared *next = &w->next;

	if (fd < 0) {
		errbuf_set(err, "the bundle did not arrive: too few descriptors?");
		return false;
	}
	next->config = worker_read_config(w, fd, err);
	if (!next->config)
		return false;
	next->store = tls_store_new(next->config, &w->params.shared->tickets, err);
	return next->store && make_resolver(w, err) && has_sockets(w, err);
}

void worker_reload_prepare(struct worker *w, uint64_t number, int fd)
{
	struct message answer = {.type = MESSAGE_PREPARED, .number = number};
	struct errbuf err = {.text = ""};

	if (w->next.config)
		worker_reload_abort(w);
	w->next.number = number;
	if (!make(w, fd, &err)) {
		worker_reload_abort(w);
		answer.type = MESSAGE_UNFIT;
		answer.payload = err.text;
		answer.len = strlen(err.text);
	}
	if (fd >= 0)
		close(fd);
	outbox_add(&w->outbox, &answer);
	worker_flush_outbox(w);
}

/* Before the engine has the new configuration: see above. */
static void close_removed(struct worker *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->port_count; i++) {
		struct port *port = w->ports[i];

		if (reload_find_listener(w->next.config, &w->config->listeners[port->listener].address) >= 0)
			w->ports[kept++] = port;
		else
			worker_port_free(port, true);
	}
	w->port_count = kept;
}

/* The ports that stayed, under their new numbers, and the new ones. */
static void renumber(struct worker *w)
{
	struct prepared *next = &w->next;

	for (size_t i = 0; i < w->port_count; i++) {
		struct port *port = w->ports[i];
		const struct addr *address = &w->config->listeners[port->listener].address;

		port->listener = (size_t)reload_find_listener(next->config, address);
	}
	w->ports = mem_realloc(w->ports, (w->port_count + next->fd_count + 1) * sizeof(struct port *));
	for (size_t i = 0; i < next->fd_count && i < next->config->listener_count; i++) {
		if (next->fds[i] < 0)
			continue;
		w->ports[w->port_count++] = worker_port_new(w, i, next->fds[i]);
		next->fds[i] = -1;
	}
}

static void take_settings(struct worker *w)
{
	log_setup((enum log_output)w->config->log.output, (enum log_level)w->config->log.level);
	courier_set_refuse(w->courier, w->config->audit.on_failure == AUDIT_REFUSE);
}

bool worker_reload_commit(struct worker *w, uint64_t number)
{
	struct prepared *next = &w->next;
	struct message answer = {.type = MESSAGE_COMMITTED, .number = number};

	if (!next->config || next->number != number)
		return false;
	close_removed(w);
	renumber(w);
	if (next->resolver)
		resolver_replace(w->resolver, &next->resolver);
	engine_reload(w->engine, next->config, next->store);
	config_unref(&w->config);
	tls_store_unref(&w->store);
	w->config = next->config;
	w->store = next->store;
	next->config = NULL;
	next->store = NULL;
	worker_reload_abort(w);
	take_settings(w);
	for (size_t i = 0; i < w->port_count; i++)
		worker_port_open(w->ports[i]);
	outbox_add(&w->outbox, &answer);
	worker_flush_outbox(w);
	return true;
}

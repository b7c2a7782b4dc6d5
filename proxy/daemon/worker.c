/* SPDX-License-Identifier: MIT */
/*
 * The worker: drops what it may not have, reads the configuration from the bundle, makes TLS contexts and the engine,
 * and accepts on the sockets of its slot once the master says so. Everything of libevent and OpenSSL is made here, in
 * the child, never before the fork. It leaves when it was told to drain, the engine is empty and the keeper has every
 * record; and at once when the master is gone.
 */
#include "daemon/worker_private.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/bundle.h"
#include "daemon/courier.h"
#include "daemon/stream_list.h"
#include "net/listener.h"
#include "net/resolver.h"
#include "policy/config.h"
#include "relay/engine.h"
#include "tls/store.h"
#include "xmpp/domain.h"

static struct shared_slot *own_slot(const struct worker *w)
{
	return &w->params.shared->slot[w->params.slot];
}

static void accepted(void *ctx, int fd, const struct addr *peer)
{
	const struct port *port = ctx;

	engine_accept(port->worker->engine, port->listener, fd, peer);
}

static void accept_failed(void *ctx, int error)
{
	const struct port *port = ctx;

	shared_count(own_slot(port->worker), COUNTER_ACCEPT_ERRORS, 1);
	log_warn("cannot accept connections: %s; trying again every 100 ms; if it stays so raise the limit of open "
		 "descriptors (LimitNOFILE) or lower limits.connections",
		 strerror(error));
}

struct port *worker_port_new(struct worker *w, size_t listener, int fd)
{
	struct port *port = mem_zalloc(sizeof(*port));

	*port = (struct port){.worker = w, .listener = listener, .fd = fd};
	return port;
}

void worker_port_open(struct port *port)
{
	struct worker *w = port->worker;

	if (!w->accepting || port->acceptor)
		return;
	port->acceptor = acceptor_new(w->base, port->fd, accepted, accept_failed, port);
	if (w->paused)
		acceptor_pause(port->acceptor);
}

void worker_port_free(struct port *port, bool queued)
{
	(queued ? acceptor_finish : acceptor_free)(&port->acceptor);
	close(port->fd);
	mem_free(port);
}

static void start_accepting(struct worker *w)
{
	if (w->accepting || w->draining)
		return;
	w->accepting = true;
	for (size_t i = 0; i < w->port_count; i++)
		worker_port_open(w->ports[i]);
}

static void stop_accepting(struct worker *w)
{
	for (size_t i = 0; i < w->port_count; i++)
		worker_port_free(w->ports[i], false);
	w->port_count = 0;
	w->accepting = false;
}

/* A worker that owes the log too much takes no connections: they wait in the kernel, or go to another worker. */
static void pause_or_resume(struct worker *w)
{
	bool pause = w->config->audit.on_failure == AUDIT_REFUSE && courier_full(w->courier);

	if (!w->accepting || pause == w->paused)
		return;
	w->paused = pause;
	for (size_t i = 0; i < w->port_count; i++)
		(pause ? acceptor_pause : acceptor_resume)(w->ports[i]->acceptor);
	if (pause)
		log_warn(
		    "too many audit records are waiting for the log: no connections are accepted until it takes them");
	else
		log_info("the audit log takes records again: connections are accepted");
}

/* The other way: streams go on, and the operator hears once that they do so unrecorded. */
static void say_losing(struct worker *w)
{
	bool losing = w->config->audit.on_failure == AUDIT_CONTINUE && courier_full(w->courier);
	struct shared_slot *slot = own_slot(w);

	if (losing == w->losing)
		return;
	w->losing = losing;
	if (losing)
		log_error("too many audit records are waiting for the log: what happens from now on is not recorded");
	else
		log_warn("audit records are kept again; %llu were lost in all",
			 (unsigned long long)atomic_load(&slot->counter[COUNTER_AUDIT_LOST]));
}

/* With `refuse` nobody is told anything before the log works again: no reason to wake up. */
static void tick_or_not(struct worker *w)
{
	static const struct timeval second = {.tv_sec = 1};
	bool wanted = w->config->audit.on_failure == AUDIT_CONTINUE || courier_asks(w->courier);

	if (wanted == (event_pending(w->tick, EV_TIMEOUT, NULL) != 0))
		return;
	if (wanted)
		event_add(w->tick, &second);
	else
		event_del(w->tick);
}

/* After anything that may have moved records: who waits for what now? */
static void settle(struct worker *w)
{
	if (w->leaving)
		return;
	pause_or_resume(w);
	say_losing(w);
	tick_or_not(w);
	if (w->channel_out && courier_wants_write(w->courier))
		event_add(w->channel_out, NULL);
	if (w->draining && w->empty && courier_pending(w->courier) == 0) {
		w->leaving = true;
		event_base_loopexit(w->base, NULL);
	}
}

static void on_wake(evutil_socket_t fd, short what, void *ctx)
{
	struct worker *w = ctx;

	(void)fd;
	(void)what;
	courier_write(w->courier);
	courier_call_back(w->courier);
	settle(w);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct worker *w = ctx;

	(void)fd;
	(void)what;
	courier_tick(w->courier);
	settle(w);
}

static void wake(void *ctx)
{
	struct worker *w = ctx;

	event_active(w->wake, 0, 0);
}

static void engine_is_empty(void *ctx)
{
	struct worker *w = ctx;

	w->empty = true;
	wake(w);
}

static void drop_channel_events(struct worker *w)
{
	if (w->channel_in)
		event_free(w->channel_in);
	if (w->channel_out)
		event_free(w->channel_out);
	w->channel_in = w->channel_out = NULL;
}

static void on_channel_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct worker *w = ctx;

	(void)fd;
	(void)what;
	if (!courier_read(w->courier))
		drop_channel_events(w);
	settle(w);
}

static void on_channel_writable(evutil_socket_t fd, short what, void *ctx)
{
	struct worker *w = ctx;

	(void)fd;
	(void)what;
	courier_write(w->courier);
	settle(w);
}

static void take_channel(struct worker *w, int fd)
{
	drop_channel_events(w);
	courier_attach(w->courier, fd);
	w->channel_in = event_new(w->base, fd, EV_READ | EV_PERSIST, on_channel_readable, w);
	w->channel_out = event_new(w->base, fd, EV_WRITE, on_channel_writable, w);
	if (!w->channel_in || !w->channel_out || event_add(w->channel_in, NULL) < 0)
		drop_channel_events(w);
	courier_write(w->courier);
	settle(w);
}

static void drain(struct worker *w)
{
	if (w->draining)
		return;
	w->draining = true;
	stop_accepting(w);
	engine_drain(w->engine);
	if (engine_count(w->engine) == 0)
		engine_is_empty(w);
}

void worker_flush_outbox(struct worker *w)
{
	if (!outbox_flush(&w->outbox, w->params.control))
		event_add(w->control_out, NULL);
}

static void on_control_writable(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	worker_flush_outbox(ctx);
}

/* The master and we must be of one mind about what is in force: one who cannot follow makes room for one who can. */
static void commit(struct worker *w, uint64_t number)
{
	if (!worker_reload_commit(w, number)) {
		log_error("told to take a configuration that was not prepared");
		event_base_loopbreak(w->base);
	}
	settle(w);
}

/* Descriptors that come along find their owner here; false: there is none for this one. */
static bool take_descriptor(struct worker *w, const struct message *m, int fd)
{
	if (m->type == MESSAGE_CHANNEL && fd >= 0)
		take_channel(w, fd);
	else if (m->type == MESSAGE_LISTENER)
		worker_reload_listener(w, m->number, fd);
	else if (m->type == MESSAGE_PREPARE)
		worker_reload_prepare(w, m->number, fd);
	else
		return false;
	return true;
}

static void obey(struct worker *w, const struct message *m, int fd)
{
	if (!take_descriptor(w, m, fd) && fd >= 0)
		close(fd);
	if (m->type == MESSAGE_ACCEPT)
		start_accepting(w);
	if (m->type == MESSAGE_COMMIT)
		commit(w, m->number);
	if (m->type == MESSAGE_ABORT)
		worker_reload_abort(w);
	if (m->type == MESSAGE_DRAIN)
		drain(w);
	if (m->type == MESSAGE_STREAMS) {
		stream_list_answer(w->engine, w->params.slot, m->number, &w->outbox);
		worker_flush_outbox(w);
	}
}

static void on_control_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct worker *w = ctx;
	enum message_result result;
	struct message m;
	int passed;

	(void)fd;
	(void)what;
	while ((result = message_receive(w->params.control, &m, w->buffer, &passed)) == MESSAGE_OK)
		obey(w, &m, passed);
	if (result == MESSAGE_GONE) {
		w->leaving = true;
		event_base_loopbreak(w->base);
	}
}

struct config *worker_read_config(const struct worker *w, int fd, struct errbuf *err)
{
	struct bundle *bundle = bundle_open(fd, err);
	struct file_source source;
	struct config *config;
	struct diag_list diags;

	if (!bundle)
		return NULL;
	source = bundle_source(bundle);
	diag_init(&diags, w->params.config_path);
	config = config_load(w->params.config_path, &source, &diags);
	if (!config)
		errbuf_set(err, "the bundled configuration: %s", diags.count ? diags.items[0].text : "not readable");
	diag_fini(&diags);
	bundle_free(&bundle);
	return config;
}

static int make_loop(struct worker *w)
{
	w->base = event_base_new();
	if (!w->base)
		return -1;
	w->control_in = event_new(w->base, w->params.control, EV_READ | EV_PERSIST, on_control_readable, w);
	w->control_out = event_new(w->base, w->params.control, EV_WRITE, on_control_writable, w);
	w->wake = event_new(w->base, -1, 0, on_wake, w);
	w->tick = event_new(w->base, -1, EV_PERSIST, on_tick, w);
	if (!w->control_in || !w->control_out || !w->wake || !w->tick)
		return -1;
	return event_add(w->control_in, NULL);
}

static void make_courier(struct worker *w)
{
	const uint32_t incarnation = atomic_load(&own_slot(w)->incarnation);
	struct courier_params params = {
	    .incarnation = incarnation,
	    .keeper = &w->params.shared->keeper,
	    .slot = own_slot(w),
	    .refuse = w->config->audit.on_failure == AUDIT_REFUSE,
	    .max_records = COURIER_RECORDS_MAX,
	    .max_bytes = COURIER_BYTES_MAX,
	    .wake = wake,
	    .ctx = w,
	};

	w->id_prefix = mem_printf("%s.w%u.%u", w->params.run_id, w->params.slot, (unsigned)incarnation);
	params.id_prefix = w->id_prefix;
	w->courier = courier_new(&params);
}

struct resolver *worker_make_resolver(const struct worker *w, const struct config *config, struct errbuf *err)
{
	return resolver_new(w->base, config_needs_dns(config) ? &config->dns : NULL, err);
}

static int make_engine(struct worker *w, struct errbuf *err)
{
	struct engine_params params = {
	    .base = w->base,
	    .config = w->config,
	    .shared = w->params.shared,
	    .worker = w->params.slot,
	    .on_empty = engine_is_empty,
	    .ctx = w,
	};

	w->store = tls_store_new(w->config, &w->params.shared->tickets, err);
	w->resolver = w->store ? worker_make_resolver(w, w->config, err) : NULL;
	if (!w->resolver)
		return -1;
	make_courier(w);
	params.store = w->store;
	params.resolver = w->resolver;
	params.trail = courier_trail(w->courier);
	params.recall = courier_recall(w->courier);
	w->engine = engine_new(&params);
	if (!w->engine)
		errbuf_set(err, "the stream engine cannot be made");
	return w->engine ? 0 : -1;
}

static int start(struct worker *w, struct errbuf *err)
{
	descriptors_raise();
	if (privileges_drop(w->params.account, err) < 0)
		return -1;
	if (!privileges_die_with(w->params.master)) {
		errbuf_set(err, "the master is gone");
		return -1;
	}
	tls_library_init();
	if (!domain_init()) {
		errbuf_set(err, "ICU has no IDNA data");
		return -1;
	}
	w->config = worker_read_config(w, w->params.bundle_fd, err);
	close(w->params.bundle_fd);
	if (!w->config)
		return -1;
	if (make_loop(w) < 0) {
		errbuf_set(err, "the event loop cannot be made: %s", strerror(errno));
		return -1;
	}
	return make_engine(w, err);
}

static void free_event(struct event *event)
{
	if (event)
		event_free(event);
}

static void finish(struct worker *w)
{
	stop_accepting(w);
	worker_reload_abort(w);
	if (w->engine)
		engine_free(&w->engine);
	resolver_free(&w->resolver);
	drop_channel_events(w);
	courier_free(&w->courier);
	if (w->store)
		tls_store_unref(&w->store);
	free_event(w->control_in);
	free_event(w->control_out);
	free_event(w->wake);
	free_event(w->tick);
	if (w->base)
		event_base_free(w->base);
	if (w->config)
		config_unref(&w->config);
	outbox_fini(&w->outbox);
	mem_free(w->id_prefix);
	mem_free(w->ports);
	mem_free(w);
}

static void prefix(void *ctx, char *out, size_t size)
{
	snprintf(out, size, "worker %u: ", ((const struct worker *)ctx)->params.slot);
}

int worker_main(const struct worker_params *params)
{
	struct worker *w = mem_zalloc(sizeof(*w));
	struct message m = {.type = MESSAGE_READY};
	struct errbuf err = {.text = ""};
	int status = 0;

	w->params = *params;
	w->ports = mem_array(params->listener_count, sizeof(struct port *));
	for (size_t i = 0; i < params->listener_count; i++)
		w->ports[w->port_count++] = worker_port_new(w, i, params->listener_fds[i]);
	log_set_prefix(prefix, w);
	if (start(w, &err) < 0) {
		m = (struct message){.type = MESSAGE_FAILED, .payload = err.text, .len = strlen(err.text)};
		status = 3;
	}
	message_send(params->control, &m, -1);
	if (status == 0 && event_base_dispatch(w->base) < 0)
		status = 3;
	log_set_prefix(NULL, NULL);
	finish(w);
	return status;
}

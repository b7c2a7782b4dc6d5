/* SPDX-License-Identifier: MIT */
/*
 * The master's life: start, supervise, answer the control socket, drain, end. Plain C around one poll: it forks, so it
 * has no event base; it meets no network byte, so it has no TLS. The state only moves on, in master_enter(). The record
 * `proxy-started` is handed to the keeper before any worker accepts, `proxy-stopped` when no worker is left.
 */
#include "daemon/master.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "audit/trail.h"
#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/master_private.h"
#include "daemon/notify.h"
#include "daemon/status.h"
#include "tls/tickets.h"

#define ANSWER_WAIT_MS 5000
#define KILL_AFTER_MS 10000
#define LAST_RECORD_MS 5000
#define TICKETS_MS 60000

static const char *const state_names[] = {
    [MASTER_STARTING] = "starting", [MASTER_RUNNING] = "running", [MASTER_DRAINING] = "draining",
    [MASTER_CLOSING] = "closing",   [MASTER_LEAVING] = "leaving", [MASTER_ENDED] = "ended"};
_Static_assert(ARRAY_LEN(state_names) == MASTER_STATE_COUNT, "state without a name");

void master_record(struct master *m, const char *action, enum audit_outcome outcome, const char *reason)
{
	struct audit_trail trail = courier_trail(m->courier);
	struct audit_record record;

	audit_record_init(&record);
	record.action = action;
	record.outcome = outcome;
	record.severity = outcome == AUDIT_SUCCESS ? 0 : 2;
	record.reason = reason;
	record.version_text = PORTCULLIS_VERSION;
	trail.submit(trail.ctx, &record, NULL, NULL);
	courier_write(m->courier);
}

static void master_enter(struct master *m, enum master_state state, uint64_t deadline_ms)
{
	log_debug("%s -> %s", state_names[m->state], state_names[state]);
	m->state = state;
	m->deadline_ms = deadline_ms;
}

static void kill_workers(struct master *m)
{
	for (unsigned i = 0; i < m->children->worker_count; i++)
		child_kill(&m->children->workers[i]);
}

/* Tests and operators wait for this line: it is said whatever log.level is. */
static void say_ready(const struct master *m)
{
	enum log_output output = (enum log_output)m->config->log.output;

	log_setup(output, LOG_LEVEL_INFO);
	log_info("ready");
	log_setup(output, (enum log_level)m->config->log.level);
	notify_send("READY=1\nSTATUS=Accepting streams");
}

static void go(struct master *m)
{
	master_enter(m, MASTER_RUNNING, UINT64_MAX);
	master_record(m, "proxy-started", AUDIT_SUCCESS, NULL);
	for (unsigned i = 0; i < m->children->worker_count; i++)
		child_tell(&m->children->workers[i], MESSAGE_ACCEPT, 0);
	say_ready(m);
}

/* A keeper that dies while workers start comes back to find them there. */
static bool is_unbegun(const struct child *worker)
{
	return worker->pid == 0 && worker->restart_ms == 0;
}

static void on_ready(void *ctx, struct child *child)
{
	struct master *m = ctx;

	if (m->state == MASTER_STARTING && child->is_keeper)
		for (unsigned i = 0; i < m->children->worker_count; i++)
			if (is_unbegun(&m->children->workers[i]))
				child_start(&m->children->workers[i]);
	if (m->state == MASTER_STARTING && children_all_ready(m->children)) {
		go(m);
	} else if (m->state == MASTER_RUNNING && child->is_keeper) {
		log_info("keeper (pid %ld) restarted", (long)child->pid);
		master_reload_keeper(m);
	} else if (m->state == MASTER_RUNNING) {
		log_info("worker %u (pid %ld) restarted", child->slot, (long)child->pid);
		child_tell(child, MESSAGE_ACCEPT, 0);
	} else if (m->state == MASTER_DRAINING && !child->is_keeper) {
		child_tell(child, MESSAGE_DRAIN, 0);
	}
}

static void give_up(struct master *m, int status)
{
	m->status = status;
	m->children->workers_needed = m->children->keeper_needed = false;
	kill_workers(m);
	/* The keeper ends with the last of its channels, and one is ours. */
	courier_attach(m->courier, -1);
	child_hang_up(&m->children->keeper);
	master_enter(m, MASTER_LEAVING, clock_ms() + LAST_RECORD_MS);
}

/* While nothing runs yet: what cannot start once will not start the second time. */
static void on_failed(void *ctx, struct child *child, const char *why)
{
	struct master *m = ctx;

	if (m->state == MASTER_LEAVING)
		return; /* it was killed for that */
	if (child->is_keeper)
		log_error("keeper cannot start: %s", why);
	else
		log_error("worker %u cannot start: %s", child->slot, why);
	if (m->state == MASTER_STARTING)
		give_up(m, 3);
}

static void answer_query(struct master *m, struct streams_query *q)
{
	uint64_t client = q->client;
	size_t len;
	char *text = streams_query_finish(q, &len);

	control_server_answer(m->control, client, text, len);
}

static void on_answer(void *ctx, unsigned slot, const struct message *message)
{
	struct master *m = ctx;

	for (size_t i = 0; i < MASTER_QUERIES; i++) {
		struct streams_query *q = &m->queries[i];

		if (q->client == 0 || q->number != message->number || !q->asked[slot])
			continue;
		if (message->type == MESSAGE_STREAMS_PART)
			streams_query_part(q, message->payload, message->len);
		else
			streams_query_end(q, slot);
		if (q->outstanding == 0)
			answer_query(m, q);
	}
}

static void on_forked(void *ctx, struct child *worker)
{
	master_reload_forked(ctx, worker);
}

static void on_peers(void *ctx, const struct message *message)
{
	master_peers_answer(ctx, message);
}

static void on_vote(void *ctx, unsigned slot, const struct message *message)
{
	master_reload_vote(ctx, slot, message);
}

/* Its streams are gone with it: there is nothing more to wait for. */
static void on_worker_gone(void *ctx, unsigned slot)
{
	struct master *m = ctx;

	master_reload_gone(m, slot);
	for (size_t i = 0; i < MASTER_QUERIES; i++) {
		struct streams_query *q = &m->queries[i];

		if (q->client == 0 || !q->asked[slot])
			continue;
		streams_query_end(q, slot);
		if (q->outstanding == 0)
			answer_query(m, q);
	}
}

static struct streams_query *free_query(struct master *m)
{
	for (size_t i = 0; i < MASTER_QUERIES; i++)
		if (m->queries[i].client == 0)
			return &m->queries[i];
	return NULL;
}

static void ask_streams(struct master *m, uint64_t client)
{
	struct streams_query *q = free_query(m);
	char *text;

	if (!q) {
		text = control_error_json("too many questions at once, try again");
		control_server_answer(m->control, client, text, strlen(text));
		return;
	}
	streams_query_begin(q, client, ++m->last_query, clock_ms() + ANSWER_WAIT_MS);
	for (unsigned i = 0; i < m->children->worker_count; i++) {
		if (m->children->workers[i].control < 0)
			continue;
		streams_query_ask(q, i);
		child_tell(&m->children->workers[i], MESSAGE_STREAMS, q->number);
	}
	if (q->outstanding == 0)
		answer_query(m, q);
}

static void on_request(void *ctx, uint64_t client, const struct control_request *request)
{
	struct master *m = ctx;
	struct status_facts facts = {.shared = m->shared,
				     .config_path = m->children->config_path,
				     .state = state_names[m->state],
				     .since_us = m->since_us,
				     .loaded_us = m->reload.loaded_us,
				     .reload = m->reload.last,
				     .memory = config_has_peers(m->config),
				     .uptime_ms = clock_ms() - m->started_ms};
	char *text;

	if (request->command == CONTROL_STREAMS) {
		ask_streams(m, client);
	} else if (request->command == CONTROL_RELOAD) {
		master_reload_ask(m, client);
	} else if (request->command == CONTROL_STATUS) {
		text = status_json(&facts);
		control_server_answer(m->control, client, text, strlen(text));
	} else {
		master_peers_ask(m, client, request);
	}
}

static void drain(struct master *m)
{
	struct children *all = m->children;

	master_reload_cancel(m);
	log_info("stopping: %lld streams are open and may go on for %lld s", (long long)children_open_streams(all),
		 (long long)(m->config->timeouts.drain / 1000));
	notify_send("STOPPING=1\nSTATUS=Waiting for open streams to end");
	all->workers_needed = false;
	/* The master's copies keep the port open: without them, and the workers' own, nobody can connect any more. */
	for (size_t i = 0; i < all->worker_count * all->listener_count; i++) {
		close(all->listeners[i]);
		all->listeners[i] = -1;
	}
	for (unsigned i = 0; i < all->worker_count; i++)
		child_tell(&all->workers[i], MESSAGE_DRAIN, 0);
	master_enter(m, MASTER_DRAINING, clock_ms() + (uint64_t)m->config->timeouts.drain + KILL_AFTER_MS);
}

static void on_stop(struct master *m)
{
	if (m->state == MASTER_STARTING) {
		give_up(m, 0);
	} else if (m->state == MASTER_RUNNING) {
		drain(m);
	} else if (!m->hurry) {
		m->hurry = true;
		log_warn("told to stop a second time: ending at once, %lld streams lost",
			 (long long)children_open_streams(m->children));
		kill_workers(m);
	}
	if (m->hurry && m->state != MASTER_DRAINING)
		m->deadline_ms = clock_ms();
}

static void on_signal(void *ctx, short revents)
{
	struct master *m = ctx;
	struct signalfd_siginfo info;

	(void)revents;
	while (read(m->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
			on_stop(m);
		} else if (info.ssi_signo == SIGCHLD) {
			children_reap(m->children);
		} else if (info.ssi_signo == SIGHUP) {
			master_reload_ask(m, 0);
		}
	}
}

static void rotate_tickets(struct master *m, uint64_t now)
{
	int64_t lifetime_s = m->config->tls.ticket_lifetime / 1000;
	uint64_t pace = (uint64_t)m->config->tls.ticket_lifetime / 4;

	if (now < m->tickets_ms)
		return;
	m->tickets_ms = now + (pace < 1000 ? 1000 : pace > TICKETS_MS ? TICKETS_MS : pace);
	tickets_rotate(&m->shared->tickets, lifetime_s > 0 ? lifetime_s : 1, clock_real_us() / 1000000);
}

/* No worker is left: the last record, and then the keeper may go. */
static void close_down(struct master *m)
{
	if (m->state == MASTER_DRAINING && children_workers_alive(m->children) == 0) {
		master_enter(m, MASTER_CLOSING, clock_ms() + LAST_RECORD_MS);
		master_record(m, "proxy-stopped", AUDIT_SUCCESS, NULL);
	}
	if (m->state == MASTER_CLOSING && (courier_pending(m->courier) == 0 || clock_ms() >= m->deadline_ms)) {
		m->children->keeper_needed = false;
		courier_attach(m->courier, -1);
		child_hang_up(&m->children->keeper);
		master_enter(m, MASTER_LEAVING, clock_ms() + LAST_RECORD_MS);
	}
	if (m->state == MASTER_LEAVING && m->children->keeper.pid == 0 && children_workers_alive(m->children) == 0)
		master_enter(m, MASTER_ENDED, UINT64_MAX);
}

static void pass_deadline(struct master *m, uint64_t now)
{
	if (now < m->deadline_ms)
		return;
	if (m->state == MASTER_DRAINING) {
		log_error("workers did not end in time: %lld streams lost",
			  (long long)children_open_streams(m->children));
		kill_workers(m);
	} else if (m->state == MASTER_LEAVING) {
		log_error("keeper did not end in time");
		child_kill(&m->children->keeper);
	}
	if (m->state != MASTER_CLOSING)
		m->deadline_ms = UINT64_MAX;
}

static void tick(struct master *m)
{
	uint64_t now = clock_ms();

	children_tick(m->children, now);
	control_server_tick(m->control, now);
	rotate_tickets(m, now);
	for (size_t i = 0; i < MASTER_QUERIES; i++)
		if (m->queries[i].client && m->queries[i].deadline_ms <= now)
			answer_query(m, &m->queries[i]);
	master_peers_tick(m, now);
	courier_write(m->courier);
	courier_call_back(m->courier);
	master_reload_tick(m, now);
	pass_deadline(m, now);
	close_down(m);
}

static int next_timeout(const struct master *m)
{
	uint64_t now = clock_ms(), due = m->tickets_ms;
	const uint64_t others[] = {m->deadline_ms, children_due(m->children), control_server_due(m->control),
				   master_reload_due(m), master_peers_due(m)};

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (others[i] < due)
			due = others[i];
	for (size_t i = 0; i < MASTER_QUERIES; i++)
		if (m->queries[i].client && m->queries[i].deadline_ms < due)
			due = m->queries[i].deadline_ms;
	return due > now ? (int)(due - now) : 0;
}

static void turn(struct master *m)
{
	pollset_clear(&m->set);
	pollset_add(&m->set, m->signal_fd, POLLIN, on_signal, m);
	children_poll(m->children, &m->set);
	control_server_poll(m->control, &m->set);
	pollset_run(&m->set, next_timeout(m));
	tick(m);
}

static int supervise(struct master *m)
{
	struct errbuf err = {.text = ""};

	m->children->events = (struct children_events){.ready = on_ready,
						       .failed = on_failed,
						       .forked = on_forked,
						       .vote = on_vote,
						       .answer = on_answer,
						       .peers = on_peers,
						       .worker_gone = on_worker_gone,
						       .ctx = m};
	m->control = control_server_open(m->config->admin.socket, on_request, m, &err);
	if (!m->control || master_listen(m, &err) < 0) {
		log_error("cannot start: %s", err.text);
		return 3;
	}
	rotate_tickets(m, clock_ms());
	child_start(&m->children->keeper);
	while (m->state != MASTER_ENDED)
		turn(m);
	log_info("stopped");
	return m->status;
}

int master_run(const char *config_path)
{
	struct master *m = mem_zalloc(sizeof(*m));
	int status = master_prepare(m, config_path);

	if (status == 0)
		status = supervise(m);
	master_release(m);
	mem_free(m);
	return status;
}

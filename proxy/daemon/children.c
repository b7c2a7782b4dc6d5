/* SPDX-License-Identifier: MIT */
/*
 * Keeper and workers as the master sees them. A child gets, by inheritance, its end of a control channel, the bundle
 * and the sockets of its slot, and nothing else: every other descriptor is closed before it does anything. Record
 * channels between a worker and the keeper are made here and sent to both, at a worker's start and again when either
 * was restarted. Signals stay blocked around fork, so that none meant for one process is taken by another.
 */
#include "daemon/children.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/ballot.h"
#include "daemon/keeper.h"
#include "daemon/worker.h"

/* A child that lived shorter than this is not restarted at once. */
#define YOUNG_MS 5000
#define BACKOFF_MAX_S 30

void children_init(struct children *all)
{
	all->keeper = (struct child){.all = all, .is_keeper = true, .control = -1};
	all->workers = mem_array(all->worker_count, sizeof(*all->workers));
	for (unsigned i = 0; i < all->worker_count; i++)
		all->workers[i] = (struct child){.all = all, .slot = i, .control = -1};
	all->workers_needed = all->keeper_needed = true;
}

void children_fini(struct children *all)
{
	child_hang_up(&all->keeper);
	for (unsigned i = 0; i < all->worker_count && all->workers; i++)
		child_hang_up(&all->workers[i]);
	mem_free(all->workers);
	all->workers = NULL;
}

static void child_name(const struct child *child, char *out, size_t size)
{
	if (child->is_keeper)
		snprintf(out, size, "keeper");
	else
		snprintf(out, size, "worker %u", child->slot);
}

/* From here on this process is the child. Signals for the whole group (a terminal's ^C, a service manager's stop) are
 * the master's to act on: it tells its children over their control channels. */
static void become_child(int *keep, size_t count)
{
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
	sigset_t none;

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* The next line opens it anew: its descriptor is about to be closed under it. */
	closelog();
	descriptors_keep_only(keep, count);
}

static int run_keeper(struct children *all, int control)
{
	struct keeper_params params = {
	    .audit = &all->config->audit,
	    .shared = all->shared,
	    .account = &all->account,
	    .state_directory = config_has_peers(all->config) ? all->config->state_directory : NULL,
	    .restarted = all->keeper.incarnation > 1,
	    .control = control,
	};
	int keep[1] = {control};

	become_child(keep, ARRAY_LEN(keep));
	return keeper_main(&params);
}

static int run_worker(struct children *all, unsigned slot, pid_t master, int control)
{
	struct worker_params params = {
	    .slot = slot,
	    .run_id = all->run_id,
	    .config_path = all->config_path,
	    .account = &all->account,
	    .shared = all->shared,
	    .master = master,
	    .control = control,
	    .bundle_fd = all->bundle_fd,
	    .listener_fds = &all->listeners[slot * all->listener_count],
	    .listener_count = all->listener_count,
	};
	size_t count = all->listener_count + 2;
	int *keep = mem_array(count, sizeof(*keep));

	memcpy(keep, params.listener_fds, all->listener_count * sizeof(*keep));
	keep[all->listener_count] = control;
	keep[all->listener_count + 1] = all->bundle_fd;
	become_child(keep, count);
	mem_free(keep);
	return worker_main(&params);
}

/* One record channel: an end for the keeper, an end for the courier of that slot. */
static void link_channel(struct children *all, struct child *worker)
{
	struct message m = {.type = MESSAGE_CHANNEL,
			    .incarnation = worker ? worker->incarnation : 1,
			    .number = worker ? worker->slot : KEEPER_SLOT_MASTER};
	int pair[2];

	if (all->keeper.pid == 0 || (worker && worker->pid == 0))
		return;
	if (message_pair(pair) < 0) {
		log_error("cannot make a record channel: %s", strerror(errno));
		child_kill(&all->keeper);
		return;
	}
	if (message_send(all->keeper.control, &m, pair[0]) != MESSAGE_OK)
		child_kill(&all->keeper);
	if (worker && message_send(worker->control, &m, pair[1]) != MESSAGE_OK)
		child_kill(worker);
	close(pair[0]);
	if (worker)
		close(pair[1]);
	else
		courier_attach(all->courier, pair[1]);
}

static void link_all(struct children *all)
{
	link_channel(all, NULL);
	for (unsigned i = 0; i < all->worker_count; i++)
		link_channel(all, &all->workers[i]);
}

static void publish(struct child *child)
{
	struct shared *shared = child->all->shared;

	if (child->is_keeper) {
		atomic_store(&shared->keeper.incarnation, child->incarnation);
		atomic_store(&shared->keeper.pid, child->pid);
	} else {
		atomic_store(&shared->slot[child->slot].incarnation, child->incarnation);
		atomic_store(&shared->slot[child->slot].pid, child->pid);
	}
}

static void plan_restart(struct child *child, uint64_t now)
{
	bool needed = child->is_keeper ? child->all->keeper_needed : child->all->workers_needed;
	char name[32];

	child->restart_ms = 0;
	if (!needed)
		return;
	if (now - child->started_ms >= YOUNG_MS)
		child->backoff_s = 0;
	else if (child->backoff_s == 0)
		child->backoff_s = 1;
	else
		child->backoff_s = child->backoff_s * 2 > BACKOFF_MAX_S ? BACKOFF_MAX_S : child->backoff_s * 2;
	child->restart_ms = now + child->backoff_s * 1000u;
	child_name(child, name, sizeof(name));
	if (child->backoff_s > 0)
		log_warn("%s did not live long: its successor starts in %u s", name, child->backoff_s);
	/* A log without a keeper cannot be written. */
	if (child->is_keeper && child->backoff_s > 0)
		atomic_store(&child->all->shared->keeper.failing, 1);
}

void child_start(struct child *child)
{
	struct children *all = child->all;
	pid_t master = getpid(), pid;
	int pair[2] = {-1, -1};

	child->restart_ms = 0;
	child->started_ms = clock_ms();
	child->ready = child->complained = false;
	child->incarnation++;
	publish(child);
	fflush(NULL);
	pid = message_pair(pair) < 0 ? -1 : fork();
	if (pid == 0)
		exit(child->is_keeper ? run_keeper(all, pair[1]) : run_worker(all, child->slot, master, pair[1]));
	if (pair[1] >= 0)
		close(pair[1]);
	if (pid < 0) {
		log_error("cannot start a process: %s", strerror(errno));
		if (pair[0] >= 0)
			close(pair[0]);
		plan_restart(child, child->started_ms);
		return;
	}
	child->pid = pid;
	child->control = pair[0];
	publish(child);
	if (child->is_keeper) {
		link_all(all);
		return;
	}
	link_channel(all, child);
	all->events.forked(all->events.ctx, child);
}

void child_send(struct child *child, const struct message *message, int pass_fd)
{
	struct message m = *message;

	m.incarnation = child->incarnation;
	/* MESSAGE_GONE: it is dying, SIGCHLD is on its way. */
	if (child->control >= 0 && message_send(child->control, &m, pass_fd) == MESSAGE_AGAIN)
		child_kill(child);
}

void child_tell(struct child *child, enum message_type type, uint64_t number)
{
	struct message m = {.type = type, .number = number};

	child_send(child, &m, -1);
}

void child_hang_up(struct child *child)
{
	if (child->control >= 0)
		close(child->control);
	child->control = -1;
}

void child_kill(struct child *child)
{
	if (child->pid > 0)
		kill(child->pid, SIGKILL);
}

static bool is_vote(enum message_type type)
{
	return type == MESSAGE_PREPARED || type == MESSAGE_UNFIT || type == MESSAGE_COMMITTED;
}

static void take_message(struct child *child, const struct message *m)
{
	struct children *all = child->all;
	char why[512];

	if (m->type == MESSAGE_READY) {
		child->ready = true;
		all->events.ready(all->events.ctx, child);
	} else if (m->type == MESSAGE_FAILED) {
		snprintf(why, sizeof(why), "%.*s", (int)m->len, (const char *)m->payload);
		child->complained = true;
		all->events.failed(all->events.ctx, child, why);
	} else if (!child->is_keeper && (m->type == MESSAGE_STREAMS_PART || m->type == MESSAGE_STREAMS_END)) {
		all->events.answer(all->events.ctx, child->slot, m);
	} else if (is_vote(m->type)) {
		all->events.vote(all->events.ctx, child->is_keeper ? BALLOT_KEEPER : child->slot, m);
	} else if (child->is_keeper && m->type == MESSAGE_PEERS_ANSWER) {
		all->events.peers(all->events.ctx, m);
	}
}

static void on_control(void *ctx, short revents)
{
	struct child *child = ctx;
	enum message_result result = MESSAGE_AGAIN;
	struct message m;

	(void)revents;
	while (child->control >= 0 &&
	       (result = message_receive(child->control, &m, child->all->buffer, NULL)) == MESSAGE_OK)
		take_message(child, &m);
	if (result == MESSAGE_GONE)
		child_hang_up(child);
}

static void on_courier(void *ctx, short revents)
{
	struct children *all = ctx;

	(void)revents;
	courier_read(all->courier);
	courier_write(all->courier);
	courier_call_back(all->courier);
}

void children_poll(struct children *all, struct pollset *set)
{
	short courier = (short)(POLLIN | (courier_wants_write(all->courier) ? POLLOUT : 0));

	pollset_add(set, all->keeper.control, POLLIN, on_control, &all->keeper);
	for (unsigned i = 0; i < all->worker_count; i++)
		pollset_add(set, all->workers[i].control, POLLIN, on_control, &all->workers[i]);
	pollset_add(set, courier_fd(all->courier), courier, on_courier, all);
}

static int64_t open_streams(const struct child *worker)
{
	const struct shared_slot *slot = &worker->all->shared->slot[worker->slot];
	int64_t open = 0;

	for (unsigned role = 0; role < SHARED_ROLES; role++)
		open += atomic_load(&slot->open[role]);
	return open;
}

static void describe_end(int status, char *out, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(out, size, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(out, size, "exited with status %d", WEXITSTATUS(status));
}

static void say_end(const struct child *child, int status, const char *end)
{
	bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	bool needed = child->is_keeper ? child->all->keeper_needed : child->all->workers_needed;
	char name[32];

	child_name(child, name, sizeof(name));
	if (well && !needed)
		log_debug("%s (pid %ld) ended", name, (long)child->pid);
	else if (child->is_keeper)
		log_error("%s (pid %ld) %s", name, (long)child->pid, end);
	else
		log_error("%s (pid %ld) %s; %lld streams lost", name, (long)child->pid, end,
			  (long long)open_streams(child));
}

static void bury(struct child *child, int status)
{
	struct children *all = child->all;
	char end[96];

	describe_end(status, end, sizeof(end));
	/* What it said last may still wait to be read. */
	if (child->control >= 0)
		on_control(child, 0);
	say_end(child, status, end);
	child_hang_up(child);
	child->pid = 0;
	if (child->is_keeper) {
		courier_attach(all->courier, -1);
		publish(child);
	} else {
		shared_reap(all->shared, child->slot);
		all->events.worker_gone(all->events.ctx, child->slot);
	}
	plan_restart(child, clock_ms());
	if (!child->ready && !child->complained)
		all->events.failed(all->events.ctx, child, end);
	child->ready = false;
}

void children_reap(struct children *all)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == all->keeper.pid)
			bury(&all->keeper, status);
		for (unsigned i = 0; i < all->worker_count; i++)
			if (pid == all->workers[i].pid)
				bury(&all->workers[i], status);
	}
}

static void start_if_due(struct child *child, bool needed, uint64_t now)
{
	if (child->restart_ms == 0 || child->restart_ms > now)
		return;
	child->restart_ms = 0;
	if (needed)
		child_start(child);
}

void children_tick(struct children *all, uint64_t now)
{
	start_if_due(&all->keeper, all->keeper_needed, now);
	for (unsigned i = 0; i < all->worker_count; i++)
		start_if_due(&all->workers[i], all->workers_needed, now);
}

uint64_t children_due(const struct children *all)
{
	uint64_t due = all->keeper.restart_ms ? all->keeper.restart_ms : UINT64_MAX;

	for (unsigned i = 0; i < all->worker_count; i++)
		if (all->workers[i].restart_ms && all->workers[i].restart_ms < due)
			due = all->workers[i].restart_ms;
	return due;
}

unsigned children_workers_alive(const struct children *all)
{
	unsigned alive = 0;

	for (unsigned i = 0; i < all->worker_count; i++)
		alive += all->workers[i].pid > 0;
	return alive;
}

bool children_all_ready(const struct children *all)
{
	for (unsigned i = 0; i < all->worker_count; i++)
		if (!all->workers[i].ready)
			return false;
	return all->keeper.ready;
}

int64_t children_open_streams(const struct children *all)
{
	int64_t open = 0;

	for (unsigned i = 0; i < all->worker_count; i++)
		open += open_streams(&all->workers[i]);
	return open;
}

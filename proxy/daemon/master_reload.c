/* SPDX-License-Identifier: MIT */
/*
 * Reload in place, in two votes. First everything is made beside what is in force: configuration, bundle, new sockets
 * (bound, not listening: nobody can end up on one that may go away again), and in each worker configuration and TLS
 * contexts. Whatever fails, here or in one worker, drops all of it: nothing has changed. Only when every worker has
 * said that it can are they told to, and whoever is started from then on begins with the new one. The log files are
 * opened again in any case: rotation must not depend on a good configuration.
 */
#include "daemon/master_private.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/keeper.h"
#include "daemon/notify.h"
#include "daemon/state_directory.h"
#include "net/listener.h"

/* A worker that dies is replaced within a second or two, and makes a context for each domain. */
#define VOTE_MS 30000
/* One death may be somebody's kill; a second one is taken for the new configuration's doing. */
#define DEATHS_MAX 1

static const struct config_mark whole_file;

static void answer_all(struct master *m, struct master_askers *askers, bool ok, const char *text,
		       const struct diag_list *findings)
{
	for (size_t i = 0; i < askers->count; i++) {
		char *answer = reload_answer(ok, text, findings);

		control_server_answer(m->control, askers->client[i], answer, strlen(answer));
	}
	askers->count = 0;
}

static void say_findings(const struct diag_list *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		char *line = diag_format(findings, &findings->items[i]);

		if (findings->items[i].severity == DIAG_ERROR)
			log_error("%s", line);
		else
			log_warn("%s", line);
		mem_free(line);
	}
}

static void keep_outcome(struct master *m, bool ok, const char *text)
{
	mem_free(m->reload.last.text);
	m->reload.last = (struct reload_outcome){.at_us = clock_real_us(), .ok = ok, .text = mem_strdup(text)};
}

/* The end of every reload that was begun. */
static void conclude(struct master *m, bool ok, const char *text)
{
	struct master_reload *r = &m->reload;

	say_findings(&r->findings);
	if (ok)
		log_info("reloaded: %s", text);
	else
		log_error("not reloaded, nothing has changed: %s", text);
	keep_outcome(m, ok, text);
	master_record(m, "proxy-reloaded", ok ? AUDIT_SUCCESS : AUDIT_FAILURE, text);
	answer_all(m, &r->now, ok, text, &r->findings);
	diag_fini(&r->findings);
	ballot_end(&r->ballot);
	r->deadline_ms = UINT64_MAX;
	notify_send(ok ? "READY=1\nSTATUS=Accepting streams"
		       : "READY=1\nSTATUS=Accepting streams; the last reload was refused");
}

static bool kept(const struct master *m, size_t listener)
{
	return reload_find_listener(m->config, &m->reload.config->listeners[listener].address) >= 0;
}

static void close_new_listeners(struct master *m)
{
	struct master_reload *r = &m->reload;
	size_t count = r->config->listener_count;

	for (size_t i = 0; r->listeners && i < count * m->children->worker_count; i++)
		if (r->listeners[i] >= 0 && !kept(m, i % count))
			close(r->listeners[i]);
	mem_free(r->listeners);
	r->listeners = NULL;
}

/* Drops what was prepared. */
static void drop(struct master *m)
{
	struct master_reload *r = &m->reload;

	if (r->config) {
		close_new_listeners(m);
		config_unref(&r->config);
	}
	if (r->bundle_fd >= 0)
		close(r->bundle_fd);
	r->bundle_fd = -1;
}

static void tell_workers(struct master *m, enum message_type type)
{
	for (unsigned i = 0; i < m->children->worker_count; i++)
		child_tell(&m->children->workers[i], type, m->reload.ballot.number);
}

static void refuse(struct master *m, const char *why)
{
	const struct diag_list *findings = &m->reload.findings;
	const struct diag *first = NULL;
	char *text, *line;

	for (size_t i = 0; i < findings->count && !first; i++)
		if (findings->items[i].severity == DIAG_ERROR)
			first = &findings->items[i];
	if (m->reload.ballot.phase == BALLOT_PREPARING)
		tell_workers(m, MESSAGE_ABORT);
	drop(m);
	if (!first) {
		conclude(m, false, why);
		return;
	}
	line = diag_format(findings, first);
	text = findings->errors > 1 ? mem_printf("%s (and %zu more)", line, findings->errors - 1) : mem_strdup(line);
	conclude(m, false, text);
	mem_free(text);
	mem_free(line);
}

/* Our own old socket on [::]:5222 must not keep 0.0.0.0:5222 from being opened in its place. */
static bool clashes_with_own(const struct master *m, const struct addr *address)
{
	for (size_t i = 0; i < m->config->listener_count; i++)
		if (addr_clashes(&m->config->listeners[i].address, address))
			return true;
	return false;
}

static int open_listener(struct master *m, size_t listener, struct errbuf *err)
{
	struct master_reload *r = &m->reload;
	const struct addr *address = &r->config->listeners[listener].address;
	int old = reload_find_listener(m->config, address);

	if (old < 0 && !clashes_with_own(m, address) && listener_probe(address, err) < 0)
		return -1;
	for (unsigned slot = 0; slot < m->children->worker_count; slot++) {
		int *fd = &r->listeners[slot * r->config->listener_count + listener];

		*fd = old >= 0 ? m->children->listeners[slot * m->children->listener_count + (size_t)old]
			       : listener_bind(address, err);
		if (*fd < 0)
			return -1;
	}
	return 0;
}

static void blame_listener(struct master *m, size_t listener, const struct errbuf *err)
{
	diag_add(&m->reload.findings, DIAG_ERROR, m->reload.config->listeners[listener].address_mark,
		 "\"listeners[%zu].address\": %s", listener, err->text);
}

static void open_listeners(struct master *m)
{
	struct master_reload *r = &m->reload;
	size_t total = r->config->listener_count * m->children->worker_count;
	struct errbuf err = {.text = ""};

	r->listeners = mem_array(total, sizeof(*r->listeners));
	for (size_t i = 0; i < total; i++)
		r->listeners[i] = -1;
	for (size_t i = 0; i < r->config->listener_count; i++)
		if (open_listener(m, i, &err) < 0)
			blame_listener(m, i, &err);
}

static void ask_worker(struct master *m, struct child *worker)
{
	const struct master_reload *r = &m->reload;
	struct message prepare = {.type = MESSAGE_PREPARE, .number = r->ballot.number};

	if (worker->control < 0)
		return;
	ballot_ask(&m->reload.ballot, worker->slot);
	for (size_t i = 0; i < r->config->listener_count; i++) {
		struct message m_listener = {.type = MESSAGE_LISTENER, .number = i};

		if (!kept(m, i))
			child_send(worker, &m_listener, r->listeners[worker->slot * r->config->listener_count + i]);
	}
	child_send(worker, &prepare, r->bundle_fd);
}

/* Peer memory is opened, or it is open: either way that is known before anybody takes the new configuration. */
static void ask_keeper(struct master *m)
{
	const char *directory = m->reload.config->state_directory;
	struct message prepare = {
	    .type = MESSAGE_PREPARE, .number = m->reload.ballot.number, .payload = directory, .len = strlen(directory)};

	if (!config_has_peers(m->reload.config))
		return;
	ballot_ask(&m->reload.ballot, BALLOT_KEEPER);
	child_send(&m->children->keeper, &prepare, -1);
}

void master_reload_keeper(struct master *m)
{
	if (m->reload.ballot.phase == BALLOT_PREPARING)
		ask_keeper(m);
}

static void check_change(struct master *m)
{
	const struct reload_fixed fixed = {
	    .workers = m->children->worker_count,
	    .workers_new = master_worker_count(m->reload.config),
	    .connections = m->shared->connections_max,
	};
	struct errbuf err = {.text = ""};

	reload_refuse(m->config, m->reload.config, &fixed, &m->reload.findings);
	if (m->reload.findings.errors == 0)
		open_listeners(m);
	if (m->reload.findings.errors == 0 && state_directory_make(m->reload.config, &m->children->account, &err) < 0)
		diag_add(&m->reload.findings, DIAG_ERROR, whole_file, "%s", err.text);
	diag_sort(&m->reload.findings);
}

/* Beside what is in force: false, and concluded, if it cannot be. */
static bool prepare(struct master *m)
{
	struct master_reload *r = &m->reload;
	struct errbuf err = {.text = ""};

	r->bundle_fd = master_load(m->children->config_path, &r->config, &r->findings, &err);
	if (r->config && r->bundle_fd >= 0)
		check_change(m);
	if (r->findings.errors == 0 && r->config && r->bundle_fd >= 0)
		return true;
	diag_sort(&r->findings);
	refuse(m, err.text);
	return false;
}

static bool listen_all(struct master *m)
{
	struct master_reload *r = &m->reload;
	size_t count = r->config->listener_count;
	struct errbuf err = {.text = ""};

	for (size_t i = 0; i < count * m->children->worker_count; i++) {
		if (kept(m, i % count) ||
		    listener_listen(r->listeners[i], &r->config->listeners[i % count].address, &err) == 0)
			continue;
		blame_listener(m, i % count, &err);
		return false;
	}
	return true;
}

/* The workers hold these too, and take what is queued on them before the last copy is closed. */
static void close_removed(struct master *m)
{
	struct children *all = m->children;

	for (size_t i = 0; i < all->listener_count * all->worker_count; i++)
		if (reload_find_listener(m->reload.config, &m->config->listeners[i % all->listener_count].address) < 0)
			close(all->listeners[i]);
}

static void swap(struct master *m)
{
	struct master_reload *r = &m->reload;
	struct children *all = m->children;

	close_removed(m);
	mem_free(all->listeners);
	all->listeners = r->listeners;
	all->listener_count = r->config->listener_count;
	close(all->bundle_fd);
	all->bundle_fd = r->bundle_fd;
	config_unref(&m->config);
	m->config = all->config = r->config;
	r->listeners = NULL;
	r->bundle_fd = -1;
	r->config = NULL;
	r->loaded_us = clock_real_us();
}

/* What the master and the keeper themselves go by. */
static void take_settings(struct master *m)
{
	const struct config *config = m->config;
	struct keeper_settings settings = {
	    .on_failure = config->audit.on_failure, .log_output = config->log.output, .log_level = config->log.level};
	struct message message = {.type = MESSAGE_SETTINGS, .payload = &settings, .len = sizeof(settings)};

	if (config_has_peers(config))
		snprintf(settings.state_directory, sizeof(settings.state_directory), "%s", config->state_directory);
	log_setup((enum log_output)config->log.output, (enum log_level)config->log.level);
	child_send(&m->children->keeper, &message, -1);
	shared_set_limits(m->shared, (uint32_t)config->limits.connections,
			  (uint32_t)config->limits.connections_per_address);
	m->tickets_ms = 0;
}

static void conclude_well(struct master *m)
{
	char *text = m->reload.last.text;

	m->reload.last.text = NULL;
	conclude(m, true, text);
	mem_free(text);
}

static void commit(struct master *m)
{
	struct master_reload *r = &m->reload;
	uint64_t number = r->ballot.number;
	struct strbuf text;

	if (!listen_all(m)) {
		refuse(m, "");
		return;
	}
	strbuf_init(&text, RELOAD_TEXT_MAX);
	reload_describe(m->config, r->config, &text);
	/* Said when every worker has it; what a status in between would show is not wrong. */
	keep_outcome(m, true, strbuf_text(&text));
	strbuf_fini(&text);
	swap(m);
	take_settings(m);
	ballot_begin(&r->ballot, BALLOT_COMMITTING, number);
	for (unsigned i = 0; i < m->children->worker_count; i++)
		if (m->children->workers[i].control >= 0)
			ballot_ask(&r->ballot, i);
	r->deadline_ms = clock_ms() + VOTE_MS;
	tell_workers(m, MESSAGE_COMMIT);
}

/* Nobody owes anything more: the next step. */
static void go_on(struct master *m)
{
	if (m->reload.ballot.phase == BALLOT_PREPARING && ballot_complete(&m->reload.ballot))
		commit(m);
	if (m->reload.ballot.phase == BALLOT_COMMITTING && ballot_complete(&m->reload.ballot))
		conclude_well(m);
}

static void begin(struct master *m)
{
	struct master_reload *r = &m->reload;
	char state[64];

	r->wanted = false;
	r->now = r->next;
	r->next.count = 0;
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(clock_ns() / 1000));
	notify_send(state);
	log_info("reading %s again; log files are opened again", m->children->config_path);
	child_tell(&m->children->keeper, MESSAGE_REOPEN, 0);
	diag_init(&r->findings, m->children->config_path);
	if (!prepare(m))
		return;
	ballot_begin(&r->ballot, BALLOT_PREPARING, ++r->last_number);
	r->deadline_ms = clock_ms() + VOTE_MS;
	for (unsigned i = 0; i < m->children->worker_count; i++)
		ask_worker(m, &m->children->workers[i]);
	ask_keeper(m);
	go_on(m);
}

void master_reload_ask(struct master *m, uint64_t client)
{
	struct master_askers *next = &m->reload.next;
	const char *no = NULL;
	char *text;

	if (m->state > MASTER_RUNNING)
		no = "portcullis is stopping";
	else if (client && next->count == MASTER_RELOAD_CLIENTS)
		no = "too many reloads are asked for at once, try again";
	if (!no) {
		if (client)
			next->client[next->count++] = client;
		m->reload.wanted = true;
		return;
	}
	child_tell(&m->children->keeper, MESSAGE_REOPEN, 0);
	text = control_error_json(no);
	control_server_answer(m->control, client, text, strlen(text));
}

static void name_voter(int slot, char *out, size_t size)
{
	if (slot == BALLOT_KEEPER)
		snprintf(out, size, "the keeper");
	else
		snprintf(out, size, "worker %d", slot);
}

void master_reload_vote(struct master *m, unsigned slot, const struct message *message)
{
	struct ballot *ballot = &m->reload.ballot;
	char why[640], name[32];

	if (message->type == MESSAGE_UNFIT && ballot_answer(ballot, BALLOT_PREPARING, slot, message->number)) {
		name_voter((int)slot, name, sizeof(name));
		snprintf(why, sizeof(why), "%s cannot take it: %.*s", name, (int)message->len,
			 (const char *)message->payload);
		refuse(m, why);
	} else if (message->type == MESSAGE_PREPARED) {
		ballot_answer(ballot, BALLOT_PREPARING, slot, message->number);
	} else if (message->type == MESSAGE_COMMITTED) {
		ballot_answer(ballot, BALLOT_COMMITTING, slot, message->number);
	}
	go_on(m);
}

/* It has the bundle in force: while another one is being prepared it is asked like the others. */
void master_reload_forked(struct master *m, struct child *worker)
{
	if (m->reload.ballot.phase == BALLOT_PREPARING)
		ask_worker(m, worker);
}

void master_reload_gone(struct master *m, unsigned slot)
{
	char why[128];

	ballot_gone(&m->reload.ballot, slot);
	if (m->reload.ballot.deaths > DEATHS_MAX) {
		snprintf(why, sizeof(why), "workers died while they were preparing it, the last one in slot %u", slot);
		refuse(m, why);
	}
	go_on(m);
}

static void pass_deadline(struct master *m)
{
	int slot = ballot_debtor(&m->reload.ballot);
	char why[128], name[32];

	name_voter(slot, name, sizeof(name));
	if (m->reload.ballot.phase == BALLOT_PREPARING) {
		snprintf(why, sizeof(why), "%s did not say in time whether it can take it", name);
		refuse(m, why);
	} else if (m->reload.ballot.phase == BALLOT_COMMITTING) {
		log_warn("%s has not said yet that it took the new configuration: it has been told", name);
		conclude_well(m);
	}
}

void master_reload_tick(struct master *m, uint64_t now)
{
	if (now >= m->reload.deadline_ms)
		pass_deadline(m);
	if (m->reload.wanted && m->state == MASTER_RUNNING && m->reload.ballot.phase == BALLOT_IDLE)
		begin(m);
}

uint64_t master_reload_due(const struct master *m)
{
	const struct master_reload *r = &m->reload;

	if (r->wanted && m->state == MASTER_RUNNING && r->ballot.phase == BALLOT_IDLE)
		return 0;
	return r->deadline_ms;
}

void master_reload_cancel(struct master *m)
{
	struct master_reload *r = &m->reload;

	if (r->ballot.phase == BALLOT_PREPARING)
		refuse(m, "portcullis is stopping");
	else if (r->ballot.phase == BALLOT_COMMITTING)
		conclude_well(m);
	if (m->control)
		answer_all(m, &r->next, false, "portcullis is stopping", NULL);
	r->wanted = false;
}

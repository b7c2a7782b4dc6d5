/* SPDX-License-Identifier: MIT */
/*
 * What the master does before its first turn, in this order: configuration and all files it names are read and checked,
 * the bundle is sealed, the log is set up, shared memory is made, and last, when the control socket has shown that no
 * other portcullis runs, listeners are opened: one SO_REUSEPORT socket for each worker's slot and listener, kept for
 * ever, because closing one would reset the connections queued on it. Once the bundle is sealed the master has no
 * private key in its own memory, so that the keeper, a copy of it, has none either.
 */
#include "daemon/master_private.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "daemon/bundle.h"
#include "daemon/preflight.h"
#include "daemon/state_directory.h"
#include "net/listener.h"

/* Descriptors of a worker that are no stream's. */
#define DESCRIPTORS_SPARE 64

unsigned master_worker_count(const struct config *config)
{
	cpu_set_t cpus;
	int count;

	if (config->workers > 0)
		return (unsigned)config->workers;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return 1;
	count = CPU_COUNT(&cpus);
	if (count < 1)
		return 1;
	return count > SHARED_WORKERS_MAX ? SHARED_WORKERS_MAX : (unsigned)count;
}

static void forget_key(struct config_file *key)
{
	if (key->data)
		mem_wipe(key->data, key->len);
}

static void forget_keys(struct config *config)
{
	for (size_t i = 0; i < config->domain_count; i++) {
		struct config_domain *domain = &config->domains[i];

		forget_key(&domain->private_key);
		for (size_t k = 0; k < domain->more_certificate_count; k++)
			forget_key(&domain->more_certificates[k].private_key);
	}
}

static int open_listeners(struct children *all, struct errbuf *err)
{
	size_t total = all->worker_count * all->listener_count;

	all->listeners = mem_array(total, sizeof(*all->listeners));
	for (size_t i = 0; i < total; i++)
		all->listeners[i] = -1;
	for (size_t i = 0; i < total; i++) {
		const struct config_listener *listener = &all->config->listeners[i % all->listener_count];

		if (i < all->listener_count && listener_probe(&listener->address, err) != 0)
			return -1;
		all->listeners[i] = listener_open(&listener->address, err);
		if (all->listeners[i] < 0)
			return -1;
	}
	return 0;
}

static void warn_of_descriptors(const struct children *all)
{
	uint64_t limit = descriptors_raise();
	uint64_t usable = limit > DESCRIPTORS_SPARE ? limit - DESCRIPTORS_SPARE : 0;
	uint64_t streams = usable / 2 * all->worker_count;
	uint64_t wanted = (uint64_t)all->config->limits.connections;

	if (streams < wanted)
		log_warn("%llu descriptors for each worker are enough for about %llu streams, limits.connections is "
			 "%llu: raise the limit (LimitNOFILE=%llu, or ulimit -n) or lower limits.connections",
			 (unsigned long long)limit, (unsigned long long)streams, (unsigned long long)wanted,
			 (unsigned long long)(wanted * 2 / all->worker_count + DESCRIPTORS_SPARE));
}

/* What the loader has read goes into the bundle exactly as it was read: nobody reads a file a second time. */
int master_load(const char *config_path, struct config **config_out, struct diag_list *diags, struct errbuf *err)
{
	struct file_source disk = file_source_disk(), recording;
	struct bundle_recorder *recorder = bundle_recorder_new(&disk);
	int fd = -1;

	recording = bundle_recorder_source(recorder);
	*config_out = preflight(config_path, &recording, diags);
	if (*config_out)
		fd = bundle_recorder_seal(recorder, err);
	bundle_recorder_free(&recorder);
	if (*config_out)
		forget_keys(*config_out);
	return fd;
}

static int load_first(struct master *m, const char *config_path, struct errbuf *err)
{
	struct diag_list diags;
	int fd;

	diag_init(&diags, config_path);
	fd = master_load(config_path, &m->config, &diags, err);
	preflight_print(stderr, &diags);
	diag_fini(&diags);
	m->reload.loaded_us = clock_real_us();
	return fd;
}

/* No work of its own: the master's courier is looked at in every turn. */
static void wake(void *ctx)
{
	(void)ctx;
}

static void make_courier(struct master *m)
{
	char prefix[16];
	struct courier_params params = {
	    .id_prefix = prefix,
	    .incarnation = 1,
	    .keeper = &m->shared->keeper,
	    .refuse = true,
	    .max_records = COURIER_RECORDS_MAX,
	    .max_bytes = COURIER_BYTES_MAX,
	    .wake = wake,
	};

	snprintf(prefix, sizeof(prefix), "%s.m", m->children->run_id);
	m->courier = courier_new(&params);
	m->children->courier = m->courier;
}

static int take_signals(struct errbuf *err)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		errbuf_set(err, "signalfd: %s", strerror(errno));
	return fd;
}

static int prepare_rest(struct master *m, struct errbuf *err)
{
	struct children *all = m->children;

	if (account_find(m->config, &all->account, err) < 0 || state_directory_make(m->config, &all->account, err) < 0)
		return -1;
	all->config = m->config;
	all->worker_count = master_worker_count(m->config);
	all->listener_count = m->config->listener_count;
	random_hex(all->run_id, 4);
	m->shared = shared_new(all->worker_count, (uint32_t)m->config->limits.connections,
			       (uint32_t)m->config->limits.connections_per_address);
	all->shared = m->shared;
	make_courier(m);
	children_init(all);
	m->signal_fd = take_signals(err);
	return m->signal_fd < 0 ? -1 : 0;
}

int master_listen(struct master *m, struct errbuf *err)
{
	warn_of_descriptors(m->children);
	return open_listeners(m->children, err);
}

int master_prepare(struct master *m, const char *config_path)
{
	struct errbuf err = {.text = ""};

	m->since_us = clock_real_us();
	m->started_ms = clock_ms();
	m->deadline_ms = UINT64_MAX;
	m->signal_fd = m->reload.bundle_fd = -1;
	m->reload.deadline_ms = UINT64_MAX;
	m->children = mem_zalloc(sizeof(*m->children));
	m->children->config_path = config_path;
	m->children->bundle_fd = load_first(m, config_path, &err);
	if (!m->config)
		return 1;
	log_setup((enum log_output)m->config->log.output, (enum log_level)m->config->log.level);
	if (m->children->bundle_fd < 0 || prepare_rest(m, &err) < 0) {
		log_error("cannot start: %s", err.text);
		return 3;
	}
	return 0;
}

static void close_listeners(struct children *all)
{
	for (size_t i = 0; all->listeners && i < all->worker_count * all->listener_count; i++)
		if (all->listeners[i] >= 0)
			close(all->listeners[i]);
	mem_free(all->listeners);
	all->listeners = NULL;
}

void master_release(struct master *m)
{
	for (size_t i = 0; i < MASTER_QUERIES; i++)
		if (m->queries[i].client)
			strbuf_fini(&m->queries[i].text);
	master_peers_release(m);
	master_reload_cancel(m);
	mem_free(m->reload.last.text);
	control_server_free(&m->control);
	close_listeners(m->children);
	if (m->children->workers)
		children_fini(m->children);
	courier_free(&m->courier);
	if (m->children->bundle_fd >= 0)
		close(m->children->bundle_fd);
	if (m->signal_fd >= 0)
		close(m->signal_fd);
	if (m->shared)
		shared_free(&m->shared);
	if (m->config)
		config_unref(&m->config);
	pollset_fini(&m->set);
	mem_free(m->children);
}

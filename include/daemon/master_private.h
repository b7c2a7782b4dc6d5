/* SPDX-License-Identifier: MIT */
/* The master's state, shared by master.c (its life), master_start.c (what happens before the first turn) and
 * master_reload.c. */
#ifndef PROXY_DAEMON_MASTER_PRIVATE_H
#define PROXY_DAEMON_MASTER_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "audit/record.h"
#include "daemon/ballot.h"
#include "daemon/children.h"
#include "daemon/control_server.h"
#include "daemon/courier.h"
#include "daemon/peers_query.h"
#include "daemon/pollset.h"
#include "daemon/reload.h"
#include "daemon/streams_query.h"
#include "policy/config.h"

#define MASTER_QUERIES 16
#define MASTER_RELOAD_CLIENTS 16

/* Only ever moves on. */
enum master_state {
	MASTER_STARTING, /* children are setting up */
	MASTER_RUNNING,
	MASTER_DRAINING, /* workers finish their streams */
	MASTER_CLOSING,  /* no worker is left; the last record is on its way */
	MASTER_LEAVING,  /* the keeper finishes */
	MASTER_ENDED,
	MASTER_STATE_COUNT
};

/* Who asked over the control socket and waits for an answer. */
struct master_askers {
	uint64_t client[MASTER_RELOAD_CLIENTS];
	size_t count;
};

/* One reload at a time; who asks while one is under way gets the next, which reads what is on the disk then. */
struct master_reload {
	bool wanted;
	struct master_askers next, now;
	struct ballot ballot;
	uint64_t last_number;
	uint64_t deadline_ms; /* of the vote under way; UINT64_MAX: none */
	struct diag_list findings;
	/* What is being prepared. The sockets of kept listeners are the running ones. */
	struct config *config; /* NULL: nothing is */
	int bundle_fd;
	int *listeners; /* [slot * config->listener_count + listener] */
	struct reload_outcome last;
	int64_t loaded_us; /* the configuration in force */
};

struct master {
	enum master_state state;
	int status;
	bool hurry; /* a second signal came */
	int64_t since_us;
	uint64_t started_ms;
	uint64_t deadline_ms; /* of the present state; UINT64_MAX: none */
	uint64_t tickets_ms;  /* when keys are looked at next */
	int signal_fd;
	struct config *config;
	struct shared *shared;
	struct courier *courier;
	struct children *children;
	struct control_server *control;
	struct pollset set;
	struct streams_query queries[MASTER_QUERIES];
	struct peers_query peers[MASTER_QUERIES];
	uint64_t last_query; /* of either kind */
	struct master_reload reload;
};

/* Configuration, bundle, log, shared memory. 0, or the exit status with everything said. */
int master_prepare(struct master *m, const char *config_path);
/* Opens the listeners; not before the control socket is ours, for a second portcullis could bind the same ports and
 * take connections away from the first. -1 with err set. */
int master_listen(struct master *m, struct errbuf *err);
void master_release(struct master *m);
/*
 * Reads and checks the configuration and what it names; every finding goes to diags. A sealed bundle of exactly what
 * was read, or -1 with err set; *config_out NULL: there are errors in diags. No private key is in *config_out any more.
 */
int master_load(const char *config_path, struct config **config_out, struct diag_list *diags, struct errbuf *err);
unsigned master_worker_count(const struct config *config);

/* master.c: a record of the program's own life. */
void master_record(struct master *m, const char *action, enum audit_outcome outcome, const char *reason);

/* master_reload.c. client: who waits for the answer, 0: nobody (SIGHUP). */
void master_reload_ask(struct master *m, uint64_t client);
void master_reload_vote(struct master *m, unsigned slot, const struct message *message);
void master_reload_forked(struct master *m, struct child *worker);
void master_reload_gone(struct master *m, unsigned slot);
/* Begins what was asked for, passes deadlines. */
void master_reload_tick(struct master *m, uint64_t now_ms);
uint64_t master_reload_due(const struct master *m);
/* A keeper that was restarted is asked what its predecessor was. */
void master_reload_keeper(struct master *m);
/* Stopping: what is under way is given up. */
void master_reload_cancel(struct master *m);

/* master_peers.c. request: one of peers-…, from that client. */
void master_peers_ask(struct master *m, uint64_t client, const struct control_request *request);
void master_peers_answer(struct master *m, const struct message *message);
void master_peers_tick(struct master *m, uint64_t now_ms);
uint64_t master_peers_due(const struct master *m);
void master_peers_release(struct master *m);

#endif

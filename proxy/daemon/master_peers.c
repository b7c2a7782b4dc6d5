/* SPDX-License-Identifier: MIT */
/*
 * `portcullis peers`: the keeper has the store, the master the control socket. Questions go over the keeper's control
 * channel, one message there and one back, page by page, and nobody waits longer than a deadline. A keeper that died
 * over a question leaves it to its successor: whatever is asked twice has the same outcome.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "daemon/master_private.h"

/* Less than a client of the control socket may wait. */
#define ANSWER_WAIT_MS 8000

static const enum peers_verb verbs[CONTROL_COUNT] = {
    [CONTROL_PEERS_LIST] = PEERS_LIST,
    [CONTROL_PEERS_SHOW] = PEERS_SHOW,
    [CONTROL_PEERS_ACCEPT] = PEERS_ACCEPT,
    [CONTROL_PEERS_FORGET] = PEERS_FORGET,
};

static void answer(struct master *m, uint64_t client, char *text)
{
	control_server_answer(m->control, client, text, strlen(text));
}

static void ask_keeper(struct master *m, struct peers_query *q)
{
	struct message message = {
	    .type = MESSAGE_PEERS, .number = q->number, .payload = &q->question, .len = sizeof(q->question)};

	q->keeper = m->children->keeper.incarnation;
	child_send(&m->children->keeper, &message, -1);
}

static const char *refusal(const struct master *m, const struct peers_query *free_query)
{
	if (!config_has_peers(m->config))
		return "peer memory is not in use: no listener has remote domains to remember";
	return free_query ? NULL : "too many questions at once, try again";
}

void master_peers_ask(struct master *m, uint64_t client, const struct control_request *request)
{
	struct peers_query *q = NULL;
	const char *no;

	for (size_t i = 0; i < MASTER_QUERIES && !q; i++)
		if (m->peers[i].client == 0)
			q = &m->peers[i];
	no = refusal(m, q);
	if (no) {
		answer(m, client, control_error_json(no));
		return;
	}
	peers_query_begin(q, client, verbs[request->command], request->domain, request->sha256);
	q->number = ++m->last_query;
	q->deadline_ms = clock_ms() + ANSWER_WAIT_MS;
}

void master_peers_answer(struct master *m, const struct message *message)
{
	for (size_t i = 0; i < MASTER_QUERIES; i++) {
		struct peers_query *q = &m->peers[i];
		uint64_t client = q->client;
		char *text;

		if (client == 0 || q->number != message->number)
			continue;
		text = peers_query_take(q, message);
		if (text)
			answer(m, client, text);
		else
			ask_keeper(m, q);
	}
}

void master_peers_tick(struct master *m, uint64_t now_ms)
{
	const struct child *keeper = &m->children->keeper;

	for (size_t i = 0; i < MASTER_QUERIES; i++) {
		struct peers_query *q = &m->peers[i];
		uint64_t client = q->client;

		if (client == 0)
			continue;
		if (q->deadline_ms <= now_ms)
			answer(m, client, peers_query_fail(q, "the keeper did not answer in time, try again"));
		else if (keeper->pid > 0 && keeper->incarnation != q->keeper)
			ask_keeper(m, q);
	}
}

uint64_t master_peers_due(const struct master *m)
{
	uint64_t due = UINT64_MAX;

	for (size_t i = 0; i < MASTER_QUERIES; i++)
		if (m->peers[i].client && m->peers[i].deadline_ms < due)
			due = m->peers[i].deadline_ms;
	return due;
}

void master_peers_release(struct master *m)
{
	for (size_t i = 0; i < MASTER_QUERIES; i++)
		if (m->peers[i].client)
			strbuf_fini(&m->peers[i].text);
}

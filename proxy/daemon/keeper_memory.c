/* SPDX-License-Identifier: MIT */
/*
 * Peer memory beside the audit log in one process. The log comes first: a store that cannot be written is closed, what
 * is observed meanwhile is counted as lost and acknowledged, and it is opened anew, less and less often, until it can
 * be; soon where something about it is seen to change (it was moved away, as the message about a damaged one advises).
 * Whoever asks meanwhile hears at once that memory cannot say.
 */
#include "daemon/keeper_memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/peer_list.h"
#include "daemon/peer_message.h"
#include "memory/store.h"

/* Opening reads the whole file, during which no record is acknowledged: it waits longer each time. Looking costs
 * nothing.
 */
#define LOOK_MS 5000
#define WAIT_MAX_MS 300000
/* With less than that on its file system a store is not worth a try. */
#define ROOM (256u << 10)

static void lose(struct keeper_memory *memory, size_t observations)
{
	atomic_fetch_add(&memory->shared->observations_lost, (uint64_t)observations);
}

static struct keeper_place look_at(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return (struct keeper_place){.inode = 0};
	return (struct keeper_place){.device = st.st_dev, .inode = st.st_ino, .changed = st.st_ctim};
}

static struct keeper_sight look(const char *directory)
{
	char *file = mem_printf("%s/peers.db", directory), *itself = mem_printf("%s/.", directory);
	struct keeper_sight sight = {.file = look_at(file), .directory = look_at(itself)};
	struct statvfs fs;

	mem_free(file);
	mem_free(itself);
	if (statvfs(directory, &fs) < 0)
		return sight;
	sight.room = (uint64_t)fs.f_bavail * fs.f_frsize >= ROOM;
	sight.writable = !(fs.f_flag & ST_RDONLY);
	return sight;
}

static bool same_place(const struct keeper_place *a, const struct keeper_place *b)
{
	return a->device == b->device && a->inode == b->inode && a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

static bool is_unchanged(const struct keeper_sight *a, const struct keeper_sight *b)
{
	return same_place(&a->file, &b->file) && same_place(&a->directory, &b->directory) && a->room == b->room &&
	       a->writable == b->writable;
}

static void wait_longer(struct keeper_memory *memory, uint64_t now_ms)
{
	memory->wait_ms = memory->wait_ms == 0 ? LOOK_MS : 2 * memory->wait_ms;
	if (memory->wait_ms > WAIT_MAX_MS)
		memory->wait_ms = WAIT_MAX_MS;
	memory->look_at = now_ms + LOOK_MS;
	memory->open_at = now_ms + memory->wait_ms;
	memory->sight = look(memory->directory);
}

static void fail(struct keeper_memory *memory, const char *why)
{
	if (!memory->failing)
		log_error("peer memory: %s; until it can be used, what is seen of remote domains is not remembered, "
			  "and nothing is known of them",
			  why);
	lose(memory, memory->batch);
	memory->batch = 0;
	memory->failing = true;
	atomic_store(&memory->shared->memory_failing, 1);
	peer_store_close(&memory->store);
	wait_longer(memory, clock_ms());
}

static void count_peers(struct keeper_memory *memory)
{
	atomic_store(&memory->shared->peers, (uint64_t)peer_store_count(memory->store));
}

static void take_store(struct keeper_memory *memory, struct peer_store *store)
{
	peer_store_close(&memory->store);
	memory->store = store;
	if (memory->failing)
		log_info("peer memory in %s is written again; %llu observations were lost", memory->directory,
			 (unsigned long long)atomic_load(&memory->shared->observations_lost));
	memory->failing = false;
	atomic_store(&memory->shared->memory_failing, 0);
	count_peers(memory);
}

static bool is_of(const struct keeper_memory *memory, const char *directory)
{
	return memory->directory && strcmp(memory->directory, directory) == 0;
}

int keeper_memory_open(struct keeper_memory *memory, const char *directory, struct errbuf *err)
{
	struct peer_store *store;

	if (memory->store && is_of(memory, directory))
		return 0;
	store = peer_store_open(directory, err);
	if (!store)
		return -1;
	keeper_memory_commit(memory);
	mem_free(memory->directory);
	memory->directory = mem_strdup(directory);
	take_store(memory, store);
	return 0;
}

int keeper_memory_prepare(struct keeper_memory *memory, const char *directory, struct errbuf *err)
{
	if (is_of(memory, directory))
		return 0;
	return keeper_memory_open(memory, directory, err);
}

void keeper_memory_need(struct keeper_memory *memory, const char *directory)
{
	struct errbuf err = {.text = ""};

	if (keeper_memory_open(memory, directory, &err) == 0)
		return;
	mem_free(memory->directory);
	memory->directory = mem_strdup(directory);
	fail(memory, err.text);
}

void keeper_memory_close(struct keeper_memory *memory)
{
	keeper_memory_commit(memory);
	peer_store_close(&memory->store);
	mem_free(memory->directory);
	memory->directory = NULL;
}

void keeper_memory_observe(struct keeper_memory *memory, const struct message *m)
{
	struct peer_observation seen;
	struct errbuf err = {.text = ""};
	bool sound = m->len == sizeof(seen);

	if (sound)
		memcpy(&seen, m->payload, sizeof(seen));
	if (!memory->store || !sound || !peer_observation_valid(&seen)) {
		lose(memory, 1);
		return;
	}
	memory->batch++;
	if (peer_store_observe(memory->store, &seen, &err) < 0)
		fail(memory, err.text);
}

void keeper_memory_commit(struct keeper_memory *memory)
{
	struct errbuf err = {.text = ""};

	if (memory->batch == 0)
		return;
	if (peer_store_commit(memory->store, &err) < 0) {
		fail(memory, err.text);
		return;
	}
	atomic_fetch_add(&memory->shared->observations, (uint64_t)memory->batch);
	memory->batch = 0;
	memory->wait_ms = 0;
	count_peers(memory);
}

void keeper_memory_answer(struct keeper_memory *memory, const struct message *m, struct outbox *box)
{
	struct message answer = {.type = MESSAGE_PEER_KNOWN, .incarnation = m->incarnation, .number = m->number};
	struct errbuf err = {.text = ""};
	struct peer_question question;
	struct peer_memory known;

	if (memory->store && m->len == sizeof(question)) {
		memcpy(&question, m->payload, sizeof(question));
		question.domain[sizeof(question.domain) - 1] = '\0';
		if (peer_store_get(memory->store, question.domain, question.service, &known, &err) == 0) {
			answer.payload = &known;
			answer.len = sizeof(known);
		} else {
			fail(memory, err.text);
		}
	}
	outbox_add(box, &answer);
}

static int knows_certificate(struct peer_store *store, const struct peers_question *q, bool *known_out,
			     struct errbuf *err)
{
	struct peer_memory known;

	*known_out = false;
	for (unsigned i = 0; i < PEER_SERVICES; i++) {
		if (peer_store_get(store, q->domain, (enum peer_service)i, &known, err) < 0)
			return -1;
		*known_out = *known_out || peer_memory_find(&known, q->sha256) != NULL;
	}
	return 0;
}

/* What the operator decides is on his log: it changes what streams are let through. */
static int change(struct keeper_memory *memory, const struct peers_question *q, struct peers_answer *out,
		  struct errbuf *err)
{
	bool accept = q->verb == PEERS_ACCEPT, one = accept && q->sha256[0] != '\0';
	struct peer_store *store = memory->store;

	if (one && knows_certificate(store, q, &out->known, err) < 0)
		return -1;
	if ((accept ? peer_store_accept(store, q->domain, q->sha256, &out->count, err)
		    : peer_store_forget(store, q->domain, &out->count, err)) < 0)
		return -1;
	count_peers(memory);
	if (out->known && one)
		log_info("peer memory: certificate %s of %s is accepted by `portcullis peers accept`", q->sha256,
			 q->domain);
	else if (out->known && accept)
		log_info("peer memory: all certificates seen of %s are accepted by `portcullis peers accept`, %u of "
			 "them were not before",
			 q->domain, out->count);
	else if (out->known)
		log_info("peer memory: %s is forgotten by `portcullis peers forget`", q->domain);
	return 0;
}

static int answer_question(struct keeper_memory *memory, const struct peers_question *q, struct peers_answer *out,
			   struct strbuf *text, struct errbuf *err)
{
	struct peers_question show = {.verb = PEERS_SHOW};
	int result;

	if (q->verb == PEERS_LIST || q->verb == PEERS_SHOW)
		return peer_list_page(memory->store, q, out, text, err);
	keeper_memory_commit(memory);
	if (!memory->store) {
		errbuf_set(err, "it cannot be written now");
		return -1;
	}
	memcpy(show.domain, q->domain, sizeof(show.domain));
	result = peer_list_page(memory->store, &show, out, text, err);
	strbuf_clear(text);
	return result < 0 ? -1 : change(memory, q, out, err);
}

void keeper_memory_tell(struct keeper_memory *memory, const struct message *m, struct outbox *box)
{
	struct message answer = {.type = MESSAGE_PEERS_ANSWER, .number = m->number};
	struct errbuf err = {.text = "it cannot be read now; the operator's log says why"};
	struct peers_answer head = {.ok = false};
	struct peers_question question;
	struct strbuf text, payload;

	if (m->len != sizeof(question))
		return;
	memcpy(&question, m->payload, sizeof(question));
	question.sha256[sizeof(question.sha256) - 1] = '\0';
	strbuf_init(&text, MESSAGE_PAYLOAD_MAX);
	strbuf_init(&payload, MESSAGE_PAYLOAD_MAX);
	if (memory->store) {
		head.ok = answer_question(memory, &question, &head, &text, &err) == 0;
		if (!head.ok && memory->store)
			fail(memory, err.text);
	}
	strbuf_add(&payload, &head, sizeof(head));
	strbuf_puts(&payload, head.ok ? strbuf_text(&text) : err.text);
	answer.payload = payload.data;
	answer.len = payload.len;
	outbox_add(box, &answer);
	strbuf_fini(&text);
	strbuf_fini(&payload);
}

void keeper_memory_tick(struct keeper_memory *memory, uint64_t now_ms)
{
	struct errbuf err = {.text = ""};
	struct keeper_sight now;
	struct peer_store *store;

	if (!memory->failing || now_ms < memory->look_at)
		return;
	now = look(memory->directory);
	memory->look_at = now_ms + LOOK_MS;
	if (now_ms < memory->open_at && is_unchanged(&now, &memory->sight))
		return;
	store = peer_store_open(memory->directory, &err);
	if (store)
		take_store(memory, store);
	else
		wait_longer(memory, now_ms);
}

uint64_t keeper_memory_due(const struct keeper_memory *memory)
{
	return memory->failing ? memory->look_at : UINT64_MAX;
}

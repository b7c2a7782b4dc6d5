/* SPDX-License-Identifier: MIT */
/*
 * The keeper: takes records from the couriers, writes them in batches (one write a turn), and acknowledges only what is
 * in the log. While the log cannot be written it takes nothing more: records wait in the couriers, which bound them. A
 * record that comes a second time, because a keeper before this one died between writing and acknowledging, is
 * acknowledged and not written. It ends when the master has closed its side and every channel is at its end, so that
 * also what a killed worker had still sent gets into the log. Observations of peers come numbered among the records and
 * go into peer memory, which is committed before anything is acknowledged and can never stop the log; questions about
 * peers are answered as they come, and a channel whose answers are not taken is not read.
 */
#include "daemon/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/writer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/keeper_memory.h"
#include "daemon/message.h"
#include "daemon/outbox.h"

#define BATCH_RECORDS 64
#define BATCH_QUESTIONS 64
#define BATCH_BYTES ((size_t)128 << 10)
#define RETRY_MS 1000
#define LAST_TRIES 3

struct channel {
	int fd;
	uint64_t slot;
	uint32_t incarnation;
	uint64_t taken; /* highest number given to the writer, or found written */
	uint64_t acknowledged;
	struct outbox answers; /* not taken yet */
};

struct keeper {
	struct keeper_params params;
	struct audit_writer *writer;
	struct keeper_memory memory;
	struct outbox answers; /* for the master, not taken yet */
	struct channel *channels;
	struct pollfd *polls; /* [0] is the control channel, [i + 1] is channels[i] */
	size_t count;
	size_t batch_bytes;
	size_t questions; /* answered in this turn of a channel */
	size_t turn;      /* where reading starts: nobody starves */
	uint64_t retry_at;
	unsigned tries_left;
	int on_failure; /* enum audit_on_failure: for what is said, the couriers act on it */
	bool failing, closing;
	uint8_t buffer[MESSAGE_SIZE_MAX];
};

static const char *log_name(const struct keeper *k)
{
	static const char *const names[AUDIT_OUTPUT_COUNT] = {
	    [AUDIT_STDOUT] = "stdout", [AUDIT_SYSLOG] = "syslog", [AUDIT_JOURNALD] = "journald"};

	if (k->params.audit->output == AUDIT_FILE)
		return k->params.audit->file_path;
	return names[k->params.audit->output];
}

static struct shared_slot *slot_of(struct keeper *k, const struct channel *ch)
{
	return ch->slot < k->params.shared->workers ? &k->params.shared->slot[ch->slot] : NULL;
}

/* Is the record in the log already, by what an earlier keeper left in the shared slot? */
static bool written_before(struct keeper *k, const struct channel *ch, uint64_t number)
{
	struct shared_slot *slot = slot_of(k, ch);

	return slot && atomic_load(&slot->audit_written_incarnation) == ch->incarnation &&
	       number <= atomic_load(&slot->audit_written);
}

static void remember_written(struct keeper *k, const struct channel *ch)
{
	struct shared_slot *slot = slot_of(k, ch);
	uint32_t known;

	if (!slot)
		return;
	known = atomic_load(&slot->audit_written_incarnation);
	/* The last words of a dead worker come after its successor's first: they must not undo these. */
	if (known > ch->incarnation)
		return;
	if (known < ch->incarnation) {
		atomic_store(&slot->audit_written, 0);
		atomic_store(&slot->audit_written_incarnation, ch->incarnation);
	}
	/* A keeper that follows another is sent again what that one wrote: it begins below. */
	if (ch->taken > atomic_load(&slot->audit_written))
		atomic_store(&slot->audit_written, ch->taken);
}

static void add_channel(struct keeper *k, const struct message *m, int fd)
{
	k->channels = mem_realloc(k->channels, (k->count + 1) * sizeof(*k->channels));
	k->polls = mem_realloc(k->polls, (k->count + 2) * sizeof(*k->polls));
	k->channels[k->count++] = (struct channel){.fd = fd, .slot = m->number, .incarnation = m->incarnation};
}

static void remove_ended_channels(struct keeper *k)
{
	size_t kept = 0;

	for (size_t i = 0; i < k->count; i++) {
		if (k->channels[i].fd >= 0)
			k->channels[kept++] = k->channels[i];
		else
			outbox_fini(&k->channels[i].answers);
	}
	k->count = kept;
}

static void store_item(struct keeper *k, const struct message *m)
{
	if (m->type == MESSAGE_OBSERVATION)
		keeper_memory_observe(&k->memory, m);
	else if (audit_writer_add(k->writer, m->payload, m->len))
		k->batch_bytes += m->len;
}

static void take_item(struct keeper *k, struct channel *ch, const struct message *m)
{
	if (m->number <= ch->taken)
		return;
	if (!written_before(k, ch, m->number))
		store_item(k, m);
	ch->taken = m->number;
}

static bool batch_full(const struct keeper *k)
{
	return audit_writer_pending(k->writer) + k->memory.batch >= BATCH_RECORDS || k->batch_bytes >= BATCH_BYTES;
}

static void end_channel(struct channel *ch)
{
	close(ch->fd);
	ch->fd = -1;
}

static void take_message(struct keeper *k, struct channel *ch, const struct message *m)
{
	if (m->incarnation != ch->incarnation)
		return;
	if (m->type == MESSAGE_RECORD || m->type == MESSAGE_OBSERVATION)
		take_item(k, ch, m);
	if (m->type != MESSAGE_PEER_ASK)
		return;
	k->questions++;
	keeper_memory_answer(&k->memory, m, &ch->answers);
	outbox_flush(&ch->answers, ch->fd);
}

static void read_channel(struct keeper *k, struct channel *ch)
{
	enum message_result result = MESSAGE_AGAIN;
	struct message m;

	k->questions = 0;
	while (!batch_full(k) && k->questions < BATCH_QUESTIONS && outbox_flush(&ch->answers, ch->fd) &&
	       (result = message_receive(ch->fd, &m, k->buffer, NULL)) == MESSAGE_OK)
		take_message(k, ch, &m);
	if (result == MESSAGE_GONE)
		end_channel(ch);
}

/* The writer names the file before its reason; so does every line here. */
static const char *reason_only(const struct keeper *k, const char *text)
{
	size_t len = strlen(log_name(k));

	if (strncmp(text, log_name(k), len) == 0 && strncmp(text + len, ": ", 2) == 0)
		return text + len + 2;
	return text;
}

static void reopen(struct keeper *k)
{
	struct errbuf err = {.text = ""};

	if (audit_writer_reopen(k->writer, &err) < 0)
		log_error("audit log %s cannot be opened again: %s; the old file stays in use", log_name(k),
			  reason_only(k, err.text));
	else
		log_info("audit log %s opened again", log_name(k));
}

static void take_settings(struct keeper *k, const struct message *m)
{
	struct keeper_settings settings;

	if (m->len != sizeof(settings))
		return;
	memcpy(&settings, m->payload, sizeof(settings));
	k->on_failure = settings.on_failure;
	log_setup((enum log_output)settings.log_output, (enum log_level)settings.log_level);
	settings.state_directory[sizeof(settings.state_directory) - 1] = '\0';
	if (settings.state_directory[0])
		keeper_memory_need(&k->memory, settings.state_directory);
}

/* A configuration that brings a memory which cannot be opened is not taken. */
static void prepare(struct keeper *k, const struct message *m)
{
	struct message answer = {.type = MESSAGE_PREPARED, .number = m->number};
	char *directory = mem_strndup(m->payload, m->len);
	struct errbuf err = {.text = ""};

	if (keeper_memory_prepare(&k->memory, directory, &err) < 0) {
		answer.type = MESSAGE_UNFIT;
		answer.payload = err.text;
		answer.len = strlen(err.text);
	}
	outbox_add(&k->answers, &answer);
	mem_free(directory);
}

static void obey(struct keeper *k, const struct message *m)
{
	if (m->type == MESSAGE_REOPEN)
		reopen(k);
	if (m->type == MESSAGE_SETTINGS)
		take_settings(k, m);
	if (m->type == MESSAGE_PREPARE)
		prepare(k, m);
	if (m->type == MESSAGE_PEERS)
		keeper_memory_tell(&k->memory, m, &k->answers);
}

static void read_control(struct keeper *k)
{
	enum message_result result;
	struct message m;
	int fd;

	while ((result = message_receive(k->params.control, &m, k->buffer, &fd)) == MESSAGE_OK) {
		if (m.type == MESSAGE_CHANNEL && fd >= 0)
			add_channel(k, &m, fd);
		else if (fd >= 0)
			close(fd);
		obey(k, &m);
	}
	outbox_flush(&k->answers, k->params.control);
	if (result == MESSAGE_GONE) {
		k->closing = true;
		k->tries_left = LAST_TRIES;
	}
}

static void set_failing(struct keeper *k, bool failing, const char *why)
{
	const char *then = k->on_failure == AUDIT_REFUSE ? "new streams are refused until it can"
							 : "streams go on, records wait until it can";

	if (failing && !k->failing)
		log_error("audit log %s cannot be written: %s; %s", log_name(k), reason_only(k, why), then);
	if (!failing && k->failing)
		log_info("audit log %s is written again", log_name(k));
	k->failing = failing;
	atomic_store(&k->params.shared->keeper.failing, failing ? 1 : 0);
}

/* Only what is in the log is acknowledged: that is what a stream waits for before it is joined. */
static void acknowledge(struct keeper *k)
{
	for (size_t i = 0; i < k->count; i++) {
		struct channel *ch = &k->channels[i];
		struct message m = {.type = MESSAGE_WRITTEN, .incarnation = ch->incarnation, .number = ch->taken};

		if (ch->taken == ch->acknowledged)
			continue;
		remember_written(k, ch);
		if (ch->fd < 0 || message_send(ch->fd, &m, -1) != MESSAGE_AGAIN)
			ch->acknowledged = ch->taken;
	}
}

/* For a keeper after this one. */
static void publish_chain(struct keeper *k)
{
	const struct audit_chain *chain = audit_writer_chain(k->writer);
	struct shared_keeper *shared = &k->params.shared->keeper;
	uint32_t next = !atomic_load(&shared->chain_at);

	shared->chain[next].seq = chain->seq;
	memcpy(shared->chain[next].hash, chain->hash, sizeof(chain->hash));
	atomic_store(&shared->chain_at, next);
	atomic_store(&shared->seq, chain->seq);
}

static void resume_chain(struct keeper *k)
{
	const struct shared_keeper *shared = &k->params.shared->keeper;
	const struct shared_chain *left = &shared->chain[atomic_load(&shared->chain_at) & 1];
	struct audit_chain chain = {.seq = left->seq};

	memcpy(chain.hash, left->hash, sizeof(chain.hash));
	audit_writer_resume(k->writer, &chain);
}

/* What is written into a file without a name nobody will ever read: the log goes on in a new one, or counts as failing.
 */
static int write_batch(struct keeper *k, struct errbuf *err)
{
	if (audit_writer_pending(k->writer) == 0)
		return 0;
	if (audit_writer_deleted(k->writer)) {
		if (audit_writer_reopen(k->writer, err) < 0)
			return -1;
		log_warn("audit log %s was deleted while it was in use: the records in it are gone; a new file goes on",
			 log_name(k));
	}
	return audit_writer_flush(k->writer, err);
}

static void flush(struct keeper *k)
{
	struct errbuf err = {.text = ""};
	size_t pending = audit_writer_pending(k->writer);

	keeper_memory_commit(&k->memory);
	if (write_batch(k, &err) < 0) {
		set_failing(k, true, err.text);
		k->retry_at = clock_ms() + RETRY_MS;
		if (k->closing && k->tries_left > 0)
			k->tries_left--;
		return;
	}
	k->batch_bytes = 0;
	atomic_fetch_add(&k->params.shared->keeper.written, (uint64_t)pending);
	publish_chain(k);
	set_failing(k, false, "");
	acknowledge(k);
	remove_ended_channels(k);
}

static int wait_for_work(struct keeper *k)
{
	uint64_t now = clock_ms(), due = keeper_memory_due(&k->memory);
	short control = (short)(POLLIN | (k->answers.head ? POLLOUT : 0));

	k->polls[0] = (struct pollfd){.fd = k->closing ? -1 : k->params.control, .events = control};
	for (size_t i = 0; i < k->count; i++) {
		const struct channel *ch = &k->channels[i];
		short events = ch->answers.head ? POLLOUT : POLLIN;

		if (ch->taken > ch->acknowledged)
			events = (short)(events | POLLOUT);

		/* While the log fails nothing is read: a descriptor without a wish would report its end, over and over.
		 */
		k->polls[i + 1] = (struct pollfd){.fd = k->failing ? -1 : ch->fd, .events = events};
	}
	if (k->failing && k->retry_at < due)
		due = k->retry_at;
	return poll(k->polls, k->count + 1, due == UINT64_MAX ? -1 : due > now ? (int)(due - now) : 0);
}

static void turn(struct keeper *k)
{
	size_t count = k->count;
	short control;

	if (wait_for_work(k) < 0)
		return;
	control = k->polls[0].revents;
	for (size_t i = 0; i < count && !k->failing; i++) {
		size_t at = (k->turn + i) % count;

		if (k->polls[at + 1].revents)
			read_channel(k, &k->channels[at]);
	}
	k->turn++;
	if (control)
		read_control(k);
	keeper_memory_tick(&k->memory, clock_ms());
	if (!k->failing || clock_ms() >= k->retry_at)
		flush(k);
}

/* The account the keeper is about to take must be able to open the file again after a rotation. */
static void give_file(const struct keeper *k)
{
	const struct account *account = k->params.account;
	struct stat st;
	int fd;

	if (!account->change || k->params.audit->output != AUDIT_FILE)
		return;
	fd = open(k->params.audit->file_path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return;
	/* Never a device or a file that has another name too: that would give away what is not ours. */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
	    fchown(fd, account->uid, account->gid) < 0)
		log_warn("cannot give %s to the account: %s", log_name(k), strerror(errno));
	close(fd);
}

/* With the rights of the account, which will have to do for every reopening. */
static int start_memory(struct keeper *k, struct errbuf *err)
{
	const char *directory = k->params.state_directory;

	k->memory.shared = &k->params.shared->keeper;
	atomic_store(&k->memory.shared->memory_failing, 0);
	if (directory && k->params.restarted)
		keeper_memory_need(&k->memory, directory);
	else if (directory)
		return keeper_memory_open(&k->memory, directory, err);
	return 0;
}

static int start(struct keeper *k, struct errbuf *err)
{
	k->writer = audit_writer_open(k->params.audit, STDOUT_FILENO, err);
	if (!k->writer)
		return -1;
	give_file(k);
	if (privileges_drop(k->params.account, err) < 0)
		return -1;
	resume_chain(k);
	publish_chain(k);
	atomic_store(&k->params.shared->keeper.failing, 0);
	return start_memory(k, err);
}

static void prefix(void *ctx, char *out, size_t size)
{
	(void)ctx;
	snprintf(out, size, "keeper: ");
}

static int finish(struct keeper *k)
{
	size_t left = k->writer ? audit_writer_pending(k->writer) : 0;

	if (left > 0)
		log_error("%zu records could not be written to audit log %s", left, log_name(k));
	for (size_t i = 0; i < k->count; i++) {
		outbox_fini(&k->channels[i].answers);
		if (k->channels[i].fd >= 0)
			close(k->channels[i].fd);
	}
	outbox_fini(&k->answers);
	keeper_memory_close(&k->memory);
	if (k->writer)
		audit_writer_free(&k->writer);
	mem_free(k->channels);
	mem_free(k->polls);
	mem_free(k);
	return left > 0 ? 3 : 0;
}

int keeper_main(const struct keeper_params *params)
{
	struct keeper *k = mem_zalloc(sizeof(*k));
	struct message m = {.type = MESSAGE_READY};
	struct errbuf err = {.text = ""};

	k->params = *params;
	k->on_failure = params->audit->on_failure;
	k->polls = mem_zalloc(sizeof(*k->polls));
	log_set_prefix(prefix, NULL);
	if (start(k, &err) < 0) {
		m = (struct message){.type = MESSAGE_FAILED, .payload = err.text, .len = strlen(err.text)};
		message_send(params->control, &m, -1);
		finish(k);
		return 3;
	}
	message_send(params->control, &m, -1);
	while (!k->closing || (k->count > 0 && !k->failing) || (k->failing && k->tries_left > 0))
		turn(k);
	return finish(k);
}

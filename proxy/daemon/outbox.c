/* SPDX-License-Identifier: MIT */
/*
 * A list of copied messages in the order they are to go out. Used where an answer is larger than a socket's buffer
 * (`portcullis streams`), so that the worker goes on serving streams meanwhile.
 */
#include "daemon/outbox.h"

#include "base/mem.h"

struct outbox_entry {
	struct outbox_entry *next;
	struct message message; /* its payload is `copy` */
	void *copy;
};

void outbox_add(struct outbox *box, const struct message *m)
{
	struct outbox_entry *entry = mem_zalloc(sizeof(*entry));

	entry->message = *m;
	entry->copy = m->len ? mem_dup(m->payload, m->len) : NULL;
	entry->message.payload = entry->copy;
	if (box->tail)
		box->tail->next = entry;
	else
		box->head = entry;
	box->tail = entry;
}

static void drop_head(struct outbox *box)
{
	struct outbox_entry *entry = box->head;

	box->head = entry->next;
	if (!box->head)
		box->tail = NULL;
	mem_free(entry->copy);
	mem_free(entry);
}

bool outbox_flush(struct outbox *box, int fd)
{
	while (box->head) {
		enum message_result result = message_send(fd, &box->head->message, -1);

		if (result == MESSAGE_AGAIN)
			return false;
		if (result == MESSAGE_GONE)
			outbox_fini(box);
		else
			drop_head(box);
	}
	return true;
}

void outbox_fini(struct outbox *box)
{
	while (box->head)
		drop_head(box);
}

/* SPDX-License-Identifier: MIT */
/* Messages waiting for a socket that takes no more just now. */
#ifndef PROXY_DAEMON_OUTBOX_H
#define PROXY_DAEMON_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/message.h"

struct outbox {
	struct outbox_entry *head, *tail; /* NULL: empty */
};

/* Copies the message to the end. */
void outbox_add(struct outbox *box, const struct message *m);
/* Sends what fd takes; true: nothing is left, or the socket is gone. */
bool outbox_flush(struct outbox *box, int fd);
void outbox_fini(struct outbox *box);

#endif

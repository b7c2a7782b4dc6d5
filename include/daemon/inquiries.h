/* SPDX-License-Identifier: MIT */
/* A courier's questions to peer memory, until each is answered or its time is up. Knows no event loop. */
#ifndef PROXY_DAEMON_INQUIRIES_H
#define PROXY_DAEMON_INQUIRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/message.h"
#include "memory/recall.h"

/* Questions that may wait at once; with the courier's tick of a second an answer comes within three. */
#define INQUIRIES_MAX 10000
#define INQUIRIES_WAIT_MS 2000

struct inquiries;

struct inquiries *inquiries_new(size_t max);
/* No answer is called any more. */
void inquiries_free(struct inquiries **inquiries);

/* hopeless: it is not even asked; the answer, that memory cannot say, comes with the next call_back. A ticket, never 0.
 */
uint64_t inquiries_ask(struct inquiries *inquiries, const char *domain, enum peer_service service, bool hopeless,
		       peer_answer_fn *answer, void *ctx);
void inquiries_forget(struct inquiries *inquiries, uint64_t ticket);

/* A channel to another keeper: what waits is asked again. */
void inquiries_resend(struct inquiries *inquiries);
bool inquiries_unsent(const struct inquiries *inquiries);
/* Sends what the channel takes; false: it takes no more. */
bool inquiries_send(struct inquiries *inquiries, int fd, uint32_t incarnation);
/* A MESSAGE_PEER_KNOWN came. */
void inquiries_take(struct inquiries *inquiries, const struct message *m);
/* Those whose time is up are answered, that memory cannot say. */
void inquiries_tick(struct inquiries *inquiries, uint64_t now_ms);
/* Calls the answers that are due. */
void inquiries_call_back(struct inquiries *inquiries);
/* Asked, and not answered yet. */
size_t inquiries_waiting(const struct inquiries *inquiries);

#endif

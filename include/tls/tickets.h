/* SPDX-License-Identifier: MIT */
/* Session-ticket keys shared by all workers: the master makes and rotates them, workers read them (TLS-13). */
#ifndef PROXY_TLS_TICKETS_H
#define PROXY_TLS_TICKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/shared.h"

/* Master: makes the first key, or replaces it once it is lifetime_s old; destroys keys older than two lifetimes.
 * Returns true if something changed. now_s: seconds since 1970. */
bool tickets_rotate(struct shared_tickets *tickets, int64_t lifetime_s, int64_t now_s);
/* Worker: a consistent copy of the keys; false if there are none. */
bool tickets_read(const struct shared_tickets *tickets, struct shared_ticket_key out[SHARED_TICKET_KEYS]);

#endif

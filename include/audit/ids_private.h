/* SPDX-License-Identifier: MIT */
/* The event.ids that the end of the log holds, so that a record sent twice is written once. */
#ifndef PROXY_AUDIT_IDS_PRIVATE_H
#define PROXY_AUDIT_IDS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

struct audit_ids;

struct audit_ids *audit_ids_new(void);
void audit_ids_free(struct audit_ids **ids);
/* Finds event.id in a record of ours (audit_record_json); NULL where there is none. */
const char *audit_ids_find(const char *json, size_t len, size_t *id_len_out);
/* Both take the record, not the id. A record without an id is never remembered. */
void audit_ids_remember(struct audit_ids *ids, const char *json, size_t len);
bool audit_ids_knows(const struct audit_ids *ids, const char *json, size_t len);
size_t audit_ids_count(const struct audit_ids *ids);

#endif

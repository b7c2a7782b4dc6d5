/* SPDX-License-Identifier: MIT */
/*
 * A set of event.ids. Ids reach the keeper from workers, the most exposed processes there are, so the hash is keyed.
 * The set holds what one tail of the log holds and does not grow afterwards: records are sent twice only across a
 * restart of the keeper.
 */
#include "audit/ids_private.h"

#include <string.h>

#include "base/mem.h"
#include "base/siphash.h"

static struct siphash_key ids_key;

#define HASH_FUNCTION(key, len, hashv) ((hashv) = (unsigned)siphash13(&ids_key, (key), (len)))
#define uthash_malloc(size) mem_alloc(size)
#define uthash_free(ptr, size) mem_free(ptr)
#include <uthash.h>

struct id {
	UT_hash_handle hh;
	char text[];
};

struct audit_ids {
	struct id *table;
};

struct audit_ids *audit_ids_new(void)
{
	static bool keyed;

	if (!keyed)
		siphash_key_random(&ids_key);
	keyed = true;
	return mem_zalloc(sizeof(struct audit_ids));
}

void audit_ids_free(struct audit_ids **ids)
{
	struct id *item, *next;

	if (!*ids)
		return;
	HASH_ITER(hh, (*ids)->table, item, next)
	{
		HASH_DEL((*ids)->table, item);
		mem_free(item);
	}
	mem_free(*ids);
	*ids = NULL;
}

const char *audit_ids_find(const char *json, size_t len, size_t *id_len_out)
{
	static const char event[] = "\"event\":{", name[] = "\"id\":\"";
	const char *end = json + len, *at, *close;

	at = memmem(json, len, event, sizeof(event) - 1);
	if (!at)
		return NULL;
	/* The members before id are words of ours: the first brace ends the part of the object that may hold it. */
	close = memchr(at + sizeof(event) - 1, '}', (size_t)(end - at) - (sizeof(event) - 1));
	if (!close)
		return NULL;
	at = memmem(at, (size_t)(close - at), name, sizeof(name) - 1);
	if (!at)
		return NULL;
	at += sizeof(name) - 1;
	close = memchr(at, '"', (size_t)(end - at));
	if (!close || close == at)
		return NULL;
	*id_len_out = (size_t)(close - at);
	return at;
}

static struct id *find(const struct audit_ids *ids, const char *id, size_t len)
{
	struct id *found;

	HASH_FIND(hh, ids->table, id, len, found);
	return found;
}

void audit_ids_remember(struct audit_ids *ids, const char *json, size_t len)
{
	size_t id_len = 0;
	const char *id = audit_ids_find(json, len, &id_len);
	struct id *item;

	if (!id || find(ids, id, id_len))
		return;
	item = mem_alloc(sizeof(*item) + id_len);
	memcpy(item->text, id, id_len);
	HASH_ADD_KEYPTR(hh, ids->table, item->text, id_len, item);
}

bool audit_ids_knows(const struct audit_ids *ids, const char *json, size_t len)
{
	size_t id_len = 0;
	const char *id = audit_ids_find(json, len, &id_len);

	return id && find(ids, id, id_len);
}

size_t audit_ids_count(const struct audit_ids *ids)
{
	return HASH_COUNT(ids->table);
}

/* SPDX-License-Identifier: MIT */
/*
 * The table of ids: a keyed hash chooses one of many short rows, and of a full row the entry not used for longest makes
 * room, so that nothing is linked and nothing can be left half linked. Invariant: `used` is 0 while an entry is being
 * written; whoever is killed meanwhile, with the lock in its hand, leaves an empty entry and every other one whole.
 */
#include "base/shared_ids.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/siphash.h"

#define ROWS 512u
#define WAYS 8u

struct id_key {
	char from[SHARED_ID_DOMAIN_SIZE], to[SHARED_ID_DOMAIN_SIZE];
	char theirs[SHARED_ID_SIZE];
};

struct id_entry {
	_Atomic uint64_t used; /* when it was used last, counted in uses; 0: empty */
	struct id_key key;     /* zero behind each text: compared and hashed as bytes */
	char ours[SHARED_ID_SIZE];
};

struct shared_ids {
	pthread_mutex_t lock;
	struct siphash_key hash_key;
	uint64_t uses;
	struct id_entry entry[ROWS][WAYS];
};

size_t shared_ids_size(void)
{
	return sizeof(struct shared_ids);
}

void shared_ids_init(struct shared_ids *ids)
{
	pthread_mutexattr_t attr;

	siphash_key_random(&ids->hash_key);
	if (pthread_mutexattr_init(&attr) || pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) ||
	    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) || pthread_mutex_init(&ids->lock, &attr)) {
		log_error("no lock can be shared between processes");
		abort();
	}
	(void)pthread_mutexattr_destroy(&attr);
}

static void ids_lock(struct shared_ids *ids)
{
	int rc = pthread_mutex_lock(&ids->lock);

	if (rc == EOWNERDEAD)
		rc = pthread_mutex_consistent(&ids->lock);
	if (rc) {
		log_error("the table of stream ids cannot be locked: %s", strerror(rc));
		abort();
	}
}

static void ids_unlock(struct shared_ids *ids)
{
	if (pthread_mutex_unlock(&ids->lock))
		abort();
}

static bool fill(char *out, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (len >= size)
		return false;
	memcpy(out, text, len + 1);
	return true;
}

static bool fill_key(struct id_key *key, const char *from, const char *to, const char *theirs)
{
	memset(key, 0, sizeof(*key));
	return fill(key->from, sizeof(key->from), from) && fill(key->to, sizeof(key->to), to) &&
	       fill(key->theirs, sizeof(key->theirs), theirs);
}

static struct id_entry *row_of(struct shared_ids *ids, const struct id_key *key)
{
	return ids->entry[siphash13(&ids->hash_key, key, sizeof(*key)) % ROWS];
}

static struct id_entry *find(struct shared_ids *ids, const struct id_key *key)
{
	struct id_entry *row = row_of(ids, key);
	unsigned i;

	for (i = 0; i < WAYS; i++)
		if (row[i].used != 0 && memcmp(&row[i].key, key, sizeof(*key)) == 0)
			return &row[i];
	return NULL;
}

/* Empty ones have never been used: they are found first. */
static struct id_entry *oldest(struct id_entry *row)
{
	struct id_entry *found = row;
	unsigned i;

	for (i = 1; i < WAYS; i++)
		if (row[i].used < found->used)
			found = &row[i];
	return found;
}

bool shared_ids_put(struct shared_ids *ids, const char *from, const char *to, const char *theirs, const char *ours)
{
	struct id_entry *e;
	struct id_key key;

	if (!fill_key(&key, from, to, theirs) || strlen(ours) >= SHARED_ID_SIZE)
		return false;
	ids_lock(ids);
	e = find(ids, &key);
	if (e == NULL)
		e = oldest(row_of(ids, &key));
	e->used = 0;
	e->key = key;
	(void)fill(e->ours, sizeof(e->ours), ours);
	e->used = ++ids->uses;
	ids_unlock(ids);
	return true;
}

bool shared_ids_get(struct shared_ids *ids, const char *from, const char *to, const char *theirs,
		    char ours[SHARED_ID_SIZE])
{
	struct id_entry *e;
	struct id_key key;

	if (!fill_key(&key, from, to, theirs))
		return false;
	ids_lock(ids);
	e = find(ids, &key);
	if (e != NULL) {
		e->used = ++ids->uses;
		memcpy(ours, e->ours, sizeof(e->ours));
	}
	ids_unlock(ids);
	return e != NULL;
}

void shared_ids_remove(struct shared_ids *ids, const char *from, const char *to, const char *theirs)
{
	struct id_entry *e;
	struct id_key key;

	if (!fill_key(&key, from, to, theirs))
		return;
	ids_lock(ids);
	e = find(ids, &key);
	if (e != NULL)
		e->used = 0;
	ids_unlock(ids);
}

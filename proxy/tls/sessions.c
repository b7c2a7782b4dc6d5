/* SPDX-License-Identifier: MIT */
/*
 * One session for each key, in the order of their last use (uthash keeps that of insertion). The store of one
 * configuration owns it: a reload begins with an empty one, so that no session outlives the settings it was made under.
 * The sessions are copies: OpenSSL forbids the resumption of the original when its connection dies without a word,
 * which is how most long streams end. Keys hold names that come from outside, so the hash is keyed.
 */
#include "tls/sessions_private.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "base/siphash.h"

static struct siphash_key hash_key;

#define HASH_FUNCTION(key, len, hashv) ((hashv) = (unsigned)siphash13(&hash_key, (key), (len)))
#define uthash_malloc(size) mem_alloc(size)
#define uthash_free(ptr, size) mem_free(ptr)
#include <uthash.h>

struct entry {
	UT_hash_handle hh;
	SSL_SESSION *session;
	uint64_t until_ms;
	char key[];
};

struct tls_sessions {
	struct entry *table;
	size_t most;
};

struct tls_sessions *tls_sessions_new(size_t most)
{
	struct tls_sessions *sessions = mem_zalloc(sizeof(*sessions));
	static bool keyed;

	if (!keyed)
		siphash_key_random(&hash_key);
	keyed = true;
	sessions->most = most;
	return sessions;
}

static void discard(struct tls_sessions *sessions, struct entry *entry)
{
	HASH_DEL(sessions->table, entry);
	SSL_SESSION_free(entry->session);
	mem_free(entry);
}

void tls_sessions_free(struct tls_sessions **sessions)
{
	if (!*sessions)
		return;
	while ((*sessions)->table)
		discard(*sessions, (*sessions)->table);
	mem_free(*sessions);
	*sessions = NULL;
}

static struct entry *find(struct tls_sessions *sessions, const char *key)
{
	struct entry *entry;

	HASH_FIND_STR(sessions->table, key, entry);
	return entry;
}

void tls_sessions_put(struct tls_sessions *sessions, const char *key, const struct ssl_session_st *session,
		      uint64_t until_ms)
{
	SSL_SESSION *copy = SSL_SESSION_dup(session);
	size_t size = strlen(key) + 1;
	struct entry *entry;

	if (!copy)
		return;
	tls_sessions_drop(sessions, key);
	while (sessions->table && HASH_COUNT(sessions->table) >= sessions->most)
		discard(sessions, sessions->table);
	entry = mem_zalloc(sizeof(*entry) + size);
	entry->session = copy;
	entry->until_ms = until_ms;
	memcpy(entry->key, key, size);
	HASH_ADD_STR(sessions->table, key, entry);
}

struct ssl_session_st *tls_sessions_take(struct tls_sessions *sessions, const char *key, uint64_t now_ms)
{
	struct entry *entry = find(sessions, key);
	SSL_SESSION *session;

	if (!entry)
		return NULL;
	if (entry->until_ms <= now_ms || !SSL_SESSION_is_resumable(entry->session)) {
		discard(sessions, entry);
		return NULL;
	}
	if (SSL_SESSION_get_protocol_version(entry->session) < TLS1_3_VERSION) {
		HASH_DEL(sessions->table, entry);
		HASH_ADD_STR(sessions->table, key, entry);
		return SSL_SESSION_dup(entry->session);
	}
	session = entry->session;
	(void)SSL_SESSION_up_ref(session);
	discard(sessions, entry);
	return session;
}

void tls_sessions_drop(struct tls_sessions *sessions, const char *key)
{
	struct entry *entry = find(sessions, key);

	if (entry)
		discard(sessions, entry);
}

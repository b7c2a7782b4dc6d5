/* SPDX-License-Identifier: MIT */
/* A store in a directory of its own, and observations to put into it. */
#ifndef TEST_UNIT_MEMORY_STORE_FIXTURE_H
#define TEST_UNIT_MEMORY_STORE_FIXTURE_H

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "memory/store.h"
#include "memory/store_private.h"

#define NOW 1795336069

static char directory[] = "/tmp/portcullis-memory-XXXXXX";
static char path[128];
static struct peer_store *store;

static inline void open_store(size_t max)
{
	struct errbuf err = {.text = ""};

	store = peer_store_open_bounded(directory, max, &err);
	assert_string_equal(err.text, "");
	assert_non_null(store);
}

static inline int fresh(void **state)
{
	static const char *const endings[] = {"", "-wal", "-shm"};
	char file[160];

	(void)state;
	peer_store_close(&store);
	for (size_t i = 0; i < 3; i++) {
		snprintf(file, sizeof(file), "%s%s", path, endings[i]);
		unlink(file);
		rmdir(file);
	}
	return 0;
}

static inline struct peer_observation seen_of(const char *domain, int64_t when)
{
	struct peer_observation seen = {.service = PEER_S2S, .when = when, .tls = true, .version = 12};

	snprintf(seen.domain, sizeof(seen.domain), "%s", domain);
	return seen;
}

static inline void show(struct peer_observation *seen, char digit, bool accepted)
{
	struct peer_certificate *c = &seen->certificate;

	seen->has_certificate = true;
	memset(c->sha256, digit, 64);
	memset(c->spki_sha256, digit, 64);
	snprintf(c->subject, sizeof(c->subject), "CN=%c", digit);
	snprintf(c->issuer, sizeof(c->issuer), "CN=ca");
	snprintf(c->endpoint, sizeof(c->endpoint), "xmpp.example.com:5269");
	c->not_after = NOW + 1000;
	c->accepted = accepted;
}

static inline void observe(const struct peer_observation *seen)
{
	struct errbuf err = {.text = ""};

	assert_true(peer_observation_valid(seen));
	peer_store_observe(store, seen, &err);
	assert_string_equal(err.text, "");
}

static inline void commit(void)
{
	struct errbuf err = {.text = ""};

	assert_int_equal(peer_store_commit(store, &err), 0);
	assert_string_equal(err.text, "");
}

static inline const struct peer_memory *get(const char *domain, enum peer_service service)
{
	static struct peer_memory memory;
	struct errbuf err = {.text = ""};

	assert_int_equal(peer_store_get(store, domain, service, &memory, &err), 0);
	assert_string_equal(err.text, "");
	return &memory;
}

static inline unsigned rows_of(const char *sql)
{
	sqlite3_stmt *statement = NULL;
	unsigned count;

	assert_int_equal(sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	count = (unsigned)sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return count;
}

static char listed[512];

static inline void note(void *ctx, const char *domain, enum peer_service service, const struct peer_memory *memory)
{
	size_t at = strlen(listed);

	(void)ctx;
	snprintf(listed + at, sizeof(listed) - at, "%s/%s/%zu ", domain, peer_service_name(service),
		 memory->certificate_count);
}

static inline size_t list(const char *after, enum peer_service service, size_t limit)
{
	struct errbuf err = {.text = ""};
	size_t count;

	listed[0] = '\0';
	assert_int_equal(peer_store_list(store, after, service, limit, note, NULL, &count, &err), 0);
	return count;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, fresh)

static inline int make_directory(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/peers.db", directory);
	return 0;
}

static inline int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

#endif

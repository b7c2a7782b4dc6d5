/* SPDX-License-Identifier: MIT */
/* The open database, shared by store.c (writing), store_open.c and store_read.c. */
#ifndef PROXY_MEMORY_STORE_PRIVATE_H
#define PROXY_MEMORY_STORE_PRIVATE_H

#include <stdbool.h>
#include <sys/types.h>

#include "memory/store.h"

struct sqlite3;
struct sqlite3_stmt;

enum store_statement {
	STATEMENT_BEGIN,
	STATEMENT_COMMIT,
	STATEMENT_ROLLBACK,
	STATEMENT_PEER_COUNT,
	STATEMENT_PEER_GET,
	STATEMENT_PEER_PUT,
	STATEMENT_PEER_PAGE,
	STATEMENT_OLDEST_CERTIFICATES,
	STATEMENT_OLDEST_ENDPOINTS,
	STATEMENT_OLDEST_PEER,
	STATEMENT_PEER_FORGET,
	STATEMENT_CERTIFICATES,
	STATEMENT_CERTIFICATE_PUT,
	STATEMENT_CERTIFICATE_TRIM,
	STATEMENT_CERTIFICATE_FORGET,
	STATEMENT_CERTIFICATE_ACCEPT,
	STATEMENT_ENDPOINTS,
	STATEMENT_ENDPOINT_PUT,
	STATEMENT_ENDPOINT_TRIM,
	STATEMENT_ENDPOINT_FORGET,
	STATEMENT_COUNT
};

struct peer_store {
	struct sqlite3 *db;
	struct sqlite3_stmt *statement[STATEMENT_COUNT];
	char *path;
	dev_t device; /* of the file in use */
	ino_t inode;
	bool batch;        /* a transaction is open */
	size_t count, max; /* pairs, with those of the batch; the most there may be */
};

/* peer_store_open with another bound, for tests. */
struct peer_store *peer_store_open_bounded(const char *directory, size_t max, struct errbuf *err);
/* The newest form of the database that this program knows. */
int peer_store_format(void);

/* store_open.c: what SQLite says was wrong last, with the file and the remedy; returns -1. */
int peer_store_fail(const struct peer_store *store, struct errbuf *err);

/* store_read.c: values are checked on the way. */
/* Runs the statement, whose values are bound, to its first row: 1, 0: there is none, -1 with err set. peer_store_reset
 * when done with it. */
int peer_store_step(struct peer_store *store, enum store_statement which, struct errbuf *err);
void peer_store_reset(struct peer_store *store, enum store_statement which);
/* The same for one that gives no row: 0 or -1. */
int peer_store_run(struct peer_store *store, enum store_statement which, struct errbuf *err);
void peer_store_bind_text(struct peer_store *store, enum store_statement which, int at, const char *text);
void peer_store_bind_number(struct peer_store *store, enum store_statement which, int at, int64_t number);
/* Counts the pairs anew. */
int peer_store_recount(struct peer_store *store, struct errbuf *err);

#endif

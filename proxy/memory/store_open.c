/* SPDX-License-Identifier: MIT */
/*
 * Opening the database: the file is ours, private and writable, the database is whole and of a form that this program
 * knows, older forms are brought forward. Whoever could write the file could also have written triggers and views into
 * it: none of them is run.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/mem.h"
#include "memory/store_private.h"

/* "PORT": what file(1) and we know the database by. */
#define APPLICATION_ID 0x504f5254
#define BUSY_MS 250
#define VALUE_MAX (1 << 20)
#define LOST "move it away and start again (what is remembered is lost)"

/* Seconds. Who has been coming for a week does not make room for those seen first today, however many they are. */
#define LONG_KNOWN "604800"
#define BY_AGE " ORDER BY last_seen - first_seen >= " LONG_KNOWN ", last_seen LIMIT 1)"

/* Row i brings a database of form i to form i + 1. A row is never changed once it was released. */
static const char *const migrations[] = {
    "CREATE TABLE peer ("
    " domain TEXT NOT NULL, service TEXT NOT NULL,"
    " first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,"
    " tls INTEGER NOT NULL, offered INTEGER NOT NULL, required INTEGER NOT NULL, direct INTEGER NOT NULL,"
    " best_version INTEGER NOT NULL, last_version INTEGER NOT NULL,"
    " best_method TEXT NOT NULL, last_method TEXT NOT NULL,"
    " PRIMARY KEY (domain, service)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX peer_by_age ON peer (last_seen - first_seen >= " LONG_KNOWN ", last_seen);"
    "CREATE TABLE certificate ("
    " domain TEXT NOT NULL, service TEXT NOT NULL, sha256 TEXT NOT NULL, spki_sha256 TEXT NOT NULL,"
    " subject TEXT NOT NULL, issuer TEXT NOT NULL, endpoint TEXT NOT NULL,"
    " not_after INTEGER NOT NULL, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,"
    " accepted INTEGER NOT NULL,"
    " PRIMARY KEY (domain, service, sha256)) STRICT, WITHOUT ROWID;",
    /* Where it was met before a certificate moved on to another endpoint is not known any more. */
    "CREATE TABLE endpoint ("
    " domain TEXT NOT NULL, service TEXT NOT NULL, endpoint TEXT NOT NULL, last_seen INTEGER NOT NULL,"
    " PRIMARY KEY (domain, service, endpoint)) STRICT, WITHOUT ROWID;"
    "INSERT INTO endpoint SELECT domain, service, endpoint, max(last_seen) FROM certificate"
    " WHERE accepted <> 0 AND endpoint <> 'inbound' GROUP BY domain, service, endpoint;",
    /* What was best and last of both directions is taken for that of the one that can be made out; of a peer that was
     * met in both for the outbound one, and inbound it is learnt anew. */
    "ALTER TABLE peer ADD COLUMN last_outbound INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE peer ADD COLUMN last_inbound INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE peer ADD COLUMN inbound_best_version INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE peer ADD COLUMN inbound_last_version INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE peer ADD COLUMN inbound_best_method TEXT NOT NULL DEFAULT 'none';"
    "ALTER TABLE peer ADD COLUMN inbound_last_method TEXT NOT NULL DEFAULT 'none';"
    "UPDATE peer SET last_outbound = last_seen;"
    "UPDATE peer SET last_inbound = last_seen, last_outbound = 0,"
    " inbound_best_version = best_version, best_version = 0, inbound_last_version = last_version, last_version = 0,"
    " inbound_best_method = best_method, best_method = 'none', inbound_last_method = last_method, last_method = 'none'"
    " WHERE service = 's2s' AND NOT (offered OR required OR direct) AND NOT EXISTS (SELECT 1 FROM certificate c"
    " WHERE c.domain = peer.domain AND c.service = peer.service AND c.endpoint <> 'inbound');",
};

#define PEER_COLUMNS                                                              \
	"domain, service, first_seen, last_seen, tls, offered, required, direct," \
	" last_outbound, best_version, last_version, best_method, last_method,"   \
	" last_inbound, inbound_best_version, inbound_last_version, inbound_best_method, inbound_last_method"

static const char *const statement_text[] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
    [STATEMENT_PEER_COUNT] = "SELECT count(*) FROM peer",
    [STATEMENT_PEER_GET] = "SELECT " PEER_COLUMNS " FROM peer WHERE domain = ?1 AND service = ?2",
    [STATEMENT_PEER_PUT] = "INSERT OR REPLACE INTO peer (" PEER_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"
			   " ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
    [STATEMENT_PEER_PAGE] = "SELECT " PEER_COLUMNS " FROM peer WHERE (domain, service) > (?1, ?2)"
			    " ORDER BY domain, service",
    /* Of all but the pair just written the one not seen for longest, of those known for long at last. */
    [STATEMENT_OLDEST_CERTIFICATES] = "DELETE FROM certificate WHERE (domain, service) = (SELECT domain, service"
				      " FROM peer WHERE NOT (domain = ?1 AND service = ?2)" BY_AGE,
    [STATEMENT_OLDEST_ENDPOINTS] = "DELETE FROM endpoint WHERE (domain, service) = (SELECT domain, service"
				   " FROM peer WHERE NOT (domain = ?1 AND service = ?2)" BY_AGE,
    [STATEMENT_OLDEST_PEER] = "DELETE FROM peer WHERE (domain, service) = (SELECT domain, service FROM peer"
			      " WHERE NOT (domain = ?1 AND service = ?2)" BY_AGE,
    [STATEMENT_PEER_FORGET] = "DELETE FROM peer WHERE domain = ?1",
    [STATEMENT_CERTIFICATES] = "SELECT sha256, spki_sha256, subject, issuer, endpoint, not_after, first_seen,"
			       " last_seen, accepted FROM certificate WHERE domain = ?1 AND service = ?2"
			       " ORDER BY last_seen DESC, first_seen DESC, sha256",
    [STATEMENT_CERTIFICATE_PUT] = "INSERT OR REPLACE INTO certificate (domain, service, sha256, spki_sha256, subject,"
				  " issuer, endpoint, not_after, first_seen, last_seen, accepted)"
				  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    /* What is left beside the one just written, ?3. */
    [STATEMENT_CERTIFICATE_TRIM] = "DELETE FROM certificate WHERE domain = ?1 AND service = ?2 AND sha256 IN"
				   " (SELECT sha256 FROM certificate WHERE domain = ?1 AND service = ?2"
				   " AND sha256 <> ?3 ORDER BY accepted DESC, last_seen DESC, sha256"
				   " LIMIT -1 OFFSET ?4)",
    [STATEMENT_CERTIFICATE_FORGET] = "DELETE FROM certificate WHERE domain = ?1",
    [STATEMENT_CERTIFICATE_ACCEPT] = "UPDATE certificate SET accepted = 1 WHERE domain = ?1 AND accepted = 0"
				     " AND (?2 = '' OR sha256 = ?2)",
    [STATEMENT_ENDPOINTS] = "SELECT endpoint FROM endpoint WHERE domain = ?1 AND service = ?2"
			    " ORDER BY last_seen DESC, endpoint",
    [STATEMENT_ENDPOINT_PUT] = "INSERT INTO endpoint (domain, service, endpoint, last_seen) VALUES (?1, ?2, ?3, ?4)"
			       " ON CONFLICT DO UPDATE SET last_seen = max(last_seen, excluded.last_seen)",
    /* What is left beside the one just written, ?3. */
    [STATEMENT_ENDPOINT_TRIM] = "DELETE FROM endpoint WHERE domain = ?1 AND service = ?2 AND endpoint IN"
				" (SELECT endpoint FROM endpoint WHERE domain = ?1 AND service = ?2"
				" AND endpoint <> ?3 ORDER BY last_seen DESC, endpoint LIMIT -1 OFFSET ?4)",
    [STATEMENT_ENDPOINT_FORGET] = "DELETE FROM endpoint WHERE domain = ?1",
};
_Static_assert(ARRAY_LEN(statement_text) == STATEMENT_COUNT, "statement without text");

int peer_store_format(void)
{
	return (int)ARRAY_LEN(migrations);
}

static const char *remedy(int code)
{
	switch (code) {
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
	case SQLITE_SCHEMA:
	case SQLITE_ERROR: /* a table or column is not there */
		return "it is damaged: " LOST;
	case SQLITE_FULL:
		return "make room on its file system";
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return "the account that `user` names must be able to write it and its directory";
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return "another program keeps it locked";
	default:
		return "see to its file system";
	}
}

int peer_store_fail(const struct peer_store *store, struct errbuf *err)
{
	int code = store->db ? sqlite3_errcode(store->db) & 0xff : SQLITE_NOMEM;

	errbuf_set(err, "%s: %s: %s", store->path, store->db ? sqlite3_errmsg(store->db) : "out of memory",
		   remedy(code));
	return -1;
}

/* SQLite would make the file for all to read, and would follow a link to anywhere. */
static int take_file(struct peer_store *store, struct errbuf *err)
{
	int fd = open(store->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
	struct stat st;
	int result = -1;

	if (fd < 0) {
		errbuf_set(err, "%s: %s: %s", store->path, errno == ELOOP ? "is a symbolic link" : strerror(errno),
			   errno == ELOOP ? "move it away" : remedy(SQLITE_CANTOPEN));
		return -1;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		errbuf_set(err, "%s: is no file: move it away", store->path);
	else if (st.st_uid != geteuid())
		errbuf_set(err, "%s: belongs to another account: chown it, or move it away", store->path);
	else if ((st.st_mode & 077) && fchmod(fd, 0600) < 0)
		errbuf_set(err, "%s: is open to other accounts: chmod 0600 it", store->path);
	else
		result = 0;
	store->device = st.st_dev;
	store->inode = st.st_ino;
	/* No lock of SQLite's on this file can be lost by it: there is none yet. */
	close(fd);
	return result;
}

static int execute(struct peer_store *store, const char *sql, struct errbuf *err)
{
	return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : peer_store_fail(store, err);
}

/* The first value that the statement gives, cut to size. */
static int ask(struct peer_store *store, const char *sql, char *out, size_t size, struct errbuf *err)
{
	sqlite3_stmt *statement = NULL;
	const char *text;
	int result = -1;

	if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK)
		return peer_store_fail(store, err);
	if (sqlite3_step(statement) == SQLITE_ROW) {
		text = (const char *)sqlite3_column_text(statement, 0);
		sqlite3_snprintf((int)size, out, "%s", text ? text : "");
		result = 0;
	} else {
		peer_store_fail(store, err);
	}
	sqlite3_finalize(statement);
	return result;
}

static int ask_number(struct peer_store *store, const char *sql, int *out, struct errbuf *err)
{
	char text[32];

	if (ask(store, sql, text, sizeof(text), err) < 0)
		return -1;
	*out = (int)strtol(text, NULL, 10);
	return 0;
}

static int connect_file(struct peer_store *store, struct errbuf *err)
{
	static const struct {
		int what, value;
	} settings[] = {
	    {SQLITE_DBCONFIG_DEFENSIVE, 1},
	    {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
	    {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
	    {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
	};
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;

	if (sqlite3_open_v2(store->path, &store->db, flags, NULL) != SQLITE_OK)
		return peer_store_fail(store, err);
	sqlite3_busy_timeout(store->db, BUSY_MS);
	sqlite3_limit(store->db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		if (sqlite3_db_config(store->db, settings[i].what, settings[i].value, NULL) != SQLITE_OK)
			return peer_store_fail(store, err);
	return 0;
}

/* Nothing is changed in a database that is not ours. */
static int check_owner(struct peer_store *store, int *format, struct errbuf *err)
{
	int id = 0, tables = 0;

	if (ask_number(store, "PRAGMA application_id", &id, err) < 0 ||
	    ask_number(store, "PRAGMA user_version", format, err) < 0 ||
	    ask_number(store, "SELECT count(*) FROM sqlite_schema", &tables, err) < 0)
		return -1;
	if (id == 0 && *format == 0 && tables == 0)
		return 0;
	if (id != APPLICATION_ID) {
		errbuf_set(err, "%s: is the database of another program: move it away", store->path);
		return -1;
	}
	if (*format <= peer_store_format() && *format > 0)
		return 0;
	errbuf_set(err, "%s: is of a newer portcullis (form %d, this one knows %d): install that again, or " LOST,
		   store->path, *format, peer_store_format());
	return -1;
}

static int check_whole(struct peer_store *store, struct errbuf *err)
{
	char text[160];

	if (ask(store, "PRAGMA quick_check(1)", text, sizeof(text), err) < 0)
		return -1;
	if (strcmp(text, "ok") == 0)
		return 0;
	errbuf_set(err, "%s: %s: %s", store->path, text, remedy(SQLITE_CORRUPT));
	return -1;
}

static int set_journal(struct peer_store *store, struct errbuf *err)
{
	char mode[16];

	if (ask(store, "PRAGMA journal_mode = WAL", mode, sizeof(mode), err) < 0)
		return -1;
	if (strcmp(mode, "wal") != 0) {
		errbuf_set(err,
			   "%s: its file system cannot hold a database that is written safely: choose another "
			   "state-directory",
			   store->path);
		return -1;
	}
	return execute(store,
		       "PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;"
		       "PRAGMA journal_size_limit = 8388608",
		       err);
}

/* Written also where nothing is to be brought forward: what cannot be written is found now. */
static int migrate(struct peer_store *store, int format, struct errbuf *err)
{
	char *mark =
	    mem_printf("PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID, peer_store_format());
	int result = execute(store, "BEGIN IMMEDIATE", err);

	for (int i = format; i < peer_store_format() && result == 0; i++)
		result = execute(store, migrations[i], err);
	if (result == 0)
		result = execute(store, mark, err);
	if (result == 0)
		result = execute(store, "COMMIT", err);
	mem_free(mark);
	return result;
}

static int prepare(struct peer_store *store, struct errbuf *err)
{
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		if (sqlite3_prepare_v3(store->db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &store->statement[i], NULL) != SQLITE_OK)
			return peer_store_fail(store, err);
	return 0;
}

static int open_database(struct peer_store *store, struct errbuf *err)
{
	int format = 0;

	if (take_file(store, err) < 0 || connect_file(store, err) < 0 || check_owner(store, &format, err) < 0 ||
	    check_whole(store, err) < 0 || set_journal(store, err) < 0 || migrate(store, format, err) < 0 ||
	    prepare(store, err) < 0)
		return -1;
	return peer_store_recount(store, err);
}

struct peer_store *peer_store_open_bounded(const char *directory, size_t max, struct errbuf *err)
{
	struct peer_store *store = mem_zalloc(sizeof(*store));

	store->path = mem_printf("%s/peers.db", directory);
	store->max = max;
	if (open_database(store, err) < 0)
		peer_store_close(&store);
	return store;
}

struct peer_store *peer_store_open(const char *directory, struct errbuf *err)
{
	return peer_store_open_bounded(directory, PEER_STORE_MAX, err);
}

/* What is in an open batch is dropped. */
void peer_store_close(struct peer_store **store_io)
{
	struct peer_store *store = *store_io;

	*store_io = NULL;
	if (!store)
		return;
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(store->statement[i]);
	sqlite3_close(store->db);
	mem_free(store->path);
	mem_free(store);
}

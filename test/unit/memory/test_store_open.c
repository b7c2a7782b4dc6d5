/* SPDX-License-Identifier: MIT */
/* The file: what survives in it, who may read it, and what is said of one that is bad or was tampered with. */
#include "store_fixture.h"
#include <signal.h>
#include <sys/wait.h>

/* An administrator with an editor: nothing he writes is taken for more than it can be. */
#define WAYS ", 1, 1, 13, 13, 'pkix', 'pkix'"
static void test_edited(void **state)
{
	static const char *const lies[] = {
	    "UPDATE peer SET best_version = 99, last_version = -1, best_method = 'quantum', first_seen = -5, tls = 7",
	    "UPDATE certificate SET subject = hex(zeroblob(4000)), spki_sha256 = 'short' WHERE subject = 'CN=b'",
	    "UPDATE certificate SET subject = hex(zeroblob(4000)), accepted = -1,"
	    " not_after = 9223372036854775807 WHERE subject = 'CN=a'",
	    "INSERT INTO peer SELECT '@', 's2s', 1, 1, 1, 1, 1, 1, 13, 13, 'pkix', 'pkix'" WAYS,
	    "INSERT INTO peer SELECT 'A.example', 's2s', 1, 1, 1, 1, 1, 1, 13, 13, 'pkix', 'pkix'" WAYS,
	    "INSERT INTO peer SELECT 'a.example', 'x2x', 1, 1, 1, 1, 1, 1, 13, 13, 'pkix', 'pkix'" WAYS,
	    "INSERT INTO peer SELECT hex(zeroblob(400)), 's2s', 1, 1, 1, 1, 1, 1, 13, 13, 'pkix', 'pkix'" WAYS,
	    "CREATE TRIGGER mine AFTER UPDATE ON peer BEGIN DELETE FROM certificate; END",
	};
	struct peer_observation seen = seen_of("example.com", NOW);
	const struct peer_memory *m;

	(void)state;
	open_store(20);
	show(&seen, 'a', true);
	observe(&seen);
	show(&seen, 'b', true);
	observe(&seen);
	commit();
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
		assert_int_equal(sqlite3_exec(store->db, lies[i], NULL, NULL, NULL), SQLITE_OK);
	peer_store_close(&store);
	open_store(20);
	m = get("example.com", PEER_S2S);
	assert_true(m->known && m->tls);
	assert_int_equal(m->way[PEER_OUTBOUND].best_version, 0);
	assert_int_equal(m->way[PEER_OUTBOUND].last_version, 0);
	assert_int_equal(m->way[PEER_OUTBOUND].best_method, PEER_METHOD_NONE);
	assert_true(m->first_seen == 0);
	assert_int_equal(m->certificate_count, 1);
	assert_true(m->certificate[0].accepted);
	assert_true(m->certificate[0].not_after == PEER_TIME_MAX);
	assert_int_equal(strlen(m->certificate[0].subject), PEER_TEXT_SIZE - 1);
	assert_int_equal(list(NULL, PEER_C2S, 10), 1);
	assert_string_equal(listed, "example.com/s2s/1 ");
	seen = seen_of("example.com", NOW + 1);
	observe(&seen);
	commit();
	assert_int_equal(get("example.com", PEER_S2S)->certificate_count, 1);
}

static void test_private(void **state)
{
	static const char *const endings[] = {"", "-wal", "-shm"};
	struct peer_observation seen = seen_of("example.com", NOW);
	mode_t mask = umask(0);
	struct stat st;
	char file[160];

	(void)state;
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
	open_store(10);
	observe(&seen);
	commit();
	for (size_t i = 0; i < 3; i++) {
		snprintf(file, sizeof(file), "%s%s", path, endings[i]);
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	umask(mask);
}

static void expect_bad(const char *why)
{
	struct errbuf err = {.text = ""};
	char text[1024];

	store = peer_store_open(directory, &err);
	assert_null(store);
	snprintf(text, sizeof(text), "%s: %s", path, why);
	assert_string_equal(err.text, text);
}

static void put_file(const char *text, size_t len, off_t at)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_int_equal(pwrite(fd, text, len, at), len);
	close(fd);
}

static void test_no_database(void **state)
{
	char text[4096];

	(void)state;
	memset(text, 'x', sizeof(text));
	put_file(text, sizeof(text), 0);
	expect_bad("file is not a database: it is damaged: move it away and start again (what is remembered is lost)");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	expect_bad("Is a directory: the account that `user` names must be able to write it and its directory");
	rmdir(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	expect_bad("is a symbolic link: move it away");
	unlink(path);
	if (geteuid() != 0)
		return;
	put_file("", 0, 0);
	assert_int_equal(chown(path, 65534, 65534), 0);
	expect_bad("belongs to another account: chown it, or move it away");
}

static void test_damaged(void **state)
{
	struct peer_observation seen;
	struct errbuf err = {.text = ""};
	char domain[32], junk[4096];

	(void)state;
	open_store(1000);
	for (int i = 0; i < 500; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		seen = seen_of(domain, NOW);
		show(&seen, 'a', true);
		observe(&seen);
	}
	commit();
	peer_store_close(&store);
	memset(junk, 'j', sizeof(junk));
	put_file(junk, sizeof(junk), 3 * 4096);
	store = peer_store_open(directory, &err);
	assert_null(store);
	assert_memory_equal(err.text, path, strlen(path));
	assert_non_null(strstr(err.text, ": it is damaged: move it away and start again (what is remembered is lost)"));
}

static void edit(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void test_forms(void **state)
{
	char why[256];

	(void)state;
	assert_int_equal(peer_store_format(), 3);
	open_store(10);
	assert_int_equal(rows_of("PRAGMA user_version"), 3);
	peer_store_close(&store);
	edit("PRAGMA user_version = 4");
	snprintf(why, sizeof(why),
		 "is of a newer portcullis (form 4, this one knows 3): install that again, or move it away and start "
		 "again (what is remembered is lost)");
	expect_bad(why);
	edit("PRAGMA user_version = 3; DROP TABLE certificate");
	expect_bad("no such table: certificate: it is damaged: move it away and start again (what is remembered is "
		   "lost)");
	unlink(path);
	edit("CREATE TABLE mine (x); PRAGMA user_version = 1");
	expect_bad("is the database of another program: move it away");
	edit("SELECT x FROM mine");
	unlink(path);
	/* What was begun and never made: an empty file. */
	put_file("", 0, 0);
	open_store(10);
}

/* As the first release left it. */
static const char first_form[] =
    "PRAGMA application_id = 1347375700; PRAGMA user_version = 1;"
    "CREATE TABLE peer (domain TEXT NOT NULL, service TEXT NOT NULL, first_seen INTEGER NOT NULL,"
    " last_seen INTEGER NOT NULL, tls INTEGER NOT NULL, offered INTEGER NOT NULL, required INTEGER NOT NULL,"
    " direct INTEGER NOT NULL, best_version INTEGER NOT NULL, last_version INTEGER NOT NULL,"
    " best_method TEXT NOT NULL, last_method TEXT NOT NULL, PRIMARY KEY (domain, service)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX peer_by_age ON peer (last_seen - first_seen >= 604800, last_seen);"
    "CREATE TABLE certificate (domain TEXT NOT NULL, service TEXT NOT NULL, sha256 TEXT NOT NULL,"
    " spki_sha256 TEXT NOT NULL, subject TEXT NOT NULL, issuer TEXT NOT NULL, endpoint TEXT NOT NULL,"
    " not_after INTEGER NOT NULL, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,"
    " accepted INTEGER NOT NULL, PRIMARY KEY (domain, service, sha256)) STRICT, WITHOUT ROWID;"
    "INSERT INTO peer VALUES ('example.com', 's2s', 5, 9, 1, 1, 1, 0, 13, 12, 'pkix', 'dialback');"
    "INSERT INTO peer VALUES ('visitor.example', 's2s', 5, 9, 1, 0, 0, 0, 12, 12, 'dialback', 'dialback');"
    "INSERT INTO certificate VALUES ('example.com', 's2s', printf('%.64c', 'a'), printf('%.64c', 'b'), 'CN=a', 'CN=ca',"
    " 'x.example.com:5269', 7, 5, 9, 1);"
    "INSERT INTO certificate VALUES ('example.com', 's2s', printf('%.64c', 'c'), printf('%.64c', 'd'), 'CN=c', 'CN=ca',"
    " 'y.example.com:5269', 7, 5, 8, 0);"
    "INSERT INTO certificate VALUES ('example.com', 's2s', printf('%.64c', 'e'), printf('%.64c', 'f'), 'CN=e', 'CN=ca',"
    " 'inbound', 7, 5, 7, 1);";

static void test_older_form(void **state)
{
	const struct peer_memory *m;
	const struct peer_way *way;

	(void)state;
	put_file("", 0, 0);
	edit(first_form);
	open_store(10);
	assert_int_equal(rows_of("PRAGMA user_version"), peer_store_format());
	assert_int_equal(peer_store_count(store), 2);
	m = get("example.com", PEER_S2S);
	assert_true(m->tls && m->offered && m->required && m->first_seen == 5 && m->last_seen == 9);
	assert_int_equal(m->certificate_count, 3);
	assert_true(m->certificate[0].accepted && m->certificate[2].accepted && !m->certificate[1].accepted);
	assert_int_equal(m->endpoint_count, 1);
	assert_string_equal(m->endpoint[0], "x.example.com:5269");
	way = &m->way[PEER_OUTBOUND];
	assert_true(way->last_seen == 9 && way->best_version == 13 && way->last_version == 12);
	assert_true(way->best_method == PEER_METHOD_PKIX && way->last_method == PEER_METHOD_DIALBACK);
	assert_true(m->way[PEER_INBOUND].last_seen == 0 && m->way[PEER_INBOUND].best_version == 0);
	/* One that only ever came to us. */
	m = get("visitor.example", PEER_S2S);
	way = &m->way[PEER_INBOUND];
	assert_true(way->last_seen == 9 && way->best_version == 12 && way->last_version == 12);
	assert_true(way->best_method == PEER_METHOD_DIALBACK && way->last_method == PEER_METHOD_DIALBACK);
	assert_true(m->way[PEER_OUTBOUND].last_seen == 0 && m->way[PEER_OUTBOUND].best_version == 0);
	assert_int_equal(m->way[PEER_OUTBOUND].best_method, PEER_METHOD_NONE);
}

static void test_locked(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	struct errbuf err = {.text = ""};
	char text[256];
	sqlite3 *db;

	(void)state;
	open_store(10);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(peer_store_observe(store, &seen, &err), -1);
	snprintf(text, sizeof(text), "%s: database is locked: another program keeps it locked", path);
	assert_string_equal(err.text, text);
	/* A question is answered all the same. */
	assert_false(get("example.com", PEER_S2S)->known);
	sqlite3_close(db);
	observe(&seen);
	commit();
	assert_true(get("example.com", PEER_S2S)->known);
}

static void test_moved_away(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	struct errbuf err = {.text = ""};
	char text[256];

	(void)state;
	open_store(10);
	observe(&seen);
	unlink(path);
	assert_int_equal(peer_store_commit(store, &err), -1);
	snprintf(text, sizeof(text), "%s: was moved or deleted while it was in use", path);
	assert_string_equal(err.text, text);
	assert_int_equal(peer_store_count(store), 0);
	peer_store_close(&store);
	open_store(10);
	observe(&seen);
	commit();
}

/* The parent hears "1", "2" … of a child that is killed while it writes: everything it had said is there. */
static void write_until_killed(int out)
{
	char domain[32];

	open_store(100000);
	for (int i = 0;; i++) {
		struct peer_observation seen;

		snprintf(domain, sizeof(domain), "d%d.example", i);
		seen = seen_of(domain, NOW + i);
		show(&seen, 'a', true);
		if (peer_store_observe(store, &seen, NULL) < 0 || peer_store_commit(store, NULL) < 0 ||
		    write(out, &i, sizeof(i)) != (ssize_t)sizeof(i))
			_exit(1);
	}
}

static void test_killed(void **state)
{
	int pipe_fds[2], last = -1, said;
	char domain[32];
	pid_t pid;

	(void)state;
	for (int round = 0; round < 5; round++) {
		fresh(NULL);
		assert_int_equal(pipe(pipe_fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(pipe_fds[0]);
			write_until_killed(pipe_fds[1]);
		}
		close(pipe_fds[1]);
		while (read(pipe_fds[0], &said, sizeof(said)) == (ssize_t)sizeof(said)) {
			last = said;
			if (said == 50 + 37 * round)
				kill(pid, SIGKILL);
		}
		close(pipe_fds[0]);
		waitpid(pid, NULL, 0);
		assert_true(last >= 50 + 37 * round);
		open_store(100000);
		assert_in_range(peer_store_count(store), last + 1, last + 2);
		for (int i = 0; i <= last; i++) {
			snprintf(domain, sizeof(domain), "d%d.example", i);
			assert_true(get(domain, PEER_S2S)->known);
			assert_int_equal(get(domain, PEER_S2S)->certificate_count, 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_edited),     TEST(test_private), TEST(test_no_database), TEST(test_damaged), TEST(test_forms),
	    TEST(test_older_form), TEST(test_locked),  TEST(test_moved_away),  TEST(test_killed),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

/* SPDX-License-Identifier: MIT */
/* Peer memory in real files: what is merged, what is bounded, what survives, and what is said of files that are bad. */
#include "memory/store.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "memory/store_private.h"

#define NOW 1795336069

static char directory[] = "/tmp/portcullis-memory-XXXXXX";
static char path[128];
static struct peer_store *store;

static void open_store(size_t max)
{
	struct errbuf err = {.text = ""};

	store = peer_store_open_bounded(directory, max, &err);
	assert_string_equal(err.text, "");
	assert_non_null(store);
}

static int fresh(void **state)
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

static struct peer_observation seen_of(const char *domain, int64_t when)
{
	struct peer_observation seen = {.service = PEER_S2S, .when = when, .tls = true, .version = 12};

	snprintf(seen.domain, sizeof(seen.domain), "%s", domain);
	return seen;
}

static void show(struct peer_observation *seen, char digit, bool accepted)
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

static void observe(const struct peer_observation *seen)
{
	struct errbuf err = {.text = ""};

	assert_true(peer_observation_valid(seen));
	peer_store_observe(store, seen, &err);
	assert_string_equal(err.text, "");
}

static void commit(void)
{
	struct errbuf err = {.text = ""};

	assert_int_equal(peer_store_commit(store, &err), 0);
	assert_string_equal(err.text, "");
}

static const struct peer_memory *get(const char *domain, enum peer_service service)
{
	static struct peer_memory memory;
	struct errbuf err = {.text = ""};

	assert_int_equal(peer_store_get(store, domain, service, &memory, &err), 0);
	assert_string_equal(err.text, "");
	return &memory;
}

static void test_unknown(void **state)
{
	static const struct peer_memory nothing;

	(void)state;
	open_store(10);
	assert_memory_equal(get("example.com", PEER_S2S), &nothing, sizeof(nothing));
	assert_int_equal(peer_store_count(store), 0);
	commit();
}

static void test_merge(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	const struct peer_memory *m;

	(void)state;
	open_store(10);
	seen.offered = seen.direct = true;
	seen.version = 13;
	seen.method = PEER_METHOD_PKIX;
	show(&seen, 'a', false);
	observe(&seen);
	/* Seen before it is durable, and after another program start. */
	m = get("example.com", PEER_S2S);
	assert_true(m->known);
	commit();
	peer_store_close(&store);
	open_store(10);
	assert_int_equal(peer_store_count(store), 1);
	m = get("example.com", PEER_S2S);
	assert_true(m->known && m->tls && m->offered && m->direct);
	assert_false(m->required);
	assert_int_equal(m->best_version, 13);
	assert_int_equal(m->last_version, 13);
	assert_int_equal(m->best_method, PEER_METHOD_PKIX);
	assert_int_equal(m->last_method, PEER_METHOD_PKIX);
	assert_int_equal(m->certificate_count, 1);
	assert_string_equal(m->certificate[0].subject, "CN=a");
	assert_string_equal(m->certificate[0].issuer, "CN=ca");
	assert_string_equal(m->certificate[0].endpoint, "xmpp.example.com:5269");
	assert_true(m->certificate[0].not_after == NOW + 1000);
	assert_false(get("example.com", PEER_C2S)->known);

	/* Stripped: what was best is known all the same. */
	seen = seen_of("example.com", NOW + 5);
	seen.tls = false;
	seen.version = 0;
	observe(&seen);
	m = get("example.com", PEER_S2S);
	assert_true(m->tls && m->offered && m->direct);
	assert_int_equal(m->best_version, 13);
	assert_int_equal(m->last_version, 0);
	assert_int_equal(m->best_method, PEER_METHOD_PKIX);
	assert_int_equal(m->last_method, PEER_METHOD_NONE);
	assert_true(m->first_seen == NOW && m->last_seen == NOW + 5);
	assert_int_equal(m->certificate_count, 1);

	/* One that comes late: older than what is known. */
	seen = seen_of("example.com", NOW - 7);
	seen.required = true;
	observe(&seen);
	m = get("example.com", PEER_S2S);
	assert_true(m->first_seen == NOW - 7 && m->last_seen == NOW + 5);
	assert_int_equal(m->last_version, 0);
	assert_true(m->required);
}

static void test_twice(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	struct peer_memory before;

	(void)state;
	open_store(10);
	show(&seen, 'a', true);
	observe(&seen);
	commit();
	before = *get("example.com", PEER_S2S);
	observe(&seen);
	commit();
	assert_memory_equal(get("example.com", PEER_S2S), &before, sizeof(before));
	seen.when++;
	observe(&seen);
	before.last_seen = before.certificate[0].last_seen = NOW + 1;
	assert_memory_equal(get("example.com", PEER_S2S), &before, sizeof(before));
	assert_int_equal(peer_store_count(store), 1);
}

/* What a peer that comes to us was offered says nothing of what it offers. */
static void test_inbound(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	const struct peer_memory *m;

	(void)state;
	open_store(10);
	seen.inbound = seen.offered = seen.required = seen.direct = true;
	observe(&seen);
	m = get("example.com", PEER_S2S);
	assert_true(m->tls);
	assert_false(m->offered || m->required || m->direct);
}

static void test_accepted(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	struct errbuf err = {.text = ""};
	const struct peer_memory *m;
	unsigned count;

	(void)state;
	open_store(10);
	/* The first one, verified or not; not the next; a third that proves itself; and what was accepted stays so. */
	show(&seen, 'a', false);
	observe(&seen);
	show(&seen, 'b', false);
	seen.when++;
	observe(&seen);
	show(&seen, 'c', true);
	seen.when++;
	observe(&seen);
	show(&seen, 'c', false);
	seen.when++;
	observe(&seen);
	m = get("example.com", PEER_S2S);
	assert_int_equal(m->certificate_count, 3);
	assert_string_equal(m->certificate[0].subject, "CN=c");
	assert_true(m->certificate[0].accepted);
	assert_false(m->certificate[1].accepted);
	assert_string_equal(m->certificate[2].subject, "CN=a");
	assert_true(m->certificate[2].accepted);

	assert_int_equal(peer_store_accept(store, "other.example", &count, &err), 0);
	assert_int_equal(count, 0);
	assert_int_equal(peer_store_accept(store, "example.com", &count, &err), 0);
	assert_int_equal(count, 1);
	assert_true(get("example.com", PEER_S2S)->certificate[1].accepted);
	assert_int_equal(peer_store_accept(store, "example.com", &count, &err), 0);
	assert_int_equal(count, 0);
	/* Durable, with the batch that was open. */
	peer_store_close(&store);
	open_store(10);
	assert_true(get("example.com", PEER_S2S)->certificate[1].accepted);
	/* One that turns out to be verified is accepted by that. */
	show(&seen, 'd', false);
	observe(&seen);
	assert_false(get("example.com", PEER_S2S)->certificate[0].accepted);
	show(&seen, 'd', true);
	observe(&seen);
	assert_true(get("example.com", PEER_S2S)->certificate[0].accepted);
}

/* Two hosts of one domain with a certificate each: both are known, each with the place where it was seen last. */
static void test_endpoint(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	const struct peer_memory *m;

	(void)state;
	open_store(10);
	show(&seen, 'a', true);
	observe(&seen);
	snprintf(seen.certificate.endpoint, sizeof(seen.certificate.endpoint), "b.example.com:5270");
	seen.when++;
	observe(&seen);
	snprintf(seen.certificate.endpoint, sizeof(seen.certificate.endpoint), "late.example.com:5270");
	seen.when--;
	observe(&seen);
	m = get("example.com", PEER_S2S);
	assert_int_equal(m->certificate_count, 1);
	assert_string_equal(m->certificate[0].endpoint, "b.example.com:5270");
}

static void test_many_certificates(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	const struct peer_memory *m;
	char name[16];

	(void)state;
	open_store(10);
	show(&seen, 'a', true);
	observe(&seen);
	/* Twenty that prove nothing push each other out, and never the known one. */
	for (int i = 0; i < 20; i++) {
		seen.when++;
		show(&seen, '0', false);
		snprintf(name, sizeof(name), "%02d", i);
		memcpy(seen.certificate.sha256, name, 2);
		observe(&seen);
	}
	m = get("example.com", PEER_S2S);
	assert_int_equal(m->certificate_count, PEER_CERTIFICATES);
	assert_memory_equal(m->certificate[0].sha256, "19", 2);
	assert_memory_equal(m->certificate[6].sha256, "13", 2);
	assert_memory_equal(m->certificate[7].sha256, "aa", 2);
	/* Of proven ones the oldest goes. */
	for (int i = 0; i < 8; i++) {
		seen.when++;
		show(&seen, '0', true);
		snprintf(name, sizeof(name), "f%d", i);
		memcpy(seen.certificate.sha256, name, 2);
		observe(&seen);
	}
	m = get("example.com", PEER_S2S);
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "f%d", 7 - i);
		assert_memory_equal(m->certificate[i].sha256, name, 2);
	}
}

static unsigned rows_of(const char *sql)
{
	sqlite3_stmt *statement = NULL;
	unsigned count;

	assert_int_equal(sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	count = (unsigned)sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return count;
}

static void test_many_peers(void **state)
{
	struct peer_observation seen;
	char domain[32];

	(void)state;
	open_store(5);
	for (int i = 0; i < 8; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		/* The newest ones have been seen longest ago: the one just written stays all the same. */
		seen = seen_of(domain, NOW - i);
		show(&seen, 'a', true);
		observe(&seen);
		assert_true(get(domain, PEER_S2S)->known);
	}
	assert_int_equal(peer_store_count(store), 5);
	commit();
	assert_true(get("d0.example", PEER_S2S)->known);
	assert_true(get("d3.example", PEER_S2S)->known);
	assert_false(get("d4.example", PEER_S2S)->known);
	assert_false(get("d6.example", PEER_S2S)->known);
	assert_true(get("d7.example", PEER_S2S)->known);
	assert_int_equal(rows_of("SELECT count(*) FROM peer"), 5);
	assert_int_equal(rows_of("SELECT count(*) FROM certificate"), 5);
	/* Known ones make no room. */
	seen = seen_of("d0.example", NOW + 1);
	observe(&seen);
	assert_int_equal(peer_store_count(store), 5);
	peer_store_close(&store);
	open_store(5);
	assert_int_equal(peer_store_count(store), 5);
}

static void test_forget(void **state)
{
	struct peer_observation seen = seen_of("example.com", NOW);
	struct errbuf err = {.text = ""};
	unsigned count;

	(void)state;
	open_store(10);
	show(&seen, 'a', true);
	observe(&seen);
	seen.service = PEER_C2S;
	observe(&seen);
	seen = seen_of("other.example", NOW);
	observe(&seen);
	assert_int_equal(peer_store_forget(store, "example.com", &count, &err), 0);
	assert_int_equal(count, 2);
	assert_int_equal(peer_store_count(store), 1);
	assert_int_equal(rows_of("SELECT count(*) FROM certificate"), 0);
	assert_int_equal(peer_store_forget(store, "example.com", &count, &err), 0);
	assert_int_equal(count, 0);
	peer_store_close(&store);
	open_store(10);
	assert_false(get("example.com", PEER_S2S)->known);
	assert_true(get("other.example", PEER_S2S)->known);
}

static char listed[512];

static void note(void *ctx, const char *domain, enum peer_service service, const struct peer_memory *memory)
{
	size_t at = strlen(listed);

	(void)ctx;
	snprintf(listed + at, sizeof(listed) - at, "%s/%s/%zu ", domain, peer_service_name(service),
		 memory->certificate_count);
}

static size_t list(const char *after, enum peer_service service, size_t limit)
{
	struct errbuf err = {.text = ""};
	size_t count;

	listed[0] = '\0';
	assert_int_equal(peer_store_list(store, after, service, limit, note, NULL, &count, &err), 0);
	return count;
}

static void test_list(void **state)
{
	static const char *const domains[] = {"b.example", "a.example", "c.example"};
	struct peer_observation seen;

	(void)state;
	open_store(10);
	assert_int_equal(list(NULL, PEER_C2S, 10), 0);
	for (size_t i = 0; i < 3; i++) {
		seen = seen_of(domains[i], NOW);
		show(&seen, 'a', true);
		observe(&seen);
	}
	seen = seen_of("b.example", NOW);
	seen.service = PEER_C2S;
	observe(&seen);
	assert_int_equal(list(NULL, PEER_C2S, 10), 4);
	assert_string_equal(listed, "a.example/s2s/1 b.example/c2s/0 b.example/s2s/1 c.example/s2s/1 ");
	assert_int_equal(list(NULL, PEER_C2S, 2), 2);
	assert_string_equal(listed, "a.example/s2s/1 b.example/c2s/0 ");
	assert_int_equal(list("b.example", PEER_C2S, 2), 2);
	assert_string_equal(listed, "b.example/s2s/1 c.example/s2s/1 ");
	assert_int_equal(list("c.example", PEER_S2S, 2), 0);
}

/* An administrator with an editor: nothing he writes is taken for more than it can be. */
static void test_edited(void **state)
{
	static const char *const lies[] = {
	    "UPDATE peer SET best_version = 99, last_version = -1, best_method = 'quantum', first_seen = -5, tls = 7",
	    "UPDATE certificate SET subject = hex(zeroblob(4000)), spki_sha256 = 'short' WHERE subject = 'CN=b'",
	    "UPDATE certificate SET subject = hex(zeroblob(4000)), accepted = -1,"
	    " not_after = 9223372036854775807 WHERE subject = 'CN=a'",
	    "INSERT INTO peer SELECT '@', 's2s', 1, 1, 1, 1, 1, 1, 13, 13, 'pkix', 'pkix'",
	    "INSERT INTO peer SELECT 'A.example', 's2s', 1, 1, 1, 1, 1, 1, 13, 13, 'pkix', 'pkix'",
	    "INSERT INTO peer SELECT 'a.example', 'x2x', 1, 1, 1, 1, 1, 1, 13, 13, 'pkix', 'pkix'",
	    "INSERT INTO peer SELECT hex(zeroblob(400)), 's2s', 1, 1, 1, 1, 1, 1, 13, 13, 'pkix', 'pkix'",
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
	assert_int_equal(m->best_version, 0);
	assert_int_equal(m->last_version, 0);
	assert_int_equal(m->best_method, PEER_METHOD_NONE);
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
	assert_int_equal(peer_store_format(), 1);
	open_store(10);
	assert_int_equal(rows_of("PRAGMA user_version"), 1);
	peer_store_close(&store);
	edit("PRAGMA user_version = 2");
	snprintf(why, sizeof(why),
		 "is of a newer portcullis (form 2, this one knows 1): install that again, or move it away and start "
		 "again (what is remembered is lost)");
	expect_bad(why);
	edit("PRAGMA user_version = 1; DROP TABLE certificate");
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_unknown),
	    TEST(test_merge),
	    TEST(test_twice),
	    TEST(test_inbound),
	    TEST(test_accepted),
	    TEST(test_endpoint),
	    TEST(test_many_certificates),
	    TEST(test_many_peers),
	    TEST(test_forget),
	    TEST(test_list),
	    TEST(test_edited),
	    TEST(test_private),
	    TEST(test_no_database),
	    TEST(test_damaged),
	    TEST(test_forms),
	    TEST(test_locked),
	    TEST(test_moved_away),
	    TEST(test_killed),
	};
	int failed;

	if (!mkdtemp(directory))
		return 1;
	snprintf(path, sizeof(path), "%s/peers.db", directory);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(directory);
	return failed;
}

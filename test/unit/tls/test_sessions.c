/* SPDX-License-Identifier: MIT */
/* The cache of sessions: which is found, how long, and which makes room. */
#include "tls/sessions_private.h"

#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tls/store.h"

static SSL_SESSION *session_new(int version, unsigned char id)
{
	SSL_SESSION *session = SSL_SESSION_new();

	SSL_SESSION_set_protocol_version(session, version);
	SSL_SESSION_set1_id(session, &id, 1);
	return session;
}

static void put(struct tls_sessions *sessions, const char *key, int version, unsigned char id, uint64_t until)
{
	SSL_SESSION *session = session_new(version, id);

	tls_sessions_put(sessions, key, session, until);
	SSL_SESSION_free(session);
}

/* The id of what is found, 0 for nothing. */
static int take(struct tls_sessions *sessions, const char *key, uint64_t now)
{
	SSL_SESSION *session = tls_sessions_take(sessions, key, now);
	unsigned len;
	int id = session ? SSL_SESSION_get_id(session, &len)[0] : 0;

	SSL_SESSION_free(session);
	return id;
}

/* RFC 8446 appendix C.4: once, as the server's tickets could else tell connections apart. */
static void test_once_or_often(void **state)
{
	struct tls_sessions *sessions = tls_sessions_new(4);

	(void)state;
	put(sessions, "a", TLS1_3_VERSION, 1, 100);
	put(sessions, "b", TLS1_2_VERSION, 2, 100);
	assert_int_equal(take(sessions, "c", 0), 0);
	assert_int_equal(take(sessions, "a", 0), 1);
	assert_int_equal(take(sessions, "a", 0), 0);
	assert_int_equal(take(sessions, "b", 0), 2);
	assert_int_equal(take(sessions, "b", 0), 2);
	put(sessions, "b", TLS1_2_VERSION, 3, 100);
	assert_int_equal(take(sessions, "b", 0), 3);
	tls_sessions_drop(sessions, "b");
	tls_sessions_drop(sessions, "b");
	assert_int_equal(take(sessions, "b", 0), 0);
	tls_sessions_free(&sessions);
	assert_null(sessions);
	tls_sessions_free(&sessions);
}

static void test_until(void **state)
{
	struct tls_sessions *sessions = tls_sessions_new(4);

	(void)state;
	put(sessions, "a", TLS1_2_VERSION, 1, 100);
	assert_int_equal(take(sessions, "a", 99), 1);
	assert_int_equal(take(sessions, "a", 100), 0);
	assert_int_equal(take(sessions, "a", 99), 0);
	tls_sessions_free(&sessions);
}

static void test_bound(void **state)
{
	struct tls_sessions *sessions = tls_sessions_new(2);

	(void)state;
	put(sessions, "a", TLS1_2_VERSION, 1, 100);
	put(sessions, "b", TLS1_2_VERSION, 2, 100);
	assert_int_equal(take(sessions, "a", 0), 1);
	put(sessions, "c", TLS1_2_VERSION, 3, 100);
	assert_int_equal(take(sessions, "a", 0), 1);
	assert_int_equal(take(sessions, "b", 0), 0);
	assert_int_equal(take(sessions, "c", 0), 3);
	put(sessions, "c", TLS1_2_VERSION, 4, 100);
	assert_int_equal(take(sessions, "a", 0), 1);
	assert_int_equal(take(sessions, "c", 0), 4);
	tls_sessions_free(&sessions);
}

static int setup(void **state)
{
	(void)state;
	tls_library_init();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_once_or_often),
	    cmocka_unit_test(test_until),
	    cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

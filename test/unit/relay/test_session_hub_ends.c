/* SPDX-License-Identifier: MIT */
/* The end of a hub and of its spokes, seen from the remote server of a pair: what is waited for, and how long. */
#include "servers_world.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#define NAMELESS "<stream:stream " NS ">"

/* A pair is proven, and its remote server reads. */
static void begin_pair(struct world *w)
{
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, NAMELESS);
	AWAIT(w, w->near.seen.len > 0);
	strbuf_clear(&w->near.seen);
	pair_comes_up(w);
	end_send(w, &w->far, REMOTE_HEADER("theirs") FEATURES(DIALBACK));
	end_saw(w, &w->far, RESULT(LOCAL, REMOTE));
	end_send(w, &w->far, RESULT_IS("valid", REMOTE, LOCAL));
	end_saw(w, &w->near, RESULT_IS("valid", REMOTE, LOCAL));
}

/* Nobody hears what the remote server may still say, so its close tag is not waited for. */
static void deserted(void **state)
{
	struct world *w = world_new(NULL);
	(void)state;
	begin_pair(w);
	end_send(w, &w->near, "<message/>");
	AWAIT(w, w->far.eof);
	assert_string_equal(strbuf_text(&w->far.seen), CLOSE);
	assert_int_equal(records(w, ACTION("stream-closed")), 2);
	world_free(w);
}

/* A tick of the janitor at that time. */
static void tick(struct world *w, uint64_t ms)
{
	clock_fake(ms * 1000000, 0);
	poll(NULL, 0, 150);
	turns(w);
}

static unsigned count(const struct strbuf *seen, const char *what)
{
	unsigned n = 0;
	for (const char *at = strbuf_text(seen); (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

/* Whole stanzas until the legacy server is read no more. How many have been taken? */
static unsigned fill(struct world *w, const char *text)
{
	int unread = 0, len = (int)strlen(text);
	for (unsigned n = 0; n < 1000; n++) {
		assert_int_equal(send(w->near.fd, text, (size_t)len, MSG_NOSIGNAL), len);
		turns(w);
		assert_int_equal(ioctl(w->near.fd, SIOCOUTQ, &unread), 0);
		if (unread > 0)
			return n;
	}
	fail_msg("all is taken");
	return 0;
}

/* The kernel keeps little between our connection to the remote server and its own end of it. */
static void keep_little(const struct world *w)
{
	struct sockaddr_in far, near;
	socklen_t len = sizeof(far);
	int little = 65536;
	assert_int_equal(getsockname(w->far.fd, (struct sockaddr *)&far, &len), 0);
	assert_int_equal(setsockopt(w->far.fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)), 0);
	for (int fd = 0; fd < 256; fd++) {
		len = sizeof(near);
		if (getpeername(fd, (struct sockaddr *)&near, &len) == 0 && near.sin_family == AF_INET &&
		    near.sin_port == far.sin_port)
			assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)), 0);
	}
}

/*
 * What the hub had taken reaches a remote server that is slow, as long as it reads: at a time less than its session
 * takes from the hub in one go, and enough for the kernel to take more.
 */
static void what_was_taken_arrives(void **state)
{
	struct world *w = world_new(NULL);
	char *text = mem_printf("<message from='a@" LOCAL "' to='b@" REMOTE "'><body>%030000d</body></message>", 0);
	uint64_t now = clock_ms();
	(void)state;
	begin_pair(w);
	keep_little(w);
	struct end far = w->far;
	far.seen.max = 1 << 24;
	/* Turns do not read there, nor wait for another connection. */
	w->far = (struct end){.fd = far.fd, .eof = true};
	unsigned taken = fill(w, text);
	end_close(&w->near);
	/* The hub does not read, so it has to look. */
	tick(w, now += 5200);
	assert_int_equal(records(w, ACTION("stream-closed")), 1);
	for (unsigned i = 0; i < 26 && !far.eof && count(&far.seen, "</message>") < taken; i++) {
		for (unsigned k = 0; k < 10; k++) {
			end_read(&far);
			poll(NULL, 0, 5);
			turns(w);
		}
		tick(w, now += 2200);
	}
	w->far = far;
	AWAIT(w, w->far.eof);
	assert_int_equal(count(&w->far.seen, "</message>"), taken);
	assert_string_equal(strbuf_text(&w->far.seen) + taken * strlen(text), "");
	clock_unfake();
	mem_free(text);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(deserted),
	    cmocka_unit_test(what_was_taken_arrives),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}

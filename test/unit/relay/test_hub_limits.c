/* SPDX-License-Identifier: MIT */
/* hub: what one connection may cost, and who is held back when somebody takes nothing. */
#include "hub_world.h"

#include "base/clock.h"

static char *long_message(size_t len)
{
	char *filler = mem_alloc(len + 1);
	memset(filler, 'x', len);
	filler[len] = '\0';
	char *text = mem_printf("<message from='" A "' to='" B "'><body>%s</body></message>", filler);
	mem_free(filler);
	return text;
}

static void limits(void **state)
{
	struct hub_world *w = *state;
	char *text = long_message(5000);
	legacy_send(w, RESULT(A, B));
	prove(w, &w->far[0]);
	legacy_send(w, text);
	far_saw(&w->far[0], text);
	world_stop(w);
	world_begin(w, NAMELESS, 262144);
	legacy_send(w, text);
	assert_int_equal(w->reason, REASON_TOO_BIG);
	mem_free(text);
}

/* A spoke that takes nothing holds the whole connection back, and nothing is lost. */
static void back_pressure(void **state)
{
	struct hub_world *w = *state;
	char *text = long_message(60000);
	size_t sent = 0, len = strlen(text);
	world_begin(w, NAMELESS, 65536);
	legacy_send(w, RESULT(A, B));
	prove(w, &w->far[0]);
	struct far far = w->far[0];
	w->far[0].fd = -1;
	for (unsigned i = 0; i < 200 && w->paused == 0; i++) {
		ssize_t n = send(w->legacy.fd, text + sent % len, len - sent % len, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		turns(w);
	}
	assert_int_equal(w->paused, 1);
	assert_false(hub_is_reading(w->hub));
	/* What the kernel holds between us and the legacy server is all that it can send now. */
	for (ssize_t n = 1; n > 0; sent += n > 0 ? (size_t)n : 0) {
		n = send(w->legacy.fd, text + sent % len, len - sent % len, MSG_NOSIGNAL);
		turns(w);
	}
	assert_true(sent < 4u * 1024 * 1024);
	w->far[0].fd = far.fd;
	for (unsigned i = 0; i < 400 && w->far[0].seen.len < sent - sent % len; i++)
		turns(w);
	assert_true(hub_is_reading(w->hub));
	assert_true(w->far[0].seen.len >= sent - sent % len);
	for (size_t at = 0; at + len <= w->far[0].seen.len; at += len)
		assert_memory_equal(w->far[0].seen.data + at, text, len);
	mem_free(text);
}

static void at(uint64_t ms)
{
	clock_fake(ms * 1000000, 0);
}

static void watch_at(struct hub_world *w, uint64_t ms)
{
	at(ms);
	hub_watch(w->hub);
	turns(w);
}

/* Its far end takes nothing: stanzas are sent until the legacy server is read no more. */
static void block(struct hub_world *w, struct far *far, const char *text)
{
	int fd = far->fd;
	far->fd = -1;
	while (hub_is_reading(w->hub))
		legacy_send(w, text);
	far->fd = fd;
}

/* All that waits for it is taken. */
static void unblock(struct hub_world *w, struct far *far)
{
	for (unsigned i = 0; i < 400 && !hub_is_reading(w->hub); i++)
		turns(w);
	assert_true(hub_is_reading(w->hub));
	for (unsigned i = 0; i < 20; i++)
		turns(w);
	strbuf_clear(&far->seen);
}

static void wait_blocked(struct hub_world *w, struct far *far, uint64_t ms)
{
	int fd = far->fd;
	far->fd = -1;
	watch_at(w, ms);
	far->fd = fd;
}

static uint64_t begin_blocking(struct hub_world *w)
{
	uint64_t now = clock_ms();
	at(now);
	world_begin(w, NAMELESS, 65536);
	legacy_send(w, RESULT(A, B));
	prove(w, &w->far[0]);
	return now;
}

/* One remote server that takes nothing may hold all others up for a minute, not for good. */
static void one_that_takes_nothing(void **state)
{
	struct hub_world *w = *state;
	char *text = long_message(60000);
	uint64_t now = begin_blocking(w);
	legacy_send(w, RESULT(A, C));
	far_saw(&w->far[1], SPOKE_HEADER(A, C) RESULT(A, C));
	block(w, &w->far[0], text);
	wait_blocked(w, &w->far[0], now + 59999);
	assert_false(hub_is_reading(w->hub));
	wait_blocked(w, &w->far[0], now + 60000);
	assert_true(hub_is_reading(w->hub));
	/* The other pair lives, and the legacy server is told nothing: it would close the connection. */
	far_send(w, &w->far[1], REMOTE_HEADER("t") RESULT_IS("valid", C, A));
	far_saw(&w->legacy, RESULT_IS("valid", C, A));
	legacy_send(w, MESSAGE(A, C));
	far_saw(&w->far[1], MESSAGE(A, C));
	/* Who was given up finds a connection that broke off … */
	while (!w->far[0].eof)
		far_read(&w->far[0]);
	assert_null(strstr(strbuf_text(&w->far[0].seen), CLOSE));
	/* … and holds nobody up again before its minute is whole: that takes five. */
	at(now + 60000 + 299999);
	legacy_send(w, MESSAGE(A, B) MESSAGE(A, C));
	assert_int_equal(w->fars, 2);
	far_saw(&w->far[1], MESSAGE(A, C));
	at(now + 60000 + 300000);
	legacy_send(w, MESSAGE(A, B));
	far_saw(&w->far[2], SPOKE_HEADER(A, B) RESULT(A, B));
	far_saw(&w->legacy, "");
	assert_int_equal(w->over, 0);
	clock_unfake();
	mem_free(text);
}

/* The legacy server may ask anew at any time; that gives no time back. */
static void given_up_and_asked_anew(void **state)
{
	struct hub_world *w = *state;
	char *text = long_message(60000);
	uint64_t now = begin_blocking(w);
	block(w, &w->far[0], text);
	wait_blocked(w, &w->far[0], now + 60000);
	legacy_send(w, MESSAGE(A, B));
	assert_int_equal(w->fars, 1);
	legacy_send(w, RESULT(A, B) MESSAGE(A, B));
	assert_int_equal(w->fars, 2);
	far_saw(&w->far[1], SPOKE_HEADER(A, B) RESULT(A, B));
	far_send(w, &w->far[1], REMOTE_HEADER("t") RESULT_IS("valid", B, A));
	far_saw(&w->legacy, RESULT_IS("valid", B, A));
	far_saw(&w->far[1], MESSAGE(A, B));
	/* Looked at while it holds up nobody, it lives. */
	watch_at(w, now + 60000);
	at(now + 65000);
	block(w, &w->far[1], text);
	wait_blocked(w, &w->far[1], now + 65999);
	assert_false(hub_is_reading(w->hub));
	wait_blocked(w, &w->far[1], now + 66000);
	assert_true(hub_is_reading(w->hub));
	assert_int_equal(w->over, 0);
	clock_unfake();
	mem_free(text);
}

/* Who takes a little now and then, or ends its stream in between, has no more time than who takes nothing. */
static void trickle(void **state)
{
	struct hub_world *w = *state;
	char *text = long_message(60000);
	uint64_t now = begin_blocking(w);
	for (unsigned i = 0; i < 5; i++, now += 10000) {
		block(w, &w->far[i], text);
		wait_blocked(w, &w->far[i], now + 10000);
		assert_false(hub_is_reading(w->hub));
		unblock(w, &w->far[i]);
		far_close(&w->far[i]);
		legacy_send(w, MESSAGE(A, B));
		far_saw(&w->far[i + 1], SPOKE_HEADER(A, B) RESULT(A, B));
		far_send(w, &w->far[i + 1], REMOTE_HEADER("t") RESULT_IS("valid", B, A));
		far_saw(&w->far[i + 1], MESSAGE(A, B));
	}
	/* A fifth of the time is given back: 25 s in which it takes all are 5 s. */
	now += 25000;
	at(now);
	block(w, &w->far[5], text);
	wait_blocked(w, &w->far[5], now + 14999);
	assert_false(hub_is_reading(w->hub));
	wait_blocked(w, &w->far[5], now + 15000);
	assert_true(hub_is_reading(w->hub));
	far_saw(&w->legacy, "");
	clock_unfake();
	mem_free(text);
}

/* Stanzas that wait for a renewed stream hold the connection back, too. */
static void waiting_pressure(void **state)
{
	struct hub_world *w = *state;
	char *text = long_message(60000);
	world_begin(w, NAMELESS, 65536);
	legacy_send(w, RESULT(A, B));
	prove(w, &w->far[0]);
	far_close(&w->far[0]);
	turns(w);
	legacy_send(w, text);
	assert_true(hub_is_reading(w->hub));
	legacy_send(w, text);
	assert_false(hub_is_reading(w->hub));
	far_saw(&w->far[1], SPOKE_HEADER(A, B) RESULT(A, B));
	far_send(w, &w->far[1], REMOTE_HEADER("t") RESULT_IS("valid", B, A));
	assert_true(hub_is_reading(w->hub));
	assert_int_equal(w->far[1].seen.len, 2 * strlen(text));
	assert_memory_equal(w->far[1].seen.data + strlen(text), text, strlen(text));
	/* Lost, and nothing holds it back any more. */
	far_close(&w->far[1]);
	turns(w);
	legacy_send(w, text);
	legacy_send(w, text);
	assert_false(hub_is_reading(w->hub));
	far_close(&w->far[2]);
	turns(w);
	assert_true(hub_is_reading(w->hub));
	far_saw(&w->legacy, RESULT_ERROR(B, A, "wait", "remote-server-timeout"));
	mem_free(text);
}

/* Stanzas that are lost hold nothing back, also where the stream goes on for a question about a key. */
static void waiting_disproved(void **state)
{
	struct hub_world *w = *state;
	char *text = long_message(60000);
	world_begin(w, NAMELESS, 65536);
	legacy_send(w, RESULT(A, B));
	prove(w, &w->far[0]);
	far_close(&w->far[0]);
	turns(w);
	legacy_send(w, VERIFY(A, B, "q"));
	legacy_send(w, text);
	legacy_send(w, text);
	assert_false(hub_is_reading(w->hub));
	far_send(w, &w->far[1], REMOTE_HEADER("t") RESULT_IS("invalid", B, A));
	far_saw(&w->legacy, RESULT_IS("invalid", B, A));
	assert_true(hub_is_reading(w->hub));
	legacy_send(w, RESULT(A2, C));
	far_saw(&w->far[2], SPOKE_HEADER(A2, C) RESULT(A2, C));
	far_send(w, &w->far[1], VERIFY_IS("valid", B, A, "q"));
	far_saw(&w->legacy, VERIFY_IS("valid", B, A, "q"));
	assert_true(hub_is_reading(w->hub));
	mem_free(text);
}

/* A legacy server that does not read its answers cannot make us keep more of them than the buffer. */
static void answers_unread(void **state)
{
	struct hub_world *w = *state;
	char text[256];
	w->read_nothing = true;
	world_begin(w, NAMELESS, 4096);
	for (unsigned i = 0; i < 40000 && hub_is_reading(w->hub); i++) {
		snprintf(text, sizeof(text), VERIFY(A, B, "%u"), i);
		legacy_send(w, text);
		snprintf(text, sizeof(text), REMOTE_HEADER("t") VERIFY_IS("valid", B, A, "%u"), i);
		far_send(w, &w->far[w->fars - 1], text);
		far_close(&w->far[w->fars - 1]);
		strbuf_fini(&w->far[w->fars - 1].seen);
		w->fars--;
	}
	assert_false(hub_is_reading(w->hub));
	assert_int_equal(w->paused, 1);
	w->read_nothing = false;
	for (int i = 0; i < 100; i++)
		turns(w);
	assert_true(hub_is_reading(w->hub));
}

static void fill(struct hub_world *w)
{
	char text[256];
	for (unsigned i = 0; i < HUB_PAIRS_MAX; i++) {
		snprintf(text, sizeof(text), RESULT(A, "b%u.example"), i);
		assert_int_equal(send(w->legacy.fd, text, strlen(text), 0), (ssize_t)strlen(text));
		event_base_loop(w->base, EVLOOP_NONBLOCK);
	}
	turns(w);
	assert_int_equal(w->fars, HUB_PAIRS_MAX);
}

/* The remote server of that pair says yes. */
static void accept_pair(struct hub_world *w, unsigned far, unsigned number)
{
	char text[512];
	snprintf(text, sizeof(text), REMOTE_HEADER("t") RESULT_IS("valid", "b%u.example", A), number);
	far_send(w, &w->far[far], text);
}

static void say(struct hub_world *w, unsigned number)
{
	char text[256];
	snprintf(text, sizeof(text), MESSAGE(A, "b%u.example"), number);
	legacy_send(w, text);
}

static void too_many_pairs(void **state)
{
	struct hub_world *w = *state;
	fill(w);
	legacy_send(w, RESULT(A, C) VERIFY(A, C, "q"));
	far_saw(&w->legacy, RESULT_ERROR(C, A, "wait", "resource-constraint")
				VERIFY_ERROR(C, A, "q", "wait", "resource-constraint"));
	/* One that is proven but not connected makes room. */
	accept_pair(w, 7, 7);
	far_close(&w->far[7]);
	turns(w);
	strbuf_clear(&w->legacy.seen);
	legacy_send(w, RESULT(A, C));
	assert_int_equal(w->fars, HUB_PAIRS_MAX + 1);
	far_saw(&w->legacy, "");
}

/* Which pair makes room is no matter of luck, and what the legacy server still sends for it ends no other. */
static void who_makes_room(void **state)
{
	enum { FIRST = 100, LAST = 120, GONE = 130 };
	struct hub_world *w = *state;
	fill(w);
	for (unsigned i = FIRST; i <= LAST; i++)
		accept_pair(w, i, i);
	/* Used in this order: from the last one to the first one. */
	for (unsigned i = LAST; i >= FIRST; i--)
		say(w, i);
	accept_pair(w, GONE, GONE);
	for (unsigned i = FIRST; i <= LAST; i++)
		far_close(&w->far[i]);
	far_close(&w->far[GONE]);
	turns(w);
	/* That one was used last of all, but the legacy server has been told that it is not proven any more. */
	say(w, GONE);
	far_close(&w->far[HUB_PAIRS_MAX]);
	turns(w);
	strbuf_clear(&w->legacy.seen);
	legacy_send(w, RESULT(A, C) RESULT(A2, C));
	assert_int_equal(w->fars, HUB_PAIRS_MAX + 3);
	far_saw(&w->legacy, "");
	say(w, GONE);
	say(w, LAST);
	assert_int_equal(w->fars, HUB_PAIRS_MAX + 3);
	assert_int_equal(w->over, 0);
	for (unsigned i = FIRST; i < LAST; i++)
		say(w, i);
	assert_int_equal(w->fars, HUB_PAIRS_MAX + 3 + LAST - FIRST);
	assert_int_equal(w->over, 0);
	far_saw(&w->legacy, "");
}

/* Streams that have done all they were for are waited for only while there is room. */
/* Whoever makes the legacy server ask about many keys costs none of its proven pairs. */
static void questions_make_no_room(void **state)
{
	struct hub_world *w = *state;
	char text[256];
	fill(w);
	for (unsigned i = 0; i < HUB_PAIRS_MAX; i++) {
		accept_pair(w, i, i);
		far_close(&w->far[i]);
	}
	turns(w);
	strbuf_clear(&w->legacy.seen);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "<db:verify from='" A "' to='v%u.example' id='q'>key</db:verify>", i);
		legacy_send(w, text);
	}
	assert_int_equal(w->fars, HUB_PAIRS_MAX + 100);
	far_saw(&w->legacy, "");
	say(w, 0);
	say(w, HUB_PAIRS_MAX / 2);
	assert_int_equal(w->over, 0);
	assert_int_equal(w->fars, HUB_PAIRS_MAX + 102);
}

/* … nor the way to renew one: however many stand still, the legacy server is told of none that it has. */
static void questions_take_no_way(void **state)
{
	struct hub_world *w = *state;
	char text[256];
	legacy_send(w, RESULT(A, B));
	prove(w, &w->far[0]);
	far_close(&w->far[0]);
	turns(w);
	for (unsigned i = 0; i < HUB_PAIRS_MAX; i++) {
		snprintf(text, sizeof(text), VERIFY(A, "v%u.example", "q"), i);
		assert_int_equal(send(w->legacy.fd, text, strlen(text), 0), (ssize_t)strlen(text));
		event_base_loop(w->base, EVLOOP_NONBLOCK);
	}
	turns(w);
	assert_int_equal(w->fars, HUB_PAIRS_MAX + 1);
	far_saw(&w->legacy, "");
	legacy_send(w, VERIFY(A, C, "q"));
	far_saw(&w->legacy, VERIFY_ERROR(C, A, "q", "wait", "resource-constraint"));
	legacy_send(w, MESSAGE(A, B));
	assert_int_equal(w->fars, HUB_PAIRS_MAX + 2);
	far_saw(&w->far[HUB_PAIRS_MAX + 1], SPOKE_HEADER(A, B) RESULT(A, B));
	far_saw(&w->legacy, "");
	assert_int_equal(w->over, 0);
}

/* The keys are strangers' words: an unproven pair whose far end takes nothing holds up nobody with them. */
static void questions_hold_up_nobody(void **state)
{
	struct hub_world *w = *state;
	char key[3000], text[3300];
	unsigned asked = 0;
	memset(key, 'k', sizeof(key));
	while (strstr(strbuf_text(&w->legacy.seen), "resource-constraint") == NULL && asked < 1000) {
		snprintf(text, sizeof(text), "<db:verify from='" A "' to='" B "' id='%u'>%.*s</db:verify>", asked++,
			 (int)sizeof(key), key);
		assert_int_equal(send(w->legacy.fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
		for (int i = 0; i < 4; i++) {
			event_base_loop(w->base, EVLOOP_NONBLOCK);
			leg_io_flush(w->io);
		}
		far_read(&w->legacy);
		assert_true(hub_is_reading(w->hub));
	}
	assert_in_range(asked, 2, 999);
	assert_int_equal(w->paused, 0);
	assert_int_equal(w->over, 0);
}

static void too_many_parted(void **state)
{
	struct hub_world *w = *state;
	static const char answer[] = REMOTE_HEADER("t") VERIFY_IS("valid", C, A, "q");
	legacy_send(w, RESULT(A, B));
	for (unsigned i = 1; i < HUB_PAIRS_MAX; i++) {
		legacy_send(w, VERIFY(A, C, "q"));
		assert_int_equal(w->fars, i + 1);
		assert_int_equal(send(w->far[i].fd, answer, strlen(answer), 0), (ssize_t)strlen(answer));
		event_base_loop(w->base, EVLOOP_NONBLOCK);
		far_read(&w->far[i]);
	}
	turns(w);
	strbuf_clear(&w->legacy.seen);
	assert_false(w->far[1].eof);
	/* For a request, and for a question about a key. */
	legacy_send(w, RESULT(A2, C));
	assert_true(w->far[1].eof);
	assert_false(w->far[2].eof);
	far_saw(&w->far[1], SPOKE_HEADER(A, C) VERIFY(A, C, "q") CLOSE);
	far_send(w, &w->far[HUB_PAIRS_MAX], REMOTE_HEADER("t") RESULT_IS("valid", C, A2));
	far_saw(&w->legacy, RESULT_IS("valid", C, A2));
	legacy_send(w, VERIFY(A, C, "q"));
	assert_true(w->far[2].eof);
	assert_false(w->far[3].eof);
	/* Who waits for an answer is not cut, however old. */
	assert_false(w->far[0].eof || w->far[HUB_PAIRS_MAX].eof);
	prove(w, &w->far[0]);
}

static void too_many_verifies(void **state)
{
	struct hub_world *w = *state;
	char text[256];
	for (unsigned i = 0; i < 256; i++) {
		snprintf(text, sizeof(text), VERIFY(A, B, "%u"), i);
		legacy_send(w, text);
	}
	far_saw(&w->legacy, "");
	legacy_send(w, VERIFY(A, B, "more"));
	far_saw(&w->legacy, VERIFY_ERROR(B, A, "more", "wait", "resource-constraint"));
	assert_int_equal(w->fars, 1);
	far_send(w, &w->far[0], REMOTE_HEADER("t") VERIFY_IS("valid", B, A, "0"));
	strbuf_clear(&w->legacy.seen);
	legacy_send(w, VERIFY(A, B, "more"));
	far_saw(&w->legacy, "");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define BARE(name) cmocka_unit_test_setup_teardown(name, setup_bare, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(limits),
	    BARE(back_pressure),
	    BARE(waiting_pressure),
	    BARE(waiting_disproved),
	    BARE(answers_unread),
	    T(too_many_pairs),
	    T(who_makes_room),
	    T(too_many_parted),
	    T(questions_make_no_room),
	    T(questions_take_no_way),
	    T(questions_hold_up_nobody),
	    T(too_many_verifies),
	    BARE(one_that_takes_nothing),
	    BARE(given_up_and_asked_anew),
	    BARE(trickle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The id by which the legacy server knows the stream that its keys are made for is found by the remote server's id
 * before that server has anything to ask about (it may ask another worker at once), and no longer than the stream
 * lives.
 */
#include "servers_world.h"

#include "base/shared_ids.h"

#define NAMELESS "<stream:stream " NS ">"

static bool is_known(struct world *w, const char *theirs, const char *ours)
{
	char found[SHARED_ID_SIZE] = "";
	bool known = shared_ids_get(w->shared->ids, LOCAL, REMOTE, theirs, found);
	assert_string_equal(found, known ? ours : "");
	return known;
}

/* The pair's session waits for its record; out: the id that the legacy server was given. */
static void begin_pair(struct world *w, char ours[SHARED_ID_SIZE])
{
	const char *at;
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, NAMELESS);
	AWAIT(w, (at = strstr(strbuf_text(&w->near.seen), " id='")) != NULL);
	snprintf(ours, SHARED_ID_SIZE, "%.*s", (int)strcspn(at + 5, "'"), at + 5);
	strbuf_clear(&w->near.seen);
	pair_comes_up(w);
	w->hold_answers = true;
	end_send(w, &w->far, REMOTE_HEADER("theirs") FEATURES(DIALBACK));
	AWAIT(w, w->done != NULL);
	assert_false(is_known(w, "theirs", ours));
	assert_int_equal(w->far.seen.len, 0);
}

/* Nothing of ours runs between the record's answer and the key's arrival there. */
static void known_before_the_key_arrives(void **state)
{
	char ours[SHARED_ID_SIZE];
	struct world *w = world_new(NULL);
	(void)state;
	begin_pair(w, ours);
	w->hold_answers = false;
	audit_done_fn *done = w->done;
	w->done = NULL;
	done(w->done_ctx, true);
	/* The session reads the key from its socket pair in a turn of its own. */
	for (uint64_t end = clock_ms() + 10000; w->far.seen.len == 0 && clock_ms() < end; end_read(&w->far)) {
		assert_true(is_known(w, "theirs", ours));
		event_base_loop(w->base, EVLOOP_NONBLOCK);
	}
	assert_true(is_known(w, "theirs", ours));
	end_saw(w, &w->far, RESULT(LOCAL, REMOTE));
	end_send(w, &w->far, RESULT_IS("valid", REMOTE, LOCAL));
	end_saw(w, &w->near, RESULT_IS("valid", REMOTE, LOCAL));
	/* The remote server ends its stream: nobody asks about a key of it any more. */
	end_send(w, &w->far, CLOSE);
	AWAIT(w, records(w, ACTION("stream-closed")) == 1);
	assert_false(is_known(w, "theirs", ours));
	world_free(w);
}

static void forgotten_with_the_connection(void **state)
{
	char ours[SHARED_ID_SIZE];
	struct world *w = world_new(NULL);
	(void)state;
	begin_pair(w, ours);
	w->hold_answers = false;
	end_saw(w, &w->far, RESULT(LOCAL, REMOTE));
	assert_true(is_known(w, "theirs", ours));
	end_close(&w->near);
	AWAIT(w, engine_count(w->engine) == 0 || w->far.eof);
	assert_false(is_known(w, "theirs", ours));
	world_free(w);
}

/* A stream whose header names its domains needs no translation: the legacy server knows the remote server's own id. */
static void not_for_a_named_stream(void **state)
{
	struct world *w = world_new(NULL);
	(void)state;
	legacy_begins(w);
	far_offers(w, STARTTLS);
	far_proceeds(w, &pki.remote, 0);
	far_is_up(w);
	assert_false(is_known(w, "r2", ""));
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_before_the_key_arrives),
	    cmocka_unit_test(forgotten_with_the_connection),
	    cmocka_unit_test(not_for_a_named_stream),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}

/* SPDX-License-Identifier: MIT */
/* The end of a hub and of its spokes, seen from the remote server of a pair: what is waited for, and how long. */
#include "servers_world.h"

#define NAMELESS "<stream:stream " NS ">"

/* A pair is proven, and its remote server reads. */
static void begin_pair(struct world *w)
{
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, NAMELESS);
	AWAIT(w, w->near.seen.len > 0);
	strbuf_clear(&w->near.seen);
	end_send(w, &w->near, RESULT(LOCAL, REMOTE));
	AWAIT(w, w->far.seen.len > 0);
	strbuf_clear(&w->far.seen);
	far_offers(w, STARTTLS);
	far_proceeds(w, &pki.remote, 0);
	AWAIT(w, w->far.seen.len > 0);
	strbuf_clear(&w->far.seen);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(deserted),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}

/* SPDX-License-Identifier: MIT */
/*
 * Outbound streams between servers that end, or whose world changes, at any moment of their way: one record each,
 * nothing left behind, and no callback of what was given up.
 */
#include "servers_world.h"

/* How far a stream has come. */
enum stage {
	STAGE_DNS,        /* neither DNS nor memory has answered */
	STAGE_MEMORY,     /* DNS has */
	STAGE_CONNECTING, /* a connection has been asked for, and nothing comes of it */
	STAGE_CONNECTED,
	STAGE_HEADER, /* features are due */
	STAGE_ASKED,  /* <starttls/> has gone out */
	STAGE_HANDSHAKE,
	STAGE_SECURED, /* the header inside TLS is due */
	STAGE_RECORD,  /* the record has not been acknowledged */
	STAGE_JOINED,
	STAGES
};

static const struct zone_entry silent[] = {{"_xmpp-server._tcp." REMOTE, ns_t_any, ZONE_SILENT, {NULL}}, {0}};

static void begin(struct world *w)
{
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, LEGACY_HEADER);
}

static void connecting(struct world *w)
{
	int busy[BUSY], listening;
	far_is_busy(w, busy);
	listening = w->listening;
	w->listening = -1; /* the world accepts nobody */
	begin(w);
	for (int i = 0; i < 10; i++) {
		poll(NULL, 0, 5);
		turns(w);
	}
	assert_int_equal(w->questions, 1);
	assert_int_equal(records(w, "\n"), 0);
	w->listening = listening;
	for (int i = 0; i < BUSY; i++)
		close(busy[i]);
}

static void come_to(struct world *w, enum stage stage)
{
	w->hold_answers = stage == STAGE_RECORD;
	if (stage == STAGE_CONNECTING) {
		connecting(w);
		return;
	}
	begin(w);
	if (stage < STAGE_CONNECTING)
		return;
	end_saw(w, &w->far, FIRST_HEADER);
	if (stage == STAGE_HEADER)
		end_send(w, &w->far, REMOTE_HEADER("r1"));
	if (stage <= STAGE_HEADER)
		return;
	far_offers(w, STARTTLS);
	if (stage == STAGE_HANDSHAKE) {
		end_send(w, &w->far, PROCEED);
		AWAIT(w, w->far.seen.len > 0);
		strbuf_clear(&w->far.seen);
	}
	if (stage <= STAGE_HANDSHAKE)
		return;
	far_proceeds(w, &pki.remote, 0);
	end_saw(w, &w->far, LEGACY_HEADER);
	if (stage == STAGE_SECURED)
		return;
	end_send(w, &w->far, REMOTE_HEADER("r2") FEATURES(DIALBACK));
	AWAIT(w, records(w, ACTION("stream-established")) == 1);
	if (stage == STAGE_JOINED)
		end_saw(w, &w->near, REMOTE_HEADER("r2") FEATURES(DIALBACK LIMITS));
	else
		assert_int_equal(w->near.seen.len, 0);
}

static struct world *world_at(enum stage stage, const char *more)
{
	const struct options options = {.by_dns = stage == STAGE_DNS, .more = more};
	struct world *w = world_new(&options);
	w->hold_memory = stage <= STAGE_MEMORY;
	if (stage == STAGE_DNS)
		w->dns.zone = silent;
	come_to(w, stage);
	assert_int_equal(engine_count(w->engine), 1);
	return w;
}

/* Whatever still connects is accepted and hung up on, and then nothing is left. */
static void nothing_is_left(struct world *w)
{
	AWAIT(w, w->far.fd < 0 || w->far.eof);
	end_close(&w->near);
	end_close(&w->far);
	close_fd(&w->listening);
	AWAIT(w, engine_count(w->engine) == 0);
	assert_int_equal(records(w, ACTION("stream-closed")), 1);
	world_free(w);
}

static void the_legacy_server_leaves(void **state)
{
	(void)state;
	for (int stage = 0; stage < STAGES; stage++) {
		struct world *w = world_at((enum stage)stage, "");
		end_close(&w->near);
		AWAIT(w, records(w, ACTION("stream-closed")) == 1);
		recorded(w, "stream-closed", "\"code\":\"peer-gone\"");
		assert_null(w->answer);
		assert_null(w->done);
		nothing_is_left(w);
	}
}

static void the_remote_server_leaves(void **state)
{
	static const char *const codes[STAGES] = {[STAGE_CONNECTED] = "remote-closed",
						  [STAGE_HEADER] = "remote-closed",
						  [STAGE_ASKED] = "no-tls",
						  [STAGE_HANDSHAKE] = "remote-tls",
						  [STAGE_SECURED] = "remote-closed"};
	(void)state;
	for (int stage = STAGE_CONNECTED; stage <= STAGE_SECURED; stage++) {
		struct world *w = world_at((enum stage)stage, "");
		char *code = mem_printf("\"code\":\"%s\"", codes[stage]);
		end_close(&w->far);
		close_fd(&w->listening);
		legacy_is_told(w, stage == STAGE_ASKED ? "policy-violation" : "remote-connection-failed");
		recorded(w, "stream-closed", code);
		mem_free(code);
		nothing_is_left(w);
	}
}

/* One event of the loop brings both: the answer that ends this candidate, and the end of who asked for it. */
static void both_leave_at_once(void **state)
{
	(void)state;
	for (int stage = STAGE_CONNECTED; stage <= STAGE_JOINED; stage++) {
		struct world *w = world_at((enum stage)stage, "");
		if (stage == STAGE_ASKED)
			assert_true(send(w->far.fd, FAILURE, strlen(FAILURE), MSG_NOSIGNAL) > 0);
		end_close(&w->far);
		end_close(&w->near);
		AWAIT(w, records(w, ACTION("stream-closed")) == 1);
		nothing_is_left(w);
	}
}

static void freed_at_any_moment(void **state)
{
	(void)state;
	for (int stage = 0; stage < STAGES; stage++) {
		struct world *w = world_at((enum stage)stage, "");
		world_free(w);
	}
}

/* … also between the turn in which a candidate was given up and the one that goes on to the next. */
static void freed_between_two_candidates(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		struct world *w = world_at(STAGE_ASKED, "");
		assert_true(send(w->far.fd, FAILURE, strlen(FAILURE), MSG_NOSIGNAL) > 0);
		for (int k = 0; k < i; k++)
			event_base_loop(w->base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
		world_free(w);
	}
}

static void shutdown_at_any_moment(void **state)
{
	(void)state;
	for (int stage = 0; stage < STAGES; stage++) {
		struct world *w = world_at((enum stage)stage, "timeouts: {drain: 0}\n");
		engine_drain(w->engine);
		AWAIT(w, w->near.eof);
		assert_non_null(strstr(strbuf_text(&w->near.seen), "<stream:error>" STREAM_ERROR("system-shutdown")));
		if (stage >= STAGE_CONNECTED && stage != STAGE_HANDSHAKE)
			AWAIT(w, strstr(strbuf_text(&w->far.seen), "<system-shutdown") != NULL);
		else
			assert_int_equal(w->far.seen.len, 0);
		recorded(w, "stream-closed", "\"code\":\"shutdown\"");
		nothing_is_left(w);
	}
}

/* The audit log cannot be written at the moment that counts: nothing of the remote server is passed on. */
static void no_audit_log(void **state)
{
	(void)state;
	struct world *w = world_at(STAGE_RECORD, "");
	w->answer_ok = w->hold_answers = false;
	legacy_is_told(w, "internal-server-error");
	assert_null(strstr(strbuf_text(&w->near.seen), "id='r2'"));
	recorded(w, "stream-closed", "\"code\":\"audit-unavailable\"");
	assert_int_equal(w->seen_count, 0);
	nothing_is_left(w);
}

static void no_audit_log_and_going_on(void **state)
{
	(void)state;
	struct world *w = world_at(STAGE_RECORD, "audit: {on-failure: continue}\n");
	w->answer_ok = w->hold_answers = false;
	end_saw(w, &w->near, REMOTE_HEADER("r2") FEATURES(DIALBACK LIMITS));
	world_free(w);
}

/* A stream keeps what it began with, whatever is in force now. */
static void reload_at_any_moment(void **state)
{
	const struct options strict = {.by_dns = true, .distrust = true};
	(void)state;
	for (int stage = STAGE_MEMORY; stage < STAGE_JOINED; stage++) {
		struct world *w = world_at((enum stage)stage, "");
		struct errbuf err = {""};
		struct config *config = load(w, &strict);
		struct tls_store *store = tls_store_new(config, &w->shared->tickets, &err);
		assert_non_null(store);
		engine_reload(w->engine, config, store);
		tls_store_unref(&store);
		config_unref(&config);
		config_unref(&w->config);
		tls_store_unref(&w->store);
		w->hold_memory = w->hold_answers = false;
		if (stage == STAGE_MEMORY) {
			end_saw(w, &w->far, FIRST_HEADER);
			far_offers(w, STARTTLS);
			far_proceeds(w, &pki.remote, 0);
			far_is_up(w);
		}
		if (stage == STAGE_SECURED) {
			end_send(w, &w->far, REMOTE_HEADER("r2") FEATURES(DIALBACK));
			end_saw(w, &w->near, REMOTE_HEADER("r2") FEATURES(DIALBACK LIMITS));
		}
		world_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_legacy_server_leaves),
	    cmocka_unit_test(the_remote_server_leaves),
	    cmocka_unit_test(both_leave_at_once),
	    cmocka_unit_test(freed_at_any_moment),
	    cmocka_unit_test(freed_between_two_candidates),
	    cmocka_unit_test(shutdown_at_any_moment),
	    cmocka_unit_test(no_audit_log),
	    cmocka_unit_test(no_audit_log_and_going_on),
	    cmocka_unit_test(reload_at_any_moment),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}

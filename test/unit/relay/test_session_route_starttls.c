/* SPDX-License-Identifier: MIT */
/*
 * What the records say of a remote server that did not offer STARTTLS (STRIP-3, 5, 6): each way in which the offer can
 * be missing with each answer to asking all the same, and no two of them in the same words; and of one
 * that says inside TLS what it did not say before.
 */
#include "servers_world.h"

#define OLD_HEADER HEADER_OF(" from='" REMOTE "' to='" LOCAL "' id='r1'")
#define REASON(text) "\"reason\":\"" text "\""

static const struct {
	const char *said, *missing;
} offers[] = {
    {REMOTE_HEADER("r1") FEATURES(DIALBACK), "its features had no <starttls/>"},
    {REMOTE_HEADER("r1") FEATURES("<x xmlns='urn:x'>" STARTTLS "</x>"),
     "its features had only something that looks like <starttls/>"},
    {REMOTE_HEADER("r1"), "it sent no features"},
    {REMOTE_HEADER("r1") STARTTLS, "it sent no features, but something that only looks like <starttls/>"},
    {OLD_HEADER, "its header had no usable version, and it sent no features"},
    {OLD_HEADER FEATURES(DIALBACK), "its header had no usable version, and its features had no <starttls/>"},
    {OLD_HEADER FEATURES("<STARTTLS xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
     "its header had no usable version, and its features had only something that looks like <starttls/>"},
};
#define OFFERS (sizeof(offers) / sizeof(offers[0]))

static const struct {
	const char *said; /* NULL: nothing */
	const char *words;
} answers[] = {
    {FAILURE, "it answered <failure/>"},
    {"<stream:error>" STREAM_ERROR("unsupported-stanza-type") "</stream:error>" CLOSE,
     "it answered with a stream error, <unsupported-stanza-type/>"},
    {"<stream:error>" STREAM_ERROR("policy-violation") "</stream:error>" CLOSE,
     "it answered with a stream error, <policy-violation/>"},
    {CLOSE, "it closed the stream"},
    {"<message/>", "it sent something that is no answer"},
    {"HTTP/1.1 400 <", "it sent something that is no answer"},
    {NULL, "it answered nothing in time"},
};
#define ANSWERS (sizeof(answers) / sizeof(answers[0]))

static struct world *begin(size_t offer)
{
	const struct options options = {.more = IMPATIENT};
	struct world *w = world_new(&options);
	legacy_begins(w);
	end_send(w, &w->far, offers[offer].said);
	end_saw(w, &w->far, STARTTLS);
	return w;
}

static void recorded_reason(const struct world *w, const char *action, const char *lead, size_t offer,
			    const char *words)
{
	const char *end = strcmp(action, "starttls-stripped") == 0 ? "." : "";
	char *reason = mem_printf(REASON("%s: %s; asked for TLS, %s%s"), lead, offers[offer].missing, words, end);
	recorded(w, action, reason);
	mem_free(reason);
}

static void no_tls(size_t offer, size_t answer)
{
	struct world *w = begin(offer);
	if (answers[answer].said != NULL)
		end_send(w, &w->far, answers[answer].said);
	legacy_is_told(w, "policy-violation");
	recorded(w, "starttls-stripped", "\"severity\":2");
	recorded(w, "starttls-stripped", "\"result\":\"stripped-failed\"");
	recorded_reason(w, "starttls-stripped", "STARTTLS was not offered and did not work when it was asked for",
			offer, answers[answer].words);
	recorded(w, "stream-refused", "\"code\":\"no-tls\"");
	recorded_reason(w, "stream-refused", "The remote server could not be brought to use TLS", offer,
			answers[answer].words);
	recorded_reason(w, "stream-closed", "The remote server could not be brought to use TLS", offer,
			answers[answer].words);
	assert_int_equal(records(w, ACTION("starttls-stripped")), 1);
	world_free(w);
}

static void every_offer_and_every_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < OFFERS; i++)
		for (size_t j = 0; j < ANSWERS; j++)
			no_tls(i, j);
}

static void its_connection_ends(void **state)
{
	(void)state;
	struct world *w = begin(0);
	end_close(&w->far);
	legacy_is_told(w, "policy-violation");
	recorded_reason(w, "stream-refused", "The remote server could not be brought to use TLS", 0,
			"it closed the stream");
	world_free(w);
}

/* The whole of the negotiation's time is over before this step's is. */
static void time_is_up(void **state)
{
	const struct options options = {.more = "timeouts: {negotiation: 1s, connect: 1s}\n"};
	(void)state;
	struct world *w = world_new(&options);
	legacy_begins(w);
	poll(NULL, 0, 400);
	end_send(w, &w->far, offers[0].said);
	end_saw(w, &w->far, STARTTLS);
	legacy_is_told(w, "policy-violation");
	recorded_reason(w, "stream-refused", "The remote server could not be brought to use TLS", 0,
			"it had not answered when time was up");
	world_free(w);
}

static void agreed_to(void **state)
{
	(void)state;
	for (size_t i = 0; i < OFFERS; i++) {
		struct world *w = begin(i);
		end_send(w, &w->far, PROCEED);
		AWAIT(w, w->far.seen.len > 0);
		end_send(w, &w->far, "<stream:features/>");
		legacy_is_told(w, "remote-connection-failed");
		recorded(w, "starttls-stripped", "\"severity\":3");
		recorded_reason(w, "starttls-stripped",
				"STARTTLS was not offered and was agreed to all the same, but no TLS came of it", i,
				"it answered <proceed/>");
		world_free(w);
		w = begin(i);
		far_proceeds(w, &pki.remote, 0);
		far_is_up(w);
		recorded(w, "starttls-stripped", "\"severity\":3");
		recorded_reason(
		    w, "starttls-stripped",
		    "STARTTLS was not offered and worked all the same, so somebody on the way took the offer away", i,
		    "it answered <proceed/>");
		world_free(w);
	}
}

/* An offer that is not kept: not stripped, but the same evidence. */
static void offered(void **state)
{
	(void)state;
	for (size_t i = 0; i < ANSWERS; i++) {
		const struct options options = {.more = IMPATIENT};
		struct world *w = world_new(&options);
		legacy_begins(w);
		far_offers(w, STARTTLS);
		if (answers[i].said != NULL)
			end_send(w, &w->far, answers[i].said);
		legacy_is_told(w, "policy-violation");
		char *reason = mem_printf(REASON("The remote server could not be brought to use TLS: it offered "
						 "STARTTLS; asked for TLS, %s"),
					  answers[i].words);
		recorded(w, "stream-refused", reason);
		mem_free(reason);
		assert_int_equal(records(w, ACTION("starttls-stripped")), 0);
		world_free(w);
	}
}

static void it_used_tls_before(void **state)
{
	(void)state;
	struct world *w = world_new(NULL);
	remember(w, &pki.remote, true);
	legacy_begins(w);
	far_offers(w, DIALBACK);
	end_send(w, &w->far, FAILURE);
	legacy_is_told(w, "policy-violation");
	recorded(w, "starttls-stripped", "\"severity\":3");
	recorded(w, "starttls-stripped",
		 REASON("STARTTLS was not offered and did not work when it was asked for: its features had no "
			"<starttls/>; asked for TLS, it answered <failure/>; this peer used TLS before."));
	world_free(w);
}

/* STRIP-9: what inside TLS contradicts what was said before; it is in the record, and not only in the operator's log.
 */
static void differs(const char *header, const char *before, const char *inside, bool really)
{
	struct world *w = world_new(NULL);
	legacy_begins(w);
	end_send(w, &w->far, header);
	end_send(w, &w->far, before);
	end_saw(w, &w->far, STARTTLS);
	far_proceeds(w, &pki.remote, 0);
	end_saw(w, &w->far, LEGACY_HEADER);
	end_send(w, &w->far, REMOTE_HEADER("r2"));
	end_send(w, &w->far, inside);
	AWAIT(w, records(w, ACTION("stream-established")) == 1 && w->near.seen.len > 0);
	end_close(&w->near);
	AWAIT(w, records(w, ACTION("stream-closed")) == 1);
	recorded(w, "stream-established", really ? "\"severity\":2" : "\"severity\":0");
	assert_int_equal(records(w, "\"result\":\"negotiated\",\"differs\":true}"), really ? 2 : 0);
	assert_int_equal(records(w, "\"result\":\"negotiated\"}"), really ? 0 : 2);
	world_free(w);
}

#define MECHANISMS(name) \
	"<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>" name "</mechanism></mechanisms>"

static void what_differs(void **state)
{
	static const char honest[] = REMOTE_HEADER("r1");
	(void)state;
	differs(honest, FEATURES(STARTTLS DIALBACK), FEATURES(DIALBACK), false);
	differs(honest, FEATURES(STARTTLS), FEATURES(MECHANISMS("EXTERNAL") DIALBACK), false);
	differs(honest, FEATURES(STARTTLS DIALBACK), FEATURES(STARTTLS DIALBACK), true);
	differs(honest, FEATURES(STARTTLS MECHANISMS("PLAIN")), FEATURES(MECHANISMS("EXTERNAL") DIALBACK), true);
	differs(OLD_HEADER, FEATURES(STARTTLS), FEATURES(DIALBACK), true);
	differs(HEADER_OF(" from='" OTHER "' to='" LOCAL "' id='r1' version='1.0'"), FEATURES(STARTTLS),
		FEATURES(DIALBACK), true);
}

/* Were two of them the same, the tests above could not tell a mistake. */
static void no_two_are_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < OFFERS; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(offers[i].missing, offers[j].missing);
	for (size_t i = 0; i < ANSWERS; i++)
		for (size_t j = 0; j < i; j++)
			if (strstr(answers[i].words, "no answer") == NULL)
				assert_string_not_equal(answers[i].words, answers[j].words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_offer_and_every_answer),
	    cmocka_unit_test(its_connection_ends),
	    cmocka_unit_test(time_is_up),
	    cmocka_unit_test(agreed_to),
	    cmocka_unit_test(offered),
	    cmocka_unit_test(it_used_tls_before),
	    cmocka_unit_test(what_differs),
	    cmocka_unit_test(no_two_are_the_same),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}

/* SPDX-License-Identifier: MIT */
/* A peer as JSON, byte for byte; pages of a real store; the largest answer there can be fits a message. */
#include "daemon/peer_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "daemon/message.h"

static char directory[] = "/tmp/portcullis-peers-XXXXXX";
static struct peer_store *store;

static struct peer_memory example(void)
{
	struct peer_memory m = {
	    .known = true,
	    .first_seen = 1795336069,
	    .last_seen = 1795336070,
	    .tls = true,
	    .offered = true,
	    .way = {[PEER_OUTBOUND] = {.last_seen = 1795336069,
				       .best_version = 13,
				       .last_version = 13,
				       .best_method = PEER_METHOD_DIALBACK,
				       .last_method = PEER_METHOD_DIALBACK},
		    [PEER_INBOUND] = {.last_seen = 1795336070, .best_version = 12, .best_method = PEER_METHOD_PKIX}},
	    .certificate_count = 1};
	struct peer_certificate *c = &m.certificate[0];

	memset(c->sha256, 'a', 64);
	memset(c->spki_sha256, 'b', 64);
	snprintf(c->subject, sizeof(c->subject), "CN=\x1b[31m\"");
	snprintf(c->issuer, sizeof(c->issuer), "CN=ca");
	snprintf(c->endpoint, sizeof(c->endpoint), "x.example:5269");
	c->not_after = PEER_TIME_MAX;
	c->first_seen = c->last_seen = 1795336069;
	c->accepted = true;
	return m;
}

#define HEAD                                                                                                 \
	"{\"domain\":\"a.example\",\"service\":\"s2s\",\"tls\":{\"established\":true,\"best\":\"1.3\","      \
	"\"last\":\"none\",\"direct\":false},\"verification\":{\"best\":\"pkix\",\"last\":\"none\"},"        \
	"\"outbound\":{\"tls\":{\"best\":\"1.3\",\"last\":\"1.3\"},\"verification\":{\"best\":\"dialback\"," \
	"\"last\":\"dialback\"},\"last_seen\":\"2026-11-22T08:27:49Z\"},"                                    \
	"\"inbound\":{\"tls\":{\"best\":\"1.2\",\"last\":\"none\"},\"verification\":{\"best\":\"pkix\","     \
	"\"last\":\"none\"},\"last_seen\":\"2026-11-22T08:27:50Z\"},"                                        \
	"\"starttls\":{\"offered\":true,\"required\":false},\"certificate_count\":1,"                        \
	"\"first_seen\":\"2026-11-22T08:27:49Z\",\"last_seen\":\"2026-11-22T08:27:50Z\""
#define A16 "aaaaaaaaaaaaaaaa"
#define B16 "bbbbbbbbbbbbbbbb"

static void test_json(void **state)
{
	struct peer_memory m = example();
	char *text;

	(void)state;
	text = peer_list_json("a.example", PEER_S2S, &m, false);
	assert_string_equal(text, HEAD "}");
	mem_free(text);
	text = peer_list_json("a.example", PEER_S2S, &m, true);
	assert_string_equal(text, HEAD ",\"certificates\":[{\"sha256\":\"" A16 A16 A16 A16
				       "\",\"spki_sha256\":\"" B16 B16 B16 B16
				       "\",\"subject\":\"CN=\\\\x1b[31m\\\"\",\"issuer\":\"CN=ca\","
				       "\"endpoint\":\"x.example:5269\",\"not_after\":\"9999-12-31T23:59:59Z\","
				       "\"first_seen\":\"2026-11-22T08:27:49Z\","
				       "\"last_seen\":\"2026-11-22T08:27:49Z\",\"accepted\":true}]}");
	mem_free(text);
}

static void observe(const char *domain, enum peer_service service, char digit, const char *subject)
{
	struct peer_observation seen = {.service = service, .when = 1795336069, .has_certificate = true};
	struct peer_memory m = example();

	snprintf(seen.domain, sizeof(seen.domain), "%s", domain);
	seen.certificate = m.certificate[0];
	seen.certificate.sha256[0] = seen.certificate.spki_sha256[0] = digit;
	/* The last place is for one that waits. */
	seen.certificate.accepted = digit < '0' + PEER_CERTIFICATES - 1;
	snprintf(seen.certificate.subject, sizeof(seen.certificate.subject), "%s", subject);
	snprintf(seen.certificate.issuer, sizeof(seen.certificate.issuer), "%s", subject);
	snprintf(seen.certificate.endpoint, sizeof(seen.certificate.endpoint), "%s", subject);
	assert_int_equal(peer_store_observe(store, &seen, NULL), 0);
}

static void observe_inbound(const char *domain)
{
	struct peer_observation seen = {.service = PEER_S2S,
					.inbound = true,
					.when = 1795336069,
					.version = 13,
					.tls = true,
					.method = PEER_METHOD_FINGERPRINT};

	snprintf(seen.domain, sizeof(seen.domain), "%s", domain);
	assert_int_equal(peer_store_observe(store, &seen, NULL), 0);
}

static struct peers_answer page(enum peers_verb verb, const char *domain, enum peer_service service,
				struct strbuf *text)
{
	struct peers_question question = {.verb = verb, .service = service};
	struct peers_answer answer = {.ok = false};

	strbuf_init(text, MESSAGE_PAYLOAD_MAX - sizeof(answer));
	snprintf(question.domain, sizeof(question.domain), "%s", domain);
	assert_int_equal(peer_list_page(store, &question, &answer, text, NULL), 0);
	assert_false(text->overflow);
	return answer;
}

static unsigned occurrences(const struct strbuf *text, const char *what)
{
	unsigned count = 0;

	for (const char *at = strbuf_text(text); (at = strstr(at, what)); at++)
		count++;
	return count;
}

static void test_pages(void **state)
{
	struct peers_answer answer;
	struct strbuf text;
	char domain[64];

	(void)state;
	answer = page(PEERS_LIST, "", PEER_C2S, &text);
	assert_false(answer.more || answer.known);
	assert_string_equal(strbuf_text(&text), "");
	strbuf_fini(&text);
	for (int i = 0; i < 65; i++) {
		snprintf(domain, sizeof(domain), "d%02d.example", i);
		observe(domain, PEER_S2S, 'a', "CN=x");
	}
	answer = page(PEERS_LIST, "", PEER_C2S, &text);
	assert_true(answer.more);
	assert_string_equal(answer.domain, "d63.example");
	assert_int_equal(answer.service, PEER_S2S);
	assert_int_equal(occurrences(&text, "{\"domain\":"), 64);
	assert_int_equal(occurrences(&text, "},{\"domain\":"), 63);
	assert_int_equal(occurrences(&text, "\"certificates\":"), 0);
	strbuf_fini(&text);
	answer = page(PEERS_LIST, "d63.example", PEER_S2S, &text);
	assert_false(answer.more);
	assert_int_equal(occurrences(&text, "{\"domain\":\"d64.example\""), 1);
	assert_int_equal(occurrences(&text, "{\"domain\":"), 1);
	strbuf_fini(&text);
}

static void test_largest(void **state)
{
	char domain[PEER_DOMAIN_SIZE] = "", subject[PEER_TEXT_SIZE];
	struct peers_answer answer;
	struct strbuf text;

	(void)state;
	for (int i = 0; i < 4; i++)
		memset(domain + 64 * i, 'a', 63);
	domain[63] = domain[127] = domain[191] = '.';
	domain[253] = '\0';
	memset(subject, '\x01', sizeof(subject) - 1);
	subject[sizeof(subject) - 1] = '\0';
	for (int i = 0; i < PEER_CERTIFICATES; i++) {
		observe(domain, PEER_C2S, (char)('0' + i), subject);
		observe(domain, PEER_S2S, (char)('0' + i), subject);
	}
	answer = page(PEERS_SHOW, domain, PEER_C2S, &text);
	assert_true(answer.known);
	assert_int_equal(occurrences(&text, "{\"domain\":"), 2);
	assert_int_equal(occurrences(&text, "\"accepted\":"), 2 * PEER_CERTIFICATES);
	strbuf_fini(&text);
	answer = page(PEERS_SHOW, "other.example", PEER_C2S, &text);
	assert_false(answer.known);
	assert_string_equal(strbuf_text(&text), "");
	strbuf_fini(&text);
	/* A page of the longest names, met in both directions. */
	for (int i = 0; i < 80; i++) {
		domain[0] = (char)('a' + i % 26);
		domain[1] = (char)('a' + i / 26);
		observe(domain, PEER_S2S, 'a', "CN=x");
		observe_inbound(domain);
	}
	answer = page(PEERS_LIST, "d64.example", PEER_S2S, &text);
	assert_true(answer.more);
	assert_in_range(text.len, 64 * 700, 64 * 900);
	strbuf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_pages),
	    cmocka_unit_test(test_largest),
	};
	char path[64];
	int failed;

	if (!mkdtemp(directory))
		return 1;
	store = peer_store_open(directory, NULL);
	if (!store)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	peer_store_close(&store);
	snprintf(path, sizeof(path), "%s/peers.db", directory);
	unlink(path);
	rmdir(directory);
	return failed;
}

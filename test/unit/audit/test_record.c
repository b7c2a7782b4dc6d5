/* SPDX-License-Identifier: MIT */
/* record: whole texts for a full and a minimal record, and hostile values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "audit/record.h"
#include "base/array.h"
#include "base/mem.h"

static void assert_json(const struct audit_record *r, const char *want)
{
	size_t len = 0;
	char *got = audit_record_json(r, &len);

	assert_string_equal(got, want);
	assert_int_equal(len, strlen(want));
	/* No object is opened twice. */
	json_t *read = json_loads(got, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(read);
	json_decref(read);
	mem_free(got);
}

static void minimal(void **state)
{
	struct audit_record r;

	(void)state;
	audit_record_init(&r);
	r.time_us = 1795336069123456;
	r.id = "0-1-1";
	r.action = "proxy-started";
	r.outcome = AUDIT_SUCCESS;
	assert_json(&r,
		    "{\"@timestamp\":\"2026-11-22T08:27:49.123456Z\",\"event\":{\"kind\":\"event\",\"id\":\"0-1-1\","
		    "\"category\":[\"network\"],\"action\":\"proxy-started\",\"outcome\":\"success\","
		    "\"severity\":0}}");
	/* A direction names the protocol too; a lone member opens and closes its object. */
	r.direction = "outbound";
	r.inner.server_name = "inner.example";
	assert_json(&r,
		    "{\"@timestamp\":\"2026-11-22T08:27:49.123456Z\",\"event\":{\"kind\":\"event\",\"id\":\"0-1-1\","
		    "\"category\":[\"network\"],\"action\":\"proxy-started\",\"outcome\":\"success\","
		    "\"severity\":0},\"network\":{\"protocol\":\"xmpp\",\"direction\":\"outbound\"},"
		    "\"xmpp\":{\"inner\":{\"tls\":{\"client\":{\"server_name\":\"inner.example\"}}}}}");
	audit_record_init(&r);
	r.time_us = 1795336069123456;
	r.action = "proxy-started";
	/* Empty is absent. */
	r.id = NULL;
	r.reason = "";
	r.to = "";
	r.version_text = "0.1.0";
	r.outcome = AUDIT_UNKNOWN;
	assert_json(&r, "{\"@timestamp\":\"2026-11-22T08:27:49.123456Z\",\"event\":{\"kind\":\"event\","
			"\"category\":[\"network\"],\"action\":\"proxy-started\",\"outcome\":\"unknown\","
			"\"severity\":0},\"service\":{\"version\":\"0.1.0\"}}");
}

static void fill(struct audit_record *r)
{
	audit_record_init(r);
	r->time_us = 0;
	r->id = "2-1-17";
	r->action = "stream-closed";
	r->outcome = AUDIT_FAILURE;
	r->severity = 2;
	r->reason = "The client went away.";
	r->reason_word = "peer-gone";
	r->duration_ns = 1500000000;
	r->stream = "5f0c";
	r->source_ip = "192.0.2.7";
	r->source_port = 40000;
	r->destination_ip = "127.0.0.1";
	r->destination_port = 15222;
	r->destination_domain = "example.com";
	r->direction = "inbound";
	r->role = "c2s-inbound";
	r->from = "user@example.com";
	r->to = "example.com";
	r->version = "1.0";
	r->level = "encrypt";
	r->mode = "enforce";
	r->starttls_advertised = AUDIT_TRUE;
	r->starttls_required = AUDIT_FALSE;
	r->starttls_result = "negotiated";
	r->starttls_differs = AUDIT_TRUE;
	r->outer = (struct audit_tls){AUDIT_TRUE,    "1.3",      "TLS_AES_256_GCM_SHA384", "X25519", "xmpp-client",
				      "example.com", AUDIT_FALSE};
	r->inner.established = AUDIT_FALSE;
	r->inner_verification_method = "none";
	r->inner_verification_result = "unverified";
	r->inner_verification_reason = "expired";
	r->verification_method = "none";
	r->verification_result = "unverified";
	r->verification_reason = "no-certificate";
	r->auth_method = "SCRAM-SHA-1";
	r->auth_identity = "user@example.com";
	r->error = "connection-timeout";
	r->source_bytes = 0;
	r->destination_bytes = 9007199254740993;
	r->stanzas_in = 3;
	r->stanzas_out = 0;
}

static void full(void **state)
{
	struct audit_record r;

	(void)state;
	fill(&r);
	assert_json(
	    &r, "{\"@timestamp\":\"1970-01-01T00:00:00.000000Z\",\"event\":{\"kind\":\"event\",\"id\":\"2-1-17\","
		"\"category\":[\"network\"],\"action\":\"stream-closed\",\"outcome\":\"failure\",\"severity\":2,"
		"\"reason\":\"The client went away.\",\"code\":\"peer-gone\",\"duration\":1500000000},"
		"\"network\":{\"protocol\":\"xmpp\",\"direction\":\"inbound\"},"
		"\"source\":{\"ip\":\"192.0.2.7\",\"port\":40000,\"bytes\":0},"
		"\"destination\":{\"ip\":\"127.0.0.1\",\"port\":15222,\"domain\":\"example.com\","
		"\"bytes\":9007199254740993},"
		"\"xmpp\":{\"stream\":\"5f0c\",\"role\":\"c2s-inbound\",\"from\":\"user@example.com\","
		"\"to\":\"example.com\",\"version\":\"1.0\",\"policy\":{\"level\":\"encrypt\",\"mode\":\"enforce\"},"
		"\"starttls\":{\"advertised\":true,\"required\":false,\"result\":\"negotiated\",\"differs\":true},"
		"\"verification\":{\"method\":\"none\",\"result\":\"unverified\",\"reason\":\"no-certificate\"},"
		"\"auth\":{\"method\":\"SCRAM-SHA-1\",\"identity\":\"user@example.com\"},"
		"\"error\":\"connection-timeout\",\"stanzas\":{\"in\":3,\"out\":0},"
		"\"inner\":{\"tls\":{\"established\":false},\"verification\":{\"method\":\"none\","
		"\"result\":\"unverified\",\"reason\":\"expired\"}}},"
		"\"tls\":{\"established\":true,\"version\":\"1.3\",\"cipher\":\"TLS_AES_256_GCM_SHA384\","
		"\"curve\":\"X25519\",\"resumed\":false,\"next_protocol\":\"xmpp-client\","
		"\"client\":{\"server_name\":\"example.com\"}}}");
}

static const char *const names[] = {"example.org", "_xmpp-server.example.org", "192.0.2.1"};
static const struct audit_certificate leaf = {
    .subject = "CN=example.org",
    .issuer = "CN=An authority,O=Somebody",
    .serial = "0A1B",
    .not_before = "2026-11-01T00:00:00Z",
    .not_after = "2027-01-30T23:59:59Z",
    .names = names,
    .name_count = 3,
    .key_algorithm = "EC",
    .key_size = 256,
    .signature_algorithm = "ecdsa-with-SHA256",
    .sha256 = "aa01",
    .spki_sha256 = "bb02",
};
static const struct audit_certificate old_leaf = {
    .subject = "CN=old",
    .issuer = "CN=older",
    .serial = "01",
    .not_before = "2025-11-01T00:00:00Z",
    .not_after = "2026-01-30T23:59:59Z",
    .names = names,
    .name_count = 3,
    .key_algorithm = "RSA",
    .key_size = 2048,
    .signature_algorithm = "RSA-SHA256",
    .sha256 = "cc03",
    .spki_sha256 = "dd04",
};

#define X509                                                                                             \
	"\"x509\":{\"subject\":{\"distinguished_name\":\"CN=example.org\"},"                             \
	"\"issuer\":{\"distinguished_name\":\"CN=An authority,O=Somebody\"},\"serial_number\":\"0A1B\"," \
	"\"not_before\":\"2026-11-01T00:00:00Z\",\"not_after\":\"2027-01-30T23:59:59Z\","                \
	"\"alternative_names\":[\"example.org\",\"_xmpp-server.example.org\",\"192.0.2.1\"],"            \
	"\"public_key_algorithm\":\"EC\",\"public_key_size\":256,"                                       \
	"\"signature_algorithm\":\"ecdsa-with-SHA256\"},\"hash\":{\"sha256\":\"aa01\"}"
#define HEAD                                                                                          \
	"{\"@timestamp\":\"1970-01-01T00:00:00.000000Z\",\"event\":{\"kind\":\"event\",\"category\":" \
	"[\"network\"],\"action\":\"x\",\"outcome\":\"unknown\",\"severity\":0},"

static void outbound(void **state)
{
	struct audit_record r;

	(void)state;
	audit_record_init(&r);
	r.action = "x";
	r.level = "encrypt";
	r.policy_rule = "*.example.org";
	r.policy_reason = "renewed in \"March\"";
	r.policy_until = "2027-03-31";
	r.dnssec = "secure";
	r.verification_method = "pkix";
	r.verification_identity = "example.org";
	r.verification_matched = "SRV-ID _xmpp-server.example.org";
	r.verification_result = "verified";
	r.outer = (struct audit_tls){.established = AUDIT_TRUE, .server_name = "example.org"};
	r.server_certificate = &leaf;
	r.previous_certificate = &old_leaf;
	assert_json(&r, HEAD
		    "\"xmpp\":{\"policy\":{\"level\":\"encrypt\",\"rule\":\"*.example.org\",\"reason\":\"renewed in "
		    "\\\"March\\\"\","
		    "\"until\":\"2027-03-31\"},\"dns\":{\"dnssec\":\"secure\"},"
		    "\"verification\":{\"method\":\"pkix\",\"identity\":\"example.org\","
		    "\"matched\":\"SRV-ID _xmpp-server.example.org\",\"result\":\"verified\"},"
		    "\"peer\":{\"spki_sha256\":\"bb02\",\"previous\":{\"subject\":\"CN=old\",\"issuer\":\"CN=older\","
		    "\"serial_number\":\"01\",\"not_before\":\"2025-11-01T00:00:00Z\","
		    "\"not_after\":\"2026-01-30T23:59:59Z\",\"sha256\":\"cc03\",\"spki_sha256\":\"dd04\"}}},"
		    "\"tls\":{\"established\":true,\"client\":{\"server_name\":\"example.org\"},\"server\":{" X509
		    "}}}");
}

static void inbound(void **state)
{
	static const struct audit_certificate bare = {.sha256 = "aa01"};
	struct audit_record r;

	(void)state;
	audit_record_init(&r);
	r.action = "x";
	r.outer.server_name = "example.com";
	r.client_certificate = &leaf;
	assert_json(&r, HEAD "\"xmpp\":{\"peer\":{\"spki_sha256\":\"bb02\"}},"
			     "\"tls\":{\"client\":{\"server_name\":\"example.com\"," X509 "}}}");
	/* What is not known is not there, down to nothing. */
	r.outer.server_name = NULL;
	r.client_certificate = &bare;
	r.previous_certificate = &bare;
	assert_json(&r, HEAD "\"xmpp\":{\"peer\":{\"previous\":{\"sha256\":\"aa01\"}}},"
			     "\"tls\":{\"client\":{\"hash\":{\"sha256\":\"aa01\"}}}}");
}

/* Names are what a peer wrote into its certificate. */
static void hostile_names(void **state)
{
	const char *many[1000];
	char longest[5001], *got, *at;
	struct audit_certificate hostile = {.names = many, .name_count = 1000};
	struct audit_record r;
	size_t len, count = 0;

	(void)state;
	memset(longest, '"', 5000);
	longest[5000] = '\0';
	for (size_t i = 0; i < 1000; i++)
		many[i] = longest;
	many[0] = "a\nb";
	many[1] = "x\xe2\x80\xaey";
	audit_record_init(&r);
	r.action = "x";
	r.server_certificate = &hostile;
	got = audit_record_json(&r, &len);
	at = strstr(got, "\"alternative_names\":[");
	assert_non_null(at);
	assert_memory_equal(at, "\"alternative_names\":[\"a\\\\x0ab\",\"x\\\\u{202E}y\",\"\\\"\\\"", 48);
	json_t *read = json_loads(got, JSON_REJECT_DUPLICATES, NULL), *list = NULL;
	assert_int_equal(json_unpack(read, "{s:{s:{s:{s:o}}}}", "tls", "server", "x509", "alternative_names", &list),
			 0);
	for (count = 2; count < json_array_size(list); count++)
		assert_int_equal(json_string_length(json_array_get(list, count)), 255);
	assert_int_equal(count, 32);
	json_decref(read);
	mem_free(got);
}

/* The text between xmpp.to's quotes. */
static void assert_to(const char *to, const char *want)
{
	static const char before[] = "\"xmpp\":{\"to\":\"";
	struct audit_record r;
	const char *at;
	size_t len;
	char *got;

	audit_record_init(&r);
	r.action = "x";
	r.to = to;
	got = audit_record_json(&r, &len);
	at = strstr(got, before);
	assert_non_null(at);
	at += sizeof(before) - 1;
	assert_memory_equal(at, want, strlen(want));
	assert_string_equal(at + strlen(want), "\"}}");
	assert_null(strchr(got, '\n'));
	mem_free(got);
}

static void hostile(void **state)
{
	(void)state;
	assert_to("a\nb", "a\\\\x0ab");
	assert_to("\x1b[2J", "\\\\x1b[2J");
	assert_to("x\xe2\x80\xaey", "x\\\\u{202E}y");
	assert_to("\xff\xc0\x80", "\\\\xff\\\\xc0\\\\x80");
	assert_to("\"},\"audit\":{\"seq\":1", "\\\"},\\\"audit\\\":{\\\"seq\\\":1");
	assert_to("back\\slash", "back\\\\slash");
	assert_to("caf\xc3\xa9", "caf\xc3\xa9");
	assert_to("\x7f\xc2\x85", "\\\\x7f\\\\u{0085}");
}

static void capped(void **state)
{
	char to[5001], want[1024];
	size_t i;

	(void)state;
	memset(to, 'a', 5000);
	to[5000] = '\0';
	memset(want, 'a', 1023);
	want[1023] = '\0';
	assert_to(to, want);
	/* Two-byte characters: 511 of them, not 511 and a half. */
	for (i = 0; i < 5000; i += 2)
		memcpy(to + i, "\xc3\xa9", 2);
	for (i = 0; i < 1022; i += 2)
		memcpy(want + i, "\xc3\xa9", 2);
	want[1022] = '\0';
	assert_to(to, want);
}

#define NAMES 40
/* All values at once at their worst still make a record. */
static void everything_hostile(void **state)
{
	char text[5001];
	const char *all[NAMES];
	struct audit_certificate worst = {.names = all, .name_count = NAMES, .key_size = INT_MAX};
	struct audit_record r;
	size_t len;
	char *got;

	(void)state;
	for (size_t i = 0; i < NAMES; i++)
		all[i] = text;
	memset(text, '"', 5000);
	text[5000] = '\0';
	fill(&r);
	r.reason = r.reason_word = r.stream = r.source_ip = r.destination_ip = r.destination_domain = r.role = text;
	r.from = r.to = r.version = r.level = r.mode = r.starttls_result = r.verification_method = text;
	r.verification_result = r.verification_reason = r.auth_method = r.auth_identity = r.error = text;
	r.outer.version = r.outer.cipher = r.outer.curve = r.outer.next_protocol = r.outer.server_name = text;
	r.inner = r.outer;
	r.inner_verification_method = r.inner_verification_result = r.inner_verification_reason = text;
	r.policy_reason = r.policy_until = r.dnssec = r.verification_identity = r.verification_matched = text;
	worst.subject = worst.issuer = worst.serial = worst.not_before = worst.not_after = text;
	worst.key_algorithm = worst.signature_algorithm = worst.sha256 = worst.spki_sha256 = text;
	r.server_certificate = r.client_certificate = r.previous_certificate = &worst;
	got = audit_record_json(&r, &len);
	assert_in_range(len, 60 * 2 * 1023, 192 * 1024);
	assert_string_equal(got + len - 5, "\"}}}}");
	mem_free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(minimal),       cmocka_unit_test(full),
	    cmocka_unit_test(outbound),      cmocka_unit_test(inbound),
	    cmocka_unit_test(hostile_names), cmocka_unit_test(hostile),
	    cmocka_unit_test(capped),        cmocka_unit_test(everything_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

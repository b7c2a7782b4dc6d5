/* SPDX-License-Identifier: MIT */
/* The values of a peer's rule: what is taken and becomes what, what is said of the rest; and whose TLS settings hold.
 */
#include "policy/config_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_lines.h"

static struct config *load(const char *text)
{
	struct diag_list diags;
	diag_init(&diags, "p.yaml");
	struct config *config = config_from(text, &diags);
	if (config == NULL)
		fail_msg("%s", diags.items[0].text);
	diag_fini(&diags);
	return config;
}

/* The configuration of one rule; the caller frees. */
static struct config *rule_of(const char *keys)
{
	char *text = mem_printf("peers: [{%s}]\n" S2S, keys);
	struct config *config = load(text);
	mem_free(text);
	assert_int_equal(config->peer_count, 1);
	return config;
}

static void everything_and_nothing(void **state)
{
	(void)state;
	struct config *c = rule_of("domain: x");
	const struct config_peer *rule = &c->peers[0];
	assert_string_equal(rule->domain, "x");
	assert_int_equal(rule->mark.column, 9);
	assert_int_equal(rule->domain_mark.column, 18);
	assert_int_equal(rule->level, -1);
	assert_int_equal(rule->fingerprint_count, 0);
	assert_null(rule->connect_host);
	assert_int_equal(rule->connect_port, 0);
	assert_false(rule->tls_set);
	assert_null(rule->reason);
	assert_null(rule->until_text);
	assert_true(rule->until == INT64_MAX);
	config_unref(&c);
	c = rule_of("domain: x, level: may, connect: null, reason: old, until: 2027-03-31, fingerprints: [], tls: {}");
	rule = &c->peers[0];
	assert_int_equal(rule->level, LEVEL_MAY);
	assert_true(rule->tls_set);
	assert_string_equal(rule->reason, "old");
	assert_string_equal(rule->until_text, "2027-03-31");
	assert_true(rule->until == 1806537599);
	config_unref(&c);
}

static void patterns(void **state)
{
	static const char *const good[][2] = {
	    {"x.example", "x.example"},       {"X.Example.", "x.example"},
	    {"'*.x.example'", "*.x.example"}, {"'*.X.Example.'", "*.x.example"},
	    {"192.0.2.1", "192.0.2.1"},       {"'*.xn--bcher-kva.example'", "*.xn--bcher-kva.example"},
	};
	static const char *const bad[] = {"*", "*.", "*.*.x", "a.*.x", "*x.example", "a@x", "x/y", ".", "*.192.0.2.1"};
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *keys = mem_printf("domain: %s", good[i][0]);
		struct config *c = rule_of(keys);
		assert_string_equal(c->peers[0].domain, good[i][1]);
		config_unref(&c);
		mem_free(keys);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int loaded;
		char *text = mem_printf("peers: [{domain: '%s'}]\n" S2S, bad[i]);
		char *expected =
		    mem_printf("1:18: \"peers[0].domain\": \"%s\" is not a domain name, nor one with *. before it "
			       "(example: \"*.partner.example\")",
			       bad[i]);
		char *lines = config_lines(text, &loaded);
		assert_string_equal(lines, expected);
		assert_false(loaded);
		mem_free(lines);
		mem_free(expected);
		mem_free(text);
	}
}

#define HEX16 "0123456789abcdef"
#define HEX64 HEX16 HEX16 HEX16 HEX16
#define COLONS8 "01:23:45:67:89:AB:CD:EF"
#define COLONS COLONS8 ":" COLONS8 ":" COLONS8 ":" COLONS8
#define LIST(text) "domain: x, level: fingerprint, fingerprints: [" text "]"
static void fingerprints(void **state)
{
	(void)state;
	struct config *c = rule_of(LIST("'sha256:" HEX64 "', 'spki-sha256:" COLONS "'"));
	const struct config_peer *rule = &c->peers[0];
	assert_int_equal(rule->fingerprint_count, 2);
	assert_string_equal(rule->fingerprints[0], "sha256:" HEX64);
	assert_string_equal(rule->fingerprints[1], "spki-sha256:" HEX64);
	config_unref(&c);
	static const char *const bad[] = {
	    HEX64,
	    "sha256:",
	    "sha256:" HEX64 "0",
	    "sha256:0" HEX16 HEX16 HEX16 "123456789abcde",
	    "SHA256:" HEX64,
	    "sha1:" HEX64,
	    "sha256: " HEX64,
	    "sha256::" HEX64,
	    "sha256:" HEX64 ":",
	    "sha256:0:1" HEX16 HEX16 HEX16 "23456789abcdef",
	    "sha256:01::23456789abcdef" HEX16 HEX16 HEX16,
	    "sha256:" HEX16 HEX16 HEX16 "0123456789abcdeg",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int loaded;
		char *text = mem_printf("peers: [{" LIST("'%s'") "}]\n" S2S, bad[i]);
		char *lines = config_lines(text, &loaded);
		assert_memory_equal(lines, "1:56: \"peers[0].fingerprints[0]\": \"", 35);
		assert_non_null(strstr(lines, " is no fingerprint: sha256: or spki-sha256:, and 64 hexadecimal digits "
					      "(example: sha256:HEX)"));
		/* Nothing follows from it. */
		assert_null(strchr(lines, '\n'));
		mem_free(lines);
		mem_free(text);
	}
}

static void targets(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
	} good[] = {
	    {"192.0.2.1:5269", "192.0.2.1", 5269},
	    {"'[2001:DB8::1]:1'", "2001:db8::1", 1},
	    {"Xmpp.Example.:65535", "xmpp.example", 65535},
	    {"localhost:5269", "localhost", 5269},
	};
	static const char *const bad[] = {
	    "x.example",    "x.example:0", "x.example:65536", "x.example:05269", ":5269",       "[::1]",
	    "::1:5269",     "[x]:5269",    "a b:1",           "*.x:5269",        "300.1.1.1:1", "192.0.2:1",
	    "0.0.0.0:5269", "unix:/run/x", "x:y:1",           "x.example:5269 ", "a@x:1"};
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *keys = mem_printf("domain: x, connect: %s", good[i].text);
		struct config *c = rule_of(keys);
		assert_string_equal(c->peers[0].connect_host, good[i].host);
		assert_int_equal(c->peers[0].connect_port, good[i].port);
		config_unref(&c);
		mem_free(keys);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int loaded;
		char *text = mem_printf("peers: [{domain: x, connect: '%s'}]\n" S2S, bad[i]);
		char *expected =
		    mem_printf("1:30: \"peers[0].connect\": \"%s\" is not HOST:PORT, with a name or a numeric "
			       "address (example: \"192.0.2.1:5269\")",
			       bad[i]);
		char *lines = config_lines(text, &loaded);
		assert_string_equal(lines, expected);
		mem_free(lines);
		mem_free(expected);
		mem_free(text);
	}
}

static void dates(void **state)
{
	static const struct {
		const char *text;
		int64_t until;
	} good[] = {
	    {"1970-01-01", 86399},      {"2000-02-29", 951868799},  {"2027-03-31", 1806537599},
	    {"2028-12-31", 1861919999}, {"2100-03-01", 4107628799}, {"9999-12-31", 253402300799},
	};
	static const char *const bad[] = {"2027-02-29", "2100-02-29",  "2027-04-31", "2027-13-01", "2027-00-10",
					  "2027-01-00", "2027-1-1",    "27-01-01",   "1969-12-31", "2027/03/31",
					  "20270331",   "2027-03-31 ", "2027-03-3a", "+027-03-31", "31.03.2027"};
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *keys = mem_printf("domain: x, until: %s", good[i].text);
		struct config *c = rule_of(keys);
		assert_string_equal(c->peers[0].until_text, good[i].text);
		assert_true(c->peers[0].until == good[i].until);
		config_unref(&c);
		mem_free(keys);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int loaded;
		char *text = mem_printf("peers: [{domain: x, until: '%s'}]\n" S2S, bad[i]);
		char *expected = mem_printf("1:28: \"peers[0].until\": \"%s\" is not a date of the calendar (example: "
					    "2027-03-31)",
					    bad[i]);
		char *lines = config_lines(text, &loaded);
		assert_string_equal(lines, expected);
		mem_free(lines);
		mem_free(expected);
		mem_free(text);
	}
}

#define EXCUSED ", reason: old, until: 2027-03-31"
/* Whatever stands first in the file. */
static void settings_of_all_lie_under_the_rules(void **state)
{
	(void)state;
	struct config *c = load(
	    "peers:\n- {domain: a}\n- {domain: b, tls: {min-version: 1.0, groups: P-256}" EXCUSED "}\n"
	    "- {domain: c, tls: {profile: modern, ciphers: B, ca-file: k, session-resumption: true}" EXCUSED "}\n"
	    "- {domain: d, tls: {min-rsa-bits: 4096, min-ec-bits: 521, ciphersuites: D}" EXCUSED "}\n"
	    "tls: {min-version: 1.3, ciphers: A, min-rsa-bits: 3072, session-resumption: false, groups: X25519}\n" S2S);
	const struct config_tls *common = &c->tls, *a = &c->peers[0].tls, *b = &c->peers[1].tls, *t = &c->peers[2].tls,
				*d = &c->peers[3].tls;
	assert_memory_equal(a, common, sizeof(*a));
	assert_int_equal(b->profile, TLS_PROFILE_BCP195);
	assert_int_equal(b->min_version, 10);
	assert_string_equal(b->groups, "P-256");
	assert_int_equal(b->groups_mark.line, 3);
	assert_ptr_equal(b->ciphers, common->ciphers);
	assert_ptr_equal(b->ca_file.data, common->ca_file.data);
	assert_int_equal(b->min_rsa_bits, 3072);
	assert_int_equal(b->min_ec_bits, 256);
	assert_false(b->session_resumption);
	assert_int_equal(b->ticket_lifetime, common->ticket_lifetime);
	assert_int_equal(t->profile, TLS_PROFILE_MODERN);
	assert_int_equal(t->min_version, 13);
	assert_string_equal(t->ciphers, "B");
	assert_int_equal(t->ciphers_mark.line, 4);
	assert_string_equal(t->ca_file.path, "/etc/p/k");
	assert_string_equal(t->ca_file.data, "private key");
	assert_true(t->session_resumption);
	assert_int_equal(d->min_rsa_bits, 4096);
	assert_int_equal(d->min_ec_bits, 521);
	assert_string_equal(d->ciphersuites, "D");
	assert_string_equal(d->ciphers, "A");
	/* The system's authorities come to who named none, too. */
	assert_string_equal(d->ca_file.path, "/etc/ssl/certs/ca-certificates.crt");
	config_unref(&c);
}

/* What is forbidden for all is there for one; what a rule has wrong is said where it stands. */
static void settings_of_one(void **state)
{
	static const struct config_case cases[] = {
	    {"peers: [{domain: x, tls: {profile: compat, min-version: 1.1}" EXCUSED "}]\n" S2S, ""},
	    {"peers: [{domain: x, tls: {profile: null, min-version: null, session-resumption: ~, min-rsa-bits: "
	     "null}}]\n" S2S,
	     ""},
	    {"peers: [{domain: x, tls: {min-rsa-bits: 1024}}]\n" S2S,
	     "1:41: \"peers[0].tls.min-rsa-bits\": 1024 is out of range: 2048 to 16384 (RFC 9325 section 4.5)"},
	    {"peers: [{domain: x, tls: {cipher: A}}]\n" S2S,
	     "1:27: unknown key \"peers[0].tls.cipher\" (did you mean \"ciphers\"?)"},
	    {"peers: [{domain: x, tls: {ca-file: gone}}]\n" S2S,
	     "1:36: \"peers[0].tls.ca-file\": cannot read /etc/p/gone: No such file or directory"},
	    {"peers: [{level: verify}]\n" S2S,
	     "1:9: \"peers[0]\": missing key \"domain\", for example: \"*.partner.example\""},
	    {"peers: {domain: x}\n" S2S,
	     "1:8: \"peers\": found a block of keys, expected: list of blocks (example: [])"},
	    {"peers: [{domain: x, level: fingerprints}]\n" S2S,
	     "1:28: \"peers[0].level\": \"fingerprints\" is not taken; expected: one of none, may, encrypt, verify, "
	     "fingerprint, or null (did you mean \"fingerprint\"?)"},
	};
	(void)state;
	assert_cases(cases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(everything_and_nothing),
	    cmocka_unit_test(patterns),
	    cmocka_unit_test(fingerprints),
	    cmocka_unit_test(targets),
	    cmocka_unit_test(dates),
	    cmocka_unit_test(settings_of_all_lie_under_the_rules),
	    cmocka_unit_test(settings_of_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

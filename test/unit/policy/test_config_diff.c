/* SPDX-License-Identifier: MIT */
/* What differs between two configurations is named key by key, and nothing else is. */
#include "policy/config_diff.h"

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

static void add_key(void *ctx, const char *key)
{
	strbuf_printf(ctx, "%s ", key);
}

static void assert_diff(const char *before, const char *after, const char *expected)
{
	struct config *a = load(before), *b = load(after);
	struct strbuf keys;
	strbuf_init(&keys, 4096);
	config_diff(a, b, add_key, &keys);
	assert_string_equal(strbuf_text(&keys), expected);
	strbuf_fini(&keys);
	config_unref(&a);
	config_unref(&b);
}

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DOMAIN_WITH(more)                                                                                           \
	LISTENERS "domains: [{name: a.example, certificate: c, private-key: k, backend: {c2s: \"127.0.0.1:1\"" more \
		  "}}]\n"

#define PEERS(rules) "peers: [" rules "]\n" S2S
static void test_peers(void **state)
{
	static const char *const rules[] = {
	    PEERS(""),
	    PEERS("{domain: x}"),
	    PEERS("{domain: y}"),
	    PEERS("{domain: x, level: verify}"),
	    PEERS("{domain: x, connect: \"y:1\"}"),
	    PEERS("{domain: x, connect: \"y:2\"}"),
	    PEERS("{domain: x, reason: a}"),
	    PEERS("{domain: x, until: 2027-03-31}"),
	    PEERS("{domain: x, until: 2027-04-01}"),
	    PEERS("{domain: x, tls: {session-resumption: false}}"),
	    PEERS("{domain: x, tls: {min-version: 1.3}}"),
	    PEERS("{domain: x, tls: {ca-file: c}}"),
	    PEERS("{domain: x, level: fingerprint, fingerprints: [\"sha256:" HEX64 "\"]}"),
	    PEERS("{domain: x, level: fingerprint, fingerprints: [\"spki-sha256:" HEX64 "\"]}"),
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		for (size_t k = 0; k < sizeof(rules) / sizeof(rules[0]); k++)
			assert_diff(rules[i], rules[k], i == k ? "" : "peers ");
	}
	/* What a rule only inherits is no difference of the rule. */
	assert_diff(
	    PEERS("{domain: x, tls: {groups: X25519}, reason: a, until: 2027-03-31}"),
	    "tls: {min-version: 1.3}\n" PEERS("{domain: x, tls: {groups: X25519}, reason: a, until: 2027-03-31}"),
	    "tls.min-version ");
	assert_diff(S2S, "policy: {s2s-outbound: encrypt, on-certificate-change: refuse}\n" S2S,
		    "policy.s2s-outbound policy.on-certificate-change ");
	assert_diff("listeners: [{role: c2s-outbound, address: \"[::]:1\"}]\n",
		    "listeners: [{role: c2s-outbound, address: \"[::]:1\", intercept: redirect}]\n", "listeners ");
	assert_diff("listeners: [{role: c2s-outbound, address: \"[::]:1\"}]\n",
		    "listeners: [{role: c2s-outbound, address: \"[::]:1\", tls: none, next-hop: dns}]\n", "");
}

static void test_keys(void **state)
{
	static const struct {
		const char *before, *after, *expected;
	} cases[] = {
	    {REST, REST, ""},
	    {REST, "# a comment moves every mark\n\n" REST, ""},
	    {REST, "tls: {profile: bcp195}\nworkers: auto\n" REST, ""}, /* the default, said */
	    {REST, "workers: 3\n" REST, "workers "},
	    {"tls: {min-version: \"1.3\", ciphers: A}\n" REST, "tls: {ciphers: B}\n" REST,
	     "tls.min-version tls.ciphers "},
	    {REST, "tls: {groups: X25519, session-resumption: false}\n" REST, "tls.groups tls.session-resumption "},
	    {REST, "limits: {stanza: 0}\ntimeouts: {idle: 1m}\n" REST, "limits.stanza timeouts.idle "},
	    {REST, "audit: {output: \"file:a\"}\n" REST, "audit.output "},
	    {"audit: {output: \"file:a\"}\n" REST, "audit: {output: \"file:b\"}\n" REST, "audit.output "},
	    {REST, "admin: {socket: s}\nlog: {level: debug}\nuser: x\n" REST, "user log.level admin.socket "},
	    {REST, "listeners: [{role: c2s-inbound, address: \"[::]:5223\"}]\n" DOMAINS, "listeners "},
	    {REST, "listeners: [{role: c2s-inbound, address: \"[::]:5222\", tls: direct}]\n" DOMAINS, "listeners "},
	    {REST,
	     "listeners: [{role: c2s-inbound, address: \"[::]:5222\"}, {role: c2s-inbound, address: "
	     "\"[::]:5223\"}]\n" DOMAINS,
	     "listeners "},
	    {REST, DOMAIN_WITH(""), ""},
	    {REST, DOMAIN_WITH(", allow-remote-plaintext: true"), "domains "},
	    {REST,
	     LISTENERS "domains: [{name: a.example, server-names: [b.example], certificate: c, private-key: k, "
		       "backend: {c2s: \"127.0.0.1:1\"}}]\n",
	     "domains "},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_diff(cases[i].before, cases[i].after, cases[i].expected);
		if (cases[i].expected[0] == '\0')
			assert_diff(cases[i].after, cases[i].before, "");
	}
}

static void test_files(void **state)
{
	struct config *a = load(REST), *b = load(REST);
	(void)state;
	assert_true(config_same_domain(&a->domains[0], &b->domains[0]));
	/* The same bytes from elsewhere are the same; other bytes are not. */
	mem_free(b->domains[0].certificate.path);
	b->domains[0].certificate.path = mem_strdup("/elsewhere");
	assert_true(config_same_domain(&a->domains[0], &b->domains[0]));
	b->domains[0].certificate.data[3] ^= 1;
	assert_false(config_same_domain(&a->domains[0], &b->domains[0]));
	b->domains[0].certificate.data[3] ^= 1;
	/* A wiped key is not taken for another one. */
	mem_wipe(a->domains[0].private_key.data, a->domains[0].private_key.len);
	assert_true(config_same_domain(&a->domains[0], &b->domains[0]));
	assert_true(config_same_listener(&a->listeners[0], &b->listeners[0]));
	config_unref(&a);
	config_unref(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys), cmocka_unit_test(test_peers),
					   cmocka_unit_test(test_files)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

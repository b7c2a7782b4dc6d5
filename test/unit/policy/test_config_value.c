/* SPDX-License-Identifier: MIT */
/* Texts, paths, addresses, files and lists: what is taken, and what is said of the rest. */
#include "policy/config_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_lines.h"

static void texts(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {"user: 1000\n" REST, ""},
	    {"user: \"\"\n" REST, "1:7: \"user\" is empty"},
	    {"user: null\n" REST, "1:7: \"user\": found nothing, expected: text (example: portcullis)"},
	    {"user: \"a\\nb\"\n" REST, "1:7: \"user\" contains a line break or control character"},
	    {"user: \"a\\x7f\"\n" REST, "1:7: \"user\" contains a line break or control character"},
	    {"user: [a]\n" REST, "1:7: \"user\": found a list, expected: text (example: portcullis)"},
	    {"tls: {ciphers: null, groups: ~, ciphersuites: }\n" REST, ""},
	    {"tls: {ciphers: \"\"}\n" REST, "1:16: \"tls.ciphers\" is empty"},
	    {"admin: {socket: /run/"
	     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	     "}\n" REST,
	     "1:17: \"admin.socket\" is longer than 107 bytes"},
	};
	assert_cases(cases);
}

#define DOMAIN_WITH(keys) "domains: [{" keys ", name: a.example, backend: {c2s: \"127.0.0.1:1\"}}]\n" LISTENERS
static void files(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {DOMAIN_WITH("certificate: /etc/p/c, private-key: k, ocsp-response: c"), ""},
	    {DOMAIN_WITH("certificate: gone, private-key: k"),
	     "1:25: \"domains[0].certificate\": cannot read /etc/p/gone: No such file or directory"},
	    {DOMAIN_WITH("certificate: c, private-key: empty"),
	     "1:41: \"domains[0].private-key\": /etc/p/empty is empty"},
	    {DOMAIN_WITH("certificate: c, private-key: \"-----BEGIN PRIVATE KEY-----\\nMIIsecret\""),
	     "1:41: \"domains[0].private-key\" takes the path of a file, not its content"},
	    {DOMAIN_WITH("certificate: {a: b}, private-key: k"),
	     "1:25: \"domains[0].certificate\": found a block of keys, expected: path of a file, or null (example: "
	     "tls/example.com/fullchain.pem)"},
	};
	assert_cases(cases);
}

#define LISTEN(address) "listeners: [{role: c2s-inbound, address: " address "}]\n" DOMAINS
#define BACKEND(keys) "domains: [{name: a.example, certificate: c, private-key: k, backend: {" keys "}}]\n" LISTENERS
static void addresses(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {LISTEN("\"0.0.0.0:5222\""), ""},
	    {LISTEN("127.0.0.1:5222"), ""},
	    {LISTEN("unix:/x"), "1:42: \"listeners[0].address\": \"unix:/x\": a Unix socket is not possible here "
				"(example: \"[::]:5222\")"},
	    {BACKEND("c2s: unix:/run/x.sock"), ""},
	    {BACKEND("c2s: \"unix:x.sock\""), ""},
	    {BACKEND("c2s: 127.0.0.1:1, s2s: \"127.0.0.1:2\""), ""},
	    {BACKEND("c2s: 127.0.0.1:1, s2s: null, tls: never, proxy-protocol: none, source: proxy"), ""},
	    {BACKEND("c2s: 127.0.0.1:1, proxy-protocol: v1"), ""},
	    {BACKEND("c2s: 127.0.0.1:1, proxy-protocol: v2"), ""},
	    {"tls: {ca-file: c}\n" BACKEND("c2s: 127.0.0.1:1, tls: required, proxy-protocol: v2, source: client"),
	     "2:132: \"domains[0].backend.source: client\" is not available in this version"},
	};
	assert_cases(cases);
	static const char *const bad[] = {"localhost:5222",  "5222",  "127.0.0.1:0",
					  "127.0.0.1:65536", "[::1]", "::1:5222"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int loaded;
		char *text = mem_printf("listeners: [{role: c2s-inbound, address: \"%s\"}]\n" DOMAINS, bad[i]);
		char *start = mem_printf("1:42: \"listeners[0].address\": \"%s\": ", bad[i]);
		char *lines = config_lines(text, &loaded);
		assert_memory_equal(lines, start, strlen(start));
		assert_null(strchr(lines, '\n'));
		assert_false(loaded);
		mem_free(lines);
		mem_free(start);
		mem_free(text);
	}
}

static void outputs(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {"audit: {output: \"file:/var/log/a\"}\n" REST, ""},
	    {"audit: {output: syslog}\n" REST, ""},
	    {"audit: {output: journald}\n" REST, ""},
	    {"audit: {output: \"file:\"}\n" REST, "1:17: \"audit.output\": file: needs a path behind it"},
	    {"audit: {output: \"file:a\\nb\"}\n" REST,
	     "1:17: \"audit.output\" contains a line break or control character"},
	    {"audit: {output: /var/log/a}\n" REST, "1:17: \"audit.output\": \"/var/log/a\" is not taken; expected: "
						   "file:PATH or one of stdout, syslog, journald"},
	    {"audit: {output: null}\n" REST,
	     "1:17: \"audit.output\": found nothing, expected: file:PATH or one of stdout, syslog, journald (example: "
	     "file:/var/log/portcullis/audit.log)"},
	};
	assert_cases(cases);
}

static void lists(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {DOMAIN_WITH("server-names: [], certificate: c, private-key: k"), ""},
	    {DOMAIN_WITH("server-names: x.example, certificate: c, private-key: k"),
	     "1:26: \"domains[0].server-names\": found a single value, expected: list of domain names (example: "
	     "xmpp.example.com)"},
	    {DOMAIN_WITH("server-names: [x.example, null, [y], \"u@x\"], certificate: c, private-key: k"),
	     "1:38: \"domains[0].server-names[1]\": found nothing, expected: list of domain names (example: "
	     "xmpp.example.com)\n"
	     "1:44: \"domains[0].server-names[2]\": found a list, expected: list of domain names (example: "
	     "xmpp.example.com)\n"
	     "1:49: \"domains[0].server-names[3]\": \"u@x\" is not a domain name (example: example.com)"},
	    {"listeners: []\n" DOMAINS, "1:12: \"listeners\" is empty: at least one is needed"},
	    {"domains: []\n" LISTENERS, "1:10: \"domains\" is empty: at least one is needed"},
	    {"domains: 5\n" LISTENERS, "1:10: \"domains\": found a single value, expected: list of blocks"},
	    {"listeners: [{role: c2s-inbound, address: \"[::]:9\", accept-proxy-protocol: [], intercept: "
	     "none}]\n" DOMAINS,
	     ""},
	    {"listeners: [{role: c2s-inbound, address: \"[::]:9\", accept-proxy-protocol: [10.0.0.0/8], intercept: "
	     "tproxy, "
	     "tls: "
	     "none}]\n" DOMAINS,
	     "1:13: \"listeners[0].tls: none\" would refuse every stream: \"policy.c2s-inbound\" is encrypt; remove "
	     "it, or set the level to may or none\n"
	     "1:100: \"listeners[0].intercept: tproxy\" is not available in this version"},
	};
	assert_cases(cases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(texts),   cmocka_unit_test(files), cmocka_unit_test(addresses),
	    cmocka_unit_test(outputs), cmocka_unit_test(lists),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

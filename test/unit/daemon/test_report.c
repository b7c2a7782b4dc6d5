/* SPDX-License-Identifier: MIT */
/*
 * The JSON report of a configuration that is not valid: findings and nothing else; and what is said of remote domains.
 * The rest of a valid one is in test_preflight.
 */
#include "daemon/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static void test_findings(void **state)
{
	struct config_mark mark = {.line = 3, .column = 5};
	struct diag_list diags;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	diag_init(&diags, "p.yaml");
	diag_add(&diags, DIAG_ERROR, mark, "unknown key \"%s\"", "adress");
	report_json(out, NULL, &diags, 0);
	fclose(out);
	assert_string_equal(text, "{\n  \"ok\": false,\n  \"findings\": [\n    {\n      \"severity\": \"error\",\n"
				  "      \"file\": \"p.yaml\",\n      \"line\": 3,\n      \"column\": 5,\n"
				  "      \"text\": \"unknown key \\\"adress\\\"\"\n    }\n  ]\n}\n");
	free(text);
	diag_fini(&diags);
}

static const char federation[] =
    "listeners:\n- {role: s2s-outbound, address: \"127.0.0.1:25269\", intercept: redirect}\n"
    "domains: [{name: example.com}]\ntls: {ca-file: /ca}\ndns: {servers: [127.0.0.1], trust-anchor: /anchor}\npolicy: "
    "{on-certificate-change: refuse}\npeers:\n"
    "- {domain: \"*.partner.example\", level: may, reason: no TLS yet, until: 2027-03-31}\n"
    "- {domain: old.example, tls: {profile: compat}, reason: older, until: 2026-01-01}\n"
    "- domain: pinned.example\n  level: fingerprint\n  connect: \"[2001:db8::1]:5270\"\n  fingerprints:\n"
    "  - sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";

static char *read_text(void *ctx, const char *path, int secret, size_t *len_out, struct errbuf *err)
{
	static const char anchor[] =
	    ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n";
	const char *text = strcmp(path, "/p.yaml") == 0   ? federation
			   : strcmp(path, "/anchor") == 0 ? anchor
							  : "authorities";

	(void)ctx;
	(void)secret;
	(void)err;
	*len_out = strlen(text);
	return mem_strdup(text);
}

/* The report as it is on 2026-11-22; the caller frees. */
static char *report(bool json)
{
	const struct file_source source = {.read = read_text};
	struct diag_list diags;
	struct config *config;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	diag_init(&diags, "p.yaml");
	config = config_load("/p.yaml", &source, &diags);
	assert_non_null(config);
	if (json)
		report_json(out, config, &diags, 1795336069);
	else
		report_text(out, config, 1795336069);
	fclose(out);
	config_unref(&config);
	diag_fini(&diags);
	return text;
}

static void expect(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in %s", part, text);
}

static void test_peers(void **state)
{
	char *text = report(false);

	(void)state;
	expect(text,
	       "\n  127.0.0.1:25269          s2s-outbound   tls none       level verify, intercept redirect, next-hop "
	       "dns\n");
	expect(text,
	       "\npeers (on-certificate-change refuse)\n"
	       "  *.partner.example        level may, weaker than the rest, until 2027-03-31: no TLS yet\n"
	       "  old.example              level of the role, tls 1.0 and up (profile compat), weaker than the rest, "
	       "OVER since the end of 2026-01-01: older\n"
	       "  pinned.example           level fingerprint (1), connect 2001:db8::1 port 5270\n"
	       "  all others               level of the role, tls 1.2 and up (profile bcp195)\ndomains\n");
	free(text);
	text = report(true);
	expect(text, "    {\n      \"domain\": \"old.example\",\n      \"level\": null,\n      \"tls\": {\n"
		     "        \"profile\": \"compat\",\n        \"min-version\": \"1.0\"\n      },\n"
		     "      \"weak\": true,\n      \"over\": true,\n      \"reason\": \"older\",\n"
		     "      \"until\": \"2026-01-01\"\n    },\n");
	expect(text, "\"connect\": {\n        \"host\": \"2001:db8::1\",\n        \"port\": 5270\n      }");
	expect(text, "\"fingerprints\": [\n        \"sha256:0123");
	expect(text, "\"intercept\": \"redirect\",\n      \"next-hop\": \"dns\"");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_findings), cmocka_unit_test(test_peers)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

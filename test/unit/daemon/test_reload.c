/* SPDX-License-Identifier: MIT */
/* What a reload refuses, how it puts a change into words, its answer and what people see of that. */
#include "daemon/reload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

#define DOMAIN(name) "  - {name: " name ", certificate: c, private-key: k, backend: {c2s: '127.0.0.1:1'}}\n"
#define LISTENER(port) "  - {role: c2s-inbound, address: '127.0.0.1:" port "'}\n"
#define REST "listeners:\n" LISTENER("5222") "domains:\n" DOMAIN("a.example")

static char *read_memory(void *ctx, const char *path, int secret, size_t *len_out, struct errbuf *err)
{
	const char *text = strcmp(path, "/p.yaml") == 0 ? (const char *)ctx : "file";

	(void)secret;
	(void)err;
	*len_out = strlen(text);
	return mem_strdup(text);
}

static struct config *load(const char *text)
{
	char *copy = mem_strdup(text);
	struct file_source source = {.read = read_memory, .ctx = copy};
	struct diag_list diags;
	struct config *config;

	diag_init(&diags, "p.yaml");
	config = config_load("/p.yaml", &source, &diags);
	if (!config)
		fail_msg("%s", diags.items[0].text);
	diag_fini(&diags);
	mem_free(copy);
	return config;
}

static void assert_described(const char *before, const char *after, const char *expected)
{
	struct config *a = load(before), *b = load(after);
	struct strbuf text;

	strbuf_init(&text, RELOAD_TEXT_MAX);
	reload_describe(a, b, &text);
	assert_string_equal(strbuf_text(&text), expected);
	strbuf_fini(&text);
	config_unref(&a);
	config_unref(&b);
}

static void test_described(void **state)
{
	(void)state;
	assert_described(REST, REST, "nothing has changed");
	assert_described(REST, "tls: {profile: modern}\ntimeouts: {idle: 1m}\n" REST, "tls.profile; timeouts.idle");
	assert_described(REST, "listeners:\n" LISTENER("5223") LISTENER("5222") "domains:\n" DOMAIN("a.example"),
			 "listeners: 127.0.0.1:5223 added");
	assert_described("listeners:\n" LISTENER("5222") LISTENER("5223") "domains:\n" DOMAIN("a.example")
			     DOMAIN("b.example"),
			 "listeners:\n  - {role: c2s-inbound, address: '127.0.0.1:5222', tls: direct}\n" LISTENER(
			     "5224") "domains:\n" DOMAIN("b.example") DOMAIN("c.example"),
			 "listeners: 127.0.0.1:5222 changed, 127.0.0.1:5224 added, 127.0.0.1:5223 removed; "
			 "domains: c.example added, a.example removed");
	/* Only the order: the first domain is who answers where no name is sent. */
	assert_described("listeners:\n" LISTENER("5222") "domains:\n" DOMAIN("a.example") DOMAIN("b.example"),
			 "listeners:\n" LISTENER("5222") "domains:\n" DOMAIN("b.example") DOMAIN("a.example"),
			 "domains");
}

/* The findings as lines. */
static char *refused(const char *before, const char *after, const struct reload_fixed *fixed)
{
	struct config *a = load(before), *b = load(after);
	struct diag_list diags;
	struct strbuf lines;
	char *out;

	diag_init(&diags, "p.yaml");
	strbuf_init(&lines, 8192);
	reload_refuse(a, b, fixed, &diags);
	assert_int_equal(diags.errors, diags.count);
	for (size_t i = 0; i < diags.count; i++) {
		char *line = diag_format(&diags, &diags.items[i]);

		strbuf_printf(&lines, "%s\n", line);
		mem_free(line);
	}
	out = mem_strdup(strbuf_text(&lines));
	strbuf_fini(&lines);
	diag_fini(&diags);
	config_unref(&a);
	config_unref(&b);
	return out;
}

static void assert_refused(const char *before, const char *after, const struct reload_fixed *fixed,
			   const char *expected)
{
	char *lines = refused(before, after, fixed);

	if (*expected ? strstr(lines, expected) == NULL : *lines != '\0')
		fail_msg("\"%s\" is not \"%s\"", lines, expected);
	if (*expected)
		assert_non_null(strstr(lines, "this takes a restart of portcullis\n"));
	assert_true(strchr(lines, '\n') == strrchr(lines, '\n')); /* one at most */
	mem_free(lines);
}

static void test_refused(void **state)
{
	const struct reload_fixed same = {.workers = 2, .workers_new = 2, .connections = 100000};
	const struct reload_fixed more = {.workers = 2, .workers_new = 3, .connections = 100000};

	(void)state;
	assert_refused(REST, REST, &same, "");
	assert_refused(REST, "workers: 2\n" REST, &same, ""); /* auto was two */
	assert_refused(REST, "workers: 3\n" REST, &more, "\"workers\" cannot change from 2 to 3");
	assert_refused(REST, "user: other\n" REST, &same,
		       "p.yaml:1:7: \"user\" cannot change from portcullis to other");
	assert_refused(REST, "limits: {connections: 99999, connections-per-address: 7}\n" REST, &same, "");
	assert_refused("limits: {connections: 50}\n" REST, REST, &same, "");
	assert_refused(REST, "limits: {connections: 100001}\n" REST, &same,
		       "\"limits.connections\" cannot go above 100000, for which memory was set aside");
	assert_refused(REST, "admin: {socket: /s}\n" REST, &same, "\"admin.socket\" cannot change from /run/");
	assert_refused(REST, "audit: {output: 'file:/a', chain: false}\n" REST, &same, "p.yaml:1:17: \"audit.output\"");
	assert_refused(REST, "audit: {chain: false}\n" REST, &same, "\"audit.chain\"");
	assert_refused(REST, "audit: {on-failure: continue}\nmode: enforce\nlog: {level: debug}\n" REST, &same, "");
}

/* What is remembered of peers would be left behind; where nothing is, the directory may change. */
static void test_state_directory(void **state)
{
	const struct reload_fixed same = {.workers = 2, .workers_new = 2, .connections = 100000};
	struct config *a = load("state-directory: /a\n" REST), *b = load("state-directory: /b\n" REST);
	struct diag_list diags;

	(void)state;
	diag_init(&diags, "p.yaml");
	reload_refuse(a, b, &same, &diags);
	assert_int_equal(diags.count, 0);
	a->listeners[0].role = ROLE_S2S_OUTBOUND;
	reload_refuse(a, b, &same, &diags);
	assert_int_equal(diags.errors, 1);
	assert_string_equal(diags.items[0].text, "\"state-directory\" cannot change from /a to /b while peer memory is "
						 "in use: this takes a restart of portcullis");
	diag_fini(&diags);
	config_unref(&a);
	config_unref(&b);
}

static void test_find_listener(void **state)
{
	struct config *config = load("listeners:\n" LISTENER("5222") LISTENER("5223") "domains:\n" DOMAIN("a.example"));
	struct addr address;
	const char *why;

	(void)state;
	assert_int_equal(addr_parse(&address, "127.0.0.1:5223", false, &why), 0);
	assert_int_equal(reload_find_listener(config, &address), 1);
	assert_int_equal(addr_parse(&address, "0.0.0.0:5223", false, &why), 0);
	assert_int_equal(reload_find_listener(config, &address), -1);
	config_unref(&config);
}

/* "OUT|ERR" */
static char *printed(const char *json, int expected, struct errbuf *err)
{
	char *texts[2] = {NULL, NULL}, *both;
	size_t len;
	FILE *out = open_memstream(&texts[0], &len), *err_out = open_memstream(&texts[1], &len);

	assert_int_equal(reload_print(out, err_out, json, strlen(json), err), expected);
	fclose(out);
	fclose(err_out);
	both = mem_printf("%s|%s", texts[0], texts[1]);
	free(texts[0]);
	free(texts[1]);
	return both;
}

static void assert_printed(const char *json, int expected, const char *text)
{
	struct errbuf err = {.text = ""};
	char *both = printed(json, expected, &err);

	assert_string_equal(both, text);
	mem_free(both);
}

static void test_answer(void **state)
{
	struct diag_list diags;
	char *answer;

	(void)state;
	diag_init(&diags, "p.yaml");
	diag_add(&diags, DIAG_WARNING, (struct config_mark){2, 3}, "old");
	diag_add(&diags, DIAG_ERROR, (struct config_mark){4, 5}, "bad \"key\"");
	answer = reload_answer(false, "p.yaml:4:5: bad \xff key", &diags);
	assert_printed(answer, 1,
		       "|p.yaml:2:3: warning: old\np.yaml:4:5: bad \"key\"\n"
		       "portcullis: not reloaded, nothing has changed\n");
	mem_free(answer);
	diag_fini(&diags);
	answer = reload_answer(false, "worker 1: \xff", NULL);
	assert_printed(answer, 1, "|portcullis: not reloaded, nothing has changed: worker 1: \\xff\n");
	mem_free(answer);
	answer = reload_answer(true, "tls.profile", NULL);
	assert_string_equal(answer, "{\"ok\":true,\"text\":\"tls.profile\",\"findings\":[]}\n");
	assert_printed(answer, 0, "reloaded: tls.profile\n|");
	mem_free(answer);
}

static void test_no_answer(void **state)
{
	struct errbuf err = {.text = ""};
	char *both = printed("{\"error\":\"portcullis is stopping\"}", -1, &err);

	(void)state;
	assert_string_equal(both, "|");
	assert_string_equal(err.text, "portcullis is stopping");
	mem_free(both);
	both = printed("rubbish", -1, &err);
	assert_string_equal(err.text, "the answer is not one of portcullis");
	mem_free(both);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_described),       cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_state_directory), cmocka_unit_test(test_find_listener),
	    cmocka_unit_test(test_answer),          cmocka_unit_test(test_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

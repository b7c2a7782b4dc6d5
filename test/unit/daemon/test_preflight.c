/* SPDX-License-Identifier: MIT */
/*
 * Preflight and report on real files: a certificate made here, a key file that others may read, directories that are
 * not there; and the report of a good configuration.
 */
#include "daemon/preflight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "daemon/report.h"

static char directory[] = "/tmp/portcullis-preflight-XXXXXX";

static char *in_directory(const char *name)
{
	return mem_printf("%s/%s", directory, name);
}

static void run(const char *command)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (chdir(directory) == 0)
			execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* The findings of one configuration, as they are printed. */
static char *findings(const char *audit, const char *socket, bool *ok_out)
{
	struct file_source disk = file_source_disk();
	char *path = in_directory("p.yaml"), *text = NULL;
	struct diag_list diags;
	struct config *config;
	size_t len = 0;
	FILE *file = fopen(path, "w"), *out;

	assert_non_null(file);
	fprintf(file,
		"user: root\nlisteners:\n  - role: c2s-inbound\n    address: \"127.0.0.1:15222\"\ndomains:\n"
		"  - name: example.com\n    certificate: cert.pem\n    private-key: key.pem\n    backend:\n"
		"      c2s: \"127.0.0.1:15223\"\naudit:\n  output: %s\nadmin:\n  socket: %s\n",
		audit, socket);
	fclose(file);
	diag_init(&diags, path);
	config = preflight(path, &disk, &diags);
	*ok_out = config != NULL;
	out = open_memstream(&text, &len);
	preflight_print(out, &diags);
	if (config) {
		report_text(out, config, 1795336069);
		report_json(out, config, &diags, 1795336069);
		config_unref(&config);
	}
	fclose(out);
	diag_fini(&diags);
	mem_free(path);
	return text;
}

static void expect(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in %s", part, text);
}

static void test_good(void **state)
{
	char *audit = mem_printf("file:%s/audit.jsonl", directory), *socket = in_directory("sub/control.sock");
	bool ok;
	char *text = findings(audit, socket, &ok);

	(void)state;
	assert_true(ok);
	expect(text, "mode enforce, tls profile bcp195\n");
	expect(text, "  127.0.0.1:15222          c2s-inbound    tls auto       level encrypt\n");
	expect(text, "    certificate CN=example.com, ECDSA P-256");
	expect(text, "    backend     c2s 127.0.0.1:15223, tls never\n");
	expect(text, "/audit.jsonl, on-failure refuse, hash chain\n");
	expect(text, "\"ok\": true,");
	expect(text, "\"c2s-inbound\": \"encrypt\"");
	assert_null(strstr(text, "key.pem"));
	free(text);
	mem_free(audit);
	mem_free(socket);
}

static void test_key_readable(void **state)
{
	char *socket = in_directory("control.sock"), *expected;
	bool ok;
	char *text;

	(void)state;
	run("chmod 604 key.pem");
	text = findings("stdout", socket, &ok);
	assert_false(ok);
	expected = mem_printf("p.yaml:8:18: private key %s/key.pem is open to every account of this machine: "
			      "chmod o-rwx %s/key.pem\n",
			      directory, directory);
	expect(text, expected);
	mem_free(expected);
	free(text);
	/* The group is the operator's business: ssl-cert and the like. */
	run("chmod 640 key.pem");
	text = findings("stdout", socket, &ok);
	assert_true(ok);
	free(text);
	mem_free(socket);
}

static void test_no_place(void **state)
{
	bool ok;
	char *text = findings("file:/nonexistent/log/audit.jsonl", "/nonexistent/run/control.sock", &ok);

	(void)state;
	assert_false(ok);
	expect(text,
	       "p.yaml:12:11: the audit log's directory /nonexistent/log does not exist: mkdir -p /nonexistent/log\n");
	expect(text, "admin.socket: neither /nonexistent/run nor /nonexistent exists: mkdir -p /nonexistent/run\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_key_readable),
					   cmocka_unit_test(test_no_place)};
	int bad;

	if (!mkdtemp(directory))
		return 1;
	run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days "
	    "30 "
	    "-subj /CN=example.com -addext subjectAltName=DNS:example.com -addext "
	    "basicConstraints=critical,CA:FALSE 2>openssl.log && chmod 600 key.pem");
	bad = cmocka_run_group_tests(tests, NULL, NULL);
	run("rm -f key.pem cert.pem p.yaml openssl.log && rmdir \"$PWD\"");
	return bad;
}

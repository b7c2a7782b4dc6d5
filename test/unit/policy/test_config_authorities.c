/* SPDX-License-Identifier: MIT */
/* When the system's certificate authorities are read, from where, and what is said when they are not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_lines.h"

#define DEBIAN "/etc/ssl/certs/ca-certificates.crt"
#define FEDORA "/etc/pki/tls/certs/ca-bundle.crt"
#define BACKEND(tls)                                                                                         \
	LISTENERS "domains: [{name: a.example, certificate: c, private-key: k, backend: {c2s: \"unix:/x\", " \
		  "tls: " tls "}}]\n"

#define LISTENS(role)                                                                                           \
	"listeners: [{role: " role ", address: \"127.0.0.1:9\"}]\ndomains: [{name: a.example, certificate: c, " \
	"private-key: k, backend: {c2s: \"unix:/x\", s2s: \"unix:/y\"}}]\n"

struct found {
	struct config *config;
	char *said;
};

/* place: where the system keeps its authorities, NULL: nowhere. */
static struct found load(const char *text, const char *place, const char *content)
{
	struct memory_file files[] = {
	    {"/etc/p/p.yaml", text, strlen(text), 0},
	    {"/etc/p/c", "own", 3, 0},
	    {"/etc/p/k", "private key", 11, 0},
	    {"/etc/resolv.conf", RESOLVERS, strlen(RESOLVERS), 0},
	    {"/usr/share/dns/root.key", ANCHOR, strlen(ANCHOR), 0},
	    {place, content, content != NULL ? strlen(content) : 0, 0},
	    {NULL, NULL, 0, 0},
	};
	struct file_source source = {.read = memory_source_read, .ctx = files};
	struct diag_list diags;
	struct found found;
	diag_init(&diags, "");
	found.config = config_load("/etc/p/p.yaml", &source, &diags);
	found.said = diags.count > 0 ? diag_format(&diags, &diags.items[0]) : mem_strdup("");
	diag_fini(&diags);
	return found;
}

static void done(struct found *found)
{
	mem_free(found->said);
	if (found->config != NULL)
		config_unref(&found->config);
}

static void assert_authorities(const char *text, const char *place, const char *path, const char *content)
{
	struct found found = load(text, place, "system");
	assert_string_equal(found.said, "");
	assert_non_null(found.config);
	if (path == NULL) {
		assert_null(found.config->tls.ca_file.path);
		assert_null(found.config->tls.ca_file.data);
	} else {
		assert_string_equal(found.config->tls.ca_file.path, path);
		assert_string_equal(found.config->tls.ca_file.data, content);
	}
	done(&found);
}

static void only_where_a_key_asks_for_them(void **state)
{
	(void)state;
	assert_authorities(BACKEND("never"), DEBIAN, NULL, NULL);
	assert_authorities(BACKEND("opportunistic"), DEBIAN, DEBIAN, "system");
	assert_authorities(BACKEND("required"), DEBIAN, DEBIAN, "system");
	assert_authorities(BACKEND("required") "tls: {ca-file: null}\n", DEBIAN, DEBIAN, "system");
}

/* Whatever the level: what a remote domain's certificate proves is recorded at any. */
static void remote_domains_are_verified(void **state)
{
	(void)state;
	assert_authorities(LISTENS("c2s-inbound"), DEBIAN, NULL, NULL);
	assert_authorities(LISTENS("s2s-inbound"), DEBIAN, DEBIAN, "system");
	assert_authorities(LISTENS("s2s-outbound"), DEBIAN, DEBIAN, "system");
	assert_authorities(LISTENS("c2s-outbound"), DEBIAN, DEBIAN, "system");
	assert_authorities(LISTENS("s2s-outbound") "tls: {ca-file: c}\n", DEBIAN, "/etc/p/c", "own");
	struct found found = load(LISTENS("s2s-outbound"), NULL, NULL);
	assert_null(found.config);
	assert_string_equal(found.said,
			    ":1:13: \"listeners[0].role: s2s-outbound\" needs certificate authorities, and " DEBIAN
			    " cannot be read: install ca-certificates, or name those to trust in "
			    "\"tls.ca-file\"");
	done(&found);
}

static void own_ones_come_first(void **state)
{
	(void)state;
	assert_authorities(BACKEND("required") "tls: {ca-file: c}\n", DEBIAN, "/etc/p/c", "own");
	assert_authorities(BACKEND("required") "tls: {ca-file: c}\n", NULL, "/etc/p/c", "own");
	assert_authorities(BACKEND("never") "tls: {ca-file: c}\n", NULL, "/etc/p/c", "own");
}

static void other_distributions(void **state)
{
	(void)state;
	assert_authorities(BACKEND("required"), FEDORA, FEDORA, "system");
}

static void assert_missing(const char *place, const char *content)
{
	struct found found = load(BACKEND("required"), place, content);
	assert_null(found.config);
	assert_non_null(strstr(found.said, "\"domains[0].backend.tls\" needs certificate authorities"));
	assert_non_null(strstr(found.said, "install ca-certificates"));
	assert_non_null(strstr(found.said, ":2:"));
	done(&found);
}

static void missing_names_the_remedy(void **state)
{
	(void)state;
	assert_missing(NULL, NULL);
	assert_missing(DEBIAN, "");
}

/* A file that was named and cannot be read is one error; the system's are no way out. */
static void no_second_choice(void **state)
{
	(void)state;
	struct found found = load(BACKEND("required") "tls: {ca-file: nowhere.pem}\n", DEBIAN, "system");
	assert_null(found.config);
	assert_non_null(strstr(found.said, "\"tls.ca-file\": cannot read /etc/p/nowhere.pem"));
	done(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_where_a_key_asks_for_them),
	    cmocka_unit_test(remote_domains_are_verified),
	    cmocka_unit_test(own_ones_come_first),
	    cmocka_unit_test(other_distributions),
	    cmocka_unit_test(missing_names_the_remedy),
	    cmocka_unit_test(no_second_choice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

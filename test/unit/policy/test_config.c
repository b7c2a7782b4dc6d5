/* SPDX-License-Identifier: MIT */
/* What a good file becomes: every default, every value given, paths, files, secrets, marks, lookups, references. */
#include "policy/config.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "config_lines.h"
#include "policy/schema.h"

static struct config *load(const char *text)
{
	struct diag_list diags;
	diag_init(&diags, "p.yaml");
	struct config *config = config_from(text, &diags);
	if (config == NULL)
		fail_msg("%s", diags.items[0].text);
	assert_int_equal(diags.count, 0);
	diag_fini(&diags);
	return config;
}

static void assert_addr(const struct addr *addr, const char *expected)
{
	char text[ADDR_TEXT_SIZE];
	addr_text(addr, text);
	assert_string_equal(text, expected);
}

static void defaults_of_top_and_tls(void **state)
{
	(void)state;
	struct config *c = load(REST);
	assert_int_equal(c->refs, 1);
	assert_string_equal(c->file, "/etc/p/p.yaml");
	assert_string_equal(c->directory, "/etc/p");
	assert_int_equal(c->mode, MODE_ENFORCE);
	assert_int_equal(c->workers, 0);
	assert_string_equal(c->user, "portcullis");
	assert_false(c->user_set);
	assert_int_equal(c->user_mark.line, 0);
	assert_string_equal(c->state_directory, "/var/lib/portcullis");
	assert_int_equal(c->tls.profile, TLS_PROFILE_BCP195);
	assert_int_equal(c->tls.min_version, 0);
	assert_null(c->tls.ciphers);
	assert_null(c->tls.ciphersuites);
	assert_null(c->tls.groups);
	assert_int_equal(c->tls.min_rsa_bits, 2048);
	assert_int_equal(c->tls.min_ec_bits, 256);
	assert_true(c->tls.session_resumption);
	assert_int_equal(c->tls.ticket_lifetime, 12 * 3600 * 1000);
	assert_null(c->tls.ca_file.path);
	assert_null(c->tls.crl_file.path);
	assert_int_equal(c->tls.client_certificate, CLIENT_CERTIFICATE_REQUEST);
	config_unref(&c);
	assert_null(c);
}

static void defaults_of_policy_and_limits(void **state)
{
	(void)state;
	struct config *c = load(REST);
	assert_int_equal(c->policy.level[ROLE_C2S_INBOUND], LEVEL_ENCRYPT);
	assert_int_equal(c->policy.level[ROLE_S2S_INBOUND], LEVEL_VERIFY);
	assert_int_equal(c->policy.level[ROLE_S2S_OUTBOUND], LEVEL_VERIFY);
	assert_int_equal(c->policy.level[ROLE_C2S_OUTBOUND], LEVEL_VERIFY);
	assert_int_equal(c->policy.compression, COMPRESSION_STRIP);
	assert_int_equal(c->policy.mechanisms_refused_count, 0);
	assert_int_equal(c->policy.on_certificate_change, CERTIFICATE_CHANGE_WARN);
	assert_int_equal(c->limits.connections, 100000);
	assert_int_equal(c->limits.connections_per_address, 200);
	assert_int_equal(c->limits.unauthenticated_stanza, 16 * 1024);
	assert_int_equal(c->limits.stanza, 512 * 1024);
	assert_int_equal(c->limits.depth, 64);
	assert_int_equal(c->limits.buffer, 256 * 1024);
	assert_int_equal(c->timeouts.connect, 10000);
	assert_int_equal(c->timeouts.negotiation, 30000);
	assert_int_equal(c->timeouts.authentication, 60000);
	assert_int_equal(c->timeouts.idle, 0);
	assert_int_equal(c->timeouts.drain, 30000);
	assert_int_equal(c->audit.output, AUDIT_STDOUT);
	assert_null(c->audit.file_path);
	assert_int_equal(c->audit.on_failure, AUDIT_REFUSE);
	assert_true(c->audit.chain);
	assert_int_equal(c->log.output, LOG_OUTPUT_STDERR);
	assert_int_equal(c->log.level, LOG_LEVEL_INFO);
	assert_string_equal(c->admin.socket, "/run/portcullis/control.sock");
	assert_int_equal(c->admin.metrics.len, 0);
	config_unref(&c);
}

static void defaults_of_listener_and_domain(void **state)
{
	(void)state;
	struct config *c = load(REST);
	assert_int_equal(c->listener_count, 1);
	const struct config_listener *l = &c->listeners[0];
	assert_int_equal(l->role, ROLE_C2S_INBOUND);
	assert_addr(&l->address, "[::]:5222");
	assert_int_equal(l->tls, LISTENER_TLS_AUTO);
	assert_false(l->tls_set);
	assert_int_equal(l->intercept, INTERCEPT_NONE);
	assert_int_equal(l->next_hop, NEXT_HOP_DNS);
	assert_int_equal(l->accept_proxy_count, 0);
	assert_int_equal(l->mark.line, 1);
	assert_int_equal(l->mark.column, 13);
	assert_int_equal(l->address_mark.column, 42);
	assert_int_equal(c->domain_count, 1);
	const struct config_domain *d = &c->domains[0];
	assert_string_equal(d->name, "a.example");
	assert_int_equal(d->name_mark.column, 18);
	assert_int_equal(d->server_name_count, 0);
	assert_null(d->ocsp_response.path);
	assert_int_equal(d->backend.s2s.len, 0);
	assert_int_equal(d->backend.tls, BACKEND_TLS_NEVER);
	assert_int_equal(d->backend.proxy_protocol, PROXY_PROTOCOL_NONE);
	assert_int_equal(d->backend.source, BACKEND_SOURCE_PROXY);
	assert_false(d->backend.allow_remote_plaintext);
	config_unref(&c);
}

static const char everything[] =
    "mode: enforce\nworkers: 7\nuser: xmpp\nstate-directory: state\n"
    "listeners:\n- role: c2s-inbound\n  address: 192.0.2.9:5223\n  tls: direct\n"
    "domains:\n- name: Caf.Example.\n  server-names: [XMPP1.example, xmpp2.example]\n  certificate: c\n"
    "  private-key: k\n  ocsp-response: /etc/p/c\n"
    "  backend: {c2s: 'unix:run/c2s.sock', allow-remote-plaintext: true}\n"
    "tls: {profile: modern, min-version: 1.3, ciphers: A, ciphersuites: B, groups: C, min-rsa-bits: 3072,\n"
    "  min-ec-bits: 384, session-resumption: false, ticket-lifetime: 90s, client-certificate: no}\n"
    "policy: {compression: pass}\n"
    "limits: {connections: 5, connections-per-address: 4, unauthenticated-stanza: 10000, stanza: 0, depth: 8,\n"
    "  buffer: 1m}\n"
    "timeouts: {connect: 1500ms, negotiation: 1m, authentication: 2h, idle: 3d, drain: 0}\n"
    "audit: {output: 'file:log/a.log', on-failure: continue, chain: false}\n"
    "log: {output: journald, level: debug}\nadmin: {socket: c.sock}\n";

static void values_of_top_listener_and_domain(void **state)
{
	(void)state;
	struct config *c = load(everything);
	assert_int_equal(c->workers, 7);
	assert_string_equal(c->user, "xmpp");
	assert_true(c->user_set);
	assert_int_equal(c->user_mark.line, 3);
	assert_int_equal(c->user_mark.column, 7);
	assert_string_equal(c->state_directory, "/etc/p/state");
	assert_addr(&c->listeners[0].address, "192.0.2.9:5223");
	assert_int_equal(c->listeners[0].tls, LISTENER_TLS_DIRECT);
	assert_true(c->listeners[0].tls_set);
	const struct config_domain *d = &c->domains[0];
	assert_string_equal(d->name, "caf.example");
	assert_int_equal(d->server_name_count, 2);
	assert_string_equal(d->server_names[0], "xmpp1.example");
	assert_string_equal(d->server_names[1], "xmpp2.example");
	assert_string_equal(d->ocsp_response.path, "/etc/p/c");
	assert_addr(&d->backend.c2s, "unix:/etc/p/run/c2s.sock");
	assert_int_equal(d->backend.c2s_mark.line, 15);
	assert_true(d->backend.allow_remote_plaintext);
	config_unref(&c);
}

static void values_of_the_blocks(void **state)
{
	(void)state;
	struct config *c = load(everything);
	assert_int_equal(c->tls.profile, TLS_PROFILE_MODERN);
	assert_int_equal(c->tls.min_version, 13);
	assert_string_equal(c->tls.ciphers, "A");
	assert_int_equal(c->tls.ciphers_mark.line, 16);
	assert_string_equal(c->tls.ciphersuites, "B");
	assert_string_equal(c->tls.groups, "C");
	assert_int_equal(c->tls.min_rsa_bits, 3072);
	assert_int_equal(c->tls.min_ec_bits, 384);
	assert_false(c->tls.session_resumption);
	assert_int_equal(c->tls.ticket_lifetime, 90000);
	assert_int_equal(c->tls.client_certificate, CLIENT_CERTIFICATE_NO);
	assert_int_equal(c->policy.compression, COMPRESSION_PASS);
	assert_int_equal(c->limits.connections, 5);
	assert_int_equal(c->limits.connections_per_address, 4);
	assert_int_equal(c->limits.unauthenticated_stanza, 10000);
	assert_int_equal(c->limits.stanza, 0);
	assert_int_equal(c->limits.depth, 8);
	assert_int_equal(c->limits.buffer, 1 << 20);
	assert_int_equal(c->timeouts.connect, 1500);
	assert_int_equal(c->timeouts.negotiation, 60000);
	assert_int_equal(c->timeouts.authentication, 7200000);
	assert_int_equal(c->timeouts.idle, 259200000);
	assert_int_equal(c->timeouts.drain, 0);
	assert_int_equal(c->audit.output, AUDIT_FILE);
	assert_string_equal(c->audit.file_path, "/etc/p/log/a.log");
	assert_int_equal(c->audit.on_failure, AUDIT_CONTINUE);
	assert_false(c->audit.chain);
	assert_int_equal(c->log.output, LOG_OUTPUT_JOURNALD);
	assert_int_equal(c->log.level, LOG_LEVEL_DEBUG);
	assert_string_equal(c->admin.socket, "/etc/p/c.sock");
	config_unref(&c);
}

static void files_are_read_and_secrets_marked(void **state)
{
	(void)state;
	struct memory_file files[] = {
	    {"/etc/p/p.yaml", REST, sizeof(REST) - 1, -1},
	    {"/etc/p/c", "cert", 4, -1},
	    {"/etc/p/k", "k\0y", 3, -1},
	    {NULL, NULL, 0, 0},
	};
	struct file_source source = {.read = memory_source_read, .ctx = files};
	struct diag_list diags;
	diag_init(&diags, "p.yaml");
	struct config *c = config_load("/etc/p/p.yaml", &source, &diags);
	assert_non_null(c);
	assert_int_equal(files[0].secret, 0);
	assert_int_equal(files[1].secret, 0);
	assert_int_not_equal(files[2].secret, 0);
	const struct config_domain *d = &c->domains[0];
	assert_string_equal(d->certificate.path, "/etc/p/c");
	assert_string_equal(d->certificate.data, "cert");
	assert_false(d->certificate.secret);
	assert_true(d->private_key.secret);
	assert_int_equal(d->private_key.len, 3);
	assert_memory_equal(d->private_key.data, "k\0y\0", 4);
	assert_int_equal(d->private_key.mark.line, 2);
	config_unref(&c);
	diag_fini(&diags);
}

static void unreadable_and_relative_paths(void **state)
{
	(void)state;
	char here[PATH_MAX], inner[PATH_MAX + 16];
	assert_non_null(getcwd(here, sizeof(here)));
	(void)snprintf(inner, sizeof(inner), "%s/sub/c", here);
	struct memory_file files[] = {
	    {"sub/p.yaml", REST, sizeof(REST) - 1, 0}, {inner, "x", 1, 0}, {NULL, NULL, 0, 0}};
	struct file_source source = {.read = memory_source_read, .ctx = files};
	struct diag_list diags;
	diag_init(&diags, "sub/p.yaml");
	assert_null(config_load("sub/p.yaml", &source, &diags));
	/* The certificate is found behind the working directory; the key is not there. */
	assert_int_equal(diags.count, 1);
	assert_non_null(strstr(diags.items[0].text, "private-key"));
	diag_fini(&diags);
	diag_init(&diags, "gone.yaml");
	assert_null(config_load("gone.yaml", &source, &diags));
	assert_int_equal(diags.errors, 1);
	char *text = diag_format(&diags, &diags.items[0]);
	assert_string_equal(text, "gone.yaml: cannot read the configuration: No such file or directory");
	mem_free(text);
	diag_fini(&diags);
}

static void lookups(void **state)
{
	(void)state;
	struct config *c =
	    load("listeners: [{role: c2s-inbound, address: '[::]:5222'}]\ndomains:\n"
		 "- {name: a.example, certificate: c, private-key: k, backend: {c2s: '127.0.0.1:1'}}\n"
		 "- {name: b.example, server-names: [s.example], certificate: c, private-key: k, backend: {c2s: "
		 "'127.0.0.1:2'}}\n");
	assert_ptr_equal(config_find_domain(c, "a.example"), &c->domains[0]);
	assert_ptr_equal(config_find_domain(c, "b.example"), &c->domains[1]);
	assert_null(config_find_domain(c, "s.example"));
	assert_null(config_find_domain(c, ""));
	assert_null(config_find_domain(c, "A.example"));
	assert_ptr_equal(config_find_server_name(c, "a.example"), &c->domains[0]);
	assert_ptr_equal(config_find_server_name(c, "s.example"), &c->domains[1]);
	assert_null(config_find_server_name(c, "example"));
	assert_addr(config_backend_address(&c->domains[1], ROLE_C2S_INBOUND), "127.0.0.1:2");
	assert_int_equal(config_backend_address(&c->domains[1], ROLE_S2S_INBOUND)->len, 0);
	assert_int_equal(config_backend_address(&c->domains[1], ROLE_C2S_OUTBOUND)->len, 0);
	config_unref(&c);
}

static void roles(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int tls;
		bool peers;
	} rows[ROLE_COUNT] = {
	    {"c2s-inbound", LISTENER_TLS_AUTO, false},
	    {"s2s-inbound", LISTENER_TLS_AUTO, true},
	    {"s2s-outbound", LISTENER_TLS_NONE, true},
	    {"c2s-outbound", LISTENER_TLS_NONE, true},
	};
	for (int i = 0; i < ROLE_COUNT; i++) {
		char *text =
		    mem_printf("listeners: [{role: %s, address: '[::]:9'}]\ndomains: [{name: a.example, "
			       "certificate: c, private-key: k, backend: {c2s: '127.0.0.1:1', s2s: '127.0.0.1:2'}}]\n",
			       rows[i].name);
		struct config *c = load(text);
		mem_free(text);
		assert_int_equal(c->listeners[0].role, i);
		assert_int_equal(c->listeners[0].tls, rows[i].tls);
		assert_int_equal(config_has_peers(c), rows[i].peers);
		for (int k = 0; k < ROLE_COUNT; k++)
			assert_int_equal(config_has_role(c, (enum role)k), i == k);
		assert_addr(config_backend_address(&c->domains[0], ROLE_S2S_INBOUND), "127.0.0.1:2");
		config_unref(&c);
	}
}

static void references(void **state)
{
	(void)state;
	struct config *c = load(REST);
	struct config *other = config_ref(c);
	assert_ptr_equal(other, c);
	assert_int_equal(c->refs, 2);
	config_unref(&c);
	assert_null(c);
	assert_int_equal(other->refs, 1);
	assert_string_equal(other->domains[0].name, "a.example");
	config_unref(&other);
	config_unref(&other);
}

/* The sample is what the schema says of itself; but for its certificate files it must load. */
static void sample_loads(void **state)
{
	(void)state;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	schema_write_sample(out);
	assert_int_equal(fclose(out), 0);
	struct memory_file files[] = {
	    {"/p.yaml", text, size, 0},
	    {"/tls/example.com/fullchain.pem", "c", 1, 0},
	    {"/tls/example.com/privkey.pem", "k", 1, 0},
	    {NULL, NULL, 0, 0},
	};
	struct file_source source = {.read = memory_source_read, .ctx = files};
	struct diag_list diags;
	diag_init(&diags, "p.yaml");
	struct config *c = config_load("/p.yaml", &source, &diags);
	assert_non_null(c);
	assert_int_equal(diags.count, 0);
	assert_string_equal(c->directory, "/");
	config_unref(&c);
	diag_fini(&diags);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults_of_top_and_tls),
	    cmocka_unit_test(defaults_of_policy_and_limits),
	    cmocka_unit_test(defaults_of_listener_and_domain),
	    cmocka_unit_test(values_of_top_listener_and_domain),
	    cmocka_unit_test(values_of_the_blocks),
	    cmocka_unit_test(files_are_read_and_secrets_marked),
	    cmocka_unit_test(unreadable_and_relative_paths),
	    cmocka_unit_test(lookups),
	    cmocka_unit_test(roles),
	    cmocka_unit_test(references),
	    cmocka_unit_test(sample_loads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Whom to ask about names and what to believe: of the file, of the system, and what is said when there is neither. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_lines.h"
#include "policy/config_diff.h"
#include "policy/config_private.h"

#define DS_DIGEST "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
#define DS ". IN DS 20326 8 2 " DS_DIGEST
#define DNSKEY "example. 3600 IN DNSKEY 257 3 8 AwEAAa/z ;{id = 1 (ksk)}"
#define KEY "/usr/share/dns/root.key"

/* dns.servers as "HOST:PORT …", or what the loader says. */
static void assert_servers(const char *text, const char *expected)
{
	struct diag_list diags;
	struct strbuf out;
	char address[ADDR_TEXT_SIZE];
	diag_init(&diags, "");
	strbuf_init(&out, 4096);
	struct config *config = config_from(text, &diags);
	for (size_t i = 0; config != NULL && i < config->dns.server_count; i++) {
		addr_text(&config->dns.servers[i], address);
		strbuf_printf(&out, "%s%s", i ? " " : "", address);
	}
	for (size_t i = 0; i < diags.count; i++) {
		char *line = diag_format(&diags, &diags.items[i]);
		strbuf_printf(&out, "%s%s", i ? "\n" : "", line + 1);
		mem_free(line);
	}
	assert_string_equal(strbuf_text(&out), expected);
	strbuf_fini(&out);
	diag_fini(&diags);
	config_unref(&config);
}

static void servers_of_the_file(void **state)
{
	(void)state;
	assert_servers("dns: {servers: [127.0.0.1, 192.0.2.53@5353, \"::1\", \"2001:db8::53@1\"]}\n" REST,
		       "127.0.0.1:53 192.0.2.53:5353 [::1]:53 [2001:db8::53]:1");
	assert_servers("dns: {servers: [], timeout: 2s}\n" REST, "");
	assert_servers("dns: {servers: [dns.example, \"127.0.0.1@0\", \"127.0.0.1@65536\", \"127.0.0.1@\", \"[::1]\", "
		       "0.0.0.0]}\n" REST,
		       "1:17: \"dns.servers[0]\": \"dns.example\": the host must be a numeric address without brackets "
		       "(example: \"127.0.0.1@53\")\n"
		       "1:30: \"dns.servers[1]\": \"127.0.0.1@0\": the port must be a number from 1 to 65535 (example: "
		       "\"127.0.0.1@53\")\n"
		       "1:45: \"dns.servers[2]\": \"127.0.0.1@65536\": the port must be a number from 1 to 65535 "
		       "(example: \"127.0.0.1@53\")\n"
		       "1:64: \"dns.servers[3]\": \"127.0.0.1@\": the port must be a number from 1 to 65535 (example: "
		       "\"127.0.0.1@53\")\n"
		       "1:78: \"dns.servers[4]\": \"[::1]\": the host must be a numeric address without brackets "
		       "(example: \"127.0.0.1@53\")\n"
		       "1:87: \"dns.servers[5]\": \"0.0.0.0\": that address is nobody's (example: \"127.0.0.1@53\")");
	assert_servers("dns: {servers: 127.0.0.1}\n" REST,
		       "1:16: \"dns.servers\": found a single value, expected: list of HOST or HOST@PORT with numeric "
		       "hosts (example: \"127.0.0.1@53\")");
}

static char *said(const struct diag_list *diags)
{
	return diags->count > 0 ? diag_format(diags, &diags->items[0]) : mem_strdup("");
}

/* The anchor's lines as a file that the configuration names. */
static void assert_anchor(const char *anchor, size_t len, const char *expected)
{
	static const char text[] = "dns: {trust-anchor: a}\n" REST;
	struct memory_file files[] = {
	    {"/etc/p/p.yaml", text, strlen(text), 0},
	    {"/etc/p/c", "own", 3, 0},
	    {"/etc/p/k", "private key", 11, 0},
	    {"/etc/p/a", anchor, len, 0},
	    {NULL, NULL, 0, 0},
	};
	struct file_source source = {.read = memory_source_read, .ctx = files};
	struct diag_list diags;
	diag_init(&diags, "");
	struct config *config = config_load("/etc/p/p.yaml", &source, &diags);
	char *line = said(&diags);
	assert_string_equal(line, expected);
	mem_free(line);
	diag_fini(&diags);
	config_unref(&config);
}

#define BAD_LINE(n) ":1:21: \"dns.trust-anchor\": line " n " of /etc/p/a is no DS or DNSKEY record on one line"
static void anchors(void **state)
{
	static const char nul[] = DS "\n\0" DS;
	static const struct {
		const char *text, *expected;
	} cases[] = {
	    {DS, ""},
	    {DNSKEY, ""},
	    {"; a comment\n\n  \t\r\n" DS " ; 2017\r\n" DNSKEY "\n", ""},
	    {". DS 1 8 1 0123456789012345678901234567890123456789", ""},
	    {". IN 300 ds 1 8 1 01234567890123456789 01234567890123456789", ""},
	    {"; nothing\n", ":1:21: \"dns.trust-anchor\": /etc/p/a holds no DS or DNSKEY record"},
	    {DS "\nrubbish\n", BAD_LINE("2")},
	    {DS "\n. IN A 192.0.2.1\n", BAD_LINE("2")},
	    {". IN DS 65536 8 2 " DS_DIGEST, BAD_LINE("1")},
	    {". IN DS 1 8 2 " DS_DIGEST "0", BAD_LINE("1")},
	    {". IN DS 1 8 2 E06D", BAD_LINE("1")},
	    {". IN DS 1 8 2 XX" DS_DIGEST, BAD_LINE("1")},
	    {". IN DS 1 8", BAD_LINE("1")},
	    {". IN DNSKEY 257 4 8 AwEAAa/z", BAD_LINE("1")},
	    {". IN DNSKEY 257 3 8 AwEAAa/", BAD_LINE("1")},
	    {". IN DNSKEY 257 3 8", BAD_LINE("1")},
	    {". IN DNSKEY ( 257 3 8\nAwEAAa/z )", BAD_LINE("1")},
	    {"-----BEGIN CERTIFICATE-----", BAD_LINE("1")},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_anchor(cases[i].text, strlen(cases[i].text), cases[i].expected);
	assert_anchor(nul, sizeof(nul) - 1, BAD_LINE("1"));
}

/* A configuration whose listener has that role, and what the system has. */
struct machine {
	int role;
	const char *resolv_conf, *place, *anchor; /* NULL: there is none */
	const char *servers, *path, *said;
};

/* Roles are set by hand, so that these tests do not depend on which ones the schema takes. */
static void assert_machine(const struct machine *m)
{
	struct memory_file files[] = {
	    {m->place != NULL ? m->place : "/nowhere", m->anchor, m->anchor != NULL ? strlen(m->anchor) : 0, 0},
	    {m->resolv_conf != NULL ? "/etc/resolv.conf" : NULL, m->resolv_conf,
	     m->resolv_conf != NULL ? strlen(m->resolv_conf) : 0, 0},
	    {NULL, NULL, 0, 0},
	};
	struct file_source source = {.read = memory_source_read, .ctx = files};
	struct config_listener listener = {.role = m->role, .mark = {3, 5}};
	struct config config = {.listeners = &listener, .listener_count = 1};
	struct diag_list diags;
	struct strbuf servers;
	char address[ADDR_TEXT_SIZE];
	diag_init(&diags, "");
	strbuf_init(&servers, 1024);
	struct loader loader = {.source = &source, .diags = &diags, .directory = "/etc/p"};
	config_resolvers_load(&loader, &config);
	for (size_t i = 0; i < config.dns.server_count; i++) {
		addr_text(&config.dns.servers[i], address);
		strbuf_printf(&servers, "%s%s", i ? " " : "", address);
	}
	char *line = said(&diags);
	assert_string_equal(line, m->said);
	assert_string_equal(strbuf_text(&servers), m->servers);
	if (m->path != NULL)
		assert_string_equal(config.dns.trust_anchor.path, m->path);
	else
		assert_null(config.dns.trust_anchor.path);
	assert_int_equal(config_needs_dns(&config), m->role != ROLE_C2S_INBOUND);
	mem_free(line);
	mem_free(config.dns.servers);
	mem_free(config.dns.trust_anchor.path);
	mem_free(config.dns.trust_anchor.data);
	strbuf_fini(&servers);
	diag_fini(&diags);
}

#define RESOLV \
	"# made by hand\nsearch example\nnameserver 192.0.2.53\n nameserver\t2001:db8::53 \nnameserver fe80::1%eth0\n"
static void of_the_system(void **state)
{
	static const struct machine cases[] = {
	    {ROLE_S2S_OUTBOUND, RESOLV, KEY, DS, "192.0.2.53:53 [2001:db8::53]:53", KEY, ""},
	    {ROLE_C2S_OUTBOUND, "nameserver 127.0.0.53", "/var/lib/unbound/root.key", DNSKEY, "127.0.0.53:53",
	     "/var/lib/unbound/root.key", ""},
	    {ROLE_C2S_INBOUND, RESOLV, KEY, DS, "", NULL, ""},
	    {ROLE_S2S_OUTBOUND, NULL, KEY, DS, "", KEY,
	     ":3:5: \"listeners[0]\" looks names up, and /etc/resolv.conf does not tell whom to ask (No such file or "
	     "directory): name resolvers in \"dns.servers\""},
	    {ROLE_S2S_OUTBOUND, "options edns0\nnameserver\nnameserver 0.0.0.0\nnameserver fe80::1%eth0\n", KEY, DS, "",
	     KEY,
	     ":3:5: \"listeners[0]\" looks names up, and /etc/resolv.conf does not tell whom to ask (it names no "
	     "nameserver that could be asked): name resolvers in \"dns.servers\""},
	    {ROLE_S2S_OUTBOUND, "nameserver 127.0.0.1", NULL, NULL, "127.0.0.1:53", NULL,
	     ":3:5: \"listeners[0]\" looks names up, and there is no DNSSEC trust anchor to check answers with (" KEY
	     "): install dns-root-data, or name a file in \"dns.trust-anchor\""},
	    {ROLE_S2S_OUTBOUND, "nameserver 127.0.0.1", KEY, "", "127.0.0.1:53", NULL,
	     ":3:5: \"listeners[0]\" looks names up, and there is no DNSSEC trust anchor to check answers with (" KEY
	     "): install dns-root-data, or name a file in \"dns.trust-anchor\""},
	    {ROLE_S2S_OUTBOUND, "nameserver 127.0.0.1", KEY, "rubbish", "127.0.0.1:53", KEY,
	     ":3:5: \"dns.trust-anchor\": line 1 of " KEY " is no DS or DNSKEY record on one line"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_machine(&cases[i]);
}

static void next_hop_of_the_kernel_needs_none(void **state)
{
	struct config_listener listener = {.role = ROLE_S2S_OUTBOUND, .next_hop = NEXT_HOP_ORIGINAL_DESTINATION};
	struct config config = {.listeners = &listener, .listener_count = 1};
	(void)state;
	assert_false(config_needs_dns(&config));
	listener.next_hop = NEXT_HOP_DNS;
	assert_true(config_needs_dns(&config));
}

static void differences(void **state)
{
	struct addr here = {0}, there = {0};
	const char *why;
	(void)state;
	assert_int_equal(addr_parse(&here, "127.0.0.1:53", false, &why), 0);
	assert_int_equal(addr_parse(&there, "127.0.0.1:54", false, &why), 0);
	struct config_dns a = {.servers = &here, .server_count = 1, .timeout = 5000}, b = a;
	assert_true(config_same_dns(&a, &b));
	b.timeout = 6000;
	assert_false(config_same_dns(&a, &b));
	b = a;
	b.servers = &there;
	assert_false(config_same_dns(&a, &b));
	b.server_count = 0;
	assert_false(config_same_dns(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(servers_of_the_file), cmocka_unit_test(anchors),
	    cmocka_unit_test(of_the_system),       cmocka_unit_test(next_hop_of_the_kernel_needs_none),
	    cmocka_unit_test(differences),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

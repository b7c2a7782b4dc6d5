/* SPDX-License-Identifier: MIT */
/* Lookups against a name server of the test's own: every way in which an answer can be, or be missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/clock.h"
#include "net/resolver_private.h"
#include "resolver_world.h"

static void test_srv(void **state)
{
	static const struct zone_entry zone[] = {
	    {"_xmpps-server._tcp.a.example", SRV, 0, {"20 0 5270 two.a.example"}},
	    {"_xmpp-server._tcp.a.example", SRV, 0, {"10 0 5269 ONE.a.example", "30 0 5271 three.a.example"}},
	    {"one.a.example", A, 0, {"192.0.2.1"}},
	    {"one.a.example", AAAA, 0, {"2001:db8::1"}},
	    {"two.a.example", AAAA, 0, {"2001:db8::2"}},
	    {"three.a.example", A, 0, {"192.0.2.3"}},
	    {NULL, 0, 0, {0}},
	};
	struct world w;

	(void)state;
	begin(&w, zone);
	assert_lookup(&w, "a.example",
		      "found srv direct: [2001:db8::1]:5269 one.a.example 0, 192.0.2.1:5269 one.a.example 0,"
		      " [2001:db8::2]:5270 tls two.a.example 1,"
		      " 192.0.2.3:5271 three.a.example 2");
	/* Once more out of the cache: libunbound calls back before it returns. */
	unsigned asked = w.server.questions;
	assert_lookup(&w, "a.example",
		      "found srv direct: [2001:db8::1]:5269 one.a.example 0, 192.0.2.1:5269 one.a.example 0,"
		      " [2001:db8::2]:5270 tls two.a.example 1,"
		      " 192.0.2.3:5271 three.a.example 2");
	assert_int_equal(w.server.questions, asked);
	end(&w);
}

static void test_client_names_and_ports(void **state)
{
	static const struct zone_entry zone[] = {
	    {"_xmpp-client._tcp.a.test", SRV, 0, {"0 0 15222 c.a.test"}},
	    {"c.a.test", A, 0, {"127.0.0.1"}},
	    {"b.test", A, 0, {"127.0.0.2"}},
	    {NULL, 0, 0, {0}},
	};
	struct world w;
	struct outcome a = {.world = &w}, b = {.world = &w};

	(void)state;
	begin(&w, zone);
	assert_non_null(resolver_lookup(w.resolver, false, "a.test", done, &a));
	assert_string_equal(await(&w, &a), "found srv: 127.0.0.1:15222 c.a.test 0");
	assert_non_null(resolver_lookup(w.resolver, false, "b.test", done, &b));
	assert_string_equal(await(&w, &b), "found: 127.0.0.2:5222 b.test 0");
	assert_true(dns_server_was_asked(&w.server, "_xmpps-client._tcp.a.test", SRV));
	assert_false(dns_server_was_asked(&w.server, "_xmpp-server._tcp.a.test", SRV));
	/* NEG-41 */
	assert_false(dns_server_was_asked(&w.server, "_xmppconnect.a.test", ns_t_txt));
	end(&w);
}

struct zone_case {
	const char *domain, *expected;
};

/* NEG-27: when the domain's own addresses are asked, and when they must not be. */
static void test_without_srv(void **state)
{
	static const struct zone_entry zone[] = {
	    {"plain.example", A, 0, {"192.0.2.1"}},
	    {"plain.example", AAAA, 0, {"2001:db8::1"}},
	    {"_xmpps-server._tcp.refused.example", SRV, 0, {"0 0 0 ."}},
	    {"_xmpp-server._tcp.refused.example", SRV, 0, {"0 0 0 ."}},
	    {"refused.example", A, 0, {"192.0.2.2"}},
	    {"_xmpps-server._tcp.nodirect.example", SRV, 0, {"0 0 0 ."}},
	    {"_xmpp-server._tcp.nodirect.example", SRV, 0, {"0 0 5269 plain.example"}},
	    {"_xmpps-server._tcp.onlydirect.example", SRV, 0, {"0 0 5270 plain.example"}},
	    {"_xmpp-server._tcp.onlydirect.example", SRV, 0, {"0 0 0 ."}},
	    {"_xmpp-server._tcp.norefused.example", SRV, 0, {"0 0 0 ."}},
	    {"norefused.example", A, 0, {"192.0.2.3"}},
	    {"_xmpps-server._tcp.dotonly.example", SRV, 0, {"0 0 0 ."}},
	    {"dotonly.example", A, 0, {"192.0.2.3"}},
	    {"_xmpp-server._tcp.dead.example", SRV, 0, {"0 0 5269 gone.example", "1 0 5269 empty.example"}},
	    {"dead.example", A, 0, {"192.0.2.4"}},
	    {"empty.example", ns_t_txt, 0, {0}},
	    {"_xmpp-server._tcp.useless.example", SRV, 0, {"0 0 0 plain.example"}},
	    {"useless.example", A, 0, {"192.0.2.5"}},
	    {"_xmpp-server._tcp.alias.example", SRV, 0, {"= _xmpp-server._tcp.nodirect.example"}},
	    {"own.example", ANY, 0, {"= plain.example"}},
	    {NULL, 0, 0, {0}},
	};
	static const struct zone_case cases[] = {
	    {"plain.example", "found: [2001:db8::1]:5269 plain.example 0, 192.0.2.1:5269 plain.example 0"},
	    {"nowhere.example", "nothing: the name has no address"},
	    {"empty.example", "nothing: the name has no address"},
	    {"refused.example", "no-service srv: its SRV record says that there is no such service"},
	    {"nodirect.example", "found srv: [2001:db8::1]:5269 plain.example 0, 192.0.2.1:5269 plain.example 0"},
	    {"onlydirect.example",
	     "found srv direct: [2001:db8::1]:5270 tls plain.example 0, 192.0.2.1:5270 tls plain.example 0"},
	    {"norefused.example", "no-service srv: its SRV record says that there is no such service"},
	    {"dotonly.example", "no-service srv: its SRV record says that there is no such service"},
	    {"dead.example", "nothing srv: none of its SRV targets has an address"},
	    {"useless.example", "nothing srv: none of its SRV records names a host and a port"},
	    {"alias.example", "found srv: [2001:db8::1]:5269 plain.example 0, 192.0.2.1:5269 plain.example 0"},
	};
	struct world w;

	(void)state;
	begin(&w, zone);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_lookup(&w, cases[i].domain, cases[i].expected);
	assert_false(dns_server_was_asked(&w.server, "dead.example", A));
	assert_false(dns_server_was_asked(&w.server, "refused.example", A));
	end(&w);
}

/* DANE-2: anything but an answer to both SRV questions ends the lookup, and nothing else is asked. */
static void test_srv_failures(void **state)
{
	static const struct zone_entry zone[] = {
	    {"_xmpps-server._tcp.fail.example", SRV, ZONE_FAILS, {0}},
	    {"_xmpp-server._tcp.fail.example", SRV, 0, {"0 0 5269 fail.example"}},
	    {"fail.example", A, 0, {"192.0.2.1"}},
	    {"_xmpps-server._tcp.fail2.example", SRV, 0, {"0 0 5270 fail2.example"}},
	    {"_xmpp-server._tcp.fail2.example", SRV, ZONE_FAILS, {0}},
	    {"fail2.example", A, 0, {"192.0.2.1"}},
	    {"_xmpp-server._tcp.silent.example", SRV, ZONE_SILENT, {0}},
	    {"silent.example", A, 0, {"192.0.2.1"}},
	    {NULL, 0, 0, {0}},
	};
	struct world w;
	uint64_t before;

	(void)state;
	begin(&w, zone);
	assert_lookup(&w, "fail.example", "failed: the resolver could not find out (SERVFAIL)");
	assert_lookup(&w, "fail2.example", "failed: the resolver could not find out (SERVFAIL)");
	before = clock_ms();
	assert_lookup(&w, "silent.example", "failed: no answer in time");
	assert_in_range(clock_ms() - before, TIMEOUT_MS - 20, TIMEOUT_MS + 2000);
	assert_false(dns_server_was_asked(&w.server, "fail.example", A));
	assert_false(dns_server_was_asked(&w.server, "fail2.example", A));
	assert_false(dns_server_was_asked(&w.server, "silent.example", A));
	end(&w);
}

/* One target that cannot be resolved costs that target; all of them cost the lookup. */
static void assert_lookup_begins(struct world *w, const char *domain, const char *expected)
{
	struct outcome o = {.world = w};

	assert_non_null(resolver_lookup(w->resolver, true, domain, done, &o));
	assert_memory_equal(await(w, &o), expected, strlen(expected));
	assert_int_equal(o.calls, 1);
}

static void test_address_failures(void **state)
{
	static const struct zone_entry zone[] = {
	    {"_xmpp-server._tcp.mixed.example",
	     SRV,
	     0,
	     {"0 0 1 bad.example", "1 0 2 mute.example", "2 0 3 ok.example"}},
	    {"_xmpp-server._tcp.bad.example", SRV, 0, {"0 0 1 bad.example"}},
	    {"_xmpp-server._tcp.mute.example", SRV, 0, {"0 0 1 mute.example"}},
	    {"_xmpp-server._tcp.half.example", SRV, 0, {"0 0 4 half.example"}},
	    {"bad.example", ANY, ZONE_FAILS, {0}},
	    {"mute.example", AAAA, ZONE_SILENT, {0}},
	    {"ok.example", A, 0, {"192.0.2.3"}},
	    {"half.example", A, 0, {"192.0.2.4"}},
	    {"half.example", AAAA, ZONE_FAILS, {0}},
	    {NULL, 0, 0, {0}},
	};
	struct world w;

	(void)state;
	begin(&w, zone);
	assert_lookup(&w, "mixed.example", "found srv: 192.0.2.3:3 ok.example 0");
	assert_lookup(&w, "bad.example", "failed srv: the resolver could not find out (SERVFAIL)");
	/* Newer libraries remember for a while that this name was not answered. */
	assert_lookup_begins(&w, "mute.example", "failed srv: ");
	assert_lookup(&w, "half.example", "found srv: 192.0.2.4:4 half.example 0");
	end(&w);
}

/* IPv6 first, the families in turn, the rest of the longer one behind; one number a target that has any. */
static void test_candidates(void **state)
{
	struct target targets[4] = {
	    {.record = {.port = 1, .target = "a"}, .secure6 = true},
	    {.record = {.port = 2, .target = "bogus"}, .bogus = true},
	    {.record = {.port = 3, .target = "none"}},
	    {.record = {.port = 4, .direct_tls = true, .target = "d"}, .secure4 = true},
	};
	static const char *const addresses[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "2001:db8::1"};
	struct candidate list[RESOLVED_CANDIDATES_MAX], one;
	struct strbuf out;

	(void)state;
	strbuf_init(&out, 4096);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(candidate_literal(&one, addresses[i], 0), LITERAL_CANDIDATE);
		if (i < 3)
			targets[0].v4.addresses[targets[0].v4.count++] = one.address;
		else if (i == 3)
			targets[1].v4.addresses[targets[1].v4.count++] =
			    targets[3].v4.addresses[targets[3].v4.count++] = one.address;
		else
			targets[0].v6.addresses[targets[0].v6.count++] = one.address;
	}
	assert_int_equal(candidates_collect(list, targets, 4, true), 5);
	for (size_t i = 0; i < 5; i++)
		write_candidate(&out, &list[i]);
	assert_string_equal(strbuf_text(&out), " [2001:db8::1]:1 secure a 0 192.0.2.1:1 a 0 192.0.2.2:1 a 0"
					       " 192.0.2.3:1 a 0 192.0.2.4:4 tls secure d 1");
	assert_int_equal(candidates_collect(list, targets, 4, false), 5);
	for (size_t i = 0; i < 5; i++)
		assert_false(list[i].secure);
	strbuf_fini(&out);
}

static void test_truncated_comes_over_tcp(void **state)
{
	static const struct zone_entry zone[] = {
	    {"_xmpp-server._tcp.big.example", SRV, ZONE_TRUNCATES, {"0 0 5269 big.example"}},
	    {"big.example", A, ZONE_TRUNCATES, {"192.0.2.1"}},
	    {NULL, 0, 0, {0}},
	};
	struct world w;

	(void)state;
	begin(&w, zone);
	assert_lookup(&w, "big.example", "found srv: 192.0.2.1:5269 big.example 0");
	assert_int_equal(w.server.streams, 2);
	end(&w);
}

/* Connections to nobody, to ourselves by another name, or to many are not made. */
static void test_addresses_of_nobody(void **state)
{
	static const struct zone_entry zone[] = {
	    {"n.example", A, 0, {"0.0.0.0", "255.255.255.255", "224.0.0.1", "0.1.2.3", "192.0.2.1"}},
	    {"n.example", AAAA, 0, {"::", "ff02::1", "::ffff:192.0.2.9", "2001:db8::1"}},
	    /* Not announced, either: nobody could go by it. */
	    {"_xmpps-server._tcp.m.example", SRV, 0, {"0 0 0 n.example", "0 0 1 a\\b"}},
	    {"_xmpp-server._tcp.m.example",
	     SRV,
	     0,
	     {"0 0 1 192.0.2.7", "1 0 1 a\\b", "2 0 2 x*y.example", "3 0 3 n.example"}},
	    {NULL, 0, 0, {0}},
	};
	struct world w;

	(void)state;
	begin(&w, zone);
	assert_lookup(&w, "n.example", "found: [2001:db8::1]:5269 n.example 0, 192.0.2.1:5269 n.example 0");
	assert_lookup(&w, "m.example", "found srv: [2001:db8::1]:3 n.example 0, 192.0.2.1:3 n.example 0");
	end(&w);
}

static void test_literals_ask_nobody(void **state)
{
	static const struct zone_entry zone[] = {{NULL, 0, 0, {0}}};
	struct world w;
	static const char *const nobody[] = {"0.0.0.0", "0.1.2.3",          "224.0.0.1", "255.255.255.255",
					     "::",      "::ffff:127.0.0.1", "ff02::1"};
	struct outcome o = {.world = &w}, never = {.world = &w};
	struct lookup *lookup;

	(void)state;
	begin(&w, zone);
	assert_lookup(&w, "192.0.2.1", "found: 192.0.2.1:5269 192.0.2.1 0");
	assert_lookup(&w, "2001:db8::1", "found: [2001:db8::1]:5269 2001:db8::1 0");
	/* The kernel would take us back to ourselves (NEG-34). */
	for (size_t i = 0; i < ARRAY_LEN(nobody); i++)
		assert_lookup(&w, nobody[i], "nothing: nobody can be at that address");
	assert_non_null(resolver_lookup_host(w.resolver, "127.0.0.1", 99, done, &o));
	assert_int_equal(o.calls, 0);
	assert_string_equal(await(&w, &o), "found: 127.0.0.1:99 127.0.0.1 0");
	lookup = resolver_lookup(w.resolver, true, "192.0.2.1", done, &never);
	lookup_cancel(&lookup);
	assert_null(lookup);
	event_base_loop(w.base, EVLOOP_NONBLOCK);
	assert_int_equal(never.calls, 0);
	assert_int_equal(w.server.questions, 0);
	end(&w);
}

static void test_host(void **state)
{
	static const struct zone_entry zone[] = {
	    {"_xmpp-server._tcp.h.example", SRV, 0, {"0 0 1 x.example"}},
	    {"h.example", A, 0, {"192.0.2.1"}},
	    {NULL, 0, 0, {0}},
	};
	struct world w;
	struct outcome o = {.world = &w};

	(void)state;
	begin(&w, zone);
	assert_non_null(resolver_lookup_host(w.resolver, "h.example", 15269, done, &o));
	assert_string_equal(await(&w, &o), "found: 192.0.2.1:15269 h.example 0");
	/* Both families; how often is the library's business. */
	assert_in_range(w.server.questions, 2, 3);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_srv),
	    cmocka_unit_test(test_client_names_and_ports),
	    cmocka_unit_test(test_without_srv),
	    cmocka_unit_test(test_srv_failures),
	    cmocka_unit_test(test_address_failures),
	    cmocka_unit_test(test_candidates),
	    cmocka_unit_test(test_truncated_comes_over_tcp),
	    cmocka_unit_test(test_addresses_of_nobody),
	    cmocka_unit_test(test_literals_ask_nobody),
	    cmocka_unit_test(test_host),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* What a resolver does not do: believe lies, ask without end, call back the dead, wait for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "resolver_world.h"

static void count_candidates(void *ctx, const struct resolved *r)
{
	struct outcome *o = ctx;

	o->calls++;
	(void)snprintf(o->text, sizeof(o->text), "%zu in %u groups", r->count, r->candidates[r->count - 1].group + 1);
	event_base_loopbreak(o->world->base);
}

static void test_bounds(void **state)
{
	static struct zone_entry zone[] = {
	    {"_xmpp-server._tcp.many.example", SRV, 0, {0}},
	    {"many.example", A, 0, {0}},
	    {"few.example", A, 0, {"192.0.2.1"}},
	    {"_xmpp-server._tcp.wide.example",
	     SRV,
	     0,
	     {"0 0 1 many.example", "1 0 1 many.example", "2 0 1 many.example"}},
	    {NULL, 0, 0, {0}},
	};
	static char texts[2 * ZONE_RECORDS_MAX][32];
	struct world w;
	struct outcome targets = {.world = &w}, addresses = {.world = &w};

	(void)state;
	for (int i = 0; i < ZONE_RECORDS_MAX - 1; i++) {
		(void)snprintf(texts[2 * i], 32, "%d 0 5269 few.example", i);
		(void)snprintf(texts[2 * i + 1], 32, "192.0.2.%d", i + 1);
		zone[0].records[i] = texts[2 * i];
		zone[1].records[i] = texts[2 * i + 1];
	}
	begin(&w, zone);
	assert_non_null(resolver_lookup(w.resolver, true, "many.example", count_candidates, &targets));
	assert_string_equal(await(&w, &targets), "16 in 16 groups");
	assert_non_null(resolver_lookup(w.resolver, true, "wide.example", count_candidates, &addresses));
	assert_string_equal(await(&w, &addresses), "32 in 2 groups");
	end(&w);
}

/* The anchor of the real root: nothing that our server says can be signed with it. */
static char root_anchor[] =
    "; of the root\n\n"
    ".\t172800 IN\tDS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D ; 2017\n"
    ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16";

/* With an anchor nothing of an unsigned root is believed: a resolver that lies, or one that takes signatures out. */
static void test_lies_are_bogus(void **state)
{
	static const struct zone_entry zone[] = {
	    {"_xmpp-server._tcp.a.example", SRV, 0, {"0 0 5269 evil.example"}},
	    {"a.example", A, 0, {"192.0.2.66"}},
	    {"evil.example", A, 0, {"192.0.2.66"}},
	    {".", ns_t_ns, 0, {0}},
	    {NULL, 0, 0, {0}},
	};
	struct world w;
	struct resolver *settings;
	struct errbuf err = {{0}};

	(void)state;
	begin(&w, zone);
	assert_lookup(&w, "a.example", "found srv: 192.0.2.66:5269 evil.example 0");
	w.dns.trust_anchor =
	    (struct config_file){.path = root_anchor, .data = root_anchor, .len = sizeof(root_anchor) - 1};
	settings = resolver_new(w.base, &w.dns, &err);
	assert_string_equal(err.text, "");
	resolver_replace(w.resolver, &settings);
	assert_null(settings);
	assert_lookup(
	    &w, "a.example",
	    "bogus: the root's DNSSEC keys are missing from the resolver's answers, or do not fit dns.trust-anchor: "
	    "name another resolver in dns.servers, or bring the anchor up to date");
	end(&w);
}

/* A server that drops one family's questions holds nobody up who has the other's answer (RFC 8305 section 3). */
static void test_silent_family(void **state)
{
	static const struct zone_entry zone[] = {
	    {"_xmpp-server._tcp.s.example", SRV, 0, {"0 0 1 a.example", "1 0 2 b.example"}},
	    {"a.example", A, 0, {"192.0.2.1"}},
	    {"a.example", AAAA, ZONE_SILENT, {0}},
	    {"b.example", A, ZONE_SILENT, {0}},
	    {"b.example", AAAA, 0, {"2001:db8::2"}},
	    {"c.example", A, ZONE_SILENT, {0}},
	    {"c.example", AAAA, ZONE_SILENT, {0}},
	    {"_xmpp-server._tcp.t.example", SRV, 0, {"0 0 1 a.example", "1 0 2 c.example"}},
	    {NULL, 0, 0, {0}},
	};
	struct errbuf err = {{0}};
	struct world w;
	uint64_t began;

	(void)state;
	begin(&w, zone);
	resolver_free(&w.resolver);
	w.dns.timeout = 3000;
	w.resolver = resolver_new(w.base, &w.dns, &err);
	began = clock_ms();
	assert_lookup(&w, "s.example", "found srv: 192.0.2.1:1 a.example 0, [2001:db8::2]:2 b.example 1");
	assert_in_range(clock_ms() - began, 200, 2000);
	/* Of a target without any answer yet all the time is waited for: every candidate is tried. */
	began = clock_ms();
	assert_lookup(&w, "t.example", "found srv: 192.0.2.1:1 a.example 0");
	assert_in_range(clock_ms() - began, 2900, 20000);
	end(&w);
}

static void test_bad_settings(void **state)
{
	static char broken[] = ". IN DS 20326 8 2 E06D44B8XX";
	struct event_base *base = event_base_new();
	struct config_dns dns = {.timeout = 1000};
	struct errbuf err = {{0}};

	(void)state;
	dns.trust_anchor = (struct config_file){.path = broken, .data = broken, .len = sizeof(broken) - 1};
	assert_null(resolver_new(base, &dns, &err));
	assert_non_null(strstr(err.text, "trust anchor"));
	event_base_free(base);
}

static void test_none_configured(void **state)
{
	static const struct zone_entry zone[] = {{"a.example", A, 0, {"192.0.2.1"}}, {NULL, 0, 0, {0}}};
	struct world w;
	struct errbuf err = {{0}};
	struct resolver *bare, *settings;
	struct outcome first = {.world = &w}, second = {.world = &w}, third = {.world = &w};

	(void)state;
	begin(&w, zone);
	bare = resolver_new(w.base, NULL, &err);
	assert_non_null(resolver_lookup(bare, true, "a.example", done, &first));
	assert_string_equal(await(&w, &first), "failed: no resolver is configured");
	settings = resolver_new(w.base, &w.dns, &err);
	resolver_replace(bare, &settings);
	assert_non_null(resolver_lookup(bare, true, "a.example", done, &second));
	/* Taken away under the lookup's feet: it ends with what it began with. */
	settings = resolver_new(w.base, NULL, &err);
	resolver_replace(bare, &settings);
	assert_string_equal(await(&w, &second), "found: 192.0.2.1:5269 a.example 0");
	assert_non_null(resolver_lookup(bare, true, "a.example", done, &third));
	assert_string_equal(await(&w, &third), "failed: no resolver is configured");
	resolver_free(&bare);
	end(&w);
}

static void test_cancel_and_free_while_pending(void **state)
{
	static const struct zone_entry zone[] = {
	    {"_xmpp-server._tcp.mute.example", SRV, ZONE_SILENT, {0}},
	    {"_xmpp-server._tcp.deaf.example", SRV, 0, {"0 0 1 deaf.example"}},
	    {"deaf.example", ANY, ZONE_SILENT, {0}},
	    {"a.example", A, 0, {"192.0.2.1"}},
	    {NULL, 0, 0, {0}},
	};
	struct world w;
	struct outcome never = {.world = &w}, last = {.world = &w};
	struct lookup *first, *second, *own = NULL;

	(void)state;
	begin(&w, zone);
	first = resolver_lookup(w.resolver, true, "mute.example", done, &never);
	second = resolver_lookup(w.resolver, true, "deaf.example", done, &never);
	while (!dns_server_was_asked(&w.server, "deaf.example", A))
		event_base_loop(w.base, EVLOOP_ONCE);
	lookup_cancel(&first);
	last.cancel = &own;
	own = resolver_lookup(w.resolver, true, "a.example", done, &last);
	assert_string_equal(await(&w, &last), "found: 192.0.2.1:5269 a.example 0");
	assert_null(own);
	assert_non_null(second);
	end(&w);
	assert_int_equal(never.calls, 0);
}

static void test_too_many_at_once(void **state)
{
	static const struct zone_entry zone[] = {
	    {"_xmpp-server._tcp.mute.example", SRV, ZONE_SILENT, {0}},
	    {NULL, 0, 0, {0}},
	};
	struct world w;
	struct outcome all = {.world = &w}, extra = {.world = &w};

	(void)state;
	begin(&w, zone);
	for (int i = 0; i < 500; i++)
		assert_non_null(resolver_lookup(w.resolver, true, "mute.example", done, &all));
	assert_non_null(resolver_lookup(w.resolver, true, "other.example", done, &extra));
	assert_string_equal(await(&w, &extra), "failed: too many lookups at once");
	assert_int_equal(all.calls, 0);
	while (all.calls < 500)
		event_base_loop(w.base, EVLOOP_ONCE);
	assert_string_equal(all.text, "failed: no answer in time");
	end(&w);
}

/* A resolver that comes back is used again at once: nobody waits for minutes because it was away for a moment. */
static void test_resolver_comes_back(void **state)
{
	static const struct zone_entry away[] = {{"x.example", ANY, ZONE_SILENT, {0}},
						 {"_xmpp-server._tcp.x.example", ANY, ZONE_SILENT, {0}},
						 {"_xmpps-server._tcp.x.example", ANY, ZONE_SILENT, {0}},
						 {NULL, 0, 0, {0}}};
	static const struct zone_entry back[] = {{"y.example", A, 0, {"192.0.2.1"}}, {NULL, 0, 0, {0}}};
	struct world w;

	(void)state;
	begin(&w, away);
	for (int i = 0; i < 3; i++)
		assert_lookup(&w, "x.example", "failed: no answer in time");
	w.server.zone = back;
	assert_lookup(&w, "y.example", "found: 192.0.2.1:5269 y.example 0");
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bounds),           cmocka_unit_test(test_lies_are_bogus),
	    cmocka_unit_test(test_silent_family),    cmocka_unit_test(test_bad_settings),
	    cmocka_unit_test(test_none_configured),  cmocka_unit_test(test_cancel_and_free_while_pending),
	    cmocka_unit_test(test_too_many_at_once), cmocka_unit_test(test_resolver_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Lookups against a name server of the test's own: every way an answer can be, be missing, or be a lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "dns_server.h"
#include "net/resolver.h"

#define TIMEOUT_MS 400
#define SRV ns_t_srv
#define A ns_t_a
#define AAAA ns_t_aaaa
#define ANY ns_t_any

/* The anchor of the real root: nothing that our server says can be signed with it. */
static char root_anchor[] =
    "; of the root\n\n"
    ".\t172800 IN\tDS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D ; 2017\n"
    ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16";

struct world {
	struct event_base *base;
	struct dns_server server;
	struct config_dns dns;
	struct resolver *resolver;
};

static void begin(struct world *w, const struct zone_entry *zone)
{
	struct errbuf err = {{0}};

	memset(w, 0, sizeof(*w));
	w->base = event_base_new();
	dns_server_start(&w->server, w->base, zone);
	w->dns = (struct config_dns){.servers = &w->server.address, .server_count = 1, .timeout = TIMEOUT_MS};
	w->resolver = resolver_new(w->base, &w->dns, &err);
	assert_string_equal(err.text, "");
	assert_non_null(w->resolver);
}

static void end(struct world *w)
{
	resolver_free(&w->resolver);
	dns_server_stop(&w->server);
	event_base_free(w->base);
}

/* What came out, as text: "found srv direct: [::1]:1 tls a 0, 127.0.0.1:1 a 0; detail". */
struct outcome {
	struct world *world;
	unsigned calls;
	char text[4096];
	struct lookup **cancel; /* to be cancelled when this is delivered */
};

static void write_candidate(struct strbuf *out, const struct candidate *c)
{
	char address[ADDR_TEXT_SIZE];

	addr_text(&c->address, address);
	assert_int_equal(addr_port(&c->address), c->port);
	strbuf_printf(out, " %s%s%s %s %u", address, c->direct_tls ? " tls" : "", c->secure ? " secure" : "", c->target,
		      c->group);
}

static void write_outcome(struct strbuf *out, const struct resolved *r)
{
	static const char *const words[] = {[RESOLVE_FOUND] = "found",
					    [RESOLVE_NOTHING] = "nothing",
					    [RESOLVE_NO_SERVICE] = "no-service",
					    [RESOLVE_BOGUS] = "bogus",
					    [RESOLVE_FAILED] = "failed"};

	strbuf_printf(out, "%s%s%s%s:", words[r->status], r->srv ? " srv" : "", r->direct_offered ? " direct" : "",
		      r->srv_secure ? " srv-secure" : "");
	for (size_t i = 0; i < r->count; i++) {
		strbuf_puts(out, i ? "," : "");
		write_candidate(out, &r->candidates[i]);
	}
	strbuf_printf(out, "%s%s", *r->detail ? " " : "", r->detail);
}

static void done(void *ctx, const struct resolved *r)
{
	struct outcome *o = ctx;
	struct strbuf out;

	strbuf_init(&out, sizeof(o->text) - 1);
	write_outcome(&out, r);
	(void)snprintf(o->text, sizeof(o->text), "%s", strbuf_text(&out));
	strbuf_fini(&out);
	assert_int_equal(r->status == RESOLVE_FOUND, r->count > 0);
	o->calls++;
	if (o->cancel)
		lookup_cancel(o->cancel);
	event_base_loopbreak(o->world->base);
}

static const char *await(struct world *w, struct outcome *o)
{
	assert_int_equal(o->calls, 0);
	while (o->calls == 0)
		assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
	return o->text;
}

static void assert_lookup(struct world *w, const char *domain, const char *expected)
{
	struct outcome o = {.world = w};

	assert_non_null(resolver_lookup(w->resolver, true, domain, done, &o));
	assert_string_equal(await(w, &o), expected);
	assert_int_equal(o.calls, 1);
}

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
	assert_lookup(&w, "mute.example", "failed srv: no answer in time");
	assert_lookup(&w, "half.example", "found srv: 192.0.2.4:4 half.example 0");
	end(&w);
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

static void test_literals_ask_nobody(void **state)
{
	static const struct zone_entry zone[] = {{NULL, 0, 0, {0}}};
	struct world w;
	struct outcome o = {.world = &w}, never = {.world = &w};
	struct lookup *lookup;

	(void)state;
	begin(&w, zone);
	assert_lookup(&w, "192.0.2.1", "found: 192.0.2.1:5269 192.0.2.1 0");
	assert_lookup(&w, "2001:db8::1", "found: [2001:db8::1]:5269 2001:db8::1 0");
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
	assert_int_equal(w.server.questions, 2);
	end(&w);
}

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
	assert_lookup(&w, "a.example",
		      "bogus: the resolver's answers lack the DNSSEC signatures, even the root's: name another in "
		      "dns.servers");
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
	    cmocka_unit_test(test_srv),
	    cmocka_unit_test(test_client_names_and_ports),
	    cmocka_unit_test(test_without_srv),
	    cmocka_unit_test(test_srv_failures),
	    cmocka_unit_test(test_address_failures),
	    cmocka_unit_test(test_truncated_comes_over_tcp),
	    cmocka_unit_test(test_addresses_of_nobody),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_literals_ask_nobody),
	    cmocka_unit_test(test_host),
	    cmocka_unit_test(test_lies_are_bogus),
	    cmocka_unit_test(test_bad_settings),
	    cmocka_unit_test(test_none_configured),
	    cmocka_unit_test(test_cancel_and_free_while_pending),
	    cmocka_unit_test(test_too_many_at_once),
	    cmocka_unit_test(test_resolver_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

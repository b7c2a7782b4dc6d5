/* SPDX-License-Identifier: MIT */
/* A resolver that asks the test's own name server, and what a lookup gives as text. */
#ifndef TEST_UNIT_NET_RESOLVER_WORLD_H
#define TEST_UNIT_NET_RESOLVER_WORLD_H

#include <stdlib.h>

#include "base/strbuf.h"
#include "dns_server.h"
#include "net/resolver.h"

#define TIMEOUT_MS 400
#define SRV ns_t_srv
#define A ns_t_a
#define AAAA ns_t_aaaa
#define ANY ns_t_any

struct world {
	struct event_base *base;
	struct dns_server server;
	struct config_dns dns;
	struct resolver *resolver;
};

static inline void begin(struct world *w, const struct zone_entry *zone)
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

static inline void end(struct world *w)
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

static inline void write_candidate(struct strbuf *out, const struct candidate *c)
{
	char address[ADDR_TEXT_SIZE];

	addr_text(&c->address, address);
	assert_int_equal(addr_port(&c->address), c->port);
	strbuf_printf(out, " %s%s%s %s %u", address, c->direct_tls ? " tls" : "", c->secure ? " secure" : "", c->target,
		      c->group);
}

static inline void write_outcome(struct strbuf *out, const struct resolved *r)
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

static inline void done(void *ctx, const struct resolved *r)
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

static inline const char *await(struct world *w, struct outcome *o)
{
	assert_int_equal(o->calls, 0);
	while (o->calls == 0)
		assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
	return o->text;
}

static inline void assert_lookup(struct world *w, const char *domain, const char *expected)
{
	struct outcome o = {.world = w};

	assert_non_null(resolver_lookup(w->resolver, true, domain, done, &o));
	assert_string_equal(await(w, &o), expected);
	assert_int_equal(o.calls, 1);
}

#endif

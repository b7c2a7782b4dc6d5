/* SPDX-License-Identifier: MIT */
/*
 * Where a remote domain's service is (RFC 6120 section 3.2, XEP-0368, RFC 2782), by libunbound in the worker's loop:
 * SRV records of both kinds mixed by priority and weight, addresses of every target, DNSSEC validated, own timers,
 * caches and concurrency bounded. Never a blocking call.
 */
#ifndef PROXY_NET_RESOLVER_H
#define PROXY_NET_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/errbuf.h"
#include "policy/config.h"

struct event_base;
struct resolver;
struct lookup;

/* One address to try. Ordered: priority, weighted chance, then the addresses of one target with families in turn (RFC
 * 8305 section 4). */
#define RESOLVED_TARGET_SIZE 256
struct candidate {
	struct addr address;
	bool direct_tls; /* from an _xmpps- record: TLS comes first (XEP-0368) */
	bool secure;     /* SRV and address were DNSSEC-secure */
	unsigned group;  /* candidates of one SRV target have one number, ascending */
	uint16_t port;
	char target[RESOLVED_TARGET_SIZE]; /* the SRV target, the domain itself without SRV, or the numeric address; no
					      trailing dot */
};

enum resolve_status {
	RESOLVE_FOUND,
	RESOLVE_NOTHING,    /* no such name, or no address (row 24) */
	RESOLVE_NO_SERVICE, /* the SRV record says "." */
	RESOLVE_BOGUS,      /* DNSSEC validation failed: never used, never fallen back from (DANE-2) */
	RESOLVE_FAILED,     /* no answer in time, SERVFAIL, too many lookups at once: not fallen back from either */
	RESOLVE_STATUSES
};

struct resolved {
	enum resolve_status status;
	const char *detail;  /* plain words for the record, without a peer's bytes; may be "" */
	bool srv;            /* an SRV record was found */
	bool direct_offered; /* an _xmpps- record other than "." was found */
	bool srv_secure;     /* the SRV answers, also a denial, were DNSSEC-secure */
	const struct candidate *candidates;
	size_t count; /* > 0 iff FOUND */
};
/* out and all it points to live during the call. Called from the loop, never from inside resolver_lookup. */
typedef void resolved_fn(void *ctx, const struct resolved *out);

/*
 * NULL with err set: the anchor cannot be read, a server's address is refused. Takes what it needs from config.dns. dns
 * NULL: no role needs DNS; every lookup of a name FAILs, until resolver_replace gives it something to ask.
 */
struct resolver *resolver_new(struct event_base *base, const struct config_dns *dns, struct errbuf *err);
/*
 * From now on lookups are made with the settings and caches of another one, made beside it on the same base, which is
 * used up. Those under way end with what they began with; whoever holds the resolver keeps his pointer.
 */
void resolver_replace(struct resolver *resolver, struct resolver **settings);
/* Pending lookups are dropped without their callback. Not from inside a callback of a lookup. */
void resolver_free(struct resolver **resolver);

/*
 * The candidates for domain (normalised; an address literal gives itself) and service: s2s: _xmpps-server and
 * _xmpp-server, else the domain's own addresses at 5269; c2s: -client, 5222. done is called once, unless cancelled.
 */
struct lookup *resolver_lookup(struct resolver *resolver, bool s2s, const char *domain, resolved_fn *done, void *ctx);
/* The same for a host and port that the configuration names: no SRV. */
struct lookup *resolver_lookup_host(struct resolver *resolver, const char *host, uint16_t port, resolved_fn *done,
				    void *ctx);
void lookup_cancel(struct lookup **lookup);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Lookups: SRV records of both kinds at once, then the addresses of all targets at once, one timer for each of the two
 * stages. A lookup has one event: it is made active when the last open question of a stage is answered, and fires by
 * itself when time is up. Everything is decided and delivered from there, so that no caller is ever called from inside
 * its own call, nor from inside libunbound.
 *
 * Invariants: an SRV question that was not answered, or whose answer is bogus, ends the lookup: nothing is fallen back
 * to (DANE-2). Nothing of a bogus answer is ever read.
 */
#include "net/resolver.h"

#include <arpa/nameser.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/array.h"
#include "base/mem.h"
#include "base/random.h"
#include "net/resolver_private.h"

#define LOOKUPS_MAX 500 /* at once, a worker */

#define PORT_SERVER 5269
#define PORT_CLIENT 5222

enum kind { KIND_DIRECT, KIND_STARTTLS, KIND_COUNT };
enum stage { STAGE_SRV, STAGE_ADDRESSES, STAGE_SETTLED };

/* What became of one question. */
enum outcome { OUTCOME_WAITING, OUTCOME_ANSWERED, OUTCOME_BOGUS, OUTCOME_FAILED, OUTCOME_TIMEOUT };
struct inquiry {
	struct lookup *lookup;
	struct question *question; /* NULL: none is open */
	enum outcome outcome;
	bool secure, rootless;
};

struct srv_inquiry {
	struct inquiry common; /* first */
	enum answer_status status;
	struct srv_record *records;
	size_t count;
};

struct address_inquiry {
	struct inquiry common; /* first */
	struct target *target;
	int type;
};

struct lookup {
	LIST_ENTRY(lookup) entry;
	struct resolver *resolver;
	struct dns_context *context;
	struct event *event;
	resolved_fn *done;
	void *ctx;
	struct timeval timeout; /* of a stage */
	enum stage stage;
	bool delivering;
	bool hurried;    /* the rest of the stage has only resolution_delay */
	bool use_secure; /* what led to the targets does not make them insecure */
	size_t open;     /* questions of this stage without an answer */
	char *domain;
	uint16_t port; /* without SRV */
	struct srv_inquiry srv[KIND_COUNT];
	struct target *targets;
	size_t target_count;
	struct address_inquiry *addresses; /* two for each target */
	struct candidate *candidates;
	struct resolved result;
};

struct resolver {
	struct event_base *base;
	struct dns_context *context; /* NULL: none is configured */
	struct timeval timeout;
	size_t count;
	LIST_HEAD(lookup_list, lookup) lookups;
};

/* RFC 8305 says 50 ms; a signed zone takes longer to validate, and nothing is lost but this much of a wait. */
static const struct timeval resolution_delay = {0, 250000};

static uint32_t random_up_to(void *ctx, uint32_t max)
{
	uint32_t number, mask = max;

	(void)ctx;
	for (unsigned shift = 1; shift < 32; shift *= 2)
		mask |= mask >> shift;
	do {
		random_bytes(&number, sizeof(number));
		number &= mask;
	} while (number > max);
	return number;
}

static void settle(struct lookup *l, enum resolve_status status, const char *detail)
{
	l->stage = STAGE_SETTLED;
	l->result.status = status;
	l->result.detail = detail;
}

/* The loop's next turn decides. */
static void wake(struct lookup *l)
{
	event_active(l->event, EV_TIMEOUT, 0);
}

/* True: there is an answer to read. */
static bool note(struct inquiry *inquiry, const struct question_result *result)
{
	static const enum outcome outcomes[] = {
	    [QUESTION_PACKET] = OUTCOME_ANSWERED, [QUESTION_BOGUS] = OUTCOME_BOGUS, [QUESTION_FAILED] = OUTCOME_FAILED};

	inquiry->question = NULL;
	inquiry->outcome = outcomes[result->outcome];
	inquiry->secure = result->secure;
	inquiry->rootless = result->rootless;
	if (--inquiry->lookup->open == 0)
		wake(inquiry->lookup);
	return result->outcome == QUESTION_PACKET;
}

static void srv_answered(void *ctx, const struct question_result *result)
{
	struct srv_inquiry *inquiry = ctx;
	struct srv_answer answer;
	bool direct = inquiry == &inquiry->common.lookup->srv[KIND_DIRECT];

	if (!note(&inquiry->common, result))
		return;
	inquiry->status = answer_read_srv(&answer, result->packet, result->len, direct);
	if (inquiry->status == ANSWER_BROKEN)
		inquiry->common.outcome = OUTCOME_FAILED;
	inquiry->count = answer.count;
	inquiry->records = mem_dup(answer.records, answer.count * sizeof(answer.records[0]));
}

static void start_timer(struct lookup *l)
{
	(void)evtimer_add(l->event, &l->timeout);
}

/* Is there nothing more to wait for than a second family of a target's addresses? */
static bool lacks_only_families(const struct lookup *l)
{
	for (size_t i = 0; i < l->target_count; i++) {
		const struct target *target = &l->targets[i];
		const struct address_inquiry *two = &l->addresses[2 * i];

		if (target->v4.count + target->v6.count == 0 &&
		    (two[0].common.outcome == OUTCOME_WAITING || two[1].common.outcome == OUTCOME_WAITING))
			return false;
	}
	return true;
}

/* A server that never answers for AAAA is no reason to keep a peer waiting that has an A (RFC 8305 section 3). */
static void hurry(struct lookup *l)
{
	if (l->hurried || l->open == 0 || !lacks_only_families(l))
		return;
	l->hurried = true;
	if (l->timeout.tv_sec > 0 || l->timeout.tv_usec > resolution_delay.tv_usec)
		(void)evtimer_add(l->event, &resolution_delay);
}

static void address_answered(void *ctx, const struct question_result *result)
{
	struct address_inquiry *inquiry = ctx;
	struct target *target = inquiry->target;
	bool four = inquiry->type == ns_t_a;
	struct address_answer *answer = four ? &target->v4 : &target->v6;

	if (note(&inquiry->common, result)) {
		if (answer_read_addresses(answer, result->packet, result->len, inquiry->type) == ANSWER_BROKEN)
			inquiry->common.outcome = OUTCOME_FAILED;
		*(four ? &target->secure4 : &target->secure6) = result->secure;
	}
	hurry(inquiry->common.lookup);
}

static void ask_srv(struct lookup *l, enum kind kind, const char *service)
{
	struct srv_inquiry *inquiry = &l->srv[kind];
	char *name = mem_printf("%s._tcp.%s.", service, l->domain);

	inquiry->common.question = dns_context_ask(l->context, name, ns_t_srv, srv_answered, inquiry);
	mem_free(name);
}

static void begin_srv(struct lookup *l)
{
	bool s2s = l->port == PORT_SERVER;

	l->stage = STAGE_SRV;
	l->open = KIND_COUNT;
	start_timer(l);
	ask_srv(l, KIND_DIRECT, s2s ? "_xmpps-server" : "_xmpps-client");
	ask_srv(l, KIND_STARTTLS, s2s ? "_xmpp-server" : "_xmpp-client");
}

static void ask_addresses(struct lookup *l, struct address_inquiry *inquiry, struct target *target, int type)
{
	char *name = mem_printf("%s.", target->record.target);

	*inquiry = (struct address_inquiry){.common.lookup = l, .target = target, .type = type};
	inquiry->common.question = dns_context_ask(l->context, name, type, address_answered, inquiry);
	mem_free(name);
}

static void begin_addresses(struct lookup *l)
{
	l->stage = STAGE_ADDRESSES;
	l->open = 2 * l->target_count;
	l->addresses = mem_array(l->open, sizeof(*l->addresses));
	start_timer(l);
	for (size_t i = 0; i < l->target_count; i++) {
		ask_addresses(l, &l->addresses[2 * i], &l->targets[i], ns_t_aaaa);
		ask_addresses(l, &l->addresses[2 * i + 1], &l->targets[i], ns_t_a);
	}
}

/* Without SRV: the name itself. */
static void set_only_target(struct lookup *l)
{
	struct srv_record *record;

	l->targets = mem_array(1, sizeof(*l->targets));
	l->target_count = 1;
	record = &l->targets[0].record;
	record->port = l->port;
	memcpy(record->target, l->domain, strlen(l->domain));
}

/* The records of both kinds in the order of trying; more than the limit of them are nobody's honest zone. */
static void set_targets(struct lookup *l)
{
	size_t count = l->srv[KIND_DIRECT].count + l->srv[KIND_STARTTLS].count;
	struct srv_record *records = mem_array(count, sizeof(*records));
	size_t filled = 0;

	for (int kind = 0; kind < KIND_COUNT; kind++)
		for (size_t i = 0; i < l->srv[kind].count; i++)
			records[filled++] = l->srv[kind].records[i];
	srv_order(records, count, random_up_to, NULL);
	l->target_count = count < RESOLVED_TARGETS_MAX ? count : RESOLVED_TARGETS_MAX;
	l->targets = mem_array(l->target_count, sizeof(*l->targets));
	for (size_t i = 0; i < l->target_count; i++)
		l->targets[i].record = records[i];
	mem_free(records);
}

static const char *bogus_words(const struct inquiry *inquiry)
{
	if (inquiry->rootless)
		return "the root's DNSSEC keys are missing from the resolver's answers, or do not fit "
		       "dns.trust-anchor: name "
		       "another resolver in dns.servers, or bring the anchor up to date";
	return "DNSSEC validation failed: the answer is forged, or the zone's signatures are broken";
}

static const char *failure_words(const struct inquiry *inquiry)
{
	return inquiry->outcome == OUTCOME_TIMEOUT ? "no answer in time" : "the resolver could not find out (SERVFAIL)";
}

/* One of these settles a lookup; true: it is settled. */
static bool settle_failure(struct lookup *l, const struct inquiry *inquiry)
{
	if (inquiry->outcome == OUTCOME_BOGUS)
		settle(l, RESOLVE_BOGUS, bogus_words(inquiry));
	else if (inquiry->outcome != OUTCOME_ANSWERED)
		settle(l, RESOLVE_FAILED, failure_words(inquiry));
	return l->stage == STAGE_SETTLED;
}

/* A lie about either kind is worse news than silence about the other. */
static bool settle_failed_srv(struct lookup *l)
{
	const struct inquiry *direct = &l->srv[KIND_DIRECT].common, *starttls = &l->srv[KIND_STARTTLS].common;

	if (direct->outcome != OUTCOME_BOGUS && starttls->outcome == OUTCOME_BOGUS)
		return settle_failure(l, starttls);
	return settle_failure(l, direct) || settle_failure(l, starttls);
}

/*
 * The target "." for direct TLS says that there is none, and for STARTTLS the same; where it is all that is said, the
 * domain's own addresses are not asked (RFC 2782, XEP-0368).
 */
static void conclude_srv(struct lookup *l)
{
	const struct srv_inquiry *direct = &l->srv[KIND_DIRECT], *starttls = &l->srv[KIND_STARTTLS];
	bool found = direct->status == ANSWER_FOUND || starttls->status == ANSWER_FOUND;
	bool refused = direct->status == ANSWER_REFUSED || starttls->status == ANSWER_REFUSED;

	if (settle_failed_srv(l))
		return;
	l->result.srv = found || refused;
	l->result.direct_offered = direct->count > 0;
	l->result.srv_secure = l->use_secure = direct->common.secure && starttls->common.secure;
	if (found)
		set_targets(l);
	else if (refused)
		settle(l, RESOLVE_NO_SERVICE, "its SRV record says that there is no such service");
	else
		set_only_target(l);
	if (found && l->target_count == 0)
		settle(l, RESOLVE_NOTHING, "none of its SRV records names a host and a port");
	if (l->stage == STAGE_SRV)
		begin_addresses(l);
}

/* Without an address: the worst that was heard of any target is the answer. */
static void settle_addressless(struct lookup *l)
{
	const struct inquiry *worst = NULL;

	for (size_t i = 0; i < 2 * l->target_count; i++) {
		const struct inquiry *inquiry = &l->addresses[i].common;

		if (inquiry->outcome == OUTCOME_ANSWERED)
			continue;
		if (!worst || (inquiry->outcome == OUTCOME_BOGUS && worst->outcome != OUTCOME_BOGUS))
			worst = inquiry;
	}
	if (worst && settle_failure(l, worst))
		return;
	settle(l, RESOLVE_NOTHING,
	       l->result.srv ? "none of its SRV targets has an address" : "the name has no address");
}

static void conclude_addresses(struct lookup *l)
{
	for (size_t i = 0; i < 2 * l->target_count; i++)
		if (l->addresses[i].common.outcome == OUTCOME_BOGUS)
			l->addresses[i].target->bogus = true;
	l->candidates = mem_array(RESOLVED_CANDIDATES_MAX, sizeof(*l->candidates));
	l->result.candidates = l->candidates;
	l->result.count = candidates_collect(l->candidates, l->targets, l->target_count, l->use_secure);
	if (l->result.count > 0)
		settle(l, RESOLVE_FOUND, "");
	else
		settle_addressless(l);
}

static void give_up_on(struct lookup *l, struct inquiry *inquiry)
{
	if (inquiry->outcome != OUTCOME_WAITING)
		return;
	inquiry->outcome = OUTCOME_TIMEOUT;
	question_abandon(&inquiry->question);
	l->open--;
}

static void give_up_on_all(struct lookup *l)
{
	for (int kind = 0; kind < KIND_COUNT && l->stage == STAGE_SRV; kind++)
		give_up_on(l, &l->srv[kind].common);
	for (size_t i = 0; i < 2 * l->target_count && l->stage == STAGE_ADDRESSES; i++)
		give_up_on(l, &l->addresses[i].common);
}

static void drop(struct lookup *l)
{
	LIST_REMOVE(l, entry);
	l->resolver->count--;
	give_up_on_all(l);
	event_free(l->event);
	dns_context_unref(&l->context);
	for (int kind = 0; kind < KIND_COUNT; kind++)
		mem_free(l->srv[kind].records);
	mem_free(l->targets);
	mem_free(l->addresses);
	mem_free(l->candidates);
	mem_free(l->domain);
	mem_free(l);
}

/* The last question was answered, or time is up. */
static void on_event(evutil_socket_t fd, short what, void *ctx)
{
	struct lookup *l = ctx;

	(void)fd;
	(void)what;
	give_up_on_all(l);
	if (l->stage == STAGE_SRV)
		conclude_srv(l);
	else if (l->stage == STAGE_ADDRESSES)
		conclude_addresses(l);
	if (l->stage != STAGE_SETTLED)
		return;
	l->delivering = true;
	l->done(l->ctx, &l->result);
	drop(l);
}

static struct lookup *lookup_new(struct resolver *r, const char *domain, uint16_t port, resolved_fn *done, void *ctx)
{
	struct lookup *l = mem_zalloc(sizeof(*l));

	l->resolver = r;
	l->done = done;
	l->ctx = ctx;
	l->domain = mem_strdup(domain);
	l->port = port;
	l->timeout = r->timeout;
	l->use_secure = true;
	l->result.detail = "";
	for (int kind = 0; kind < KIND_COUNT; kind++)
		l->srv[kind].common.lookup = l;
	l->event = evtimer_new(r->base, on_event, l);
	if (!l->event)
		abort();
	LIST_INSERT_HEAD(&r->lookups, l, entry);
	r->count++;
	return l;
}

/* Names that need no question, and those about which none can be asked. */
static bool settle_at_once(struct lookup *l)
{
	struct resolver *r = l->resolver;
	struct candidate candidate;
	enum literal literal = candidate_literal(&candidate, l->domain, l->port);

	if (literal == LITERAL_NOBODY) {
		settle(l, RESOLVE_NOTHING, "nobody can be at that address");
	} else if (literal == LITERAL_CANDIDATE) {
		l->candidates = mem_dup(&candidate, sizeof(candidate));
		l->result.candidates = l->candidates;
		l->result.count = 1;
		settle(l, RESOLVE_FOUND, "");
	} else if (!r->context) {
		settle(l, RESOLVE_FAILED, "no resolver is configured");
	} else if (r->count > LOOKUPS_MAX || dns_context_full(r->context)) {
		settle(l, RESOLVE_FAILED, "too many lookups at once");
	} else if (strlen(l->domain) >= RESOLVED_TARGET_SIZE) {
		settle(l, RESOLVE_NOTHING, "the name is too long for DNS");
	}
	if (l->stage != STAGE_SETTLED)
		return false;
	wake(l);
	return true;
}

struct lookup *resolver_lookup(struct resolver *resolver, bool s2s, const char *domain, resolved_fn *done, void *ctx)
{
	struct lookup *l = lookup_new(resolver, domain, s2s ? PORT_SERVER : PORT_CLIENT, done, ctx);

	if (settle_at_once(l))
		return l;
	l->context = dns_context_ref(resolver->context);
	begin_srv(l);
	return l;
}

struct lookup *resolver_lookup_host(struct resolver *resolver, const char *host, uint16_t port, resolved_fn *done,
				    void *ctx)
{
	struct lookup *l = lookup_new(resolver, host, port, done, ctx);

	if (settle_at_once(l))
		return l;
	l->context = dns_context_ref(resolver->context);
	set_only_target(l);
	begin_addresses(l);
	return l;
}

void lookup_cancel(struct lookup **lookup)
{
	struct lookup *l = *lookup;

	*lookup = NULL;
	if (l && !l->delivering)
		drop(l);
}

struct resolver *resolver_new(struct event_base *base, const struct config_dns *dns, struct errbuf *err)
{
	struct resolver *r = mem_zalloc(sizeof(*r));

	r->base = base;
	LIST_INIT(&r->lookups);
	if (!dns)
		return r;
	r->timeout = (struct timeval){.tv_sec = dns->timeout / 1000, .tv_usec = dns->timeout % 1000 * 1000};
	r->context = dns_context_new(base, dns, err);
	if (!r->context)
		resolver_free(&r);
	return r;
}

void resolver_replace(struct resolver *resolver, struct resolver **settings)
{
	dns_context_unref(&resolver->context);
	resolver->context = (*settings)->context;
	resolver->timeout = (*settings)->timeout;
	(*settings)->context = NULL;
	resolver_free(settings);
}

void resolver_free(struct resolver **resolver)
{
	struct resolver *r = *resolver;

	*resolver = NULL;
	if (!r)
		return;
	while (!LIST_EMPTY(&r->lookups))
		drop(LIST_FIRST(&r->lookups));
	dns_context_unref(&r->context);
	mem_free(r);
}

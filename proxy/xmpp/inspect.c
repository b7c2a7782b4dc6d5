/* SPDX-License-Identifier: MIT */
/*
 * The inspector's core: feeds the two parsers, and decides whose bytes are read now and whose are kept.
 * Invariants: bytes pass in order and only as whole first-level elements (NEG-36); passed <= fed, and what lies between
 * is in `hold` as far as it came with earlier reads; when a parser stops at an event everything up to the event's end
 * has been passed or dropped before anything behind it is read; after `ended` no operation is called again.
 */
#include "xmpp/inspect.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "xmpp/inspect_pairs_private.h"
#include "xmpp/inspect_private.h"
#include "xmpp/names.h"

/* limits.stanza where it is 0 and must not be. */
#define SERVER_STANZA_LIMIT ((size_t)512 * 1024)

/* Puts what was read and may not pass yet into `hold`. False when that is more than the limits allow. */
static bool keep(struct inspect_dir *d)
{
	uint64_t from = d->passed > d->chunk_at ? d->passed : d->chunk_at;

	return from == d->fed || strbuf_add(&d->hold, d->chunk + (from - d->chunk_at), (size_t)(d->fed - from));
}

/* Tells nobody: what follows is no XML any more, or nothing is left to look at. */
static void go_blind(struct inspector *ins)
{
	for (int side = 0; side < INSPECT_SIDES; side++) {
		struct inspect_dir *d = &ins->dir[side];

		inspect_emit(d, d->hold.data, d->hold.len);
		inspect_emit(d, d->later.data, d->later.len);
		inspect_wipe(&d->hold);
		inspect_wipe(&d->later);
	}
	ins->ended = true;
	ins->ops->blind(ins->ctx);
}

/* Between clients' streams only: with limits.stanza 0 nothing is looked at once the stream that follows authentication
 * has begun. */
static bool nothing_left(const struct inspector *ins)
{
	if (ins->pairs || ins->stanza_limit > 0 || !ins->authenticated || ins->features_due ||
	    ins->hold != INSPECT_HOLD_NONE)
		return false;
	for (int side = 0; side < INSPECT_SIDES; side++)
		if (!ins->dir[side].opened || ins->dir[side].closed || ins->dir[side].errored || ins->dir[side].muted)
			return false;
	return true;
}

static void violation(struct inspect_dir *d, enum reason reason)
{
	d->ins->ops->note(d->ins->ctx, INSPECT_NOTE_STANZA_VIOLATION);
	inspect_fail(d->ins, d->side, reason, false);
}

/* One call of the parser; returns how much it took. */
static size_t step(struct inspect_dir *d, const char *data, size_t len)
{
	struct inspector *ins = d->ins;
	size_t used = 0;

	memset(&ins->verdict, 0, sizeof(ins->verdict));
	d->chunk = data;
	d->chunk_at = d->fed;
	enum xmlstream_result result = xmlstream_feed(d->xs, data, len, &used);

	if (result == XMLSTREAM_FAILED) {
		inspect_take(d, xmlstream_done(d->xs), true);
		violation(d, xmlstream_failure(d->xs)->reason);
		return len;
	}
	d->fed += used;
	if (result == XMLSTREAM_MORE) {
		inspect_take(d, xmlstream_done(d->xs), true);
		if (!keep(d))
			violation(d, REASON_TOO_BIG);
		return used;
	}
	if (ins->verdict.close)
		ins->verdict.end = d->fed;
	inspect_carry_out(d);
	if (!ins->ended && d->question.claim && !keep(d))
		violation(d, REASON_TOO_BIG);
	if (!ins->ended && (ins->verdict.compressed || (!ins->nested && nothing_left(ins)))) {
		inspect_emit(d, data + used, len - used);
		go_blind(ins);
		return len;
	}
	return used;
}

/* White space before a header belongs to no stream: the restarted peer must see the header first (XML-1, NEG-6). */
static size_t leading_space(const struct inspect_dir *d, const char *data, size_t len)
{
	size_t n = 0;

	if (d->fed > 0)
		return 0;
	while (n < len && (data[n] == ' ' || data[n] == '\t' || data[n] == '\r' || data[n] == '\n'))
		n++;
	return n;
}

static bool reads(const struct inspect_dir *d)
{
	if (d->ins->ended || d->closed || d->question.claim)
		return false;
	return d->side == INSPECT_RESPONDER || (d->ins->hold == INSPECT_HOLD_NONE && d->ins->peek == NULL);
}

static void run_later(struct inspect_dir *d);

static void run(struct inspect_dir *d, const char *data, size_t len)
{
	struct inspector *ins = d->ins;

	while (len > 0 && reads(d)) {
		size_t used = leading_space(d, data, len);

		if (used == 0)
			used = step(d, data, len);
		data += used;
		len -= used;
		/* At once, so that nothing depends on how the responder's bytes were cut. */
		if (d->side == INSPECT_RESPONDER) {
			inspect_offer_peek(ins);
			run_later(&ins->dir[INSPECT_INITIATOR]);
		}
	}
	if (len > 0 && !ins->ended && !d->closed && !strbuf_add(&d->later, data, len))
		violation(d, REASON_TOO_BIG);
}

/* What was kept while the initiating entity was held back, as far as it may be read now. */
static void run_later(struct inspect_dir *d)
{
	struct strbuf kept = d->later;

	if (kept.len == 0 || !reads(d))
		return;
	strbuf_init(&d->later, kept.max);
	d->ins->nested = true;
	run(d, kept.data, kept.len);
	d->ins->nested = false;
	inspect_wipe(&kept);
}

void inspect_feed(struct inspector *ins, enum inspect_side side, const void *data, size_t len)
{
	struct inspect_dir *d = &ins->dir[side];

	if (ins->ended || d->closed)
		return;
	run(d, data, len);
	if (side == INSPECT_INITIATOR && !ins->ended)
		inspect_offer_peek(ins);
	if (d->hold.len == 0)
		inspect_wipe(&d->hold);
}

/* The header that went to the responder before: read here so that its prefixes are in scope for what follows. */
static void read_first_header(struct inspector *ins, const void *header, size_t len)
{
	struct inspect_dir *d = &ins->dir[INSPECT_INITIATOR];
	size_t used = 0;

	ins->reading_first = true;
	xmlstream_feed(d->xs, header, len, &used);
	ins->reading_first = false;
	d->fed = d->passed = used;
	inspect_mark_opened(d);
	if (!d->prefix)
		d->prefix = mem_strdup("stream");
}

/* Pairs are watched for as long as the stream lives, so it is neither blind nor compressed. */
static void begin_between_servers(struct inspector *ins, const struct inspect_params *params)
{
	ins->pairs = inspect_pairs_new(params->remote_from);
	if (ins->stanza_limit == 0)
		ins->stanza_limit = SERVER_STANZA_LIMIT;
}

struct inspector *inspect_new(const struct inspect_params *params)
{
	struct inspector *ins = mem_zalloc(sizeof(*ins));
	ins->ops = params->ops;
	ins->ctx = params->ctx;
	ins->content_ns = mem_strdup(params->content_ns);
	ins->domain = mem_strdup(params->domain);
	ins->unauthenticated_limit = params->unauthenticated_limit;
	ins->stanza_limit = params->stanza_limit;
	ins->remote = params->remote;
	if (strcmp(params->content_ns, XMPP_NS_SERVER) == 0)
		begin_between_servers(ins, params);
	ins->depth = params->depth;
	ins->auth_attempts = params->auth_attempts;
	ins->strip_compression = params->strip_compression || ins->pairs;
	ins->idle_seconds = params->idle_seconds;
	ins->mechanisms_refused = params->mechanisms_refused;
	ins->mechanisms_refused_count = params->mechanisms_refused_count;
	ins->monitor = params->monitor;
	ins->features_due = true;
	ins->offer_starttls = params->offer_starttls;
	size_t most = ins->unauthenticated_limit > ins->stanza_limit ? ins->unauthenticated_limit : ins->stanza_limit;

	for (int side = 0; side < INSPECT_SIDES; side++) {
		struct inspect_dir *d = &ins->dir[side];

		d->ins = ins;
		d->side = (enum inspect_side)side;
		strbuf_init(&d->hold, most + INSPECT_HOLD_SLACK);
		strbuf_init(&d->later, most + INSPECT_HOLD_SLACK);
		inspect_new_parser(d);
	}
	read_first_header(ins, params->initiator_header, params->initiator_header_len);
	if (params->undecided)
		inspect_offer_begin(ins, params->initiator_header, params->initiator_header_len);
	return ins;
}

void inspect_free(struct inspector **ins)
{
	struct inspector *old = *ins;

	if (!old)
		return;
	*ins = NULL;
	inspect_offer_end(old);
	for (int side = 0; side < INSPECT_SIDES; side++) {
		xmlstream_free(&old->dir[side].xs);
		inspect_wipe(&old->dir[side].hold);
		inspect_wipe(&old->dir[side].later);
		mem_free(old->dir[side].prefix);
		inspect_drop_question(&old->dir[side]);
	}
	inspect_pairs_free(&old->pairs);
	mem_free(old->content_ns);
	mem_free(old->domain);
	mem_free(old->method);
	mem_free(old->identity);
	mem_free(old->reported);
	mem_free(old->claimed);
	mem_free(old->iq_id);
	mem_free(old);
}

void inspect_go_on(struct inspector *ins)
{
	if (ins->ended || ins->hold != INSPECT_HOLD_DECISION)
		return;
	ins->hold = INSPECT_HOLD_NONE;
	run_later(&ins->dir[INSPECT_INITIATOR]);
}

void inspect_pair_decide(struct inspector *ins, enum inspect_pair answer)
{
	struct inspect_dir *d = ins->asking, *waiting;

	if (ins->ended || !d)
		return;
	ins->asking = NULL;
	inspect_answer_question(d, answer == INSPECT_PAIR_WAIT ? INSPECT_PAIR_NOT_AUTHORIZED : answer);
	waiting = &ins->dir[inspect_other(d->side)];
	if (!ins->ended && waiting->question.claim)
		inspect_ask(waiting);
	for (int side = 0; side < INSPECT_SIDES; side++) {
		run_later(&ins->dir[side]);
		if (ins->dir[side].hold.len == 0)
			inspect_wipe(&ins->dir[side].hold);
	}
}

void inspect_rest(struct inspector *ins)
{
	if (ins->ended || !ins->authenticated)
		return;
	for (int side = 0; side < INSPECT_SIDES; side++)
		(void)xmlstream_rest(ins->dir[side].xs);
}

bool inspect_wants(const struct inspector *ins, enum inspect_side side)
{
	/* The reader ahead needs bytes while the inspector's own parser waits for the choice. */
	bool peeking = side == INSPECT_INITIATOR && ins->peek != NULL && ins->hold == INSPECT_HOLD_NONE;

	return reads(&ins->dir[side]) || (peeking && !ins->ended && !ins->dir[side].closed);
}

bool inspect_keeps(const struct inspector *ins, enum inspect_side side)
{
	return ins->dir[side].later.len > 0;
}

void inspect_end(struct inspector *ins, enum inspect_side side, enum reason reason)
{
	if (ins->ended)
		return;
	if (reason_info(reason)->condition == XMPP_ERROR_NONE)
		inspect_tell_close(ins, side);
	else
		inspect_tell_error(ins, side, reason);
}

bool inspect_is_authenticated(const struct inspector *ins)
{
	return ins->authenticated;
}

bool inspect_has_only_asked(const struct inspector *ins)
{
	const struct inspect_pairs *p = ins->pairs;

	return p && p->told && p->claims.count == 0 && !ins->authenticated && ins->failures == 0 && !ins->method;
}

bool inspect_has_vouched(const struct inspector *ins)
{
	return ins->pairs && ins->pairs->vouched;
}

bool inspect_is_closed(const struct inspector *ins, enum inspect_side side)
{
	return ins->dir[side].closed;
}

uint64_t inspect_elements(const struct inspector *ins, enum inspect_side side)
{
	return ins->dir[side].elements;
}

bool inspect_mid_element(const struct inspector *ins, enum inspect_side side)
{
	return ins->dir[side].hold.len > 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The inspector's core: feeds the two parsers, carries out the verdicts of the steps and decides which bytes pass.
 * Invariants: bytes pass in order and only as whole first-level elements (NEG-36); passed <= fed, and what lies between
 * is in `hold` as far as it came with earlier reads; when a parser stops at an event everything up to the event's end
 * has been passed or dropped before anything behind it is read; after `ended` no operation is called again.
 */
#include "xmpp/inspect.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "xmpp/inspect_private.h"
#include "xmpp/names.h"
#include "xmpp/reply.h"

static void emit(struct inspect_dir *d, const char *data, size_t len)
{
	if (len > 0 && !d->muted)
		d->ins->ops->pass(d->ins->ctx, d->side, data, len);
}

/* Passes or drops everything before stream offset `upto`. */
static void take(struct inspect_dir *d, uint64_t upto, bool pass)
{
	if (upto > d->passed && d->hold.len > 0) {
		size_t n = upto - d->passed < d->hold.len ? (size_t)(upto - d->passed) : d->hold.len;

		if (pass)
			emit(d, d->hold.data, n);
		strbuf_drain(&d->hold, n);
		d->passed += n;
	}
	if (upto > d->passed) {
		if (pass)
			emit(d, d->chunk + (d->passed - d->chunk_at), (size_t)(upto - d->passed));
		d->passed = upto;
	}
}

/* Puts what was read and may not pass yet into `hold`. False when that is more than the limits allow. */
static bool keep(struct inspect_dir *d)
{
	uint64_t from = d->passed > d->chunk_at ? d->passed : d->chunk_at;

	return from == d->fed || strbuf_add(&d->hold, d->chunk + (from - d->chunk_at), (size_t)(d->fed - from));
}

static void wipe(struct strbuf *b)
{
	if (b->data)
		mem_wipe(b->data, b->size);
	strbuf_fini(b);
}

static void new_parser(struct inspect_dir *d)
{
	struct inspector *ins = d->ins;
	const struct xmlstream_limits limits = {
	    .element = ins->unauthenticated_limit, .depth = ins->depth, .attributes = INSPECT_ATTRIBUTES_MAX};

	xmlstream_free(&d->xs);
	d->xs = xmlstream_new(&limits, inspect_handlers(), d);
	d->passed = d->fed = d->chunk_at = 0;
	d->opened = false;
	wipe(&d->hold);
}

/* After authentication the larger limit holds; 0 means that nothing will be inspected, so none is needed. */
static void relax_limit(struct inspect_dir *d)
{
	if (d->ins->stanza_limit > 0)
		xmlstream_set_element_limit(d->xs, d->ins->stanza_limit);
}

static void report_authenticated(struct inspector *ins)
{
	char *identity = mem_strdup(ins->identity ? ins->identity : "");

	mem_free(ins->reported);
	ins->reported = identity;
	ins->ops->authenticated(ins->ctx, ins->method, identity);
	for (int side = 0; side < INSPECT_SIDES; side++)
		relax_limit(&ins->dir[side]);
}

static void send_reply(struct inspector *ins, const struct inspect_verdict *v)
{
	struct strbuf out;

	if (!v->put_reply && !v->sasl_failure)
		return;
	strbuf_init(&out, 1024);
	if (v->put_reply)
		v->put_reply(&out);
	else
		reply_sasl_failure(&out, v->sasl2, v->sasl_failure);
	ins->ops->reply(ins->ctx, INSPECT_INITIATOR, out.data, out.len);
	strbuf_fini(&out);
}

static void tell_notes(struct inspector *ins, const struct inspect_verdict *v)
{
	for (int i = 0; i < INSPECT_NOTE_COUNT; i++)
		if (v->note[i])
			ins->ops->note(ins->ctx, (enum inspect_note)i);
}

static void pass_edited(struct inspect_dir *d, const struct inspect_verdict *v)
{
	const struct inspect_edits *e = v->edits;

	for (size_t i = 0; e && i < e->count; i++) {
		const struct inspect_edit *edit = &e->edit[i];

		take(d, edit->start, true);
		if (edit->text_len > 0 && !d->muted)
			d->ins->ops->reply(d->ins->ctx, inspect_other(d->side), e->text.data + edit->text_at,
					   edit->text_len);
		take(d, edit->end, false);
	}
	take(d, v->end, true);
}

static void mark_opened(struct inspect_dir *d)
{
	struct inspector *ins = d->ins;

	d->opened = true;
	if (ins->authenticated)
		relax_limit(d);
	if (d->side == INSPECT_INITIATOR)
		ins->hold = ins->features_due ? INSPECT_HOLD_FEATURES : INSPECT_HOLD_NONE;
}

static void restart(struct inspector *ins)
{
	for (int side = 0; side < INSPECT_SIDES; side++)
		new_parser(&ins->dir[side]);
	ins->hold = INSPECT_HOLD_NONE;
}

/* Tells nobody: what follows is no XML any more, or nothing is left to look at. */
static void go_blind(struct inspector *ins)
{
	for (int side = 0; side < INSPECT_SIDES; side++) {
		struct inspect_dir *d = &ins->dir[side];

		emit(d, d->hold.data, d->hold.len);
		emit(d, d->later.data, d->later.len);
		wipe(&d->hold);
		wipe(&d->later);
	}
	ins->ended = true;
	ins->ops->blind(ins->ctx);
}

/* With limits.stanza 0 nothing is looked at once the stream that follows authentication has begun. */
static bool nothing_left(const struct inspector *ins)
{
	if (ins->stanza_limit > 0 || !ins->authenticated || ins->features_due || ins->hold != INSPECT_HOLD_NONE)
		return false;
	for (int side = 0; side < INSPECT_SIDES; side++)
		if (!ins->dir[side].opened || ins->dir[side].closed || ins->dir[side].errored || ins->dir[side].muted)
			return false;
	return true;
}

static void carry_out_pass(struct inspect_dir *d, const struct inspect_verdict *v)
{
	struct inspector *ins = d->ins;

	pass_edited(d, v);
	if (v->header)
		mark_opened(d);
	if (v->authenticated)
		report_authenticated(ins);
	if (v->restart)
		restart(ins);
	if (v->close) {
		d->closed = true;
		ins->ops->closed(ins->ctx, d->side);
	}
	if (v->then_fail)
		inspect_fail(ins, v->culprit, v->reason, false);
}

static void carry_out_drop(struct inspect_dir *d, const struct inspect_verdict *v)
{
	struct inspector *ins = d->ins;

	take(d, v->end, false);
	if (v->what == INSPECT_FAIL) {
		inspect_fail(ins, v->culprit, v->reason, v->tls_failure);
		return;
	}
	send_reply(ins, v);
	if (v->then_fail)
		inspect_fail(ins, v->culprit, v->reason, false);
}

/* The parser stopped at an event; everything behind it is still unread. */
static void carry_out(struct inspect_dir *d)
{
	struct inspect_verdict v = d->ins->verdict;

	take(d, v.start, true);
	tell_notes(d->ins, &v);
	if (v.what == INSPECT_PASS)
		carry_out_pass(d, &v);
	else
		carry_out_drop(d, &v);
	inspect_edits_free(&v.edits);
	d->ins->verdict.edits = NULL;
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
		take(d, xmlstream_done(d->xs), true);
		violation(d, xmlstream_failure(d->xs)->reason);
		return len;
	}
	d->fed += used;
	if (result == XMLSTREAM_MORE) {
		take(d, xmlstream_done(d->xs), true);
		if (!keep(d))
			violation(d, REASON_TOO_BIG);
		return used;
	}
	if (ins->verdict.close)
		ins->verdict.end = d->fed;
	carry_out(d);
	if (!ins->ended && (ins->verdict.compressed || (!ins->nested && nothing_left(ins)))) {
		emit(d, data + used, len - used);
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
	if (d->ins->ended || d->closed)
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
	wipe(&kept);
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
		wipe(&d->hold);
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
	mark_opened(d);
	if (!d->prefix)
		d->prefix = mem_strdup("stream");
}

struct inspector *inspect_new(const struct inspect_params *params)
{
	struct inspector *ins = mem_zalloc(sizeof(*ins));
	size_t most =
	    params->unauthenticated_limit > params->stanza_limit ? params->unauthenticated_limit : params->stanza_limit;

	ins->ops = params->ops;
	ins->ctx = params->ctx;
	ins->content_ns = mem_strdup(params->content_ns);
	ins->domain = mem_strdup(params->domain);
	ins->unauthenticated_limit = params->unauthenticated_limit;
	ins->stanza_limit = params->stanza_limit;
	ins->depth = params->depth;
	ins->auth_attempts = params->auth_attempts;
	ins->strip_compression = params->strip_compression;
	ins->idle_seconds = params->idle_seconds;
	ins->mechanisms_refused = params->mechanisms_refused;
	ins->mechanisms_refused_count = params->mechanisms_refused_count;
	ins->monitor = params->monitor;
	ins->features_due = true;
	ins->offer_starttls = params->offer_starttls;
	for (int side = 0; side < INSPECT_SIDES; side++) {
		struct inspect_dir *d = &ins->dir[side];

		d->ins = ins;
		d->side = (enum inspect_side)side;
		strbuf_init(&d->hold, most + INSPECT_HOLD_SLACK);
		strbuf_init(&d->later, most + INSPECT_HOLD_SLACK);
		new_parser(d);
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
		wipe(&old->dir[side].hold);
		wipe(&old->dir[side].later);
		mem_free(old->dir[side].prefix);
	}
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

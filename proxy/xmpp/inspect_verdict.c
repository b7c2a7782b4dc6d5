/* SPDX-License-Identifier: MIT */
/*
 * Carries out what the steps decided: passes, changes or drops the event's bytes, answers, tells the session, and has
 * it judge the pairs of domains that are claimed between servers. Invariants: bytes pass here and nowhere else, in
 * order; no operation is called from inside the parser; one question at a time is with the session.
 */
#include <string.h>

#include "base/mem.h"
#include "xmpp/inspect_pairs_private.h"
#include "xmpp/inspect_private.h"
#include "xmpp/reply.h"

void inspect_emit(struct inspect_dir *d, const char *data, size_t len)
{
	if (len > 0 && !d->muted)
		d->ins->ops->pass(d->ins->ctx, d->side, data, len);
}

/* Passes or drops everything before stream offset `upto`. */
void inspect_take(struct inspect_dir *d, uint64_t upto, bool pass)
{
	if (upto > d->passed && d->hold.len > 0) {
		size_t n = upto - d->passed < d->hold.len ? (size_t)(upto - d->passed) : d->hold.len;

		if (pass)
			inspect_emit(d, d->hold.data, n);
		strbuf_drain(&d->hold, n);
		d->passed += n;
	}
	if (upto > d->passed) {
		if (pass)
			inspect_emit(d, d->chunk + (d->passed - d->chunk_at), (size_t)(upto - d->passed));
		d->passed = upto;
	}
}

void inspect_wipe(struct strbuf *b)
{
	if (b->data)
		mem_wipe(b->data, b->size);
	strbuf_fini(b);
}

void inspect_new_parser(struct inspect_dir *d)
{
	struct inspector *ins = d->ins;
	const struct xmlstream_limits limits = {
	    .element = ins->unauthenticated_limit, .depth = ins->depth, .attributes = INSPECT_ATTRIBUTES_MAX};

	xmlstream_free(&d->xs);
	d->xs = xmlstream_new(&limits, inspect_handlers(), d);
	if (ins->pairs && ins->settled)
		xmlstream_set_detail(d->xs, XMLSTREAM_TOP);
	d->passed = d->fed = d->chunk_at = 0;
	d->opened = false;
	inspect_wipe(&d->hold);
}

/* After authentication the larger limit holds; 0 means that nothing will be inspected, so none is needed. */
static void relax_limit(struct inspect_dir *d)
{
	if (d->ins->stanza_limit > 0)
		xmlstream_set_element_limit(d->xs, d->ins->stanza_limit);
}

static void relax_limits(struct inspector *ins)
{
	for (int side = 0; side < INSPECT_SIDES; side++)
		relax_limit(&ins->dir[side]);
}

static void report_authenticated(struct inspector *ins)
{
	char *identity = mem_strdup(ins->identity ? ins->identity : "");

	mem_free(ins->reported);
	ins->reported = identity;
	ins->ops->authenticated(ins->ctx, ins->method, identity);
	relax_limits(ins);
}

/* The first pair that is proven is who authenticated. */
static void report_pairs(struct inspector *ins, const struct inspect_verdict *v)
{
	if (v->proven && v->authenticated) {
		ins->ops->authenticated(ins->ctx, v->external ? "EXTERNAL" : "dialback", v->proven->from);
		relax_limits(ins);
	}
	if (v->proven)
		ins->ops->proven(ins->ctx, v->proven->from, v->proven->to, v->external);
	if (v->unproven)
		ins->ops->unproven(ins->ctx, v->unproven->from, v->unproven->to, v->why_unproven);
}

/* An answer of our own to what this side sent, where its stream still takes one. */
static void reply(struct inspect_dir *d, const struct strbuf *text)
{
	const struct inspect_dir *towards = &d->ins->dir[inspect_other(d->side)];

	if (towards->opened && !towards->closed && !towards->errored && !towards->muted && !text->overflow)
		d->ins->ops->reply(d->ins->ctx, d->side, text->data, text->len);
}

static void send_reply(struct inspect_dir *d, const struct inspect_verdict *v)
{
	struct strbuf out;

	if (v->answer)
		reply(d, v->answer);
	if (!v->put_reply && !v->sasl_failure)
		return;
	strbuf_init(&out, 1024);
	if (v->put_reply)
		v->put_reply(&out);
	else
		reply_sasl_failure(&out, v->sasl2, v->sasl_failure);
	reply(d, &out);
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

		inspect_take(d, edit->start, true);
		if (edit->text_len > 0 && !d->muted)
			d->ins->ops->reply(d->ins->ctx, inspect_other(d->side), e->text.data + edit->text_at,
					   edit->text_len);
		inspect_take(d, edit->end, false);
	}
	inspect_take(d, v->end, true);
}

void inspect_mark_opened(struct inspect_dir *d)
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
		inspect_new_parser(&ins->dir[side]);
	ins->hold = INSPECT_HOLD_NONE;
}

static void carry_out_pass(struct inspect_dir *d, const struct inspect_verdict *v)
{
	struct inspector *ins = d->ins;

	pass_edited(d, v);
	if (v->header)
		inspect_mark_opened(d);
	if (ins->pairs)
		report_pairs(ins, v);
	else if (v->authenticated)
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

	inspect_take(d, v->end, false);
	if (v->what == INSPECT_FAIL) {
		inspect_fail(ins, v->culprit, v->reason, v->tls_failure);
		return;
	}
	send_reply(d, v);
	report_pairs(ins, v);
	if (v->then_fail)
		inspect_fail(ins, v->culprit, v->reason, false);
}

static void free_verdict(struct inspect_verdict *v)
{
	inspect_edits_free(&v->edits);
	if (v->answer)
		strbuf_fini(v->answer);
	mem_free(v->answer);
	v->answer = NULL;
}

static void carry_out_verdict(struct inspect_dir *d)
{
	struct inspect_verdict v = d->ins->verdict;

	inspect_take(d, v.start, true);
	tell_notes(d->ins, &v);
	if (v.what == INSPECT_PASS)
		carry_out_pass(d, &v);
	else
		carry_out_drop(d, &v);
	free_verdict(&v);
	d->ins->verdict.edits = NULL;
	d->ins->verdict.answer = NULL;
}

void inspect_drop_question(struct inspect_dir *d)
{
	mem_free(d->question.from);
	mem_free(d->question.to);
	memset(&d->question, 0, sizeof(d->question));
}

void inspect_answer_question(struct inspect_dir *d, enum inspect_pair answer)
{
	struct inspect_verdict *v = &d->ins->verdict;

	memset(v, 0, sizeof(*v));
	d->question.claim->judged = true;
	d->question.claim->answer = answer;
	inspect_dialback_judge(d);
	carry_out_verdict(d);
	inspect_drop_question(d);
}

/* One question at a time is with the session: the other side's waits until that one is decided. */
void inspect_ask(struct inspect_dir *d)
{
	struct inspector *ins = d->ins;
	const struct inspect_claim *claim = d->question.claim;
	enum inspect_pair answer = claim->answer;

	if (ins->asking)
		return;
	if (!claim->judged)
		answer = ins->ops->pair(ins->ctx, claim->from, claim->to);
	if (answer == INSPECT_PAIR_WAIT)
		ins->asking = d;
	else
		inspect_answer_question(d, answer);
}

/* The id by which the responder knows the stream whose key is asked about. */
static void translate(struct inspect_dir *d)
{
	struct inspector *ins = d->ins;
	const struct inspect_translate t = ins->verdict.translate;
	char ours[INSPECT_ID_SIZE];

	if (!ins->ops->translate(ins->ctx, t.verify->theirs, t.verify->from, t.verify->to, ours))
		return;
	inspect_verify_rename(ins->pairs, t.verify, ours);
	if (!inspect_edit_value(d, t.start, t.open_end, "id", ours))
		inspect_refuse(d, d->side, REASON_NOT_WELL_FORMED);
}

/* The parser stopped at an event; everything behind it is still unread. */
void inspect_carry_out(struct inspect_dir *d)
{
	if (d->ins->verdict.translate.verify)
		translate(d);
	if (d->ins->verdict.what != INSPECT_ASK) {
		carry_out_verdict(d);
		return;
	}
	inspect_take(d, d->question.start, true);
	inspect_ask(d);
}

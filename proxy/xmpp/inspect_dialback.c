/* SPDX-License-Identifier: MIT */
/*
 * Server dialback as it passes (XEP-0220): requests that claim a pair of domains, answers that prove it, questions
 * about keys. Invariants: an element is passed as it came or not at all, but for the id of a question whose stream
 * bears another name on the other side; an answer passes only where its request went out before (DB-2); a pair is held
 * against policy before its first request passes; the key itself is never read (DB-15).
 */
#include <string.h>

#include "base/mem.h"
#include "xmpp/inspect_pairs_private.h"
#include "xmpp/inspect_private.h"
#include "xmpp/names.h"
#include "xmpp/reply.h"

#define ANSWER_MAX (4u * 1024u * 1024u)

struct addresses {
	char from[XMPP_DOMAIN_SIZE], to[XMPP_DOMAIN_SIZE];
};

static bool read_addresses(const struct xml_node *element, struct addresses *out)
{
	return domain_normalise(xml_node_attr(element, "from"), out->from) &&
	       domain_normalise(xml_node_attr(element, "to"), out->to);
}

static void violate(struct inspect_dir *d, enum reason reason)
{
	d->ins->verdict.note[INSPECT_NOTE_STANZA_VIOLATION] = true;
	inspect_refuse(d, d->side, reason);
}

/* The request is not passed on: we answer. The stream lives (DB-7, DB-8). */
static void answer_error(struct inspect_dir *d, const struct dialback_error *e)
{
	struct inspect_verdict *v = &d->ins->verdict;

	v->what = INSPECT_DROP;
	v->answer = mem_alloc(sizeof(*v->answer));
	strbuf_init(v->answer, ANSWER_MAX);
	reply_dialback_error(v->answer, e);
}

/* What a stream may claim or ask is bounded; the next one may try again on another. */
static void answer_full(struct inspect_dir *d, const struct xml_node *element)
{
	const struct dialback_error e = {.name = element->name,
					 .from = xml_node_attr(element, "from"),
					 .to = xml_node_attr(element, "to"),
					 .id = xml_node_attr(element, "id"),
					 .type = "wait",
					 .condition = "resource-constraint"};

	answer_error(d, &e);
}

/* ---- claims ---- */

static void refuse_claim(struct inspect_dir *d, const char *type, const char *condition, enum reason reason)
{
	const struct inspect_question *q = &d->question;
	const struct dialback_error e = {
	    .name = "result", .from = q->from, .to = q->to, .type = type, .condition = condition};
	struct inspect_verdict *v = &d->ins->verdict;

	answer_error(d, &e);
	if (!q->repeated) {
		v->unproven = q->claim;
		v->why_unproven = reason;
	}
}

/* DB-7. Nothing else that the stream could be good for: it ends (row 21). */
static void refuse_unauthorized(struct inspect_dir *d)
{
	struct inspector *ins = d->ins;
	enum reason reason = ins->remote ? REASON_REMOTE_UNVERIFIED : REASON_PEER_UNVERIFIED;

	refuse_claim(d, "auth", "not-authorized", reason);
	if (d->side == INSPECT_RESPONDER || ins->pairs->proven > 0 || ins->pairs->pending > 0)
		return;
	ins->verdict.then_fail = true;
	ins->verdict.culprit = INSPECT_INITIATOR;
	ins->verdict.reason = reason;
}

void inspect_dialback_judge(struct inspect_dir *d)
{
	struct inspect_question *q = &d->question;
	struct inspect_verdict *v = &d->ins->verdict;
	enum inspect_pair answer = q->claim->answer;

	v->what = INSPECT_PASS;
	v->start = q->start;
	v->end = q->end;
	/* Which domains are whose on a stream's way back is a matter of the stream that is there already. */
	if (d->side == INSPECT_RESPONDER && answer != INSPECT_PAIR_ALLOW && answer != INSPECT_PAIR_NOT_HOSTED)
		answer = INSPECT_PAIR_NOT_AUTHORIZED;
	switch (answer) {
	case INSPECT_PAIR_ALLOW:
		d->elements++;
		(void)inspect_claim_ask(d->ins->pairs, q->claim);
		return;
	case INSPECT_PAIR_NOT_HOSTED:
		refuse_claim(d, "cancel", "item-not-found", REASON_HOST_UNKNOWN);
		return;
	case INSPECT_PAIR_OWN:
		inspect_refuse(d, INSPECT_INITIATOR, REASON_SELF_CLAIM);
		return;
	case INSPECT_PAIR_NOT_OURS:
		inspect_refuse(d, INSPECT_INITIATOR, REASON_NOT_OURS);
		return;
	case INSPECT_PAIR_WAIT:
	case INSPECT_PAIR_NOT_AUTHORIZED:
	default:
		refuse_unauthorized(d);
	}
}

/* Who may claim what is the session's to say, and it is asked when the parser has returned. */
static void take_request(struct inspect_dir *d, const struct xml_node *element, const struct addresses *a)
{
	struct inspect_claim *claim = inspect_claim_make(d->ins->pairs, d->side, a->from, a->to);

	if (!claim || claim->pending == INSPECT_PENDING_MAX) {
		answer_full(d, element);
		return;
	}
	d->question = (struct inspect_question){.claim = claim,
						.from = mem_strdup(xml_node_attr(element, "from")),
						.to = mem_strdup(xml_node_attr(element, "to")),
						.start = element->start,
						.end = element->end,
						.repeated = claim->judged};
	d->ins->verdict.what = INSPECT_ASK;
}

static void prove(struct inspect_dir *d, struct inspect_claim *claim, bool external)
{
	struct inspector *ins = d->ins;

	ins->verdict.proven = claim;
	ins->verdict.external = external;
	if (claim->side != INSPECT_INITIATOR)
		return;
	ins->verdict.authenticated = !ins->authenticated;
	ins->authenticated = true;
	inspect_settle(ins);
}

/* DB-9: a key that is wrong is a forgery, and the stream it came on must go, unless others rest on it. That it could
 * not be found out (type error) is nobody's offence. */
static void disprove(struct inspect_dir *d, struct inspect_claim *claim, bool invalid)
{
	struct inspector *ins = d->ins;

	ins->verdict.unproven = claim;
	ins->verdict.why_unproven = invalid ? REASON_DIALBACK_FAILED : REASON_NONE;
	if (!invalid || claim->side != INSPECT_INITIATOR || ins->pairs->proven > 0)
		return;
	ins->verdict.then_fail = true;
	ins->verdict.culprit = INSPECT_INITIATOR;
	ins->verdict.reason = REASON_DIALBACK_FAILED;
}

/* The answer names the pair the other way round: from the side that was asked. */
static void take_answer(struct inspect_dir *d, const char *type, const struct addresses *a)
{
	struct inspect_claim *claim = inspect_claim_find(d->ins->pairs, inspect_other(d->side), a->to, a->from);
	bool valid = strcmp(type, "valid") == 0, was = claim && claim->proven;

	if (!claim || claim->pending == 0) {
		violate(d, REASON_UNSOLICITED_DIALBACK);
		return;
	}
	inspect_claim_answer(d->ins->pairs, claim, valid);
	if (!valid)
		disprove(d, claim, strcmp(type, "invalid") == 0);
	else if (!was)
		prove(d, claim, false);
}

/* ---- keys ---- */

/*
 * May the other side speak for the domain that is asked? A remote server answers for itself alone: for the domain that
 * it was reached and verified as, or with XEP-0288 for one that it has proven. The keys of all others it would only too
 * gladly call valid.
 */
static bool may_be_asked(const struct inspect_dir *d, const struct addresses *a)
{
	const struct inspector *ins = d->ins;
	const struct inspect_claim *claim;

	if (d->side == INSPECT_INITIATOR)
		return !ins->remote || strcmp(a->to, ins->domain) == 0;
	claim = ins->remote ? NULL : inspect_claim_find(ins->pairs, INSPECT_INITIATOR, a->to, a->from);
	return ins->remote || (claim && claim->proven);
}

static void answer_elsewhere(struct inspect_dir *d, const struct xml_node *element)
{
	const struct dialback_error e = {.name = "verify",
					 .from = xml_node_attr(element, "from"),
					 .to = xml_node_attr(element, "to"),
					 .id = xml_node_attr(element, "id"),
					 .type = "cancel",
					 .condition = "item-not-found"};

	answer_error(d, &e);
}

static void take_verify_request(struct inspect_dir *d, const struct xml_node *element, const struct addresses *a)
{
	const char *id = xml_node_attr(element, "id");

	if (!id || id[0] == '\0' || strlen(id) > INSPECT_VERIFY_ID_MAX) {
		violate(d, REASON_ADDRESSING);
		return;
	}
	if (!may_be_asked(d, a)) {
		answer_elsewhere(d, element);
		return;
	}
	struct inspect_verify *verify = inspect_verify_add(d->ins->pairs, d->side, a->from, a->to, id);

	if (!verify)
		answer_full(d, element);
	else if (d->side == INSPECT_INITIATOR && d->ins->ops->translate)
		d->ins->verdict.translate = (struct inspect_translate){verify, element->start, element->open_end};
}

static void take_verify_answer(struct inspect_dir *d, const struct xml_node *element, const char *type,
			       const struct addresses *a)
{
	struct inspect_pairs *p = d->ins->pairs;
	const char *id = xml_node_attr(element, "id");
	struct inspect_verify *verify = id ? inspect_verify_find(p, inspect_other(d->side), a->to, a->from, id) : NULL;

	if (!verify) {
		violate(d, REASON_UNSOLICITED_DIALBACK);
		return;
	}
	if (verify->ours && !inspect_edit_value(d, element->start, element->open_end, "id", verify->theirs))
		inspect_refuse(d, d->side, REASON_BACKEND_INVALID);
	p->told = true;
	p->vouched = p->vouched || (d->side == INSPECT_RESPONDER && strcmp(type, "valid") == 0);
	inspect_verify_remove(p, verify);
}

/* ---- all of it ---- */

static bool is_answer_type(const char *type)
{
	return strcmp(type, "valid") == 0 || strcmp(type, "invalid") == 0 || strcmp(type, "error") == 0;
}

/* Without XEP-0288 requests go one way and answers the other (DB-2). */
static bool is_out_of_place(const struct inspect_dir *d, const char *type)
{
	if (type && !is_answer_type(type))
		return true;
	return !d->ins->pairs->bidi && (type != NULL) != (d->side == INSPECT_RESPONDER);
}

void inspect_dialback(struct inspect_dir *d, const struct xml_node *element)
{
	const char *type = xml_node_attr(element, "type");
	bool result = strcmp(element->name, "result") == 0;
	struct addresses a;

	if (!result && strcmp(element->name, "verify") != 0)
		violate(d, REASON_UNSUPPORTED_ELEMENT);
	else if (is_out_of_place(d, type))
		violate(d, REASON_UNSOLICITED_DIALBACK);
	else if (!read_addresses(element, &a))
		violate(d, type ? REASON_UNSOLICITED_DIALBACK : REASON_ADDRESSING);
	else if (result && type)
		take_answer(d, type, &a);
	else if (result)
		take_request(d, element, &a);
	else if (type)
		take_verify_answer(d, element, type, &a);
	else
		take_verify_request(d, element, &a);
}

void inspect_external_success(struct inspect_dir *d)
{
	struct inspector *ins = d->ins;
	struct inspect_pairs *p = ins->pairs;
	struct inspect_claim *claim;

	/* Who only reads names now has not seen whom the payload spoke for. */
	if (!p->external || ins->settled)
		return;
	claim = inspect_claim_make(p, INSPECT_INITIATOR, p->remote_from, ins->domain);
	if (!claim || claim->proven)
		return;
	inspect_claim_prove(p, claim, true);
	prove(d, claim, true);
}

/* SPDX-License-Identifier: MIT */
/*
 * How STARTTLS went with a remote server, and the words for it in the record. What an offer that is missing means is
 * told by what came of asking all the same (STRIP-3), so the record has both: what was missing, and what was answered.
 * Invariants: starttls-stripped is recorded at most once a candidate; whatever can be told apart has words of its own,
 * and they stand in the tables here and nowhere else.
 */
#include "relay/session_private.h"

#include "base/array.h"
#include "base/mem.h"

/* By whether features came, and something in them or in their place that only looks like an offer (STRIP-6). */
static const char *const missing[2][2] = {
    {"it sent no features", "it sent no features, but something that only looks like <starttls/>"},
    {"its features had no <starttls/>", "its features had only something that looks like <starttls/>"},
};

static const char *const answers[] = {
    [NEG_ANSWER_NONE] = "it had not answered when time was up",
    [NEG_ANSWER_PROCEED] = "it answered <proceed/>",
    [NEG_ANSWER_FAILURE] = "it answered <failure/>",
    [NEG_ANSWER_ERROR] = "it answered with a stream error",
    [NEG_ANSWER_CLOSED] = "it closed the stream",
    [NEG_ANSWER_SILENCE] = "it answered nothing in time",
    [NEG_ANSWER_GARBAGE] = "it sent something that is no answer",
};
_Static_assert(ARRAY_LEN(answers) == NEG_ANSWERS, "answer without words");

/* What starttls-stripped begins with. */
enum outcome { WORKED, AGREED, FAILED, OUTCOMES };
static const char *const outcomes[] = {
    [WORKED] = "STARTTLS was not offered and worked all the same, so somebody on the way took the offer away",
    [AGREED] = "STARTTLS was not offered and was agreed to all the same, but no TLS came of it",
    [FAILED] = "STARTTLS was not offered and did not work when it was asked for",
};
_Static_assert(ARRAY_LEN(outcomes) == OUTCOMES, "outcome without words");

#define ANNOUNCED "the DNS of its domain announces TLS"

const char *session_starttls_answer(enum neg_answer answer)
{
	return answers[answer];
}

/* "its features had no <starttls/>; asked for TLS, it answered <failure/>" */
static char *evidence(const struct session *s)
{
	const struct neg_starttls *st = negotiate_starttls(s->negotiation->connect);
	const char *header = st->version ? "" : "its header had no usable version, and ";
	const char *offer = st->advertised ? "it offered STARTTLS" : missing[st->features][st->mangled];
	bool named = st->answer == NEG_ANSWER_ERROR;
	enum xmpp_error error = negotiate_peer_error(s->negotiation->connect);
	return mem_printf("%s%s; asked for TLS, %s%s%s%s", header, offer, answers[st->answer], named ? ", <" : "",
			  named ? xmpp_error_name(error) : "", named ? "/>" : "");
}

/* Where the level would have done without TLS, the promise is why it did not (STRIP-8). */
static bool is_broken_promise(const struct session *s, enum reason reason)
{
	if (!s->remote->direct_offered || s->remote->candidate.direct_tls)
		return false;
	return reason == REASON_NO_TLS ||
	       (session_allows_plaintext(s) && (reason == REASON_REMOTE_TLS || reason == REASON_REMOTE_CLOSED));
}

char *session_starttls_why(const struct session *s, enum reason reason, const char *why)
{
	const struct negotiator *n = s->negotiation->connect;
	bool asked = reason == REASON_NO_TLS && n != NULL && negotiate_starttls(n)->sent;
	char *seen = asked ? evidence(s) : mem_strdup(why);
	if (!is_broken_promise(s, reason))
		return seen;
	char *all = mem_printf("%s%s" ANNOUNCED, seen != NULL ? seen : "", seen != NULL ? "; " : "");
	mem_free(seen);
	return all;
}

static void tell_strip(struct session *s, enum outcome outcome)
{
	const struct remote *r = s->remote;
	bool before = outcome != WORKED && r->memory != NULL && (r->memory->offered || r->memory->tls);
	bool announced = outcome != WORKED && r->direct_offered;
	if (r->strip_told)
		return;
	s->remote->strip_told = true;
	char *detail = s->detail, *seen = evidence(s);
	s->detail = mem_printf("%s: %s%s%s.", outcomes[outcome], seen, announced ? "; " ANNOUNCED : "",
			       before ? "; this peer used TLS before" : "");
	session_record_event(s, "starttls-stripped", outcome == FAILED && !before && !announced ? 2 : 3);
	mem_free(seen);
	mem_free(s->detail);
	s->detail = detail;
}

void session_route_starttls(struct session *s, bool secured)
{
	const struct neg_starttls *st = negotiate_starttls(s->negotiation->connect);
	bool worked = secured || session_route_judged(s);
	if (s->remote->candidate.direct_tls) {
		s->starttls = STARTTLS_DIRECT;
		return;
	}
	s->starttls_advertised = st->advertised;
	s->starttls_required = st->required;
	if (!st->sent)
		return;
	if (st->advertised) {
		s->starttls = worked ? STARTTLS_NEGOTIATED : STARTTLS_REFUSED;
		return;
	}
	s->starttls = worked ? STARTTLS_STRIPPED_NEGOTIATED : STARTTLS_STRIPPED_FAILED;
	tell_strip(s, worked ? WORKED : st->answer == NEG_ANSWER_PROCEED ? AGREED : FAILED);
}

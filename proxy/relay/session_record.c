/* SPDX-License-Identifier: MIT */
/* What is said of a session: audit records by the contract, and its line of `portcullis streams`. Facts only, no
 * decision. */
#include "relay/session_private.h"

#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"

static const char *const starttls_words[] = {"not-attempted", "direct", "negotiated", "refused"};
_Static_assert(ARRAY_LEN(starttls_words) == STARTTLS_RESULTS, "result without a word");

static const char *or_null(const char *text)
{
	return text != NULL && text[0] != '\0' ? text : NULL;
}

static void fill_tls(struct audit_tls *out, const struct tls_facts *facts)
{
	out->established = facts != NULL ? AUDIT_TRUE : AUDIT_FALSE;
	if (facts == NULL)
		return;
	out->version = or_null(facts->version);
	out->cipher = or_null(facts->cipher);
	out->curve = or_null(facts->group);
	out->next_protocol = or_null(facts->alpn);
	out->server_name = or_null(facts->server_name);
	out->resumed = facts->resumed ? AUDIT_TRUE : AUDIT_FALSE;
}

/* The leg behind, once there is one: what it is, and whether the backend proved that it is the domain's. */
static void fill_inner(struct audit_record *r, const struct session *s)
{
	if (s->leg[LEG_CONNECT] == NULL)
		return;
	fill_tls(&r->inner, s->inner);
	if (s->inner == NULL)
		return;
	r->inner_verification_method = s->inner->verified ? "pkix" : "none";
	r->inner_verification_result = s->inner->verified ? "verified" : "unverified";
	r->inner_verification_reason = s->inner->unverified;
}

static void fill_destination(struct audit_record *r, const struct session *s, char host[ADDR_TEXT_SIZE])
{
	if (s->domain == NULL)
		return;
	const struct addr *backend = config_backend_address(s->domain, s->role);
	r->destination_domain = s->domain->name;
	if (addr_is_unix(backend))
		return;
	addr_host(backend, host);
	r->destination_ip = host;
	r->destination_port = addr_port(backend);
}

static void fill_starttls(struct audit_record *r, const struct session *s)
{
	bool refused = s->starttls == STARTTLS_NOT_ATTEMPTED && s->reason == REASON_STARTTLS_MISUSE;
	r->starttls_result = starttls_words[refused ? STARTTLS_REFUSED : s->starttls];
	if (s->starttls == STARTTLS_DIRECT)
		return;
	r->starttls_advertised = s->starttls_advertised ? AUDIT_TRUE : AUDIT_FALSE;
	bool required = s->starttls_advertised && !session_allows_plaintext(s);
	r->starttls_required = required ? AUDIT_TRUE : AUDIT_FALSE;
}

void session_explain(enum reason reason, const char *detail, char *out, size_t size)
{
	const char *sentence = reason_info(reason)->sentence;
	int len = (int)strcspn(sentence, ".");
	bool more = detail != NULL && detail[0] != '\0';
	snprintf(out, size, "%.*s%s%s", len, sentence, more ? ": " : "", more ? detail : "");
}

static void fill_reason(struct audit_record *r, const struct session *s, enum reason reason, char *text, size_t size)
{
	if (reason == REASON_NONE)
		return;
	const struct reason_info *info = reason_info(reason);
	r->reason_word = info->word;
	if (reason == REASON_CLOSED)
		return;
	session_explain(reason, s->detail, text, size);
	r->reason = text;
}

static enum audit_outcome outcome_of(enum reason reason)
{
	return reason == REASON_NONE || reason == REASON_CLOSED ? AUDIT_SUCCESS : AUDIT_FAILURE;
}

static void fill_closed(struct audit_record *r, const struct session *s)
{
	r->duration_ns = (int64_t)(clock_ns() - s->accepted_ns);
	r->source_bytes = (int64_t)s->bytes[LEG_ACCEPT];
	r->destination_bytes = (int64_t)s->bytes[LEG_CONNECT];
	bool inspected = s->inspector != NULL;
	r->stanzas_in =
	    (int64_t)(inspected ? inspect_elements(s->inspector, INSPECT_INITIATOR) : s->stanzas[LEG_ACCEPT]);
	r->stanzas_out =
	    (int64_t)(inspected ? inspect_elements(s->inspector, INSPECT_RESPONDER) : s->stanzas[LEG_CONNECT]);
}

static void fill_error(struct audit_record *r, const struct session *s)
{
	if (!s->told)
		return;
	enum xmpp_error error = s->override != XMPP_ERROR_NONE ? s->override : reason_info(s->reason)->condition;
	r->error = or_null(xmpp_error_name(error));
}

uint64_t session_record_as(struct session *s, const char *action, int severity, enum reason reason,
			   enum audit_outcome outcome, audit_done_fn *done)
{
	struct audit_record r;
	char source[ADDR_TEXT_SIZE], destination[ADDR_TEXT_SIZE], text[768];
	const struct audit_trail *trail = &s->engine->p.trail;
	audit_record_init(&r);
	r.action = action;
	r.severity = severity;
	r.outcome = outcome;
	r.stream = s->id;
	addr_host(&s->peer, source);
	r.source_ip = or_null(source);
	r.source_port = addr_port(&s->peer);
	r.direction = role_is_inbound(s->role) ? "inbound" : "outbound";
	r.role = role_name(s->role);
	r.from = or_null(s->from);
	r.to = or_null(s->to);
	r.version = s->version10 ? "1.0" : NULL;
	r.level = level_name((enum level)s->config->policy.level[s->role]);
	r.mode = mode_name((enum mode)s->config->mode);
	r.verification_method = "none";
	fill_destination(&r, s, destination);
	fill_starttls(&r, s);
	fill_tls(&r.outer, s->outer);
	fill_inner(&r, s);
	r.auth_method = or_null(s->auth_method);
	r.auth_identity = or_null(s->auth_identity);
	fill_reason(&r, s, reason, text, sizeof(text));
	if (s->reason != REASON_NONE) {
		fill_error(&r, s);
		if (strcmp(action, "stream-closed") == 0)
			fill_closed(&r, s);
	}
	return trail->submit(trail->ctx, &r, done, done != NULL ? s : NULL);
}

uint64_t session_record(struct session *s, const char *action, int severity, enum reason reason, audit_done_fn *done)
{
	return session_record_as(s, action, severity, reason, outcome_of(reason), done);
}

static int severity_of(const struct reason_info *info, enum reason reason)
{
	if (reason == REASON_CLOSED || reason == REASON_SHUTDOWN || reason == REASON_PEER_GONE)
		return 0;
	return info->refusal ? 2 : 1;
}

void session_record_closed(struct session *s)
{
	const struct reason_info *info = reason_info(s->reason);
	int severity = severity_of(info, s->reason);
	if (info->refusal)
		session_record(s, "stream-refused", severity, s->reason, NULL);
	session_record(s, "stream-closed", info->refusal ? 1 : severity, s->reason, NULL);
}

void session_describe(const struct session *s, struct engine_stream *out)
{
	static _Thread_local char source[ADDR_TEXT_SIZE];
	addr_text(&s->peer, source);
	*out = (struct engine_stream){
	    .id = s->id,
	    .role = role_name(s->role),
	    .state = session_state_name(s->state),
	    .from = s->from != NULL ? s->from : "",
	    .to = s->to != NULL ? s->to : "",
	    .source = source,
	    .outer_tls = s->outer != NULL ? s->outer->version : "",
	    .outer_cipher = s->outer != NULL ? s->outer->cipher : "",
	    .inner_tls = s->inner != NULL ? s->inner->version : "",
	    .inner_cipher = s->inner != NULL ? s->inner->cipher : "",
	    .verification = "none",
	    .auth_method = s->auth_method,
	    .auth_identity = s->auth_identity != NULL ? s->auth_identity : "",
	    .age_ms = (clock_ns() - s->accepted_ns) / 1000000,
	    .bytes_in = s->bytes[LEG_ACCEPT],
	    .bytes_out = s->bytes[LEG_CONNECT],
	};
}

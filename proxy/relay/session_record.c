/* SPDX-License-Identifier: MIT */
/* What is said of a session: audit records by the contract, and its line of `portcullis streams`. Facts only, no
 * decision. */
#include "relay/session_private.h"

#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"

static const char *const starttls_words[] = {"not-attempted",       "direct",          "negotiated",
					     "stripped-negotiated", "stripped-failed", "refused"};
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

/* Inbound, the leg behind, once there is one: what it is, and whether the backend proved that it is the domain's. */
static void fill_backend(struct audit_record *r, const struct session *s)
{
	const struct tls_facts *inner = s->tls[LEG_CONNECT];
	if (s->leg[LEG_CONNECT] == NULL)
		return;
	fill_tls(&r->inner, inner);
	if (inner == NULL)
		return;
	r->inner_verification_method = inner->verified ? "pkix" : "none";
	r->inner_verification_result = inner->verified ? "verified" : "unverified";
	r->inner_verification_reason = inner->unverified;
}

static void fill_legs(struct audit_record *r, const struct session *s)
{
	fill_tls(&r->outer, s->tls[session_outer(s)]);
	if (role_is_inbound(s->role))
		fill_backend(r, s);
	else
		fill_tls(&r->inner, s->tls[LEG_ACCEPT]);
}

/* The responding entity: the backend, or the server of the remote domain. */
static void fill_destination(struct audit_record *r, const struct session *s, char host[ADDR_TEXT_SIZE])
{
	bool inbound = role_is_inbound(s->role);
	if (inbound ? s->domain == NULL : s->remote == NULL)
		return;
	const struct addr *to = inbound ? config_backend_address(s->domain, s->role) : &s->remote->candidate.address;
	r->destination_domain = inbound ? s->domain->name : s->remote->domain;
	if (addr_is_unix(to) || to->len == 0)
		return;
	addr_host(to, host);
	r->destination_ip = host;
	r->destination_port = addr_port(to);
}

static void fill_starttls(struct audit_record *r, const struct session *s)
{
	bool refused = s->starttls == STARTTLS_NOT_ATTEMPTED && s->reason == REASON_STARTTLS_MISUSE;
	r->starttls_result = starttls_words[refused ? STARTTLS_REFUSED : s->starttls];
	if (s->starttls == STARTTLS_DIRECT)
		return;
	r->starttls_advertised = s->starttls_advertised ? AUDIT_TRUE : AUDIT_FALSE;
	r->starttls_required = s->starttls_required ? AUDIT_TRUE : AUDIT_FALSE;
	r->starttls_differs = s->starttls_differs ? AUDIT_TRUE : AUDIT_ABSENT;
}

static void fill_certificate(struct audit_certificate *out, const struct tls_certificate *c)
{
	*out = (struct audit_certificate){
	    .subject = or_null(c->subject),
	    .issuer = or_null(c->issuer),
	    .serial = or_null(c->serial),
	    .not_before = or_null(c->not_before),
	    .not_after = or_null(c->not_after),
	    .names = (const char *const *)c->names,
	    .name_count = c->name_count,
	    .key_algorithm = or_null(c->key_algorithm),
	    .key_size = c->key_size,
	    .signature_algorithm = or_null(c->signature_algorithm),
	    .sha256 = or_null(c->sha256),
	    .spki_sha256 = or_null(c->spki_sha256),
	};
}

/* What the certificate proved; where it proved nothing, what dialback did (LOG-3). On a stream of ours that is the
 * method, too, but it has proven our own domain and not the remote one. */
static void fill_verification(struct audit_record *r, const struct session *s)
{
	const struct remote *remote = s->remote;
	bool dialback = strcmp(s->auth_method, "dialback") == 0;
	bool proves = dialback && role_is_inbound(s->role);
	r->verification_method = dialback ? "dialback" : "none";
	if (remote == NULL)
		return;
	r->verification_identity = remote->domain;
	r->verification_result = "verified";
	if (remote->identity != NULL && remote->identity->verified) {
		r->verification_method = remote->identity->method;
		r->verification_matched = or_null(remote->identity->matched);
	} else if (!proves) {
		r->verification_result = "unverified";
		r->verification_reason = remote->identity != NULL ? remote->identity->unverified : "there is no TLS";
	}
}

/* DB-11: of a stream that only asked about a key the answer is all that was proven, and it rests on what TLS proved. */
static bool has_vouched(const struct session *s)
{
	return !role_is_inbound(s->role) && s->auth_method[0] == '\0' && s->inspector != NULL &&
	       inspect_has_vouched(s->inspector);
}

static void fill_auth(struct audit_record *r, const struct session *s)
{
	bool vouched = has_vouched(s);
	r->auth_method = vouched ? "dialback" : or_null(s->auth_method);
	r->auth_identity = vouched ? s->remote->domain : or_null(s->auth_identity);
}

struct certificates {
	struct audit_certificate peer, previous;
	char previous_not_after[CLOCK_RFC3339_SIZE];
};

static void fill_remote(struct audit_record *r, const struct session *s, struct certificates *c)
{
	const struct remote *remote = s->remote;
	fill_verification(r, s);
	if (remote == NULL)
		return;
	if (remote->certificate != NULL) {
		fill_certificate(&c->peer, remote->certificate);
		*(role_is_inbound(s->role) ? &r->client_certificate : &r->server_certificate) = &c->peer;
	}
	r->policy_rule = remote->policy.rule != NULL ? remote->policy.rule->domain : role_name(s->role);
	if (remote->policy.weak) {
		r->policy_reason = remote->policy.rule->reason;
		r->policy_until = remote->policy.rule->until_text;
	}
	if (remote->candidate.target[0] != '\0' && remote->by_dns)
		r->dnssec = remote->candidate.secure ? "secure" : "insecure";
}

static void fill_previous(struct audit_record *r, const struct session *s, struct certificates *c)
{
	const struct peer_certificate *before = session_remote_previous(s);
	if (before == NULL)
		return;
	c->previous = (struct audit_certificate){
	    .subject = or_null(before->subject),
	    .issuer = or_null(before->issuer),
	    .sha256 = or_null(before->sha256),
	    .spki_sha256 = or_null(before->spki_sha256),
	};
	clock_rfc3339(before->not_after * 1000000, c->previous_not_after);
	c->previous.not_after = before->not_after > 0 ? c->previous_not_after : NULL;
	r->previous_certificate = &c->previous;
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
	struct certificates certificates;
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
	r.level =
	    level_name(s->remote != NULL ? s->remote->policy.level : (enum level)s->config->policy.level[s->role]);
	r.mode = mode_name((enum mode)s->config->mode);
	fill_destination(&r, s, destination);
	fill_starttls(&r, s);
	fill_legs(&r, s);
	fill_remote(&r, s, &certificates);
	if (strcmp(action, "certificate-changed") == 0)
		fill_previous(&r, s, &certificates);
	fill_auth(&r, s);
	fill_reason(&r, s, reason, text, sizeof(text));
	if (reason == REASON_NONE && outcome == AUDIT_UNKNOWN)
		r.reason = or_null(s->detail);
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

void session_record_event(struct session *s, const char *action, int severity)
{
	session_record_as(s, action, severity, REASON_NONE, AUDIT_UNKNOWN, NULL);
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
	const struct tls_facts *outer = s->tls[session_outer(s)];
	const struct tls_facts *inner = s->tls[session_outer(s) == LEG_ACCEPT ? LEG_CONNECT : LEG_ACCEPT];
	struct audit_record r = {0};
	fill_verification(&r, s);
	fill_auth(&r, s);
	addr_text(&s->peer, source);
	*out = (struct engine_stream){
	    .id = s->id,
	    .role = role_name(s->role),
	    .state = session_state_name(s->state),
	    .from = s->from != NULL ? s->from : "",
	    .to = s->to != NULL ? s->to : "",
	    .source = source,
	    .outer_tls = outer != NULL ? outer->version : "",
	    .outer_cipher = outer != NULL ? outer->cipher : "",
	    .inner_tls = inner != NULL ? inner->version : "",
	    .inner_cipher = inner != NULL ? inner->cipher : "",
	    .verification = r.verification_method,
	    .auth_method = r.auth_method != NULL ? r.auth_method : "",
	    .auth_identity = r.auth_identity != NULL ? r.auth_identity : "",
	    .age_ms = (clock_ns() - s->accepted_ns) / 1000000,
	    .bytes_in = s->bytes[LEG_ACCEPT],
	    .bytes_out = s->bytes[LEG_CONNECT],
	};
}

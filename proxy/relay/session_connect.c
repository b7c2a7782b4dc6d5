/* SPDX-License-Identifier: MIT */
/*
 * The connect side of a session: the connection to the backend or to a remote server, the connect negotiator on it
 * until READY, verdict, record. Whatever goes wrong with a backend the initiating entity hears as
 * <internal-server-error/> inside its TLS; with a remote server the next candidate is tried (session_route.c).
 */
#include "relay/session_private.h"

#include <assert.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/dialer.h"

static void backend_failed(struct session *s, enum reason reason, const char *detail)
{
	char why[512];
	if (reason == REASON_BACKEND_TLS && session_connect_without_tls(s, detail))
		return;
	session_explain(reason, detail, why, sizeof(why));
	log_warn("stream %s: backend of %s: %s", s->id, s->domain->name, why);
	enum xmpp_error said =
	    s->negotiation->connect != NULL ? negotiate_peer_error(s->negotiation->connect) : XMPP_ERROR_NONE;
	/* Only conditions about the domain are the client's business (row 32, applied inwards). */
	bool pass = said == XMPP_ERROR_HOST_UNKNOWN || said == XMPP_ERROR_HOST_GONE ||
		    said == XMPP_ERROR_RESOURCE_CONSTRAINT || said == XMPP_ERROR_SYSTEM_SHUTDOWN;
	session_end(s, reason, reason == REASON_BACKEND_REFUSED && pass ? said : XMPP_ERROR_NONE, detail);
}

/* Something is wrong with the connection that was made: the backend's end, or the next candidate's turn. reason: in the
 * words for backends. */
static void connection_failed(struct session *s, enum reason reason, const char *detail)
{
	if (role_is_inbound(s->role))
		backend_failed(s, reason, detail);
	else
		session_candidate_failed(s, session_remote_reason(s, reason), detail);
}

static void log_state(void *ctx, const char *from, const char *to)
{
	const struct session *s = ctx;
	log_debug("stream %s: connect negotiator %s -> %s", s->id, from, to);
}

static enum xmlstream_step on_open(void *ctx, const struct xml_node *root, const struct xml_decl *decls, size_t count)
{
	struct session *s = ctx;
	negotiate_open(s->negotiation->connect, root, decls, count);
	return XMLSTREAM_STOP;
}

static enum xmlstream_step on_element(void *ctx, const struct xml_node *element)
{
	struct session *s = ctx;
	negotiate_element(s->negotiation->connect, element);
	return XMLSTREAM_STOP;
}

static enum xmlstream_step on_close(void *ctx)
{
	struct session *s = ctx;
	negotiate_close(s->negotiation->connect);
	return XMLSTREAM_STOP;
}

static const struct xmlstream_handlers xml_handlers = {on_open, on_element, on_close};

static void recorded(void *ctx, bool ok)
{
	struct session *s = ctx;
	struct leg_io *io = s->engine->io;
	assert(s->state == SESSION_RECORD);
	s->ticket = 0;
	if (!ok && s->config->audit.on_failure == AUDIT_REFUSE)
		session_end(s, REASON_AUDIT_UNAVAILABLE, XMPP_ERROR_NONE, NULL);
	else
		session_join(s);
	leg_io_flush(io);
}

static struct verdict judge_backend(const struct session *s)
{
	bool required = s->domain->backend.tls == BACKEND_TLS_REQUIRED;
	struct leg_facts facts = {.encrypted = leg_is_secured(s->leg[LEG_CONNECT])};
	if (facts.encrypted && s->tls[LEG_CONNECT] != NULL)
		tls_facts_leg(s->tls[LEG_CONNECT], &facts);
	return policy_decide_backend(required, config_backend_may_plaintext(s->domain, s->role), &facts);
}

void session_record_overdue(struct session *s)
{
	const struct audit_trail *trail = &s->engine->p.trail;
	if (s->config->audit.on_failure == AUDIT_REFUSE) {
		session_end(s, REASON_AUDIT_UNAVAILABLE, XMPP_ERROR_NONE, "the audit log did not answer in time");
		return;
	}
	trail->forget(trail->ctx, s->ticket);
	s->ticket = 0;
	session_join(s);
}

static void record_established(struct session *s)
{
	session_enter(s, SESSION_RECORD);
	session_remote_events(s);
	int severity = s->starttls_differs ? 2 : leg_is_secured(s->leg[session_outer(s)]) ? 0 : 1;
	s->ticket = session_record(s, "stream-established", severity, REASON_NONE, recorded);
}

static void refuse_remote(struct session *s, enum reason reason)
{
	if (reason == REASON_CERTIFICATE_CHANGED)
		session_remote_changed(s);
	if (s->tls[LEG_CONNECT] != NULL)
		tls_forget_session(leg_ssl(s->leg[LEG_CONNECT]));
	session_candidate_failed(s, reason, session_remote_why(s, reason));
}

/* Inside TLS, before anything of the legacy side's is said there: all that decides is known. */
static bool remote_stands(struct session *s)
{
	struct verdict verdict = session_verdict(s);
	if (!verdict.allow)
		refuse_remote(s, verdict.reason);
	return verdict.allow;
}

/* STRIP-9: what only somebody on the way would change. What was said in plaintext is not used: nothing else follows. */
static void note_difference(struct session *s)
{
	static const char what[] =
	    "says inside TLS what it did not say before: somebody on the way may have changed that";
	s->starttls_differs = negotiate_starttls(s->negotiation->connect)->differs;
	if (s->starttls_differs)
		log_warn("stream %s: the server of %s %s", s->id, s->remote->domain, what);
}

/* Once more, for where there is no TLS: the line before a stream is called established. */
static void establish_remote(struct session *s)
{
	struct verdict verdict = session_verdict(s);
	if (!verdict.allow) {
		refuse_remote(s, verdict.reason);
		return;
	}
	note_difference(s);
	session_object(s, verdict.reason);
	record_established(s);
}

/* Facts make the verdict; only then is the stream recorded as established, and only then joined. */
static void establish(struct session *s)
{
	if (!role_is_inbound(s->role)) {
		establish_remote(s);
		return;
	}
	struct verdict verdict = judge_backend(s);
	if (!verdict.allow) {
		backend_failed(s, verdict.reason,
			       s->tls[LEG_CONNECT] != NULL ? s->tls[LEG_CONNECT]->unverified : "plaintext");
		return;
	}
	if (!leg_is_secured(s->leg[LEG_ACCEPT]) && session_allows_plaintext(s)) {
		session_join(s); /* the client's first element tells whether it goes on so */
		return;
	}
	verdict = session_verdict(s);
	if (!verdict.allow) {
		session_end(s, verdict.reason, XMPP_ERROR_NONE, NULL);
		return;
	}
	record_established(s);
}

void session_connect_refuse(struct session *s, enum reason reason)
{
	struct negotiator *connect = s->negotiation->connect;
	struct neg_action a;
	/* Of a candidate that was given up the negotiator outlives the connection. */
	if (connect == NULL || s->leg[LEG_CONNECT] == NULL)
		return;
	negotiate_refuse(connect, reason, XMPP_ERROR_NONE);
	while (negotiate_next(connect, &a))
		if (a.kind == NEG_SEND)
			leg_send(s->leg[LEG_CONNECT], a.data, a.len);
}

static void new_parser(struct session *s)
{
	const struct config_limits *l = &s->config->limits;
	struct xmlstream_limits limits = {(size_t)l->unauthenticated_stanza, (unsigned)l->depth, 64};
	xmlstream_free(&s->negotiation->connect_xml);
	s->negotiation->connect_xml = xmlstream_new(&limits, &xml_handlers, s);
	strbuf_clear(&s->negotiation->backend);
}

static const char *failure_detail(const struct negotiation *n, enum reason reason)
{
	const struct xmlstream_failure *f = xmlstream_failure(n->connect_xml);
	if (f->reason != REASON_NONE)
		return f->detail;
	if (reason != REASON_BACKEND_TLS)
		return NULL;
	const struct neg_starttls *st = negotiate_starttls(n->connect);
	if (!st->sent || st->answer == NEG_ANSWER_PROCEED)
		return "it did not finish the handshake in time";
	return session_starttls_answer(st->answer);
}

/* behind: bytes of this turn that the parser has not seen. */
static void act(struct session *s, const struct neg_action *a, size_t behind)
{
	switch (a->kind) {
	case NEG_SEND:
		leg_send(s->leg[LEG_CONNECT], a->data, a->len);
		return;
	case NEG_START_TLS:
		session_connect_start_tls(s, behind);
		return;
	case NEG_RESET_XML:
		new_parser(s);
		return;
	case NEG_NOTE:
		if (!role_is_inbound(s->role))
			session_route_starttls(s, false);
		session_record(s, "starttls-injection", 3,
			       role_is_inbound(s->role) ? REASON_BACKEND_INJECTION : REASON_REMOTE_INJECTION, NULL);
		return;
	case NEG_READY:
		leg_read(s->leg[LEG_CONNECT], false);
		establish(s);
		return;
	case NEG_FAIL:
		connection_failed(s, a->reason, failure_detail(s->negotiation, a->reason));
		return;
	case NEG_NAMELESS:
	case NEG_ACTION_KINDS:
		return;
	}
}

/* Bytes that lead nowhere are no answer: a server that dribbles white space is as good as silent. */
static void take_step(struct session *s)
{
	const char *step = negotiate_state(s->negotiation->connect);
	if (s->remote->step == step)
		return;
	s->remote->step = step;
	s->remote->step_ms = clock_ms();
	session_rearm(s);
}

static void run_actions(struct session *s, size_t behind)
{
	struct negotiation *n = s->negotiation;
	struct neg_action a;
	while (s->state == SESSION_CONNECT && negotiate_next(n->connect, &a))
		act(s, &a, behind);
	if (s->state != SESSION_CONNECT)
		return;
	if (!role_is_inbound(s->role)) {
		take_step(s);
		return;
	}
	if (s->domain->backend.tls != BACKEND_TLS_OPPORTUNISTIC)
		return;
	if (negotiate_awaits_tls(n->connect) != (s->starttls_ms != 0)) {
		s->starttls_ms = s->starttls_ms == 0 ? clock_ms() : 0;
		session_rearm(s);
	}
}

static void begin(struct session *s, const struct neg_connect_params *params)
{
	struct negotiation *n = s->negotiation;
	negotiate_free(&n->connect);
	n->connect = negotiate_connect_new(params);
	if (s->remote != NULL)
		s->remote->step = NULL;
	new_parser(s);
	session_enter(s, SESSION_CONNECT);
}

static void begin_backend(struct session *s)
{
	const struct negotiation *n = s->negotiation;
	bool tls = s->domain->backend.tls != BACKEND_TLS_NEVER && !s->without_tls;
	const struct neg_connect_params params = {
	    .content_ns = role_content_ns(s->role),
	    .tls = tls ? NEG_TLS_STARTTLS : NEG_TLS_NEVER,
	    .header = n->header.data,
	    .header_len = n->header.len,
	    .strip_compression = s->config->policy.compression == COMPRESSION_STRIP,
	    .log_state = log_state,
	    .ctx = s,
	};
	session_proxy_announce(s);
	begin(s, &params);
}

/* NEG-29: before TLS a header of ours that names the domains, inside it the legacy side's own. */
static void begin_remote(struct session *s)
{
	const struct negotiation *n = s->negotiation;
	bool direct = s->remote->candidate.direct_tls;
	/* As the legacy side writes them: most servers know their own name in one spelling only. */
	const char *from = role_is_s2s(s->role) ? s->from : NULL;
	struct strbuf first, header;
	/* Two names of that header, each byte of them an entity at worst. */
	strbuf_init(&first, 512 + 6 * n->header.len);
	strbuf_init(&header, n->header.len + 64);
	stream_header_first(&first, role_content_ns(s->role), from, s->to);
	if (!stream_header_modernise(&header, n->header.data, n->header.len)) {
		session_end(s, REASON_NOT_WELL_FORMED, XMPP_ERROR_NONE, "its header cannot be read again");
	} else {
		const struct neg_connect_params params = {
		    .content_ns = role_content_ns(s->role),
		    .tls = direct || s->without_tls ? NEG_TLS_NEVER : NEG_TLS_STARTTLS,
		    .direct_tls = direct,
		    .header = header.data,
		    .header_len = header.len,
		    .first_header = direct || s->without_tls ? NULL : first.data,
		    .first_header_len = first.len,
		    .remote = s->remote->domain,
		    .strip_compression = s->config->policy.compression == COMPRESSION_STRIP,
		    .log_state = log_state,
		    .ctx = s,
		};
		begin(s, &params);
	}
	strbuf_fini(&first);
	strbuf_fini(&header);
}

static void on_connected(void *ctx)
{
	struct session *s = ctx;
	if (role_is_inbound(s->role))
		begin_backend(s);
	else
		begin_remote(s);
	if (s->state != SESSION_CONNECT)
		return;
	if (!role_is_inbound(s->role) && s->remote->candidate.direct_tls)
		session_connect_start_tls(s, 0);
	else
		leg_read(s->leg[LEG_CONNECT], true);
	run_actions(s, 0);
}

static void feed(struct session *s, const char *data, size_t len)
{
	struct negotiation *n = s->negotiation;
	bool more = true;
	if (!strbuf_add(&n->backend, data, len)) {
		connection_failed(s, REASON_BACKEND_INVALID, "too much before its features");
		return;
	}
	while (more && s->state == SESSION_CONNECT && !negotiate_in_handshake(n->connect)) {
		size_t used = 0;
		enum xmlstream_result result = xmlstream_feed(n->connect_xml, data, len, &used);
		if (result == XMLSTREAM_FAILED)
			negotiate_xml_failed(n->connect, xmlstream_failure(n->connect_xml)->reason);
		data += used;
		len -= used;
		run_actions(s, len);
		more = result == XMLSTREAM_STOPPED && len > 0;
	}
}

static void on_data(void *ctx, const void *data, size_t len)
{
	struct session *s = ctx;
	if (s->state == SESSION_CONNECT)
		feed(s, data, len);
	else if (s->state == SESSION_RELAY)
		session_relay_data(s, LEG_CONNECT, data, len);
}

static void on_secured(void *ctx)
{
	struct session *s = ctx;
	session_connect_secured(s);
	if (!role_is_inbound(s->role) && !remote_stands(s))
		return;
	negotiate_secured(s->negotiation->connect, NULL);
	run_actions(s, 0);
}

static bool awaits_tls(const struct session *s)
{
	return s->state == SESSION_CONNECT && negotiate_awaits_tls(s->negotiation->connect);
}

bool session_connect_in_tls(const struct session *s)
{
	return s->state == SESSION_CONNECT &&
	       (negotiate_awaits_tls(s->negotiation->connect) || negotiate_in_handshake(s->negotiation->connect));
}

static enum reason reason_of_end(const struct session *s, enum leg_end how)
{
	if (how == LEG_END_REFUSED)
		return REASON_BACKEND_DOWN;
	bool tls = session_connect_in_tls(s) || how == LEG_END_TLS || how == LEG_END_RENEGOTIATION;
	return tls ? REASON_BACKEND_TLS : REASON_BACKEND_CLOSED;
}

/* A remote server that is silent where features are due is asked for TLS all the same (STRIP-2); silence once more is
 * the end of this candidate. */
static void remote_timeout(struct session *s)
{
	struct negotiation *n = s->negotiation;
	bool overdue = clock_ms() >= s->accepted_ms + (uint64_t)s->config->timeouts.negotiation;
	if (!overdue && s->state == SESSION_CONNECT) {
		negotiate_timeout(n->connect, xmlstream_begun(n->connect_xml));
		run_actions(s, 0);
	} else if (!overdue && s->state == SESSION_DIAL) {
		session_candidate_failed(s, REASON_REMOTE_DOWN, "it did not answer in time");
	} else {
		session_route_overdue(s);
	}
}

void session_connect_timeout(struct session *s)
{
	if (!role_is_inbound(s->role))
		remote_timeout(s);
	else if (s->state == SESSION_ROUTE)
		session_end(s, REASON_NEGOTIATION_TIMEOUT, XMPP_ERROR_NONE, "peer memory did not answer in time");
	else if (awaits_tls(s))
		backend_failed(s, REASON_BACKEND_TLS, "no TLS in time");
	else
		session_end(s, REASON_BACKEND_TIMEOUT, XMPP_ERROR_NONE, "the backend did not answer in time");
}

static void on_end(void *ctx, enum leg_end how, const char *detail)
{
	struct session *s = ctx;
	if (s->state == SESSION_RELAY) {
		session_relay_ended(s, LEG_CONNECT, how, detail);
		return;
	}
	/* The end of the connection is an answer to <starttls/>, too (STRIP-3). */
	if (!role_is_inbound(s->role) && awaits_tls(s) && !negotiate_in_handshake(s->negotiation->connect)) {
		negotiate_close(s->negotiation->connect);
		run_actions(s, 0);
	}
	if (s->state < SESSION_CLOSING && !s->dials_again)
		connection_failed(s, reason_of_end(s, how), session_connect_tls_detail(s, detail));
}

static void on_drained(void *ctx)
{
	session_relay_drained(ctx);
}

static void on_closed(void *ctx)
{
	session_leg_closed(ctx, LEG_CONNECT);
}

static const struct leg_callbacks callbacks = {on_connected, on_data, on_secured, on_drained, on_end, on_closed};

void session_dialed(struct session *s, int fd, bool connecting)
{
	mem_free(s->tls[LEG_CONNECT]);
	s->tls[LEG_CONNECT] = NULL;
	s->dialed_ms = clock_ms();
	s->leg_closed[LEG_CONNECT] = false;
	s->leg[LEG_CONNECT] = leg_new(s->engine->io, fd, connecting, (size_t)s->config->limits.buffer, &callbacks, s);
	session_enter(s, SESSION_DIAL);
	if (!role_is_inbound(s->role) && !session_route_reached(s))
		return;
	if (!connecting)
		on_connected(s);
}

void session_dial(struct session *s)
{
	struct errbuf err = {""};
	bool inbound = role_is_inbound(s->role);
	int fd =
	    dialer_start(inbound ? config_backend_address(s->domain, s->role) : &s->remote->candidate.address, &err);
	if (fd < 0)
		connection_failed(s, REASON_BACKEND_DOWN, err.text);
	else
		session_dialed(s, fd, true);
}

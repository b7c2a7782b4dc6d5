/* SPDX-License-Identifier: MIT */
/*
 * The accept side of a session: first byte, accept negotiator, TLS, the header after it. The backend is not contacted
 * before the negotiator says READY, which it does only inside TLS.
 */
#include "relay/session_private.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"

#define TLS_HANDSHAKE_RECORD 0x16

static bool is_own(void *ctx, const char *domain)
{
	const struct session *s = ctx;
	return config_find_domain(s->config, domain) != NULL && !session_is_ours(s);
}

/* Outbound streams have no backend. */
static bool hosts(void *ctx, const char *domain)
{
	const struct session *s = ctx;
	const struct config_domain *found = config_find_domain(s->config, domain);
	return found != NULL && (!role_is_inbound(s->role) || config_backend_address(found, s->role)->len > 0);
}

/* Between servers a rule of `peers` may allow it to one and not to another. What is claimed here holds for this
 * plaintext stream alone: inside TLS all is asked anew (NEG-9). */
static bool takes_plaintext(void *ctx, const char *from)
{
	struct session *s = ctx;
	char domain[XMPP_DOMAIN_SIZE];
	session_remote_free(s);
	if (role_is_s2s(s->role) && from != NULL && jid_domain(from, domain))
		session_remote_set(s, domain);
	return session_allows_plaintext(s);
}

static void new_id(void *ctx, char out[NEG_ID_SIZE])
{
	(void)ctx;
	random_hex(out, (NEG_ID_SIZE - 1) / 2);
}

static void log_state(void *ctx, const char *from, const char *to)
{
	const struct session *s = ctx;
	log_debug("stream %s: accept negotiator %s -> %s", s->id, from, to);
}

static enum xmlstream_step on_open(void *ctx, const struct xml_node *root, const struct xml_decl *decls, size_t count)
{
	struct session *s = ctx;
	negotiate_open(s->negotiation->accept, root, decls, count);
	return XMLSTREAM_STOP;
}

static enum xmlstream_step on_element(void *ctx, const struct xml_node *element)
{
	struct session *s = ctx;
	negotiate_element(s->negotiation->accept, element);
	return XMLSTREAM_STOP;
}

static enum xmlstream_step on_close(void *ctx)
{
	struct session *s = ctx;
	negotiate_close(s->negotiation->accept);
	return XMLSTREAM_STOP;
}

static const struct xmlstream_handlers xml_handlers = {on_open, on_element, on_close};

static void new_parser(struct session *s)
{
	const struct config_limits *l = &s->config->limits;
	struct xmlstream_limits limits = {(size_t)l->unauthenticated_stanza, (unsigned)l->depth, 64};
	xmlstream_free(&s->negotiation->accept_xml);
	s->negotiation->accept_xml = xmlstream_new(&limits, &xml_handlers, s);
	strbuf_clear(&s->negotiation->header);
}

void session_accept_begin(struct session *s, bool direct)
{
	struct neg_accept_params params = {
	    .outbound = !role_is_inbound(s->role),
	    .is_own = is_own,
	    .content_ns = role_content_ns(s->role),
	    .default_domain = s->config->domain_count == 1 ? s->config->domains[0].name : NULL,
	    .direct_tls = direct,
	    .takes_plaintext = takes_plaintext,
	    .switch_allowed = s->config->mode == MODE_MONITOR,
	    .hosts = hosts,
	    .new_id = new_id,
	    .log_state = log_state,
	    .ctx = s,
	};
	s->negotiation = negotiation_new((size_t)s->config->limits.unauthenticated_stanza);
	s->negotiation->accept = negotiate_accept_new(&params);
	new_parser(s);
	session_enter(s, SESSION_ACCEPT);
}

static void remember_header(struct session *s)
{
	const struct stream_header *h = negotiate_header(s->negotiation->accept);
	mem_free(s->from);
	mem_free(s->to);
	s->from = h != NULL ? mem_strdup(h->from) : NULL;
	s->to = h != NULL ? mem_strdup(h->to) : NULL;
	s->version10 = h != NULL && h->has_version;
}

/* What a peer claims to be may select weaker settings for its handshake: whether they were allowed is decided by the
 * header inside TLS. */
struct ssl_st *session_accept_tls(struct session *s, const char *to)
{
	if (s->remote == NULL)
		return tls_accept(s->store, s->role, to);
	const struct config_peer *rule = s->remote->policy.rule;
	s->lender = rule != NULL && rule->tls_set && s->config->mode == MODE_ENFORCE ? rule : NULL;
	return tls_accept_peer(s->store, s->role, to, &s->remote->policy);
}

/*
 * NEG-7: before <proceed/> leaves, nothing but white space may stand behind <starttls/>, neither in what was read nor
 * in the kernel. reply is what is to be sent; nothing of it is left.
 */
static void upgrade(struct session *s, struct strbuf *reply, const char *rest, size_t len)
{
	struct leg *leg = s->leg[LEG_ACCEPT];
	leg_read(leg, false);
	if (!xml_only_space(rest, len) || leg_has_unread(leg)) {
		strbuf_clear(reply);
		negotiate_injected(s->negotiation->accept);
		return;
	}
	struct ssl_st *ssl = session_accept_tls(s, negotiate_domain(s->negotiation->accept));
	if (ssl == NULL) {
		strbuf_clear(reply);
		session_close(s, REASON_INTERNAL, "cannot make a TLS context");
		return;
	}
	s->starttls = STARTTLS_NEGOTIATED;
	leg_send(leg, reply->data, reply->len);
	strbuf_clear(reply);
	leg_start_tls(leg, ssl, NULL, 0);
}

static void note(struct session *s, enum neg_note what)
{
	static const struct {
		const char *action;
		int severity;
	} rows[NEG_NOTE_COUNT] = {
	    [NEG_NOTE_STARTTLS_IGNORED] = {"starttls-ignored", 2},
	    [NEG_NOTE_CREDENTIALS_EXPOSED] = {"credentials-exposed", 3},
	    [NEG_NOTE_STANZA_VIOLATION] = {"stanza-violation", 2},
	    [NEG_NOTE_STARTTLS_INJECTION] = {"starttls-injection", 3},
	};
	static const enum reason why[NEG_NOTE_COUNT] = {
	    [NEG_NOTE_STARTTLS_IGNORED] = REASON_TLS_REQUIRED,
	    [NEG_NOTE_CREDENTIALS_EXPOSED] = REASON_PLAINTEXT_AUTH,
	    [NEG_NOTE_STANZA_VIOLATION] = REASON_NOT_WELL_FORMED,
	    [NEG_NOTE_STARTTLS_INJECTION] = REASON_STARTTLS_INJECTION,
	};
	enum reason reason = why[what];
	const struct xmlstream *xml = s->negotiation->accept_xml;
	if (what == NEG_NOTE_STANZA_VIOLATION && xmlstream_failure(xml)->reason != REASON_NONE)
		reason = xmlstream_failure(xml)->reason;
	session_record(s, rows[what].action, rows[what].severity, reason, NULL);
}

static void failed(struct session *s, enum reason reason, const struct strbuf *reply)
{
	remember_header(s);
	s->told = reply->len > 0 && reason_info(reason)->condition != XMPP_ERROR_NONE;
	leg_send(s->leg[LEG_ACCEPT], reply->data, reply->len);
	const char *detail = s->detail;
	if (detail == NULL && s->negotiation->accept_xml != NULL) {
		const struct xmlstream_failure *f = xmlstream_failure(s->negotiation->accept_xml);
		detail = f->reason != REASON_NONE ? f->detail : NULL;
	}
	session_close(s, reason, detail);
}

static void act(struct session *s, const struct neg_action *a, struct strbuf *reply, const char *rest, size_t len)
{
	switch (a->kind) {
	case NEG_SEND:
		strbuf_add(reply, a->data, a->len);
		return;
	case NEG_START_TLS:
		remember_header(s);
		upgrade(s, reply, rest, len);
		return;
	case NEG_RESET_XML:
		new_parser(s);
		return;
	case NEG_NOTE:
		remember_header(s);
		note(s, a->note);
		return;
	case NEG_READY:
		s->negotiation->ready = true;
		return;
	case NEG_FAIL:
		failed(s, a->reason, reply);
		strbuf_clear(reply);
		return;
	case NEG_NAMELESS:
		s->negotiation->nameless = true;
		return;
	case NEG_ACTION_KINDS:
		return;
	}
}

void session_accept_actions(struct session *s, const char *rest, size_t len)
{
	struct strbuf reply;
	struct neg_action action;
	strbuf_init(&reply, 64 * 1024);
	while (s->state < SESSION_RELAY && negotiate_next(s->negotiation->accept, &action))
		act(s, &action, &reply, rest, len);
	if (reply.len > 0 && s->state < SESSION_CLOSING) {
		/* What goes out here before TLS is the header with our features; failures went out in failed(). */
		if (role_is_inbound(s->role) && s->starttls == STARTTLS_NOT_ATTEMPTED)
			s->starttls_advertised = s->starttls_required = true;
		leg_send(s->leg[LEG_ACCEPT], reply.data, reply.len);
	}
	strbuf_fini(&reply);
}

/* Reading goes on while nothing has come, so that a peer that goes away is noticed; what comes is kept and is enough.
 */
static void await_backend(struct session *s)
{
	leg_read(s->leg[LEG_ACCEPT], s->negotiation->early.len == 0);
}

static void ready(struct session *s, const char *rest, size_t len)
{
	struct negotiation *n = s->negotiation;
	remember_header(s);
	if (role_is_inbound(s->role))
		s->domain = config_find_domain(s->config, negotiate_domain(n->accept));
	if (s->domain != NULL && s->tls[LEG_ACCEPT] != NULL &&
	    strcmp(s->domain->name, tls_certificate_domain(leg_ssl(s->leg[LEG_ACCEPT]))) != 0)
		session_object(s, REASON_HEADER_SWITCH);
	n->ready = false;
	if (!strbuf_add(&n->early, rest, len)) {
		session_end(s, REASON_TOO_BIG, XMPP_ERROR_NONE, "too much was sent before the stream was up");
		return;
	}
	await_backend(s);
	if (!role_is_inbound(s->role))
		session_route(s);
	else if (role_is_s2s(s->role))
		session_inbound_route(s);
	else
		session_dial(s);
}

/* Reads event by event; every event stops the parser, so that its actions are done before the next byte is looked at.
 */
static void feed(struct session *s, const char *data, size_t len)
{
	struct negotiation *n = s->negotiation;
	bool more = true;
	while (more && s->state == SESSION_ACCEPT && !negotiate_in_handshake(n->accept)) {
		size_t used = 0;
		enum xmlstream_result result = xmlstream_feed(n->accept_xml, data, len, &used);
		strbuf_add(&n->header, data, used);
		data += used;
		len -= used;
		if (result == XMLSTREAM_FAILED)
			negotiate_xml_failed(n->accept, xmlstream_failure(n->accept_xml)->reason);
		session_accept_actions(s, data, len);
		if (n->ready) {
			ready(s, data, len);
			return;
		}
		if (n->nameless) {
			remember_header(s);
			session_hub_begin(s, data, len);
			return;
		}
		more = result == XMLSTREAM_STOPPED && len > 0;
	}
}

static void first_bytes(struct session *s, const char *data, size_t len)
{
	if (!session_proxy_input(s, &data, &len))
		return;
	int mode = s->listener->tls;
	bool direct = mode == LISTENER_TLS_DIRECT ||
		      (mode == LISTENER_TLS_AUTO && (unsigned char)data[0] == TLS_HANDSHAKE_RECORD);
	if (s->turned_away && direct) {
		session_close(s, REASON_TOTAL_LIMIT, NULL);
		return;
	}
	session_accept_begin(s, direct);
	if (s->turned_away) {
		session_end(s, REASON_TOTAL_LIMIT, XMPP_ERROR_NONE, NULL);
		return;
	}
	if (!direct) {
		feed(s, data, len);
		return;
	}
	struct ssl_st *ssl = tls_accept(s->store, s->role, NULL);
	s->starttls = STARTTLS_DIRECT;
	if (ssl == NULL)
		session_close(s, REASON_INTERNAL, "cannot make a TLS context");
	else
		leg_start_tls(s->leg[LEG_ACCEPT], ssl, data, len);
}

static void on_data(void *ctx, const void *data, size_t len)
{
	struct session *s = ctx;
	switch (s->state) {
	case SESSION_FIRST_BYTE:
		first_bytes(s, data, len);
		return;
	case SESSION_ACCEPT:
		feed(s, data, len);
		return;
	case SESSION_ROUTE:
	case SESSION_DIAL:
	case SESSION_CONNECT:
	case SESSION_RECORD:
		if (strbuf_add(&s->negotiation->early, data, len))
			await_backend(s);
		else
			session_end(s, REASON_TOO_BIG, XMPP_ERROR_NONE, "too much was sent before the stream was up");
		return;
	case SESSION_RELAY:
		session_relay_data(s, LEG_ACCEPT, data, len);
		return;
	case SESSION_HUB:
		session_hub_data(s, data, len);
		return;
	case SESSION_CLOSING:
	case SESSION_DEAD:
	case SESSION_STATE_COUNT:
		return;
	}
}

static void on_secured(void *ctx)
{
	struct session *s = ctx;
	struct ssl_st *ssl = leg_ssl(s->leg[LEG_ACCEPT]);
	mem_free(s->tls[LEG_ACCEPT]);
	s->tls[LEG_ACCEPT] = mem_zalloc(sizeof(*s->tls[LEG_ACCEPT]));
	tls_facts_read(s->tls[LEG_ACCEPT], ssl);
	shared_count(s->engine->slot, COUNTER_HANDSHAKES, 1);
	if (s->tls[LEG_ACCEPT]->resumed)
		shared_count(s->engine->slot, COUNTER_RESUMED, 1);
	session_remote_free(s);
	session_object(s, tls_objection(ssl));
	if (!role_is_s2s(s->role))
		session_object(s, session_verdict(s).reason);
	negotiate_secured(s->negotiation->accept, tls_certificate_domain(ssl));
	session_accept_actions(s, NULL, 0);
}

static enum reason reason_of_end(const struct session *s, enum leg_end how)
{
	struct leg *leg = s->leg[LEG_ACCEPT];
	switch (how) {
	case LEG_END_TLS:
		return leg_is_secured(leg) || leg_ssl(leg) == NULL ? REASON_TLS_FAILED
								   : tls_failure_reason(leg_ssl(leg));
	case LEG_END_RENEGOTIATION:
		return REASON_RENEGOTIATION;
	case LEG_END_CLOSED:
	case LEG_END_TRUNCATED:
	case LEG_END_RESET:
	case LEG_END_REFUSED:
	case LEG_END_COUNT:
		return REASON_PEER_GONE;
	}
	return REASON_INTERNAL;
}

static void on_end(void *ctx, enum leg_end how, const char *detail)
{
	struct session *s = ctx;
	if (s->state == SESSION_RELAY) {
		session_relay_ended(s, LEG_ACCEPT, how, detail);
		return;
	}
	if (s->state == SESSION_HUB) {
		session_hub_ended(s, detail);
		return;
	}
	if (session_proxy_cut(s))
		return;
	if (s->negotiation != NULL && negotiate_in_handshake(s->negotiation->accept))
		shared_count(s->engine->slot, COUNTER_HANDSHAKES_FAILED, 1);
	if (s->negotiation != NULL && s->from == NULL && s->to == NULL)
		remember_header(s);
	session_close(s, reason_of_end(s, how), detail);
}

static void on_connected(void *ctx)
{
	(void)ctx;
}

static void on_drained(void *ctx)
{
	struct session *s = ctx;
	if (s->state == SESSION_HUB)
		session_hub_drained(s);
	else
		session_relay_drained(s);
}

static void on_closed(void *ctx)
{
	session_leg_closed(ctx, LEG_ACCEPT);
}

const struct leg_callbacks *session_accept_callbacks(void)
{
	static const struct leg_callbacks callbacks = {on_connected, on_data, on_secured,
						       on_drained,   on_end,  on_closed};
	return &callbacks;
}

void session_accept_timeout(struct session *s)
{
	struct negotiation *n = s->negotiation;
	if (negotiate_in_handshake(n->accept))
		shared_count(s->engine->slot, COUNTER_HANDSHAKES_FAILED, 1);
	negotiate_timeout(n->accept, xmlstream_begun(n->accept_xml));
	session_accept_actions(s, NULL, 0);
	session_close(s, REASON_NEGOTIATION_TIMEOUT, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The connect table: we are the initiating entity, towards our own legacy server or a remote one. The initiating
 * entity's own last header goes out byte for byte inside TLS, and before it unless there is a barer one for that; the
 * server's header and features are judged here and passed on by the inspector afterwards.
 * Invariants: whatever is not a header and then, on a 1.0 stream, features ends it; where TLS is asked for, the rows
 * that lead to `ready` are entered by _secured alone, whatever was advertised in plaintext (STRIP-1), and nothing
 * learnt before is used behind it (NEG-9).
 */
#include <assert.h>
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "xmpp/negotiate.h"
#include "xmpp/negotiate_private.h"
#include "xmpp/reply.h"

enum {
	NC_WAIT_OPEN_PLAIN,
	NC_WAIT_FEATURES_PLAIN,
	NC_WAIT_PROCEED,
	NC_HANDSHAKE,
	NC_HANDSHAKE_DIRECT,
	NC_WAIT_OPEN,
	NC_WAIT_FEATURES,
	NC_READY,
	NC_FAILED,
	NC_COUNT
};

/* A backend that opened its stream is told that ours ends; one that did not has nothing to close. */
static void end(struct negotiator *n, enum reason reason)
{
	struct strbuf out;

	strbuf_init(&out, NEG_SEND_MAX);
	if (n->header_received)
		reply_close(&out, n->own_prefix);
	neg_send(n, &out);
	neg_fail(n, reason);
}

/* features: NULL if there are none to come. */
static void ready(struct negotiator *n, const struct xml_node *features)
{
	n->features_received = true;
	if (n->starttls.sent)
		neg_offer_compare(n, features);
	neg_add(n, NEG_READY);
	neg_enter(n, NC_READY);
}

/* A server older than 1.0 sends none: not waited for (NEG-40). What the inspector puts in their place stands here. */
static void ready_without_features(struct negotiator *n)
{
	if (strcmp(n->content_ns, XMPP_NS_SERVER) == 0)
		n->features.dialback = true;
	else
		n->features.iq_auth = true;
	ready(n, NULL);
}

/* Who answers for another domain is not whom we asked for (CERT-15); many old servers do not say who they are. */
static bool is_other(const struct negotiator *n)
{
	char from[XMPP_DOMAIN_SIZE];

	if (!n->remote || !n->header.from)
		return false;
	return !domain_normalise(n->header.from, from) || strcmp(from, n->remote) != 0;
}

static void nc_open(struct negotiator *n)
{
	if (stream_header_check(&n->header, n->content_ns) != REASON_NONE)
		end(n, REASON_BACKEND_INVALID);
	else if (is_other(n))
		end(n, REASON_REMOTE_OTHER);
	else if (stream_header_is_pre10(&n->header))
		ready_without_features(n);
	else if (!n->header.version_valid)
		end(n, REASON_BACKEND_INVALID);
	else
		neg_enter(n, NC_WAIT_FEATURES);
}

/* RFC 7590 section 3.1, STRIP-1: asked for whatever the features say, for they may have been changed on the way. */
static void ask_tls(struct negotiator *n)
{
	struct strbuf out;

	strbuf_init(&out, NEG_SEND_MAX);
	reply_starttls(&out);
	neg_send(n, &out);
	n->starttls.sent = true;
	neg_enter(n, NC_WAIT_PROCEED);
}

/* Without a version no features follow (RFC 6120 section 4.3.2): nothing is to be waited for. */
static void nc_open_plain(struct negotiator *n)
{
	bool modern = n->header.version_valid && !stream_header_is_pre10(&n->header);

	n->starttls.version = modern;
	mem_free(n->plain_from);
	n->plain_from = mem_strdup(n->header.from);
	if (stream_header_check(&n->header, n->content_ns) != REASON_NONE)
		end(n, REASON_BACKEND_INVALID);
	else if (modern)
		neg_enter(n, NC_WAIT_FEATURES_PLAIN);
	else if (stream_header_is_pre10(&n->header) || n->remote)
		ask_tls(n); /* a remote server's version may have been spoilt on the way (STRIP-2) */
	else
		end(n, REASON_BACKEND_INVALID);
}

static enum xmpp_error error_condition(const struct xml_node *element)
{
	for (const struct xml_node *child = element->first_child; child; child = child->next)
		if (strcmp(child->ns, XMPP_NS_STREAM_ERROR) == 0 && strcmp(child->name, "text") != 0)
			return xmpp_error_from_name(child->name);
	return XMPP_ERROR_UNDEFINED_CONDITION;
}

/* NEG-13 speaks of what our own side is shown; a remote server that offers nothing may still take dialback. */
static void take_features(struct negotiator *n, const struct xml_node *element)
{
	features_read(&n->features, element, n->strip_compression);
	if (n->features.too_many_cuts || (!n->remote && features_emptied(&n->features))) {
		n->features_received = true;
		end(n, REASON_BACKEND_MISCONFIGURED);
		return;
	}
	ready(n, element);
}

static void look_for_starttls(struct negotiator *n, const struct xml_node *element)
{
	neg_offer_read(n, element);
	ask_tls(n);
}

static void take_error(struct negotiator *n, const struct xml_node *element)
{
	n->peer_error = error_condition(element);
	end(n,
	    n->remote && n->peer_error == XMPP_ERROR_SEE_OTHER_HOST ? REASON_REMOTE_REDIRECT : REASON_BACKEND_REFUSED);
}

static void nc_element(struct negotiator *n, const struct xml_node *element)
{
	if (xml_node_is(element, XMPP_NS_STREAM, "features"))
		take_features(n, element);
	else if (xml_node_is(element, XMPP_NS_STREAM, "error"))
		take_error(n, element);
	else
		end(n, REASON_BACKEND_INVALID);
}

/* Of those to <starttls/>. */
static bool is_answer(const struct xml_node *element)
{
	return xml_node_is(element, XMPP_NS_TLS, "proceed") || xml_node_is(element, XMPP_NS_TLS, "failure");
}

static void nc_element_plain(struct negotiator *n, const struct xml_node *element)
{
	if (xml_node_is(element, XMPP_NS_STREAM, "features")) {
		look_for_starttls(n, element);
	} else if (xml_node_is(element, XMPP_NS_STREAM, "error")) {
		take_error(n, element);
	} else if (n->remote && !is_answer(element) && neg_offer_is_mangled(element)) {
		/* The offer was moved out of its place: no more a reason to do without than one that is gone. */
		n->starttls.mangled = true;
		ask_tls(n);
	} else {
		end(n, REASON_BACKEND_INVALID);
	}
}

/* There is no TLS to be had (RFC 6120 section 5.4.2.2). */
static void no_tls(struct negotiator *n, enum neg_answer answer)
{
	n->starttls.answer = answer;
	end(n, REASON_BACKEND_TLS);
}

/* Features that come when <starttls/> is out already: their header came without a version, or they came late. */
static bool are_late_features(const struct negotiator *n, const struct xml_node *element)
{
	return n->remote && !n->starttls.features && xml_node_is(element, XMPP_NS_STREAM, "features");
}

static void nc_proceed(struct negotiator *n, const struct xml_node *element)
{
	if (are_late_features(n, element)) {
		neg_offer_read(n, element);
		return;
	}
	if (xml_node_is(element, XMPP_NS_STREAM, "error")) {
		n->peer_error = error_condition(element);
		no_tls(n, NEG_ANSWER_ERROR);
		return;
	}
	if (!xml_node_is(element, XMPP_NS_TLS, "proceed")) {
		no_tls(n, xml_node_is(element, XMPP_NS_TLS, "failure") ? NEG_ANSWER_FAILURE : NEG_ANSWER_GARBAGE);
		return;
	}
	n->starttls.answer = NEG_ANSWER_PROCEED;
	n->proceed_at = n->action_count;
	neg_add(n, NEG_START_TLS);
	neg_enter(n, NC_HANDSHAKE);
}

static enum xmlstream_step note_prefix(void *ctx, const struct xml_node *root, const struct xml_decl *decls,
				       size_t decl_count)
{
	char **prefix = ctx;

	(void)decls;
	(void)decl_count;
	*prefix = mem_strdup(root->prefix);
	return XMLSTREAM_STOP;
}

static enum xmlstream_step stop_element(void *ctx, const struct xml_node *element)
{
	(void)ctx;
	(void)element;
	return XMLSTREAM_STOP;
}

static enum xmlstream_step stop_close(void *ctx)
{
	(void)ctx;
	return XMLSTREAM_STOP;
}

/* The header was accepted by a parser like this one before, so its limits need not be known again. */
static char *prefix_of(const void *header, size_t len)
{
	static const struct xmlstream_handlers handlers = {note_prefix, stop_element, stop_close};
	const struct xmlstream_limits limits = {.element = len + 1, .depth = 1, .attributes = 256};
	char *prefix = NULL;
	size_t used;
	struct xmlstream *xs = xmlstream_new(&limits, &handlers, &prefix);

	xmlstream_feed(xs, header, len, &used);
	xmlstream_free(&xs);
	return prefix ? prefix : mem_strdup("stream");
}

static void send_bytes(struct negotiator *n, const void *data, size_t len)
{
	struct strbuf out;

	strbuf_init(&out, len);
	strbuf_add(&out, data, len);
	neg_send(n, &out);
}

static void nc_secured_direct(struct negotiator *n, const char *certificate_domain)
{
	(void)certificate_domain;
	send_bytes(n, n->own_header, n->own_header_len);
	neg_enter(n, NC_WAIT_OPEN);
}

/* NEG-9: a new parser and a new stream (RFC 6120 section 5.4.3.3); what was said in plaintext is not known any more. */
static void nc_secured(struct negotiator *n, const char *certificate_domain)
{
	neg_forget_header(n);
	neg_add(n, NEG_RESET_XML);
	mem_free(n->own_prefix);
	n->own_prefix = prefix_of(n->own_header, n->own_header_len);
	nc_secured_direct(n, certificate_domain);
}

static void nc_no_tls_close(struct negotiator *n)
{
	no_tls(n, NEG_ANSWER_CLOSED);
}

static void nc_no_tls_violation(struct negotiator *n)
{
	no_tls(n, NEG_ANSWER_GARBAGE);
}

static void nc_no_tls_xml(struct negotiator *n, enum reason reason)
{
	(void)reason;
	no_tls(n, NEG_ANSWER_GARBAGE);
}

/* Row 27: a remote server is told why; our own would only wonder, for it never asked for TLS. */
static void nc_no_tls_timeout(struct negotiator *n, bool begun)
{
	struct strbuf out;

	(void)begun;
	n->starttls.answer = NEG_ANSWER_SILENCE;
	if (!n->remote) {
		end(n, REASON_BACKEND_TLS);
		return;
	}
	strbuf_init(&out, NEG_SEND_MAX);
	reply_stream_error(&out, REASON_TLS_REQUIRED, n->own_prefix);
	neg_send(n, &out);
	neg_fail(n, REASON_BACKEND_TLS);
}

/* NEG-11: no XML is legal while the handshake runs. */
static void nc_timeout_handshake(struct negotiator *n, bool begun)
{
	(void)begun;
	neg_fail(n, REASON_BACKEND_TLS);
}

static void nc_refuse_silent(struct negotiator *n, enum reason reason, enum xmpp_error condition)
{
	(void)condition;
	neg_fail(n, reason);
}

/* NEG-8 (the response side of CVE-2011-0411): no byte at all may come between <proceed/> and our ClientHello. */
static void nc_injected(struct negotiator *n)
{
	neg_take_back(n);
	neg_fail(n, REASON_BACKEND_INJECTION);
}

static void nc_violation_handshake(struct negotiator *n)
{
	neg_fail(n, REASON_INTERNAL);
}

static void nc_close(struct negotiator *n)
{
	end(n, REASON_BACKEND_CLOSED);
}

static void nc_timeout(struct negotiator *n, bool begun)
{
	(void)begun;
	end(n, REASON_BACKEND_TIMEOUT);
}

/* STRIP-2: features that do not come are no reason to do without TLS either. */
static void nc_timeout_features(struct negotiator *n, bool begun)
{
	if (n->remote)
		ask_tls(n);
	else
		nc_timeout(n, begun);
}

static void nc_xml_failed(struct negotiator *n, enum reason reason)
{
	(void)reason;
	end(n, REASON_BACKEND_INVALID);
}

/* Our header is always out first, so an error may follow at once (row 49). */
static void nc_refuse(struct negotiator *n, enum reason reason, enum xmpp_error condition)
{
	struct strbuf out;

	strbuf_init(&out, NEG_SEND_MAX);
	if (condition != XMPP_ERROR_NONE)
		reply_stream_error_as(&out, condition, NULL, n->own_prefix);
	else
		reply_stream_error(&out, reason, n->own_prefix);
	neg_send(n, &out);
	neg_fail(n, reason);
}

static void nc_violation(struct negotiator *n)
{
	end(n, REASON_BACKEND_INVALID);
}

static const struct neg_state connect_states[] = {
    [NC_WAIT_OPEN_PLAIN] = {.name = "wait-open-plain",
			    .on_open = nc_open_plain,
			    .on_close = nc_close,
			    .on_timeout = nc_timeout,
			    .on_xml_failed = nc_xml_failed,
			    .on_refuse = nc_refuse,
			    .on_violation = nc_violation},
    [NC_WAIT_FEATURES_PLAIN] = {.name = "wait-features-plain",
				.on_element = nc_element_plain,
				.on_close = nc_close,
				.on_timeout = nc_timeout_features,
				.on_xml_failed = nc_xml_failed,
				.on_refuse = nc_refuse,
				.on_violation = nc_violation},
    [NC_WAIT_PROCEED] = {.name = "wait-proceed",
			 .awaits_tls = true,
			 .on_element = nc_proceed,
			 .on_close = nc_no_tls_close,
			 .on_timeout = nc_no_tls_timeout,
			 .on_xml_failed = nc_no_tls_xml,
			 .on_refuse = nc_refuse,
			 .on_violation = nc_no_tls_violation},
    [NC_HANDSHAKE] = {.name = "handshake",
		      .awaits_tls = true,
		      .on_secured = nc_secured,
		      .on_timeout = nc_timeout_handshake,
		      .on_injected = nc_injected,
		      .on_refuse = nc_refuse_silent,
		      .on_violation = nc_violation_handshake},
    [NC_HANDSHAKE_DIRECT] = {.name = "handshake-direct",
			     .on_secured = nc_secured_direct,
			     .on_timeout = nc_timeout_handshake,
			     .on_refuse = nc_refuse_silent,
			     .on_violation = nc_violation_handshake},
    [NC_WAIT_OPEN] = {.name = "wait-open",
		      .on_open = nc_open,
		      .on_close = nc_close,
		      .on_timeout = nc_timeout,
		      .on_xml_failed = nc_xml_failed,
		      .on_refuse = nc_refuse,
		      .on_violation = nc_violation},
    [NC_WAIT_FEATURES] = {.name = "wait-features",
			  .on_element = nc_element,
			  .on_close = nc_close,
			  .on_timeout = nc_timeout,
			  .on_xml_failed = nc_xml_failed,
			  .on_refuse = nc_refuse,
			  .on_violation = nc_violation},
    [NC_READY] = {.name = "ready",
		  .on_close = nc_close,
		  .on_timeout = nc_timeout,
		  .on_xml_failed = nc_xml_failed,
		  .on_refuse = nc_refuse,
		  .on_violation = nc_violation},
    [NC_FAILED] = {.name = "failed"},
};
_Static_assert(ARRAY_LEN(connect_states) == NC_COUNT, "state without a row");

/* Nobody's header goes out before TLS where another is to stand in for it (NEG-29). */
static void begin(struct negotiator *n, const struct neg_connect_params *params)
{
	bool first = params->tls == NEG_TLS_STARTTLS && params->first_header;
	const void *header = first ? params->first_header : params->header;
	size_t len = first ? params->first_header_len : params->header_len;

	n->own_prefix = prefix_of(header, len);
	if (params->direct_tls) {
		n->state = NC_HANDSHAKE_DIRECT;
		return;
	}
	send_bytes(n, header, len);
	n->state = params->tls == NEG_TLS_NEVER ? NC_WAIT_OPEN : NC_WAIT_OPEN_PLAIN;
}

struct negotiator *negotiate_connect_new(const struct neg_connect_params *params)
{
	struct negotiator *n = neg_new(connect_states, NC_READY, NC_FAILED);

	assert(!params->direct_tls || params->tls == NEG_TLS_NEVER);
	n->content_ns = mem_strdup(params->content_ns);
	n->remote = mem_strdup(params->remote);
	n->strip_compression = params->strip_compression;
	n->log_state = params->log_state;
	n->ctx = params->ctx;
	n->own_header = mem_dup(params->header, params->header_len);
	n->own_header_len = params->header_len;
	begin(n, params);
	return n;
}

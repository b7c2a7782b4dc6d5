/* SPDX-License-Identifier: MIT */
/*
 * The connect table: we are the initiating entity. The initiating entity's own last header goes out byte for byte, and
 * once more inside TLS; the backend's header and features are judged here and passed on by the inspector afterwards.
 * Invariants: whatever is not a header and then, on a 1.0 stream, features ends it; where TLS is asked for, the rows
 * that lead to `ready` are entered by _secured alone, whatever was advertised in plaintext (STRIP-1), and nothing
 * learnt before is used behind it (NEG-9).
 */
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

/* A server older than 1.0 sends none: not waited for (NEG-40). What the inspector puts in their place stands here. */
static void ready_without_features(struct negotiator *n)
{
	n->features.iq_auth = true;
	n->features_received = true;
	neg_add(n, NEG_READY);
	neg_enter(n, NC_READY);
}

static void nc_open(struct negotiator *n)
{
	if (stream_header_check(&n->header, n->content_ns) != REASON_NONE)
		end(n, REASON_BACKEND_INVALID);
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
	neg_enter(n, NC_WAIT_PROCEED);
}

/* Without a version no features follow (RFC 6120 section 4.3.2): nothing is to be waited for. */
static void nc_open_plain(struct negotiator *n)
{
	if (stream_header_check(&n->header, n->content_ns) != REASON_NONE)
		end(n, REASON_BACKEND_INVALID);
	else if (!n->header.has_version || (n->header.version_valid && n->header.major == 0))
		ask_tls(n);
	else if (!n->header.version_valid)
		end(n, REASON_BACKEND_INVALID);
	else
		neg_enter(n, NC_WAIT_FEATURES_PLAIN);
}

static enum xmpp_error error_condition(const struct xml_node *element)
{
	for (const struct xml_node *child = element->first_child; child; child = child->next)
		if (strcmp(child->ns, XMPP_NS_STREAM_ERROR) == 0 && strcmp(child->name, "text") != 0)
			return xmpp_error_from_name(child->name);
	return XMPP_ERROR_UNDEFINED_CONDITION;
}

static void take_features(struct negotiator *n, const struct xml_node *element)
{
	features_read(&n->features, element, n->strip_compression);
	n->features_received = true;
	if (n->features.too_many_cuts || features_emptied(&n->features)) {
		end(n, REASON_BACKEND_MISCONFIGURED);
		return;
	}
	neg_add(n, NEG_READY);
	neg_enter(n, NC_READY);
}

static void look_for_starttls(struct negotiator *n, const struct xml_node *element)
{
	struct features before;

	features_read(&before, element, false);
	n->starttls_offered = before.starttls;
	ask_tls(n);
}

static void take_element(struct negotiator *n, const struct xml_node *element,
			 void (*features)(struct negotiator *n, const struct xml_node *element))
{
	if (xml_node_is(element, XMPP_NS_STREAM, "features")) {
		features(n, element);
	} else if (xml_node_is(element, XMPP_NS_STREAM, "error")) {
		n->peer_error = error_condition(element);
		end(n, REASON_BACKEND_REFUSED);
	} else {
		end(n, REASON_BACKEND_INVALID);
	}
}

static void nc_element(struct negotiator *n, const struct xml_node *element)
{
	take_element(n, element, take_features);
}

static void nc_element_plain(struct negotiator *n, const struct xml_node *element)
{
	take_element(n, element, look_for_starttls);
}

/* A failure, a stream error, anything but <proceed/>: there is no TLS to be had (RFC 6120 section 5.4.2.2). */
static void nc_proceed(struct negotiator *n, const struct xml_node *element)
{
	if (!xml_node_is(element, XMPP_NS_TLS, "proceed")) {
		if (xml_node_is(element, XMPP_NS_STREAM, "error"))
			n->peer_error = error_condition(element);
		end(n, REASON_BACKEND_TLS);
		return;
	}
	n->proceed_at = n->action_count;
	neg_add(n, NEG_START_TLS);
	neg_enter(n, NC_HANDSHAKE);
}

static void send_header(struct negotiator *n)
{
	struct strbuf out;

	strbuf_init(&out, n->own_header_len);
	strbuf_add(&out, n->own_header, n->own_header_len);
	neg_send(n, &out);
}

/* NEG-9: a new parser and a new stream (RFC 6120 section 5.4.3.3); what was said in plaintext is not known any more. */
static void nc_secured(struct negotiator *n, const char *certificate_domain)
{
	(void)certificate_domain;
	neg_forget_header(n);
	neg_add(n, NEG_RESET_XML);
	send_header(n);
	neg_enter(n, NC_WAIT_OPEN);
}

static void nc_no_tls(struct negotiator *n)
{
	end(n, REASON_BACKEND_TLS);
}

static void nc_no_tls_timeout(struct negotiator *n, bool begun)
{
	(void)begun;
	end(n, REASON_BACKEND_TLS);
}

static void nc_no_tls_xml(struct negotiator *n, enum reason reason)
{
	(void)reason;
	end(n, REASON_BACKEND_TLS);
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
				.on_timeout = nc_timeout,
				.on_xml_failed = nc_xml_failed,
				.on_refuse = nc_refuse,
				.on_violation = nc_violation},
    [NC_WAIT_PROCEED] = {.name = "wait-proceed",
			 .awaits_tls = true,
			 .on_element = nc_proceed,
			 .on_close = nc_no_tls,
			 .on_timeout = nc_no_tls_timeout,
			 .on_xml_failed = nc_no_tls_xml,
			 .on_refuse = nc_refuse,
			 .on_violation = nc_no_tls},
    [NC_HANDSHAKE] = {.name = "handshake",
		      .awaits_tls = true,
		      .on_secured = nc_secured,
		      .on_timeout = nc_timeout_handshake,
		      .on_injected = nc_injected,
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

struct negotiator *negotiate_connect_new(const struct neg_connect_params *params)
{
	struct negotiator *n = neg_new(connect_states, NC_READY, NC_FAILED);

	n->content_ns = mem_strdup(params->content_ns);
	n->strip_compression = params->strip_compression;
	n->log_state = params->log_state;
	n->ctx = params->ctx;
	n->state = params->tls == NEG_TLS_NEVER ? NC_WAIT_OPEN : NC_WAIT_OPEN_PLAIN;
	n->own_header = mem_dup(params->header, params->header_len);
	n->own_header_len = params->header_len;
	n->own_prefix = prefix_of(params->header, params->header_len);
	send_header(n);
	return n;
}

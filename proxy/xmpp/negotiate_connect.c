/* SPDX-License-Identifier: MIT */
/*
 * The connect table: we are the initiating entity, towards a backend in plaintext (tls: never). The initiating entity's
 * own last header goes out byte for byte; the backend's header and features are judged here and passed on by the
 * inspector afterwards. Invariant: whatever is not a header and then, on a 1.0 stream, features ends it.
 */
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "xmpp/negotiate.h"
#include "xmpp/negotiate_private.h"
#include "xmpp/reply.h"

enum { NC_WAIT_OPEN, NC_WAIT_FEATURES, NC_READY, NC_FAILED, NC_COUNT };

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

static void nc_element(struct negotiator *n, const struct xml_node *element)
{
	if (xml_node_is(element, XMPP_NS_STREAM, "features")) {
		take_features(n, element);
	} else if (xml_node_is(element, XMPP_NS_STREAM, "error")) {
		n->peer_error = error_condition(element);
		end(n, REASON_BACKEND_REFUSED);
	} else {
		end(n, REASON_BACKEND_INVALID);
	}
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
	struct strbuf out;

	n->content_ns = mem_strdup(params->content_ns);
	n->strip_compression = params->strip_compression;
	n->log_state = params->log_state;
	n->ctx = params->ctx;
	n->state = NC_WAIT_OPEN;
	n->own_prefix = prefix_of(params->header, params->header_len);
	strbuf_init(&out, params->header_len);
	strbuf_add(&out, params->header, params->header_len);
	neg_send(n, &out);
	return n;
}

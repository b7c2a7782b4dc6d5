/* SPDX-License-Identifier: MIT */
/*
 * The few elements portcullis sends of its own, as bytes. Owns their exact form (XML-14); nothing else writes XML
 * to a peer. Invariants: no byte of a peer is ever in them but a streams prefix, which the parser has validated, and
 * the addresses of a dialback request, escaped; a reason that is to be answered without XML writes nothing.
 */
#include "xmpp/reply.h"

#include <inttypes.h>
#include <stddef.h>

#include "xmpp/names.h"

void reply_features_starttls(struct strbuf *out)
{
	strbuf_puts(out, "<stream:features><starttls xmlns='" XMPP_NS_TLS "'><required/></starttls></stream:features>");
}

void reply_features_dialback(struct strbuf *out)
{
	strbuf_puts(out, "<stream:features><dialback xmlns='" XMPP_NS_DIALBACK_FEATURE "'/></stream:features>");
}

void reply_starttls(struct strbuf *out)
{
	strbuf_puts(out, "<starttls xmlns='" XMPP_NS_TLS "'/>");
}

void reply_features_pre10(struct strbuf *out, const char *prefix, bool server, bool starttls)
{
	const char *colon = prefix[0] == '\0' ? "" : ":";

	strbuf_printf(out, "<%s%sfeatures%s>", prefix, colon, prefix[0] == '\0' ? " xmlns='" XMPP_NS_STREAM "'" : "");
	if (starttls)
		reply_starttls(out);
	strbuf_puts(out, server ? "<dialback xmlns='" XMPP_NS_DIALBACK_FEATURE "'/>"
				: "<auth xmlns='" XMPP_NS_IQ_AUTH_FEATURE "'/>");
	strbuf_printf(out, "</%s%sfeatures>", prefix, colon);
}

void reply_limits(struct strbuf *out, const struct stream_limits *limits)
{
	strbuf_puts(out, "<limits xmlns='" XMPP_NS_LIMITS "'>");
	if (limits->max_bytes > 0)
		strbuf_printf(out, "<max-bytes>%" PRIu64 "</max-bytes>", limits->max_bytes);
	if (limits->idle_seconds > 0)
		strbuf_printf(out, "<idle-seconds>%" PRIu64 "</idle-seconds>", limits->idle_seconds);
	strbuf_puts(out, "</limits>");
}

void reply_proceed(struct strbuf *out)
{
	strbuf_puts(out, "<proceed xmlns='" XMPP_NS_TLS "'/>");
}

void reply_starttls_failure(struct strbuf *out)
{
	strbuf_puts(out, "<failure xmlns='" XMPP_NS_TLS "'/>");
}

void reply_sasl_failure(struct strbuf *out, bool sasl2, const char *condition)
{
	if (sasl2)
		strbuf_printf(out, "<failure xmlns='" XMPP_NS_SASL2 "'><%s xmlns='" XMPP_NS_SASL "'/></failure>",
			      condition);
	else
		strbuf_printf(out, "<failure xmlns='" XMPP_NS_SASL "'><%s/></failure>", condition);
}

void reply_compress_failure(struct strbuf *out)
{
	strbuf_puts(out, "<failure xmlns='" XMPP_NS_COMPRESS "'><setup-failed/></failure>");
}

/* A prefix-free stream has the streams namespace as its default one only by custom (NEG-19): say it again. */
static void put_error_open(struct strbuf *out, const char *prefix)
{
	if (prefix[0] == '\0')
		strbuf_puts(out, "<error xmlns='" XMPP_NS_STREAM "'>");
	else
		strbuf_printf(out, "<%s:error>", prefix);
}

static void put_error(struct strbuf *out, enum xmpp_error condition, const char *text, bool too_big, const char *prefix)
{
	const char *colon = prefix[0] == '\0' ? "" : ":";

	if (condition == XMPP_ERROR_NONE)
		return;
	put_error_open(out, prefix);
	strbuf_printf(out, "<%s xmlns='" XMPP_NS_STREAM_ERROR "'/>", xmpp_error_name(condition));
	if (text != NULL) {
		strbuf_puts(out, "<text xmlns='" XMPP_NS_STREAM_ERROR "' xml:lang='en'>");
		strbuf_put_xml(out, text);
		strbuf_puts(out, "</text>");
	}
	if (too_big)
		strbuf_puts(out, "<stanza-too-big xmlns='" XMPP_NS_ERRORS "'/>");
	strbuf_printf(out, "</%s%serror>", prefix, colon);
	reply_close(out, prefix);
}

void reply_stream_error(struct strbuf *out, enum reason reason, const char *prefix)
{
	const struct reason_info *info = reason_info(reason);

	put_error(out, info->condition, info->peer_text, info->too_big, prefix);
}

void reply_stream_error_as(struct strbuf *out, enum xmpp_error condition, const char *text, const char *prefix)
{
	put_error(out, condition, text, false, prefix);
}

void reply_dialback_error(struct strbuf *out, const struct dialback_error *e)
{
	strbuf_printf(out, "<db:%s xmlns:db='" XMPP_NS_DIALBACK "' from='", e->name);
	strbuf_put_xml(out, e->to);
	strbuf_puts(out, "' to='");
	strbuf_put_xml(out, e->from);
	if (e->id != NULL) {
		strbuf_puts(out, "' id='");
		strbuf_put_xml(out, e->id);
	}
	strbuf_printf(out, "' type='error'><error type='%s'><%s xmlns='" XMPP_NS_STANZA_ERROR "'/></error></db:%s>",
		      e->type, e->condition, e->name);
}

void reply_close(struct strbuf *out, const char *prefix)
{
	strbuf_printf(out, "</%s%sstream>", prefix, prefix[0] == '\0' ? "" : ":");
}

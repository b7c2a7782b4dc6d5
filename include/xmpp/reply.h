/* SPDX-License-Identifier: MIT */
/* The few elements portcullis itself sends, as bytes: one place so that tests can hold them (XML-14). */
#ifndef PROXY_XMPP_REPLY_H
#define PROXY_XMPP_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "xmpp/reason.h"

/* <stream:features><starttls xmlns='…'><required/></starttls></stream:features> (NEG-4) */
void reply_features_starttls(struct strbuf *out);
/* <stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features> */
void reply_features_dialback(struct strbuf *out);
/* <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/> */
void reply_starttls(struct strbuf *out);
/*
 * What stands for the features of a server older than 1.0 (NEG-40): the one way to authenticate with it, XEP-0078, or
 * between servers dialback. prefix is that of its header, "" for prefix-free. starttls: TLS may still be asked for.
 */
void reply_features_pre10(struct strbuf *out, const char *prefix, bool server, bool starttls);
/* XEP-0478, each of the two left out when it is 0. */
struct stream_limits {
	uint64_t max_bytes, idle_seconds;
};
/* <limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>N</max-bytes></limits> */
void reply_limits(struct strbuf *out, const struct stream_limits *limits);
/* <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/> */
void reply_proceed(struct strbuf *out);
/* <failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/> (the close tag follows separately) */
void reply_starttls_failure(struct strbuf *out);
/* <failure xmlns='NS'><CONDITION/></failure>; for SASL2 the condition carries its own xmlns (XEP-0388). */
void reply_sasl_failure(struct strbuf *out, bool sasl2, const char *condition);
/* <failure xmlns='http://jabber.org/protocol/compress'><setup-failed/></failure> */
void reply_compress_failure(struct strbuf *out);
/*
 * The stream error of `reason` and the stream's close tag, written with the direction's own streams prefix ("stream",
 * anything else, or "" for prefix-free: NEG-19). A reason without a condition writes nothing at all.
 */
void reply_stream_error(struct strbuf *out, enum reason reason, const char *prefix);
/* As above with another condition than the reason's own (passing on a backend's host-unknown). */
void reply_stream_error_as(struct strbuf *out, enum xmpp_error condition, const char *text, const char *prefix);
/*
 * The answer of type error to a dialback request (XEP-0220 section 2.5); name: "result" or "verify". from, to and id
 * (NULL: none) as they stand in the request. The prefix is db, the only one that jabberd-era servers take, and declared
 * here, so that no header has to.
 */
struct dialback_error {
	const char *name, *from, *to, *id;
	const char *type, *condition; /* of the stanza error: "cancel", "item-not-found" */
};
void reply_dialback_error(struct strbuf *out, const struct dialback_error *e);
/* </stream:stream> */
void reply_close(struct strbuf *out, const char *prefix);

#endif

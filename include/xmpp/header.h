/* SPDX-License-Identifier: MIT */
/* Stream headers: reading what a peer sent, checking it (NEG-15, NEG-18), writing our own (NEG-1). */
#ifndef PROXY_XMPP_HEADER_H
#define PROXY_XMPP_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"
#include "xmpp/domain.h"
#include "xmpp/reason.h"
#include "xmpp/xmlstream.h"

/* A header as received; all strings owned, NULL where absent. */
struct stream_header {
	char *from;
	char *to;
	char *id;
	char *lang;
	char *content_ns; /* the default namespace, NULL when none is declared or it is the streams namespace
			     (prefix-free style, NEG-19) */
	char *prefix;     /* the streams prefix the peer uses, "" for prefix-free */
	char *ns;         /* of the root element */
	char *name;       /* of the root element */
	bool has_version;
	bool version_valid; /* digits "." digits */
	unsigned major, minor;
};

void stream_header_read(struct stream_header *h, const struct xml_node *root, const struct xml_decl *decls,
			size_t count);
void stream_header_fini(struct stream_header *h);

/* No version, or one below 1.0: who sends that is answered without one, and neither features, STARTTLS nor SASL are
 * known to it (RFC 6120 section 4.7.5). */
bool stream_header_is_pre10(const struct stream_header *h);

/*
 * Root element, stream namespace and content namespace (content_ns is "jabber:client" or "jabber:server").
 * Returns REASON_NONE or why it is refused. Prefix-free headers (no content namespace yet) pass.
 */
enum reason stream_header_check(const struct stream_header *h, const char *content_ns);

/* What we say. NULL members are left out. */
struct stream_reply {
	const char *content_ns;
	const char *from;
	const char *to;
	const char *id;
	const char *lang;
	bool version; /* version='1.0' */
};
/* <?xml version='1.0'?><stream:stream from='' id='' to='' version='1.0' xml:lang='' xmlns='' xmlns:db='…'
 * xmlns:stream='…'> in exactly this attribute order; xmlns:db between servers (NEG-20: some know dialback by the prefix
 * alone). */
void stream_reply_write(struct strbuf *out, const struct stream_reply *reply);

/*
 * The first header to a remote server, before TLS (NEG-29): to, between servers from (NULL: left out), version 1.0,
 * and the prefixes as above. Both as the legacy side wrote them: servers know each other by U-labels (RFC 7622 section
 * 3.2), A-labels are for comparing.
 */
void stream_header_first(struct strbuf *out, const char *content_ns, const char *from, const char *to);
/*
 * raw: a whole header as received. Appends it to out byte for byte, with version='1.0' put in where it has none (or in
 * place of what is not 1.0 or more): what a remote server must see to send features (transcript 3.7a). False: it cannot
 * be read.
 */
bool stream_header_modernise(struct strbuf *out, const void *raw, size_t len);

#endif

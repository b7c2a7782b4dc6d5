/* SPDX-License-Identifier: MIT */
/* What stands in a <features/> element, and which byte ranges of it must not reach the other side (NEG-12, 13, 24;
 * SASL-3). */
#ifndef PROXY_XMPP_FEATURES_H
#define PROXY_XMPP_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xmpp/xmlstream.h"

#define FEATURES_CUTS_MAX 32

struct byte_range {
	uint64_t start, end; /* half open, offsets of the xmlstream the element came from */
};

struct features {
	bool starttls, starttls_required;
	bool compression;
	bool mechanisms; /* SASL or SASL2 mechanisms are offered */
	bool iq_auth;
	bool bind;
	bool dialback;
	bool sasl2;
	bool channel_binding; /* a mechanism ending in -PLUS, or a <sasl-channel-binding/> list */
	size_t children;      /* element children, but for what only informs (XEP-0478 limits) */
	size_t cut_count;
	struct byte_range cut[FEATURES_CUTS_MAX]; /* ascending, to be left out when relayed inside TLS */
	bool too_many_cuts;                       /* more than FEATURES_CUTS_MAX: refuse */
};

/* element is a {streams}features node read with XMLSTREAM_TREE. strip_compression: cut XEP-0138's feature as well as
 * starttls. */
void features_read(struct features *f, const struct xml_node *element, bool strip_compression);
/* Would the cuts leave a non-empty element empty (NEG-13)? */
bool features_emptied(const struct features *f);

#endif

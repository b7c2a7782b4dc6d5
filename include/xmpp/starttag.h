/* SPDX-License-Identifier: MIT */
/*
 * The raw bytes of a start tag, for whom it is not enough to know what an attribute says but who must know where it
 * stands, to cut it out or to put another beside it. The tag has been through the XML parser: what is not found as
 * XML 1.0 section 3.1 writes it is reported as broken, and the caller fails the stream.
 */
#ifndef PROXY_XMPP_STARTTAG_H
#define PROXY_XMPP_STARTTAG_H

#include <stdbool.h>
#include <stddef.h>

/* Offsets from the tag's '<'. */
struct start_tag_attr {
	size_t space; /* of the white space before it */
	size_t name, name_end;
	size_t value, value_end; /* between the quotes */
	size_t end;              /* behind the closing quote */
};

enum start_tag_result { START_TAG_FOUND, START_TAG_ABSENT, START_TAG_BROKEN };

/* raw[0..len) is from '<' to behind '>'. name is as written, prefix and all ("xml:lang"). */
enum start_tag_result start_tag_find(const char *raw, size_t len, const char *name, struct start_tag_attr *out);
/* The offset behind the element's own name; 0 if broken. */
size_t start_tag_name_end(const char *raw, size_t len);
/* Does it close itself? */
bool start_tag_is_empty(const char *raw, size_t len);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Reads a features element and names the byte ranges that may not be relayed inside TLS. Nothing is ever written anew
 * (NEG-12): a range is exactly one child element, from its '<' to behind its last '>'. Mechanism lists are looked at,
 * never cut (SASL-3). Invariant: cuts ascend, do not overlap, and lie inside the element.
 */
#include "xmpp/features.h"

#include <string.h>

#include "xmpp/names.h"

static void cut(struct features *f, const struct xml_node *child)
{
	if (f->cut_count == FEATURES_CUTS_MAX) {
		f->too_many_cuts = true;
		return;
	}
	f->cut[f->cut_count].start = child->start;
	f->cut[f->cut_count].end = child->end;
	f->cut_count++;
}

static size_t trimmed_length(const char *text, size_t len)
{
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	return len;
}

static bool is_plus(const struct xml_node *mechanism)
{
	static const char suffix[] = "-PLUS";
	const size_t suffix_len = sizeof(suffix) - 1;
	size_t len = trimmed_length(mechanism->text, mechanism->text_len);

	return len > suffix_len && memcmp(mechanism->text + len - suffix_len, suffix, suffix_len) == 0;
}

/* XEP-0440's list stands beside the mechanisms, but some put it among them or below SASL2's <inline/>. */
static bool lists_channel_binding(const struct xml_node *list)
{
	const struct xml_node *node = list;

	while (node != NULL) {
		if (xml_node_is(node, XMPP_NS_SASL_CB, "sasl-channel-binding"))
			return true;
		node = xml_node_walk(node, list);
	}
	return false;
}

/* An empty list, which real servers send, offers nothing. */
static void read_mechanisms(struct features *f, const struct xml_node *list, const char *ns)
{
	if (lists_channel_binding(list))
		f->channel_binding = true;
	for (const struct xml_node *m = list->first_child; m != NULL; m = m->next) {
		if (!xml_node_is(m, ns, "mechanism"))
			continue;
		f->mechanisms = true;
		if (is_plus(m))
			f->channel_binding = true;
	}
}

static void read_child(struct features *f, const struct xml_node *child, bool strip_compression)
{
	if (xml_node_is(child, XMPP_NS_TLS, "starttls")) {
		f->starttls = true;
		if (xml_node_child(child, XMPP_NS_TLS, "required") != NULL)
			f->starttls_required = true;
		cut(f, child);
	} else if (xml_node_is(child, XMPP_NS_COMPRESS_FEATURE, "compression")) {
		f->compression = true;
		if (strip_compression)
			cut(f, child);
	} else if (xml_node_is(child, XMPP_NS_SASL, "mechanisms")) {
		read_mechanisms(f, child, XMPP_NS_SASL);
	} else if (xml_node_is(child, XMPP_NS_SASL2, "authentication")) {
		f->sasl2 = true;
		read_mechanisms(f, child, XMPP_NS_SASL2);
	} else if (xml_node_is(child, XMPP_NS_SASL_CB, "sasl-channel-binding")) {
		f->channel_binding = true;
	} else if (xml_node_is(child, XMPP_NS_IQ_AUTH_FEATURE, "auth")) {
		f->iq_auth = true;
	} else if (xml_node_is(child, XMPP_NS_BIND, "bind")) {
		f->bind = true;
	} else if (xml_node_is(child, XMPP_NS_DIALBACK_FEATURE, "dialback")) {
		f->dialback = true;
	}
}

void features_read(struct features *f, const struct xml_node *element, bool strip_compression)
{
	memset(f, 0, sizeof(*f));
	for (const struct xml_node *child = element->first_child; child != NULL; child = child->next) {
		if (!xml_node_is(child, XMPP_NS_LIMITS, "limits"))
			f->children++;
		read_child(f, child, strip_compression);
	}
}

bool features_emptied(const struct features *f)
{
	return f->children > 0 && f->cut_count == f->children;
}

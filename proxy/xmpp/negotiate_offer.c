/* SPDX-License-Identifier: MIT */
/*
 * What a server's features before TLS say of STARTTLS, and what differs inside TLS: the evidence for who asks later
 * whether somebody took the offer away. Invariants: an offer is {xmpp-tls}starttls as a child of {streams}features and
 * nothing else (STRIP-6: by namespace, never by searching text); whatever is only like one counts as evidence, never as
 * an offer; nothing here changes how the negotiation goes on.
 */
#include <string.h>

#include "xmpp/domain.h"
#include "xmpp/names.h"
#include "xmpp/negotiate_private.h"

static bool is_offer(const struct xml_node *node, const struct xml_node *top)
{
	return node->parent == top && xml_node_is(top, XMPP_NS_STREAM, "features") &&
	       xml_node_is(node, XMPP_NS_TLS, "starttls");
}

static bool is_like_offer(const struct xml_node *node, const struct xml_node *top)
{
	bool inside = node != top && is_offer(node->parent, top);

	if (is_offer(node, top) || (inside && xml_node_is(node, XMPP_NS_TLS, "required")))
		return false;
	return strcmp(node->ns, XMPP_NS_TLS) == 0 || strcasecmp(node->name, "starttls") == 0 ||
	       (inside && strcasecmp(node->name, "required") == 0) || strcasestr(node->text, "starttls") != NULL;
}

bool neg_offer_is_mangled(const struct xml_node *top)
{
	for (const struct xml_node *node = top; node; node = xml_node_walk(node, top))
		if (is_like_offer(node, top))
			return true;
	return false;
}

/* The names, each between spaces. */
static void list_mechanisms(struct strbuf *out, const struct xml_node *features)
{
	strbuf_puts(out, " ");
	for (const struct xml_node *node = features; node; node = xml_node_walk(node, features))
		if (xml_node_is(node, XMPP_NS_SASL, "mechanism") || xml_node_is(node, XMPP_NS_SASL2, "mechanism"))
			strbuf_printf(out, "%s ", node->text);
}

void neg_offer_read(struct negotiator *n, const struct xml_node *features)
{
	struct neg_starttls *s = &n->starttls;
	const struct xml_node *offer = NULL;
	unsigned offers = 0;

	for (const struct xml_node *child = features->first_child; child; child = child->next) {
		if (!is_offer(child, features))
			continue;
		offer = child;
		offers++;
	}
	s->features = true;
	s->advertised = offers == 1;
	s->required = offers == 1 && xml_node_child(offer, XMPP_NS_TLS, "required");
	s->mangled = s->mangled || offers > 1 || neg_offer_is_mangled(features);
	list_mechanisms(&n->plain_mechanisms, features);
}

static bool from_differs(const struct negotiator *n)
{
	char before[XMPP_DOMAIN_SIZE], after[XMPP_DOMAIN_SIZE];

	if (!n->plain_from || !n->header.from)
		return false;
	domain_normalise(n->plain_from, before);
	domain_normalise(n->header.from, after);
	return strcmp(before, after) != 0;
}

/* We asked as 1.0 both times. */
static bool version_differs(const struct negotiator *n)
{
	return !n->starttls.version && n->header.version_valid && !stream_header_is_pre10(&n->header);
}

/* Is a word of `before` not in `after`? */
static bool misses_mechanism(const char *before, const char *after)
{
	for (size_t len; before += strspn(before, " "), len = strcspn(before, " "), len > 0; before += len) {
		bool found = false;

		for (const char *at = after; !found && (at = strchr(at, ' ')) != NULL; at++)
			found = strncmp(at + 1, before, len) == 0 && at[1 + len] == ' ';
		if (!found)
			return true;
	}
	return false;
}

void neg_offer_compare(struct negotiator *n, const struct xml_node *features)
{
	struct strbuf inside;

	strbuf_init(&inside, NEG_SEND_MAX);
	if (features)
		list_mechanisms(&inside, features);
	n->starttls.differs = n->features.starttls || from_differs(n) || version_differs(n) ||
			      misses_mechanism(strbuf_text(&n->plain_mechanisms), strbuf_text(&inside));
	strbuf_fini(&inside);
}

/* SPDX-License-Identifier: MIT */
/*
 * What may be sent between servers, element by element: stanzas for proven pairs, dialback, SASL, XEP-0288, and once a
 * pair is proven whatever else two servers agree on. Invariant: before that nothing passes that is not named here.
 */
#include <string.h>

#include "xmpp/inspect_pairs_private.h"
#include "xmpp/inspect_private.h"
#include "xmpp/names.h"

static bool violate(struct inspect_dir *d, enum reason reason)
{
	d->ins->verdict.note[INSPECT_NOTE_STANZA_VIOLATION] = true;
	inspect_refuse(d, d->side, reason);
	return true;
}

/* STZ-1, 2. The content namespace has nothing but stanzas. */
static bool take_content(struct inspect_dir *d, const struct xml_node *element)
{
	if (!inspect_is_stanza(element->name))
		return violate(d, REASON_UNSUPPORTED_ELEMENT);
	enum reason reason =
	    inspect_pairs_judge(d->ins->pairs, d->side, xml_node_attr(element, "from"), xml_node_attr(element, "to"));

	return reason != REASON_NONE && violate(d, reason);
}

/* NEG-32: what was not offered, or is sent by the side that offers, changes nothing and means nothing. */
static bool take_bidi(struct inspect_dir *d)
{
	struct inspect_pairs *p = d->ins->pairs;

	if (d->side == INSPECT_RESPONDER || !p->bidi_offered)
		return violate(d, REASON_UNSUPPORTED_ELEMENT);
	p->bidi = true;
	return false;
}

bool inspect_server_element(struct inspect_dir *d, const struct xml_node *element)
{
	if (strcmp(element->ns, d->ins->content_ns) == 0)
		return take_content(d, element);
	if (strcmp(element->ns, XMPP_NS_DIALBACK) == 0) {
		inspect_dialback(d, element);
		return true;
	}
	/* Old servers know dialback by its prefix and look at no namespace (NEG-20): nothing else may bear it. */
	if (strcmp(element->prefix, "db") == 0)
		return violate(d, REASON_PREFIX);
	if (xml_node_is(element, XMPP_NS_BIDI, "bidi"))
		return take_bidi(d);
	if (d->side == INSPECT_INITIATOR ? inspect_sasl_initiator(d, element) : inspect_sasl_responder(d, element))
		return true;
	return !d->ins->authenticated && violate(d, REASON_UNSUPPORTED_ELEMENT);
}

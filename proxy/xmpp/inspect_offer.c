/* SPDX-License-Identifier: MIT */
/*
 * An initiator on a plaintext leg that may go on so (level may, mode monitor) is shown STARTTLS among the backend's own
 * features. Its first element tells which way it goes, and nothing of it may pass before that has been decided and
 * recorded; so a second parser reads ahead while the bytes stay, unread by the inspector, in `later`.
 * Invariant: the choice is made once; after <starttls/> not one byte of the initiator is read here any more.
 */
#include <string.h>

#include "xmpp/inspect_private.h"
#include "xmpp/names.h"

static enum xmlstream_step on_open(void *ctx, const struct xml_node *root, const struct xml_decl *decls, size_t count)
{
	(void)ctx, (void)root, (void)decls, (void)count;
	return XMLSTREAM_GO_ON;
}

/* Only the empty element is the request (NEG-10); what else is made of it the inspector answers like any misuse. */
static enum xmlstream_step on_element(void *ctx, const struct xml_node *element)
{
	struct inspector *ins = ctx;
	bool empty = element->attr_count == 0 && element->first_child == NULL && element->text_len == 0;
	bool wants_tls = ins->offer_starttls && empty && xml_node_is(element, XMPP_NS_TLS, "starttls");

	ins->choice = wants_tls ? INSPECT_WANTS_TLS : INSPECT_WANTS_PLAINTEXT;
	return XMLSTREAM_STOP;
}

static enum xmlstream_step on_close(void *ctx)
{
	struct inspector *ins = ctx;

	ins->choice = INSPECT_WANTS_PLAINTEXT;
	return XMLSTREAM_STOP;
}

void inspect_offer_begin(struct inspector *ins, const void *header, size_t len)
{
	static const struct xmlstream_handlers handlers = {on_open, on_element, on_close};
	const struct xmlstream_limits limits = {
	    .element = ins->unauthenticated_limit, .depth = ins->depth, .attributes = INSPECT_ATTRIBUTES_MAX};
	size_t used;

	ins->plaintext = true;
	ins->peek = xmlstream_new(&limits, &handlers, ins);
	(void)xmlstream_feed(ins->peek, header, len, &used);
}

void inspect_offer_peek(struct inspector *ins)
{
	struct strbuf *later = &ins->dir[INSPECT_INITIATOR].later;
	size_t used = 0;

	/* Before the features have been shown nothing can answer them; what is there waits. */
	if (ins->peek == NULL || ins->hold == INSPECT_HOLD_FEATURES || later->len == ins->peeked)
		return;
	enum xmlstream_result result =
	    xmlstream_feed(ins->peek, later->data + ins->peeked, later->len - ins->peeked, &used);

	ins->peeked += used;
	if (result == XMLSTREAM_MORE)
		return;
	if (result == XMLSTREAM_FAILED)
		ins->choice = INSPECT_WANTS_PLAINTEXT; /* the inspector's own parser will say what is wrong */
	bool clean = xml_only_space(later->data + ins->peeked, later->len - ins->peeked);

	inspect_offer_end(ins);
	/* Nothing may follow the close tag that has been passed (NEG-21): then it is a misuse like any other. */
	const struct inspect_dir *responder = &ins->dir[INSPECT_RESPONDER];
	if (ins->choice == INSPECT_WANTS_TLS && !responder->closed && !responder->errored) {
		ins->ended = true;
		ins->ops->starttls(ins->ctx, clean);
		return;
	}
	ins->hold = INSPECT_HOLD_DECISION;
	ins->ops->plaintext(ins->ctx);
}

void inspect_offer_end(struct inspector *ins)
{
	xmlstream_free(&ins->peek);
}

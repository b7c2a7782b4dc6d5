/* SPDX-License-Identifier: MIT */
/*
 * What the inspector makes of a header, an element or a close tag: handlers of the parser. They fill in the verdict and
 * say STOP where the core must act; a plain element says GO_ON and passes with its neighbours in one run (NEG-36).
 * Invariant: no operation of the session is called from here.
 */
#include <string.h>

#include "base/mem.h"
#include "xmpp/credentials.h"
#include "xmpp/header.h"
#include "xmpp/inspect_pairs_private.h"
#include "xmpp/inspect_private.h"
#include "xmpp/names.h"
#include "xmpp/reply.h"

void inspect_refuse(struct inspect_dir *d, enum inspect_side culprit, enum reason reason)
{
	struct inspect_verdict *v = &d->ins->verdict;

	v->what = INSPECT_FAIL;
	v->culprit = culprit;
	v->reason = reason;
}

void inspect_settle(struct inspector *ins)
{
	ins->settled = true;
	for (int side = 0; side < INSPECT_SIDES; side++)
		if (ins->dir[side].xs)
			xmlstream_set_detail(ins->dir[side].xs, XMLSTREAM_TOP);
}

/* Between servers a pair is proven that the header of before named (NEG-9). Who named nobody may do so now. */
static bool is_other_peer(const struct inspector *ins, const struct stream_header *h)
{
	char domain[XMPP_DOMAIN_SIZE];

	if (!ins->pairs || !ins->pairs->remote_from || !h->from || h->from[0] == '\0')
		return false;
	return !domain_normalise(h->from, domain) || strcmp(domain, ins->pairs->remote_from) != 0;
}

/* NEG-9 at the SASL restart: the same domain as before, and the namespace it began with. */
static enum reason check_initiator_header(const struct inspector *ins, const struct stream_header *h)
{
	char domain[XMPP_DOMAIN_SIZE];
	enum reason reason = stream_header_check(h, ins->content_ns);

	if (reason != REASON_NONE)
		return reason;
	if (!h->to || !domain_normalise(h->to, domain) || strcmp(domain, ins->domain) != 0)
		return REASON_HEADER_SWITCH;
	return is_other_peer(ins, h) ? REASON_HEADER_SWITCH : REASON_NONE;
}

/* No features are due, or none come: the initiating entity need not wait for them. */
static void expect_no_features(struct inspector *ins)
{
	ins->features_due = false;
	if (ins->hold == INSPECT_HOLD_FEATURES)
		ins->hold = INSPECT_HOLD_NONE;
}

/*
 * The initiating entity sees the version it asked for: none where its own header has none (NEG-15), and 1.0 with
 * features where the backend is older (NEG-40); but a backend that did SASL is none that is older.
 */
static enum reason match_versions(struct inspect_dir *d, const struct xml_node *root, const struct stream_header *h)
{
	struct inspector *ins = d->ins;
	bool good = true;

	if (ins->pre10) {
		expect_no_features(ins);
		good = inspect_edit_downgrade(d, root);
	} else if (stream_header_is_pre10(h)) {
		expect_no_features(ins);
		good = !ins->authenticated && inspect_edit_upgrade(d, root);
	} else {
		good = h->version_valid;
	}
	return good ? REASON_NONE : REASON_BACKEND_INVALID;
}

static enum reason check_responder_header(struct inspect_dir *d, const struct xml_node *root,
					  const struct stream_header *h)
{
	enum reason reason = stream_header_check(h, d->ins->content_ns);

	return reason != REASON_NONE ? reason : match_versions(d, root, h);
}

static void note_claimed(struct inspector *ins, const struct stream_header *h)
{
	char bare[XMPP_JID_SIZE];

	mem_free(ins->claimed);
	ins->claimed = h->from && jid_bare(h->from, bare) ? mem_strdup(bare) : NULL;
}

static enum xmlstream_step on_open(void *ctx, const struct xml_node *root, const struct xml_decl *decls,
				   size_t decl_count)
{
	struct inspect_dir *d = ctx;
	struct inspector *ins = d->ins;
	struct inspect_verdict *v = &ins->verdict;
	struct stream_header h;

	stream_header_read(&h, root, decls, decl_count);
	enum reason reason =
	    d->side == INSPECT_INITIATOR ? check_initiator_header(ins, &h) : check_responder_header(d, root, &h);

	v->what = INSPECT_PASS;
	v->header = true;
	v->end = root->open_end;
	if (reason != REASON_NONE && !ins->reading_first) {
		inspect_refuse(d, d->side, reason);
	} else {
		mem_free(d->prefix);
		d->prefix = mem_strdup(root->prefix);
	}
	if (d->side == INSPECT_INITIATOR) {
		note_claimed(ins, &h);
		if (reason == REASON_NONE || ins->reading_first)
			ins->pre10 = stream_header_is_pre10(&h);
	}
	stream_header_fini(&h);
	return XMLSTREAM_STOP;
}

/* NEG-12, 13, 24, 31; SASL-3. */
static void take_features(struct inspect_dir *d, const struct xml_node *element)
{
	struct inspector *ins = d->ins;
	struct inspect_verdict *v = &ins->verdict;
	struct features f;

	features_read(&f, element, ins->strip_compression);
	ins->features_due = false;
	bool offer = ins->plaintext && ins->offer_starttls && !ins->authenticated && element->open_end < element->end;
	if (f.too_many_cuts || (!ins->authenticated && !offer && features_emptied(&f)) ||
	    !inspect_edit_features(d, element, &f, offer)) {
		inspect_refuse(d, INSPECT_RESPONDER, REASON_BACKEND_MISCONFIGURED);
		return;
	}
	/* A remote server's own binding is no conflict: TLS with it ends where its client's stream begins (SASL-4). */
	v->note[INSPECT_NOTE_CHANNEL_BINDING] = f.channel_binding && !ins->channel_binding && !ins->remote;
	v->note[INSPECT_NOTE_STARTTLS_CUT] = f.starttls;
	v->note[INSPECT_NOTE_COMPRESSION_CUT] = f.compression && ins->strip_compression;
	ins->channel_binding = ins->channel_binding || f.channel_binding;
	if (ins->pairs && !ins->plaintext && xml_node_child(element, XMPP_NS_BIDI_FEATURE, "bidi"))
		ins->pairs->bidi_offered = true;
	if (ins->hold == INSPECT_HOLD_FEATURES)
		ins->hold = INSPECT_HOLD_NONE;
}

/* RFC 6120 section 4.9.3.19; in whatever namespace, for a lenient client may not look at that. */
static bool redirects(const struct xml_node *error)
{
	return xml_node_child(error, NULL, "see-other-host") != NULL;
}

/* The responder will answer nothing any more; what only the audit log may let go stays held. */
static void expect_no_answer(struct inspector *ins)
{
	if (ins->hold != INSPECT_HOLD_DECISION)
		ins->hold = INSPECT_HOLD_NONE;
}

static void take_error(struct inspect_dir *d, const struct xml_node *element)
{
	d->errored = true;
	if (d->side == INSPECT_INITIATOR)
		return;
	/* What is unanswered now will not be answered: let the initiator close. */
	expect_no_answer(d->ins);
	if (!redirects(element))
		return;
	/* NEG-25: which public name that would be nobody knows here. */
	d->ins->verdict.note[INSPECT_NOTE_STEERING] = true;
	inspect_refuse(d, INSPECT_RESPONDER, d->ins->remote ? REASON_REMOTE_REDIRECT : REASON_BACKEND_REFUSED);
}

/* The streams namespace at depth one: features from the responder when due, a stream error from either (XML-8). */
static void take_stream_element(struct inspect_dir *d, const struct xml_node *element)
{
	bool features = d->side == INSPECT_RESPONDER && strcmp(element->name, "features") == 0;

	if (strcmp(element->name, "error") == 0) {
		take_error(d, element);
	} else if (features && d->ins->features_due) {
		take_features(d, element);
	} else if (features && d->ins->pre10) {
		d->ins->verdict.what = INSPECT_DROP;
	} else {
		d->ins->verdict.note[INSPECT_NOTE_STANZA_VIOLATION] = true;
		inspect_refuse(d, d->side, REASON_SMUGGLING);
	}
}

bool inspect_is_stanza(const char *name)
{
	return strcmp(name, "message") == 0 || strcmp(name, "presence") == 0 || strcmp(name, "iq") == 0;
}

/* NEG-18, XML-11, XML-12 and row 11. REASON_NONE: the element may go on. */
static enum reason check_stanza(const struct inspect_dir *d, const struct xml_node *element)
{
	const struct inspector *ins = d->ins;

	if (!inspect_is_stanza(element->name))
		return REASON_NONE;
	if (strcmp(element->ns, ins->content_ns) != 0)
		return REASON_UNSUPPORTED_ELEMENT;
	if (element->prefix[0] != '\0')
		return REASON_PREFIX;
	if (d->side == INSPECT_INITIATOR && !ins->authenticated && !ins->pairs && element->name[0] != 'i')
		return REASON_PLAINTEXT_STANZA;
	return REASON_NONE;
}

/* What is never forwarded, in any phase (NEG-10, NEG-24). */
static bool take_transport(struct inspect_dir *d, const struct xml_node *element)
{
	struct inspect_verdict *v = &d->ins->verdict;

	if (d->side == INSPECT_INITIATOR && xml_node_is(element, XMPP_NS_TLS, "starttls")) {
		inspect_refuse(d, INSPECT_INITIATOR, REASON_STARTTLS_MISUSE);
		v->tls_failure = true;
		return true;
	}
	if (strcmp(element->ns, XMPP_NS_COMPRESS) != 0)
		return false;
	if (d->side == INSPECT_INITIATOR && strcmp(element->name, "compress") == 0 && d->ins->strip_compression) {
		v->what = INSPECT_DROP;
		v->put_reply = reply_compress_failure;
		return true;
	}
	if (d->side == INSPECT_RESPONDER && strcmp(element->name, "compressed") == 0) {
		if (d->ins->strip_compression || !d->ins->authenticated)
			inspect_refuse(d, INSPECT_RESPONDER, REASON_BACKEND_INVALID);
		v->compressed = true;
		return true;
	}
	return false;
}

/* SASL-9: the bind result (RFC 6120 section 7.6.1) tells who it is in the end. */
static bool take_bind_result(struct inspect_dir *d, const struct xml_node *element)
{
	const struct xml_node *bind, *jid;

	if (d->side != INSPECT_RESPONDER || strcmp(element->name, "iq") != 0)
		return false;
	bind = xml_node_child(element, XMPP_NS_BIND, "bind");
	jid = bind ? xml_node_child(bind, XMPP_NS_BIND, "jid") : NULL;
	if (!jid)
		return false;
	inspect_learn_jid(d->ins, jid->text);
	inspect_settle(d->ins);
	return true;
}

static bool take_authenticated(struct inspect_dir *d, const struct xml_node *element)
{
	if (d->ins->settled)
		return false;
	if (++d->ins->after_auth >= INSPECT_SETTLE_ELEMENTS)
		inspect_settle(d->ins);
	return take_bind_result(d, element);
}

static bool take_unauthenticated(struct inspect_dir *d, const struct xml_node *element)
{
	if (d->side == INSPECT_INITIATOR && d->ins->plaintext)
		d->ins->verdict.note[INSPECT_NOTE_CREDENTIALS_EXPOSED] =
		    credentials_in(element) || inspect_plain_response(d->ins, element);
	if (d->side == INSPECT_INITIATOR)
		return inspect_sasl_initiator(d, element) || inspect_iq_initiator(d, element);
	return inspect_sasl_responder(d, element) || inspect_iq_responder(d, element);
}

/*
 * NEG-25. Stanzas are not looked into: no client takes a place to connect to from one. True if there is something to
 * cut out, or the element is refused.
 */
static bool take_steering(struct inspect_dir *d, const struct xml_node *element)
{
	struct inspect_verdict *v = &d->ins->verdict;

	if (d->side == INSPECT_INITIATOR || inspect_is_stanza(element->name))
		return false;
	if (!inspect_edit_location(d, element))
		inspect_refuse(d, INSPECT_RESPONDER, REASON_BACKEND_INVALID);
	return v->edits != NULL || v->what == INSPECT_FAIL;
}

/* True if the core must act on it. */
static bool take_element(struct inspect_dir *d, const struct xml_node *element)
{
	struct inspector *ins = d->ins;
	enum reason reason;

	if (d->errored) {
		ins->verdict.what = INSPECT_DROP;
		return true;
	}
	if (strcmp(element->ns, XMPP_NS_STREAM) == 0) {
		take_stream_element(d, element);
		return true;
	}
	/* RFC 6120 section 4.3.2: features are the first thing on a stream, unless it ends with an error. */
	if (d->side == INSPECT_RESPONDER && ins->features_due) {
		inspect_refuse(d, INSPECT_RESPONDER, REASON_BACKEND_INVALID);
		return true;
	}
	if (take_transport(d, element))
		return true;
	reason = check_stanza(d, element);
	if (reason != REASON_NONE) {
		ins->verdict.note[INSPECT_NOTE_STANZA_VIOLATION] = reason != REASON_PLAINTEXT_STANZA;
		inspect_refuse(d, d->side, reason);
		return true;
	}
	bool steering = take_steering(d, element);

	if (ins->verdict.what == INSPECT_FAIL)
		return true;
	if (ins->pairs)
		return inspect_server_element(d, element) || steering;
	return (ins->authenticated ? take_authenticated(d, element) : take_unauthenticated(d, element)) || steering;
}

static enum xmlstream_step on_element(void *ctx, const struct xml_node *element)
{
	struct inspect_dir *d = ctx;
	struct inspect_verdict *v = &d->ins->verdict;

	v->what = INSPECT_PASS;
	v->start = element->start;
	v->end = element->end;
	bool act = take_element(d, element);

	if (v->what == INSPECT_PASS)
		d->elements++;
	return act ? XMLSTREAM_STOP : XMLSTREAM_GO_ON;
}

static enum xmlstream_step on_close(void *ctx)
{
	struct inspect_dir *d = ctx;

	d->ins->verdict.what = INSPECT_PASS;
	d->ins->verdict.close = true;
	/* The responder will answer nothing any more: the initiator must be able to close too (NEG-21). */
	if (d->side == INSPECT_RESPONDER)
		expect_no_answer(d->ins);
	return XMLSTREAM_STOP;
}

const struct xmlstream_handlers *inspect_handlers(void)
{
	static const struct xmlstream_handlers handlers = {on_open, on_element, on_close};

	return &handlers;
}

/* SPDX-License-Identifier: MIT */
/*
 * The steps of authentication as they pass: SASL, SASL2 (XEP-0388) and jabber:iq:auth (XEP-0078). Invariants: after a
 * step of the initiating entity it is held back until that step is answered (NEG-23); only what the responder answers
 * authenticates; a payload is looked at for the name in it and never kept.
 */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "xmpp/credentials.h"
#include "xmpp/header.h"
#include "xmpp/inspect_private.h"
#include "xmpp/names.h"

static void replace(char **slot, const char *text)
{
	char *fresh = mem_strdup(text);

	mem_free(*slot);
	*slot = fresh;
}

/* Mechanisms that put a layer of their own over everything behind success (SASL-6). */
static bool needs_layer(const char *mechanism)
{
	/* Without regard to case: a lenient server may take the name so. */
	return strcasecmp(mechanism, "GSSAPI") == 0 || strcasecmp(mechanism, "GSS-SPNEGO") == 0 ||
	       strcasecmp(mechanism, "KERBEROS_V4") == 0;
}

static bool failed_too_often(const struct inspector *ins)
{
	return ins->failures > ins->auth_attempts;
}

/* One attempt more has failed; the element that says so still passes (SASL-10). */
static void count_failure(struct inspect_dir *d)
{
	struct inspect_verdict *v = &d->ins->verdict;

	d->ins->failures++;
	if (!failed_too_often(d->ins))
		return;
	v->then_fail = true;
	v->culprit = INSPECT_INITIATOR;
	v->reason = REASON_AUTH_ATTEMPTS;
}

/* SASL failure invalid-mechanism, not forwarded; the stream goes on (RFC 6120 section 6.5.7). */
static void refuse_mechanism(struct inspect_dir *d, bool sasl2)
{
	struct inspect_verdict *v = &d->ins->verdict;

	v->what = INSPECT_DROP;
	v->invalid_mechanism = true;
	v->sasl2 = sasl2;
	count_failure(d);
}

/* The client's first message has the name in it, be it in the request or in the first response. */
static void look_at_payload(struct inspect_dir *d, const char *text, size_t len)
{
	struct inspector *ins = d->ins;

	if (len == 0)
		return;
	if (ins->digest && inspect_digest_has_layer(text, len)) {
		inspect_refuse(d, INSPECT_INITIATOR, REASON_SASL_LAYER);
		return;
	}
	/* A response to nothing is the responder's to judge. */
	if (ins->responded || !ins->method)
		return;
	ins->responded = true;
	inspect_identity(&ins->identity, ins->method, ins->domain, text, len);
}

static void begin_attempt(struct inspect_dir *d, const struct xml_node *element, bool sasl2)
{
	struct inspector *ins = d->ins;
	const char *mechanism = xml_node_attr(element, "mechanism");
	const struct xml_node *initial = sasl2 ? xml_node_child(element, XMPP_NS_SASL2, "initial-response") : element;

	if (mechanism && needs_layer(mechanism)) {
		refuse_mechanism(d, sasl2);
		return;
	}
	replace(&ins->method, inspect_method_name(mechanism));
	replace(&ins->identity, "");
	ins->digest = mechanism && strcasecmp(mechanism, "DIGEST-MD5") == 0;
	ins->responded = false;
	ins->hold = INSPECT_HOLD_ANSWER;
	if (initial)
		look_at_payload(d, initial->text, initial->text_len);
}

bool inspect_plain_response(const struct inspector *ins, const struct xml_node *element)
{
	return strcmp(element->name, "response") == 0 && !ins->responded && element->text_len > 0 &&
	       credentials_plain_mechanism(ins->method);
}

bool inspect_sasl_initiator(struct inspect_dir *d, const struct xml_node *element)
{
	bool sasl2 = strcmp(element->ns, XMPP_NS_SASL2) == 0;

	if (!sasl2 && strcmp(element->ns, XMPP_NS_SASL) != 0)
		return false;
	if (strcmp(element->name, sasl2 ? "authenticate" : "auth") == 0) {
		begin_attempt(d, element, sasl2);
		return true;
	}
	d->ins->hold = INSPECT_HOLD_ANSWER;
	if (strcmp(element->name, "response") == 0)
		look_at_payload(d, element->text, element->text_len);
	return true;
}

static void note_mismatch(struct inspector *ins)
{
	if (!ins->claimed || ins->mismatch || strcasecmp(ins->claimed, ins->identity) == 0)
		return;
	ins->mismatch = true;
	ins->verdict.note[INSPECT_NOTE_IDENTITY_MISMATCH] = true;
}

void inspect_learn_jid(struct inspector *ins, const char *jid)
{
	char bare[XMPP_JID_SIZE];

	if (!jid_bare(jid, bare))
		return;
	replace(&ins->identity, bare);
	note_mismatch(ins);
	ins->verdict.authenticated = !ins->reported || strcmp(ins->reported, bare) != 0;
}

static void succeed(struct inspect_dir *d)
{
	struct inspector *ins = d->ins;

	ins->authenticated = true;
	ins->verdict.authenticated = true;
}

static void take_success(struct inspect_dir *d, const struct xml_node *element, bool sasl2)
{
	struct inspector *ins = d->ins;
	const struct xml_node *jid;

	/* Nobody asked: a success nobody waits for would move the parsers apart from the peers. */
	if (ins->hold != INSPECT_HOLD_ANSWER || !ins->method || ins->iq_id) {
		inspect_refuse(d, INSPECT_RESPONDER, REASON_BACKEND_INVALID);
		return;
	}
	succeed(d);
	ins->features_due = true;
	if (!sasl2) {
		ins->verdict.restart = true;
		return;
	}
	ins->hold = INSPECT_HOLD_NONE;
	jid = xml_node_child(element, XMPP_NS_SASL2, "authorization-identifier");
	if (jid)
		inspect_learn_jid(ins, jid->text);
	ins->verdict.authenticated = true;
}

bool inspect_sasl_responder(struct inspect_dir *d, const struct xml_node *element)
{
	struct inspector *ins = d->ins;
	bool sasl2 = strcmp(element->ns, XMPP_NS_SASL2) == 0;

	if (!sasl2 && strcmp(element->ns, XMPP_NS_SASL) != 0)
		return false;
	if (strcmp(element->name, "success") == 0) {
		take_success(d, element, sasl2);
		return true;
	}
	if (ins->hold == INSPECT_HOLD_ANSWER && !ins->iq_id)
		ins->hold = INSPECT_HOLD_NONE;
	if (strcmp(element->name, "failure") == 0)
		count_failure(d);
	return true;
}

static const char *iq_id(const struct xml_node *iq)
{
	const char *id = xml_node_attr(iq, "id");

	return id ? id : "";
}

static bool iq_is(const struct inspect_dir *d, const struct xml_node *element, const char *type)
{
	const char *got;

	if (!xml_node_is(element, d->ins->content_ns, "iq"))
		return false;
	got = xml_node_attr(element, "type");
	return got && strcmp(got, type) == 0;
}

static void claim_username(struct inspector *ins, const char *username)
{
	char *jid = mem_printf("%s@%s", username, ins->domain);
	char bare[XMPP_JID_SIZE];

	replace(&ins->identity, jid_bare(jid, bare) && !strchr(username, '/') ? bare : "");
	mem_free(jid);
}

bool inspect_iq_initiator(struct inspect_dir *d, const struct xml_node *element)
{
	struct inspector *ins = d->ins;
	const struct xml_node *query, *username;

	if (!iq_is(d, element, "set"))
		return false;
	query = xml_node_child(element, XMPP_NS_IQ_AUTH, "query");
	username = query ? xml_node_child(query, XMPP_NS_IQ_AUTH, "username") : NULL;
	if (!username ||
	    (!xml_node_child(query, XMPP_NS_IQ_AUTH, "password") && !xml_node_child(query, XMPP_NS_IQ_AUTH, "digest")))
		return false;
	/* SASL-2: XEP-0078 may not be fallen back to when SASL has failed. */
	if (ins->method && ins->failures > 0 && strcmp(ins->method, XMPP_NS_IQ_AUTH) != 0) {
		inspect_refuse(d, INSPECT_INITIATOR, REASON_AUTH_ATTEMPTS);
		return true;
	}
	replace(&ins->method, XMPP_NS_IQ_AUTH);
	replace(&ins->iq_id, iq_id(element));
	claim_username(ins, username->text);
	ins->hold = INSPECT_HOLD_ANSWER;
	return true;
}

bool inspect_iq_responder(struct inspect_dir *d, const struct xml_node *element)
{
	struct inspector *ins = d->ins;
	bool result = iq_is(d, element, "result");

	if (!ins->iq_id || (!result && !iq_is(d, element, "error")) || strcmp(iq_id(element), ins->iq_id) != 0)
		return false;
	mem_free(ins->iq_id);
	ins->iq_id = NULL;
	ins->hold = INSPECT_HOLD_NONE;
	if (result) {
		note_mismatch(ins);
		succeed(d);
	} else {
		count_failure(d);
	}
	return true;
}

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
#include "xmpp/inspect_pairs_private.h"
#include "xmpp/inspect_private.h"
#include "xmpp/names.h"

static void replace(char **slot, const char *text)
{
	char *fresh = mem_strdup(text);

	mem_free(*slot);
	*slot = fresh;
}

/* Without regard to case and to blanks around it: a lenient server may take the name so. */
static bool is_mechanism(const char *mechanism, const char *name)
{
	size_t len = strlen(name);

	mechanism += strspn(mechanism, " \t\r\n");
	return strncasecmp(mechanism, name, len) == 0 && mechanism[len + strspn(mechanism + len, " \t\r\n")] == '\0';
}

/* Mechanisms that put a layer of their own over everything behind success (SASL-6). */
static bool needs_layer(const char *mechanism)
{
	return is_mechanism(mechanism, "GSSAPI") || is_mechanism(mechanism, "GSS-SPNEGO") ||
	       is_mechanism(mechanism, "KERBEROS_V4");
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

/* Nothing of the attempt is left: a response or a success that follows belongs to none. */
static void sasl_fails(struct inspect_dir *d)
{
	d->ins->sasl_failed = true;
	mem_free(d->ins->method);
	d->ins->method = NULL;
	count_failure(d);
}

/* A SASL failure of our own, not forwarded; the stream goes on (RFC 6120 sections 6.5.7 and 6.5.9). */
static void refuse_mechanism(struct inspect_dir *d, bool sasl2, const char *condition)
{
	struct inspect_verdict *v = &d->ins->verdict;

	v->what = INSPECT_DROP;
	v->sasl_failure = condition;
	v->sasl2 = sasl2;
	sasl_fails(d);
}

/* SASL-5: the offered list is the responder's own word and stays; what policy refuses is refused when it is asked for.
 */
static bool is_refused(const struct inspector *ins, const char *mechanism)
{
	for (size_t i = 0; i < ins->mechanisms_refused_count; i++)
		if (is_mechanism(mechanism, ins->mechanisms_refused[i]))
			return true;
	return false;
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
	if (ins->pairs) {
		ins->pairs->external = ins->pairs->external && inspect_external_is(ins->pairs->remote_from, text, len);
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
		refuse_mechanism(d, sasl2, "invalid-mechanism");
		return;
	}
	if (mechanism && is_refused(ins, mechanism)) {
		ins->verdict.note[INSPECT_NOTE_MECHANISM_REFUSED] = true;
		if (!ins->monitor) {
			refuse_mechanism(d, sasl2, "mechanism-too-weak");
			return;
		}
	}
	replace(&ins->method, inspect_method_name(mechanism));
	replace(&ins->identity, "");
	ins->digest = mechanism && is_mechanism(mechanism, "DIGEST-MD5");
	ins->responded = false;
	if (ins->pairs)
		ins->pairs->external = ins->pairs->remote_from && strcmp(ins->method, "EXTERNAL") == 0;
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

	if (ins->pairs) {
		inspect_external_success(d);
		return;
	}
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
	if (ins->pairs)
		return;
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
		sasl_fails(d);
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
	if (ins->sasl_failed) {
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

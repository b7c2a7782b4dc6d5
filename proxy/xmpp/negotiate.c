/* SPDX-License-Identifier: MIT */
/*
 * The negotiation engine: dispatches events to the row of the present state and keeps the list of actions. Invariants:
 * neg_enter() is the only writer of the state; FAIL is the last action ever appended; an event without a handler goes
 * to the row's on_violation; nothing here does I/O or knows which table it runs.
 */
#include "xmpp/negotiate.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "xmpp/negotiate_private.h"

struct negotiator *neg_new(const struct neg_state *states, unsigned ready, unsigned failed)
{
	struct negotiator *n = mem_zalloc(sizeof(*n));

	n->states = states;
	n->ready = ready;
	n->failed = failed;
	n->proceed_at = NEG_ACTIONS_MAX;
	strbuf_init(&n->plain_mechanisms, NEG_SEND_MAX);
	return n;
}

void negotiate_free(struct negotiator **n)
{
	struct negotiator *old = *n;

	if (!old)
		return;
	*n = NULL;
	for (size_t i = 0; i < old->action_count; i++)
		mem_free((void *)(uintptr_t)old->action[i].data);
	neg_forget_header(old);
	mem_free(old->content_ns);
	mem_free(old->default_domain);
	mem_free(old->own_header);
	mem_free(old->own_prefix);
	mem_free(old->remote);
	mem_free(old->plain_from);
	strbuf_fini(&old->plain_mechanisms);
	mem_free(old);
}

void neg_enter(struct negotiator *n, unsigned state)
{
	unsigned old = n->state;

	n->state = state;
	if (n->log_state)
		n->log_state(n->ctx, n->states[old].name, n->states[state].name);
}

static struct neg_action *append(struct negotiator *n, enum neg_action_kind kind)
{
	assert(n->action_count < NEG_ACTIONS_MAX);
	struct neg_action *a = &n->action[n->action_count++];

	*a = (struct neg_action){.kind = kind};
	return a;
}

void neg_add(struct negotiator *n, enum neg_action_kind kind)
{
	append(n, kind);
}

void neg_note(struct negotiator *n, enum neg_note note)
{
	append(n, NEG_NOTE)->note = note;
}

void neg_send(struct negotiator *n, struct strbuf *out)
{
	/* A text that was cut is never sent: the peer could take it for a whole one. */
	if (out->len > 0 && !out->overflow) {
		struct neg_action *a = append(n, NEG_SEND);

		a->data = mem_dup(out->data, out->len);
		a->len = out->len;
	}
	strbuf_fini(out);
}

void neg_fail(struct negotiator *n, enum reason reason)
{
	append(n, NEG_FAIL)->reason = reason;
	neg_enter(n, n->failed);
}

void neg_forget_header(struct negotiator *n)
{
	if (n->header_received)
		stream_header_fini(&n->header);
	memset(&n->header, 0, sizeof(n->header));
	n->header_received = false;
	n->header_sent = false;
	n->domain[0] = '\0';
}

void neg_take_back(struct negotiator *n)
{
	size_t keep = n->action_taken > n->proceed_at ? n->action_taken : n->proceed_at;

	while (n->action_count > keep)
		mem_free((void *)(uintptr_t)n->action[--n->action_count].data);
	neg_note(n, NEG_NOTE_STARTTLS_INJECTION);
}

static const struct neg_state *row(const struct negotiator *n)
{
	return &n->states[n->state];
}

void negotiate_open(struct negotiator *n, const struct xml_node *root, const struct xml_decl *decls, size_t decl_count)
{
	if (n->state == n->failed)
		return;
	if (!row(n)->on_open) {
		row(n)->on_violation(n);
		return;
	}
	stream_header_read(&n->header, root, decls, decl_count);
	n->header_received = true;
	row(n)->on_open(n);
}

void negotiate_element(struct negotiator *n, const struct xml_node *element)
{
	if (n->state == n->failed)
		return;
	if (row(n)->on_element)
		row(n)->on_element(n, element);
	else
		row(n)->on_violation(n);
}

void negotiate_close(struct negotiator *n)
{
	if (n->state == n->failed)
		return;
	if (row(n)->on_close)
		row(n)->on_close(n);
	else
		row(n)->on_violation(n);
}

void negotiate_xml_failed(struct negotiator *n, enum reason reason)
{
	if (n->state == n->failed)
		return;
	if (row(n)->on_xml_failed)
		row(n)->on_xml_failed(n, reason);
	else
		row(n)->on_violation(n);
}

void negotiate_injected(struct negotiator *n)
{
	if (n->state == n->failed)
		return;
	if (row(n)->on_injected)
		row(n)->on_injected(n);
	else
		row(n)->on_violation(n);
}

void negotiate_secured(struct negotiator *n, const char *certificate_domain)
{
	if (n->state == n->failed)
		return;
	if (row(n)->on_secured)
		row(n)->on_secured(n, certificate_domain);
	else
		row(n)->on_violation(n);
}

void negotiate_timeout(struct negotiator *n, bool begun)
{
	if (n->state == n->failed)
		return;
	if (row(n)->on_timeout)
		row(n)->on_timeout(n, begun);
	else
		row(n)->on_violation(n);
}

void negotiate_refuse(struct negotiator *n, enum reason reason, enum xmpp_error condition)
{
	if (n->state == n->failed)
		return;
	row(n)->on_refuse(n, reason, condition);
}

bool negotiate_next(struct negotiator *n, struct neg_action *out)
{
	if (n->action_taken == n->action_count)
		return false;
	*out = n->action[n->action_taken++];
	return true;
}

const char *negotiate_state(const struct negotiator *n)
{
	return row(n)->name;
}

bool negotiate_is_ready(const struct negotiator *n)
{
	return n->state == n->ready;
}

bool negotiate_is_failed(const struct negotiator *n)
{
	return n->state == n->failed;
}

bool negotiate_in_handshake(const struct negotiator *n)
{
	return row(n)->on_secured != NULL;
}

bool negotiate_awaits_tls(const struct negotiator *n)
{
	return row(n)->awaits_tls;
}

const struct neg_starttls *negotiate_starttls(const struct negotiator *n)
{
	return &n->starttls;
}

const struct stream_header *negotiate_header(const struct negotiator *n)
{
	return &n->header;
}

const char *negotiate_domain(const struct negotiator *n)
{
	return n->domain;
}

const char *negotiate_local(const struct negotiator *n)
{
	return n->local;
}

const char *negotiate_own_id(const struct negotiator *n)
{
	return n->own_id;
}

const struct features *negotiate_features(const struct negotiator *n)
{
	return n->features_received ? &n->features : NULL;
}

enum xmpp_error negotiate_peer_error(const struct negotiator *n)
{
	return n->peer_error;
}

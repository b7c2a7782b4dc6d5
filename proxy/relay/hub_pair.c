/* SPDX-License-Identifier: MIT */
/*
 * What is asked and answered of one pair of domains. Invariants: every request that went out to the pair's spoke is
 * answered to the legacy server exactly once, by the remote server or, when the spoke ends, by us; an answer that
 * nobody asked for goes nowhere (DB-2); a pair without a spoke is or was proven, or it is not kept while the hub lives.
 */
#include "relay/hub_private.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "relay/leg.h"

struct pair *pair_new(struct hub *hub, const struct hub_addresses *a)
{
	struct pair *pair = mem_zalloc(sizeof(*pair));
	size_t most =
	    hub->p.stanza_limit > hub->p.unauthenticated_limit ? hub->p.stanza_limit : hub->p.unauthenticated_limit;
	pair->hub = hub;
	pair->from = mem_strdup(a->from);
	pair->to = mem_strdup(a->to);
	pair->from_said = mem_strdup(a->from_said);
	pair->to_said = mem_strdup(a->to_said);
	strbuf_init(&pair->request, most);
	strbuf_init(&pair->waiting, hub->p.buffer + most + HUB_HOLD_SLACK);
	hub_link(hub, pair);
	return pair;
}

static void free_verify(struct pair *pair, struct hub_verify **link)
{
	struct hub_verify *verify = *link;
	*link = verify->next;
	pair->verify_count--;
	mem_free(verify);
}

void pair_free(struct pair *pair)
{
	hub_unlink(pair->hub, pair);
	while (pair->verifies != NULL)
		free_verify(pair, &pair->verifies);
	strbuf_fini(&pair->request);
	strbuf_fini(&pair->waiting);
	mem_free(pair->from);
	mem_free(pair->to);
	mem_free(pair->from_said);
	mem_free(pair->to_said);
	mem_free(pair);
}

/* An answer of ours, in the remote server's place. */
static void tell(const struct pair *pair, const char *id, const char *type, enum xmpp_error error)
{
	const struct hub_answer answer = {pair->to_said, pair->from_said, id, type, error};
	hub_tell(pair->hub, &answer);
}

static bool connected(struct pair *pair)
{
	if (pair->spoke == NULL)
		pair->spoke = spoke_new(pair);
	return pair->spoke != NULL;
}

void pair_request(struct pair *pair, const char *raw, size_t len)
{
	pair->given_up = false;
	strbuf_clear(&pair->request);
	strbuf_add(&pair->request, raw, len);
	if (pair->renewing) {
		pair->renewing = false; /* asked already: the answer is now for the legacy server */
		return;
	}
	pair->asked = true;
	pair->hub->asked_ms = clock_ms();
	if (connected(pair))
		spoke_send(pair->spoke, raw, len);
	else
		pair_lost(pair, XMPP_ERROR_RESOURCE_CONSTRAINT);
}

void pair_verify(struct pair *pair, const char *id, const char *raw, size_t len)
{
	size_t size = strlen(id) + 1;
	/* The keys are strangers' words, and a pair that only asks has no account that outlives it: questions hold up
	 * nobody. */
	bool full =
	    pair->spoke != NULL && (pair->spoke->blocked || leg_unsent(pair->spoke->leg) + len > pair->hub->p.buffer);
	if (full || pair->verify_count >= HUB_VERIFIES_MAX) {
		tell(pair, id, NULL, XMPP_ERROR_RESOURCE_CONSTRAINT);
		return;
	}
	struct hub_verify *verify = mem_alloc(sizeof(*verify) + size);
	memcpy(verify->id, id, size);
	verify->next = pair->verifies;
	pair->verifies = verify;
	pair->verify_count++;
	pair->hub->asked_ms = clock_ms();
	if (connected(pair))
		spoke_send(pair->spoke, raw, len);
	else
		pair_lost(pair, XMPP_ERROR_RESOURCE_CONSTRAINT);
}

/* Proven, but not on the stream there is now, if any: the request that proved it goes out once more. */
static void renew(struct pair *pair)
{
	pair->asked = true;
	if (!connected(pair)) {
		pair_lost(pair, XMPP_ERROR_RESOURCE_CONSTRAINT);
		return;
	}
	pair->renewing = true;
	spoke_send(pair->spoke, pair->request.data, pair->request.len);
}

void pair_reckon(struct pair *pair)
{
	uint64_t now = clock_ms(), passed = now - pair->held_ms;
	pair->held_ms = now;
	if (pair->spoke != NULL && pair->spoke->blocked) {
		/* No more than all of it: who has taken what waited since is not given up for having been late. */
		uint64_t most = (uint64_t)HUB_HELD_MAX_MS * HUB_GIVEN_BACK, left = most - pair->held;
		pair->held = passed * HUB_GIVEN_BACK < left ? pair->held + passed * HUB_GIVEN_BACK : most;
	} else {
		pair->held -= passed < pair->held ? passed : pair->held;
	}
}

/* Lapsed, the legacy server was told; given up, it was not, for it would close its connection, and jabberd2 never asks
 * anew on the same one: so that is not for good. */
static bool is_cut_off(struct pair *pair)
{
	if (pair->given_up) {
		pair_reckon(pair);
		pair->given_up = pair->held > 0;
	}
	return pair->lapsed || pair->given_up;
}

enum reason pair_stanza(struct pair *pair, const char *raw, size_t len)
{
	if (is_cut_off(pair)) {
		log_debug("a stanza from %s to %s is lost: the pair %s", pair->from, pair->to,
			  pair->lapsed ? "is not proven any more" : "was given up");
		return REASON_NONE;
	}
	if (pair->flows || !pair->proven) {
		spoke_send(pair->spoke, raw, len); /* not proven: its session knows what to do about it (DB-3) */
		return REASON_NONE;
	}
	if (!strbuf_add(&pair->waiting, raw, len))
		return REASON_TOO_BIG;
	if (pair->asked)
		spoke_update(pair->spoke);
	else
		renew(pair);
	return REASON_NONE;
}

static void forget_waiting(struct pair *pair)
{
	if (pair->waiting.len > 0)
		log_warn("stanzas from %s to %s are lost: the stream had ended and could not be renewed", pair->from,
			 pair->to);
	strbuf_fini(&pair->waiting);
}

static void disprove(struct pair *pair)
{
	pair->lapsed = pair->lapsed || pair->proven;
	pair->proven = pair->flows = pair->renewing = false;
	forget_waiting(pair);
	if (pair->spoke != NULL)
		spoke_update(pair->spoke);
}

static bool is_over(const struct pair *pair)
{
	return !pair->proven && !pair->lapsed;
}

void pair_lost(struct pair *pair, enum xmpp_error error)
{
	bool refused = pair->asked;
	if (refused)
		tell(pair, NULL, NULL, error);
	while (pair->verifies != NULL) {
		tell(pair, pair->verifies->id, NULL, error);
		free_verify(pair, &pair->verifies);
	}
	pair->asked = pair->renewing = pair->flows = false;
	if (refused)
		disprove(pair);
	if (is_over(pair))
		pair_free(pair);
}

/* Can these bytes stand in our stream to the legacy server as they are? Its header binds the prefix db and no other. */
static bool is_portable(const struct xml_node *element)
{
	bool good = strcmp(element->prefix, "db") == 0;
	for (const struct xml_node *node = element; node != NULL && good; node = xml_node_walk(node, element)) {
		good = node == element || node->prefix[0] == '\0';
		for (size_t i = 0; i < node->attr_count; i++)
			good = good && node->attrs[i].ns == NULL;
	}
	return good;
}

/* id: of <db:verify/>, else NULL. */
static void pass(const struct pair *pair, const struct xml_node *element, const char *id, const char *raw, size_t len)
{
	const char *type = xml_node_attr(element, "type");
	bool plain = strcmp(type, "valid") == 0 || strcmp(type, "invalid") == 0;
	if (is_portable(element))
		hub_pass(pair->hub, raw, len);
	else
		tell(pair, id, plain ? type : NULL, XMPP_ERROR_NONE);
}

static void proven(struct pair *pair, const struct xml_node *element, const char *raw, size_t len)
{
	if (!pair->renewing)
		pass(pair, element, NULL, raw, len);
	pair->proven = pair->flows = true;
	pair->renewing = pair->lapsed = false;
	hub_raise_limit(pair->hub);
	if (pair->waiting.len == 0)
		return;
	struct strbuf waiting = pair->waiting;
	strbuf_init(&pair->waiting, waiting.max);
	spoke_send(pair->spoke, waiting.data, waiting.len);
	strbuf_fini(&waiting);
	if (pair->hub->closing)
		spoke_close(pair->spoke);
}

static void result(struct pair *pair, const struct xml_node *element, const char *raw, size_t len)
{
	if (!pair->asked)
		return;
	pair->asked = false;
	pair->hub->served = true;
	if (strcmp(xml_node_attr(element, "type"), "valid") == 0) {
		proven(pair, element, raw, len);
		return;
	}
	disprove(pair);
	pass(pair, element, NULL, raw, len);
}

static void verified(struct pair *pair, const struct xml_node *element, const char *raw, size_t len)
{
	const char *id = xml_node_attr(element, "id");
	struct hub_verify **link = &pair->verifies;
	while (*link != NULL && (id == NULL || strcmp((*link)->id, id) != 0))
		link = &(*link)->next;
	if (*link == NULL)
		return;
	pair->hub->served = true;
	pass(pair, element, id, raw, len);
	free_verify(pair, link);
}

/* A stream that only asked about keys has no more to do (DB-10: the connection of a verify is one of its own). */
static void settle(struct pair *pair)
{
	struct spoke *spoke = pair->spoke;
	if (pair->flows || pair->asked || pair->verifies != NULL)
		return;
	spoke_part(spoke);
	spoke_close(spoke);
	if (is_over(pair))
		pair_free(pair);
}

void pair_answer(struct pair *pair, const struct xml_node *element, const char *raw, size_t len)
{
	if (xml_node_attr(element, "type") == NULL)
		return;
	if (xml_node_is(element, XMPP_NS_DIALBACK, "result"))
		result(pair, element, raw, len);
	else if (xml_node_is(element, XMPP_NS_DIALBACK, "verify"))
		verified(pair, element, raw, len);
	settle(pair);
}

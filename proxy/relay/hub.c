/* SPDX-License-Identifier: MIT */
/*
 * The legacy side of a hub: elements are dealt out by their addresses, answers go back as they came. Invariants: spokes
 * are freed by the reaper only, in a loop turn of its own; the legacy leg is read only while no spoke has too much
 * waiting and it takes what is sent to it; nothing is sent to it after `over`.
 */
#include "relay/hub_private.h"

#include <assert.h>
#include <string.h>

#include <event2/event.h>

#include "base/array.h"
#include "base/log.h"
#include "base/mem.h"
#include "relay/leg.h"
#include "xmpp/reply.h"

/* A domain or an id as the legacy server writes it. */
#define NAME_MAX_BYTES 1024u
/* A stream error with its text, or an answer with two domains and an id, six bytes for each that is an entity. */
#define WORDS_MAX (3u * 6u * NAME_MAX_BYTES + 4096u)

static struct pair **bucket_of(struct hub *hub, const char *from, const char *to)
{
	char key[2 * XMPP_DOMAIN_SIZE];
	size_t from_len = strlen(from) + 1, to_len = strlen(to) + 1;
	memcpy(key, from, from_len);
	memcpy(key + from_len, to, to_len);
	return &hub->bucket[siphash13(&hub->hash_key, key, from_len + to_len) % HUB_BUCKETS];
}

static struct pair *find_pair(struct hub *hub, const struct hub_addresses *a)
{
	struct pair *pair = *bucket_of(hub, a->from, a->to);
	while (pair != NULL && (strcmp(pair->from, a->from) != 0 || strcmp(pair->to, a->to) != 0))
		pair = pair->next;
	if (pair != NULL)
		pair->used = ++hub->uses;
	return pair;
}

void hub_link(struct hub *hub, struct pair *pair)
{
	pair->used = ++hub->uses;
	pair->link = bucket_of(hub, pair->from, pair->to);
	pair->next = *pair->link;
	if (pair->next != NULL)
		pair->next->link = &pair->next;
	*pair->link = pair;
	hub->pair_count++;
}

void hub_unlink(struct hub *hub, struct pair *pair)
{
	*pair->link = pair->next;
	if (pair->next != NULL)
		pair->next->link = pair->link;
	hub->pair_count--;
}

void hub_update_reading(struct hub *hub)
{
	bool choked = leg_is_clogged(hub->p.legacy);
	/* A stream that was closed is read for the end of the connection. */
	bool reading = !choked && (hub->blocked == 0 || hub->closing);
	if (hub->ended)
		return;
	if (choked != hub->choked) {
		hub->choked = choked;
		for (struct spoke *spoke = hub->spokes; spoke != NULL; spoke = spoke->next)
			leg_read(spoke->leg, !choked);
	}
	if (reading == hub->reading)
		return;
	hub->reading = reading;
	leg_read(hub->p.legacy, reading);
	if (!reading)
		hub->p.ops->paused(hub->p.ctx);
}

void hub_pass(struct hub *hub, const char *data, size_t len)
{
	if (hub->over)
		return;
	leg_send(hub->p.legacy, data, len);
	hub_update_reading(hub);
}

void hub_tell(struct hub *hub, const struct hub_answer *answer)
{
	struct strbuf words;
	strbuf_init(&words, WORDS_MAX);
	hub_words_answer(&words, answer);
	assert(!words.overflow);
	hub_pass(hub, words.data, words.len);
	strbuf_fini(&words);
}

void hub_raise_limit(struct hub *hub)
{
	xmlstream_set_element_limit(hub->reader.xs, hub->p.stanza_limit);
}

void hub_refuse(struct hub *hub, enum reason reason)
{
	struct strbuf words;
	if (hub->over)
		return;
	strbuf_init(&words, WORDS_MAX);
	reply_stream_error(&words, reason, "stream");
	if (words.len == 0)
		reply_close(&words, "stream");
	hub_pass(hub, words.data, words.len);
	strbuf_fini(&words);
	hub->over = true;
	hub_reader_stop(&hub->reader);
}

static void fail(struct hub *hub, enum reason reason, const char *detail, bool violation)
{
	if (hub->over)
		return;
	hub_refuse(hub, reason);
	hub->p.ops->over(hub->p.ctx, reason, detail, violation);
}

/* Between servers an element that names no two domains goes nowhere (row 40). */
static bool read_addresses(const struct xml_node *element, struct hub_addresses *out)
{
	out->from_said = xml_node_attr(element, "from");
	out->to_said = xml_node_attr(element, "to");
	return jid_domain(out->from_said, out->from) && jid_domain(out->to_said, out->to);
}

static bool is_name(const char *text)
{
	return text != NULL && strlen(text) <= NAME_MAX_BYTES;
}

/* In dialback domains stand alone. */
static bool is_domain(const char *text)
{
	return is_name(text) && strpbrk(text, "@/") == NULL;
}

static bool is_stanza(const struct xml_node *element)
{
	static const char *const names[] = {"message", "presence", "iq"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (xml_node_is(element, XMPP_NS_SERVER, names[i]))
			return true;
	return false;
}

/*
 * Of the pairs that are not connected the one that is missed least: a lapsed one, for the legacy server knows that it
 * is not proven any more, else the one that was used longest ago. NULL: all are connected.
 */
static struct pair *least_missed(const struct hub *hub)
{
	struct pair *found = NULL;
	for (size_t i = 0; i < HUB_BUCKETS; i++)
		for (struct pair *pair = hub->bucket[i]; pair != NULL; pair = pair->next) {
			bool less =
			    found == NULL || (pair->lapsed != found->lapsed ? pair->lapsed : pair->used < found->used);
			if (pair->spoke == NULL && less)
				found = pair;
		}
	return found;
}

/*
 * The legacy server is not told of the pair that must go: jabberd2 would close the connection for it, with all other
 * pairs, also where it has nothing more to say to this one. verify: for a pair that only asks about a key.
 */
static bool make_room(struct hub *hub, bool verify)
{
	/* What is asked about keys comes of strangers, who must not cost a pair that is proven: such pairs have room
	 * beside the others, as long as they have spokes. */
	if (hub->pair_count < (verify ? 2 * HUB_PAIRS_MAX : HUB_PAIRS_MAX))
		return true;
	struct pair *pair = least_missed(hub);
	if (pair == NULL || (verify && !pair->lapsed))
		return false;
	if (!pair->lapsed)
		log_warn("a legacy server has more than %d pairs of domains on one connection: what it still sends "
			 "from %s to %s is lost until it asks for the pair anew",
			 HUB_PAIRS_MAX, pair->from, pair->to);
	hub->evicted = true;
	pair_free(pair);
	return true;
}

static void dialback(struct hub *hub, const struct xml_node *element, const char *raw, size_t len)
{
	bool verify = strcmp(element->name, "verify") == 0;
	const char *id = verify ? xml_node_attr(element, "id") : NULL;
	struct hub_addresses a;
	if (!read_addresses(element, &a) || !is_domain(a.from_said) || !is_domain(a.to_said) ||
	    (verify && !is_name(id))) {
		fail(hub, REASON_ADDRESSING, "of an element of dialback", false);
		return;
	}
	/* Nobody asks a question on a connection that the legacy server opened. */
	if (xml_node_attr(element, "type") != NULL) {
		fail(hub, REASON_UNSOLICITED_DIALBACK, NULL, false);
		return;
	}
	struct pair *pair = find_pair(hub, &a);
	if (pair == NULL && !make_room(hub, verify)) {
		const struct hub_answer answer = {a.to_said, a.from_said, id, NULL, XMPP_ERROR_RESOURCE_CONSTRAINT};
		hub_tell(hub, &answer);
		return;
	}
	if (pair == NULL)
		pair = pair_new(hub, &a);
	if (verify)
		pair_verify(pair, id, raw, len);
	else
		pair_request(pair, raw, len);
}

static void stanza(struct hub *hub, const struct xml_node *element, const char *raw, size_t len)
{
	struct hub_addresses a;
	if (!read_addresses(element, &a)) {
		fail(hub, REASON_ADDRESSING, NULL, false);
		return;
	}
	struct pair *pair = find_pair(hub, &a);
	if (pair == NULL && hub->evicted) {
		log_debug("a stanza from %s to %s is lost: the pair is not known any more", a.from, a.to);
		return;
	}
	enum reason reason = pair != NULL ? pair_stanza(pair, raw, len) : REASON_FORGED_FROM;
	if (reason != REASON_NONE)
		fail(hub, reason, NULL, false);
}

static void on_open(void *ctx, const struct xml_node *root, const struct xml_decl *decls, size_t count)
{
	struct hub *hub = ctx;
	hub->prefix = mem_strdup(root->prefix);
	hub_words_decls(&hub->decls, decls, count);
	xmlstream_set_detail(hub->reader.xs, XMLSTREAM_TOP);
}

static void on_element(void *ctx, const struct xml_node *element, const char *raw, size_t len)
{
	struct hub *hub = ctx;
	if (xml_node_is(element, XMPP_NS_DIALBACK, "result") || xml_node_is(element, XMPP_NS_DIALBACK, "verify"))
		dialback(hub, element, raw, len);
	else if (is_stanza(element))
		stanza(hub, element, raw, len);
	else if (xml_node_is(element, XMPP_NS_STREAM, "error"))
		fail(hub, REASON_PEER_ERROR, NULL, false);
	else
		fail(hub, REASON_UNSUPPORTED_ELEMENT, NULL, false);
}

static void on_close(void *ctx)
{
	struct hub *hub = ctx;
	hub->closing = true;
	/* What waits for a renewal still goes out before the close tag. */
	for (struct spoke *spoke = hub->spokes; spoke != NULL; spoke = spoke->next)
		if (spoke->pair == NULL || spoke->pair->waiting.len == 0)
			spoke_close(spoke);
	event_active(hub->reaper, EV_TIMEOUT, 0);
	hub->p.ops->closing(hub->p.ctx);
}

static void on_failed(void *ctx, enum reason reason, const char *detail)
{
	fail(ctx, reason, detail, true);
}

static const struct hub_reader_ops reader_ops = {on_open, on_element, on_close, on_failed};

static void reap(struct hub *hub)
{
	while (hub->dead != NULL) {
		struct spoke *spoke = hub->dead;
		hub->dead = spoke->next;
		spoke_free(spoke);
	}
	if (hub->spokes != NULL)
		return;
	if (hub->ended)
		hub->p.ops->quiet(hub->p.ctx);
	else if (hub->closing)
		fail(hub, REASON_CLOSED, NULL, false);
}

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
	struct hub *hub = arg;
	struct leg_io *io = hub->p.io;
	(void)fd, (void)what;
	reap(hub);
	leg_io_flush(io);
}

struct hub *hub_new(const struct hub_params *params)
{
	struct hub *hub = mem_zalloc(sizeof(*hub));
	const struct xmlstream_limits limits = {params->unauthenticated_limit, params->depth, HUB_ATTRIBUTES_MAX};
	size_t most =
	    params->stanza_limit > params->unauthenticated_limit ? params->stanza_limit : params->unauthenticated_limit;
	hub->p = *params;
	hub->id = mem_strdup(params->id);
	hub->reaper = event_new(params->base, -1, 0, on_reap, hub);
	assert(hub->reaper != NULL);
	siphash_key_random(&hub->hash_key);
	/* A character may take six bytes where it is written as an entity. */
	strbuf_init(&hub->decls, 8 * params->header_len + XMPP_DOMAIN_SIZE);
	hub_reader_init(&hub->reader, &limits, most + HUB_HOLD_SLACK, &reader_ops, hub);
	hub_reader_feed(&hub->reader, params->header, params->header_len);
	assert(hub->prefix != NULL);
	hub->reading = true;
	leg_read(hub->p.legacy, true);
	return hub;
}

void hub_free(struct hub **hub_ptr)
{
	struct hub *hub = *hub_ptr;
	if (hub == NULL)
		return;
	*hub_ptr = NULL;
	hub->over = hub->ended = true;
	for (struct spoke *spoke = hub->spokes, *next; spoke != NULL; spoke = next) {
		next = spoke->next;
		spoke_free(spoke);
	}
	for (struct spoke *spoke = hub->dead, *next; spoke != NULL; spoke = next) {
		next = spoke->next;
		spoke_free(spoke);
	}
	for (size_t i = 0; i < HUB_BUCKETS; i++)
		while (hub->bucket[i] != NULL)
			pair_free(hub->bucket[i]);
	hub_reader_fini(&hub->reader);
	strbuf_fini(&hub->decls);
	event_free(hub->reaper);
	mem_free(hub->prefix);
	mem_free(hub->id);
	mem_free(hub);
}

void hub_input(struct hub *hub, const void *data, size_t len)
{
	hub_reader_feed(&hub->reader, data, len);
}

void hub_watch(struct hub *hub)
{
	for (struct spoke *spoke = hub->spokes, *next; spoke != NULL && !hub->over; spoke = next) {
		next = spoke->next;
		spoke_watch(spoke);
	}
}

void hub_drained(struct hub *hub)
{
	hub_update_reading(hub);
}

void hub_end(struct hub *hub, bool vanished)
{
	hub->over = hub->ended = true;
	hub_reader_stop(&hub->reader);
	for (struct spoke *spoke = hub->spokes, *next; spoke != NULL; spoke = next) {
		next = spoke->next; /* one that is closed at once is among the dead */
		spoke_finish(spoke, vanished);
	}
	event_active(hub->reaper, EV_TIMEOUT, 0);
}

const char *hub_id(const struct hub *hub)
{
	return hub->id;
}

bool hub_is_served(const struct hub *hub)
{
	return hub->served;
}

uint64_t hub_asked_ms(const struct hub *hub)
{
	/* A pair that is not proven has a spoke as long as an answer is due, and no longer. */
	for (const struct spoke *spoke = hub->spokes; spoke != NULL && !hub->served; spoke = spoke->next)
		if (spoke->pair != NULL)
			return hub->asked_ms;
	return 0;
}

bool hub_is_closing(const struct hub *hub)
{
	return hub->closing;
}

bool hub_is_reading(const struct hub *hub)
{
	return hub->reading;
}

bool hub_has_spokes(const struct hub *hub)
{
	return hub->spokes != NULL || hub->dead != NULL;
}

size_t hub_unsent(const struct hub *hub)
{
	size_t waiting = 0;
	for (const struct spoke *spoke = hub->spokes; spoke != NULL; spoke = spoke->next)
		waiting += leg_unsent(spoke->leg);
	return waiting;
}

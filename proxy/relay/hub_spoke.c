/* SPDX-License-Identifier: MIT */
/*
 * The connection of one pair: our end of a socket pair. Invariants: a spoke that is over has no pair, and is freed by
 * the reaper once its leg is closed.
 */
#include "relay/hub_private.h"

#include <string.h>
#include <sys/socket.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/mem.h"
#include "relay/leg.h"
#include "xmpp/reply.h"

void spoke_part(struct spoke *spoke)
{
	struct pair *pair = spoke->pair;
	if (pair == NULL)
		return;
	pair_reckon(pair);
	pair->spoke = NULL;
	spoke->pair = NULL;
	spoke_update(spoke);
}

void spoke_close(struct spoke *spoke)
{
	struct strbuf words;
	if (spoke->closed)
		return;
	spoke->closed = true;
	strbuf_init(&words, XMPP_DOMAIN_SIZE);
	reply_close(&words, spoke->hub->prefix);
	leg_send(spoke->leg, words.data, words.len);
	strbuf_fini(&words);
}

/* Its session has ended, or says nothing that makes sense: there is nothing to wait for. */
static void over(struct spoke *spoke)
{
	struct pair *pair = spoke->pair;
	hub_reader_stop(&spoke->reader);
	spoke_part(spoke);
	if (pair != NULL)
		pair_lost(pair, spoke->error);
	spoke_close(spoke);
	leg_finish(spoke->leg, false);
}

static void on_open(void *ctx, const struct xml_node *root, const struct xml_decl *decls, size_t count)
{
	(void)ctx, (void)root, (void)decls, (void)count;
}

static enum xmpp_error condition_of(const struct xml_node *error)
{
	const struct xml_node *child = xml_node_child(error, XMPP_NS_STREAM_ERROR, NULL);
	return xmpp_error_from_name(child != NULL ? child->name : "");
}

static void on_element(void *ctx, const struct xml_node *element, const char *raw, size_t len)
{
	struct spoke *spoke = ctx;
	if (xml_node_is(element, XMPP_NS_STREAM, "error"))
		spoke->error = condition_of(element);
	else if (spoke->pair != NULL)
		pair_answer(spoke->pair, element, raw, len);
}

static void on_close(void *ctx)
{
	over(ctx);
}

static void on_failed(void *ctx, enum reason reason, const char *detail)
{
	struct spoke *spoke = ctx;
	log_debug("a spoke cannot be read: %s: %s", reason_info(reason)->word, detail != NULL ? detail : "");
	over(spoke);
}

static const struct hub_reader_ops reader_ops = {on_open, on_element, on_close, on_failed};

static void on_connected(void *ctx)
{
	(void)ctx;
}

static void on_data(void *ctx, const void *data, size_t len)
{
	struct spoke *spoke = ctx;
	hub_reader_feed(&spoke->reader, data, len);
	/* Hardly anything ever comes this way: streams between servers carry stanzas in one direction. */
	if (!spoke->reader.stopped)
		(void)xmlstream_rest(spoke->reader.xs);
}

static void on_secured(void *ctx)
{
	(void)ctx;
}

static void on_drained(void *ctx)
{
	spoke_update(ctx);
}

static void on_end(void *ctx, enum leg_end how, const char *detail)
{
	(void)how, (void)detail;
	over(ctx);
}

static void unlink_spoke(struct spoke *spoke)
{
	*spoke->link = spoke->next;
	if (spoke->next != NULL)
		spoke->next->link = spoke->link;
	spoke->hub->spoke_count--;
}

static void on_closed(void *ctx)
{
	struct spoke *spoke = ctx;
	struct hub *hub = spoke->hub;
	unlink_spoke(spoke);
	spoke->next = hub->dead;
	hub->dead = spoke;
	event_active(hub->reaper, EV_TIMEOUT, 0);
}

static const struct leg_callbacks leg_callbacks = {on_connected, on_data, on_secured, on_drained, on_end, on_closed};

static void send_header(struct spoke *spoke)
{
	const struct hub *hub = spoke->hub;
	struct strbuf words;
	/* A character may take six bytes where it is written as an entity. */
	strbuf_init(&words, hub->decls.max + 6 * (strlen(spoke->pair->from_said) + strlen(spoke->pair->to_said)));
	hub_words_header(&words, hub->prefix, &hub->decls, spoke->pair->from_said, spoke->pair->to_said);
	leg_send(spoke->leg, words.data, words.len);
	strbuf_fini(&words);
}

/*
 * Room for one more: the oldest that has parted has its answers, our close tag and only its end to come, which nobody
 * misses. False: all are in use. Callable from the legacy leg's callbacks only.
 */
static bool cut_oldest(struct hub *hub)
{
	struct spoke *oldest = NULL;
	for (struct spoke *spoke = hub->spokes; spoke != NULL; spoke = spoke->next)
		oldest = spoke->pair == NULL ? spoke : oldest;
	if (oldest == NULL)
		return false;
	leg_free(&oldest->leg);
	on_closed(oldest);
	return true;
}

struct spoke *spoke_new(struct pair *pair)
{
	struct hub *hub = pair->hub;
	const struct xmlstream_limits limits = {HUB_ANSWER_MAX, hub->p.depth, HUB_ATTRIBUTES_MAX};
	int fds[2];
	/* A pair that only asks about a key comes of strangers: they must not keep a proven one from being renewed,
	 * of which the legacy server would be told. There are no more of those than of pairs. */
	if (hub->spoke_count >= HUB_PAIRS_MAX && !cut_oldest(hub) && !pair->asked)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
		return NULL;
	struct spoke *spoke = mem_zalloc(sizeof(*spoke));
	spoke->hub = hub;
	spoke->pair = pair;
	spoke->next = hub->spokes;
	spoke->link = &hub->spokes;
	if (spoke->next != NULL)
		spoke->next->link = &spoke->next;
	hub->spokes = spoke;
	hub->spoke_count++;
	hub_reader_init(&spoke->reader, &limits, HUB_ANSWER_MAX + HUB_HOLD_SLACK, &reader_ops, spoke);
	spoke->leg = leg_new(hub->p.io, fds[0], false, hub->p.buffer, &leg_callbacks, spoke);
	send_header(spoke);
	hub->p.ops->open(hub->p.ctx, fds[1]);
	leg_read(spoke->leg, !hub->choked);
	return spoke;
}

void spoke_update(struct spoke *spoke)
{
	struct hub *hub = spoke->hub;
	bool blocked = spoke->pair != NULL && (leg_is_clogged(spoke->leg) || spoke->pair->waiting.len > hub->p.buffer);
	if (blocked == spoke->blocked)
		return;
	if (spoke->pair != NULL)
		pair_reckon(spoke->pair);
	spoke->blocked = blocked;
	hub->blocked += blocked ? 1u : -1u;
	hub_update_reading(hub);
}

/* Its session sees a connection that broke off: what waits here ends in the middle of an element. */
static void give_up(struct spoke *spoke)
{
	struct pair *pair = spoke->pair;
	log_warn("the stream from %s to %s is given up: the remote server takes too little, and all others of the same "
		 "legacy server wait",
		 pair->from, pair->to);
	hub_reader_stop(&spoke->reader);
	spoke->closed = true;
	leg_discard_output(spoke->leg);
	leg_finish(spoke->leg, false);
	spoke_part(spoke);
	pair->given_up = pair->proven;
	pair_lost(pair, XMPP_ERROR_NONE);
}

void spoke_watch(struct spoke *spoke)
{
	/* One that holds up nobody now is left alone, whatever it did before. */
	if (spoke->pair == NULL || !spoke->blocked)
		return;
	pair_reckon(spoke->pair);
	if (spoke->pair->held >= (uint64_t)HUB_HELD_MAX_MS * HUB_GIVEN_BACK)
		give_up(spoke);
}

void spoke_send(struct spoke *spoke, const char *data, size_t len)
{
	leg_send(spoke->leg, data, len);
	spoke_update(spoke);
}

void spoke_finish(struct spoke *spoke, bool vanished)
{
	hub_reader_stop(&spoke->reader);
	spoke_part(spoke);
	if (!vanished)
		spoke_close(spoke);
	leg_finish(spoke->leg, false);
}

void spoke_free(struct spoke *spoke)
{
	spoke_part(spoke);
	leg_free(&spoke->leg);
	hub_reader_fini(&spoke->reader);
	mem_free(spoke);
}

/* SPDX-License-Identifier: MIT */
/* A worker's share of the streams: what sessions need in one place, the reaper that frees the dead, draining. */
#include "relay/engine.h"

#include <assert.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/mem.h"
#include "relay/session_private.h"

/* Sessions free nothing inside their own callbacks: this runs in a loop turn of its own. */
static void reap(struct engine *e)
{
	while (e->upgrades != NULL) {
		struct session *s = e->upgrades;
		e->upgrades = s->next_upgrade;
		session_upgrade(s);
	}
	/* What was said last on the legs that these give up. */
	leg_io_flush(e->io);
	/* First: one of these may have died meanwhile, and is then passed over here and freed below. */
	while (e->again != NULL) {
		struct session *s = e->again;
		e->again = s->next_again;
		session_dial_again(s);
	}
	leg_io_flush(e->io);
	while (e->dead != NULL) {
		struct session *s = e->dead;
		e->dead = s->next_dead;
		session_free(s);
	}
	if (e->draining && e->count == 0 && e->p.on_empty != NULL)
		e->p.on_empty(e->p.ctx);
}

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	reap(arg);
}

static void drain_over(void *ctx)
{
	struct engine *e = ctx;
	struct session *next;
	for (struct session *s = e->sessions; s != NULL; s = next) {
		next = s->next; /* closing unlinks nothing: the reaper does */
		session_end(s, REASON_SHUTDOWN, XMPP_ERROR_NONE, NULL);
		leg_io_flush(e->io);
	}
}

struct engine *engine_new(const struct engine_params *params)
{
	struct engine *e = mem_zalloc(sizeof(*e));
	e->p = *params;
	config_ref(e->p.config);
	tls_store_ref(e->p.store);
	e->slot = &e->p.shared->slot[e->p.worker];
	e->io = leg_io_new(e->p.base);
	e->janitor = janitor_new(e->p.base);
	e->reaper = event_new(e->p.base, -1, 0, on_reap, e);
	e->drain.fire = drain_over;
	e->drain.ctx = e;
	assert(e->reaper != NULL);
	return e;
}

void engine_free(struct engine **ep)
{
	struct engine *e = *ep;
	if (e == NULL)
		return;
	*ep = NULL;
	e->p.on_empty = NULL;
	while (e->sessions != NULL)
		session_free(e->sessions);
	janitor_disarm(e->janitor, &e->drain);
	janitor_free(&e->janitor);
	event_free(e->reaper);
	leg_io_free(&e->io);
	session_told_free(&e->told);
	tls_store_unref(&e->p.store);
	config_unref(&e->p.config);
	mem_free(e);
}

void engine_accept(struct engine *e, size_t listener, int fd, const struct addr *peer)
{
	assert(listener < e->p.config->listener_count);
	session_new(e, listener, fd, peer);
	leg_io_flush(e->io);
}

void engine_reload(struct engine *e, struct config *config, struct tls_store *store)
{
	struct config *old_config = e->p.config;
	struct tls_store *old_store = e->p.store;
	e->p.config = config_ref(config);
	e->p.store = tls_store_ref(store);
	tls_store_unref(&old_store);
	config_unref(&old_config);
}

void engine_drain(struct engine *e)
{
	if (e->draining)
		return;
	e->draining = true;
	log_info("draining: %zu streams may go on for %lld s", e->count,
		 (long long)(e->p.config->timeouts.drain / 1000));
	janitor_arm(e->janitor, &e->drain, (uint64_t)e->p.config->timeouts.drain);
	event_active(e->reaper, EV_TIMEOUT, 0);
}

size_t engine_count(const struct engine *e)
{
	return e->count;
}

void engine_streams(const struct engine *e, engine_stream_fn *each, void *ctx)
{
	struct engine_stream line;
	for (const struct session *s = e->sessions; s != NULL; s = s->next) {
		if (s->state >= SESSION_CLOSING)
			continue;
		session_describe(s, &line);
		each(ctx, &line);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * A worker's share of the streams: everything sessions need, in one place (one thread, one event loop, no lock). Made
 * by `daemon/worker`; hides leg, pump, session, session table and janitor.
 */
#ifndef PROXY_RELAY_ENGINE_H
#define PROXY_RELAY_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/trail.h"
#include "base/addr.h"
#include "base/shared.h"
#include "memory/recall.h"
#include "net/resolver.h"
#include "policy/config.h"
#include "tls/store.h"

struct event_base;
struct engine;

struct engine_params {
	struct event_base *base;
	struct config *config;   /* the engine takes its own reference */
	struct tls_store *store; /* likewise */
	struct shared *shared;
	unsigned worker; /* slot index */
	struct audit_trail trail;
	struct peer_recall recall;   /* what is remembered of remote domains: needed for every role but c2s-inbound */
	struct resolver *resolver;   /* one for life, whatever a reload puts in it; outlives the engine */
	void (*on_empty)(void *ctx); /* draining, and the last session is gone */
	void *ctx;
};

struct engine *engine_new(const struct engine_params *params);
/* Ends every session at once (no records waited for) and frees. */
void engine_free(struct engine **engine);

/* A connection accepted on config->listeners[listener]; fd is the engine's from here on. Counted, limited, recorded:
 * exactly one stream-closed. */
void engine_accept(struct engine *engine, size_t listener, int fd, const struct addr *peer);

/*
 * From now on sessions are made with these (own references are taken); those that are open keep what they started with.
 * The numbers given to engine_accept are then those of the new configuration's listeners.
 */
void engine_reload(struct engine *engine, struct config *config, struct tls_store *store);

/* No new sessions come; open ones may go on for timeouts.drain, then get <system-shutdown/>. on_empty is called when
 * none is left. */
void engine_drain(struct engine *engine);

size_t engine_count(const struct engine *engine);

/* A line of `portcullis streams`. Text members valid during the call only. */
struct engine_stream {
	const char *id, *role, *state, *from, *to, *source;
	const char *outer_tls, *outer_cipher; /* "" if not encrypted */
	const char *inner_tls, *inner_cipher;
	const char *verification, *auth_method, *auth_identity;
	uint64_t age_ms, bytes_in, bytes_out;
};
typedef void engine_stream_fn(void *ctx, const struct engine_stream *stream);
void engine_streams(const struct engine *engine, engine_stream_fn *each, void *ctx);

#endif

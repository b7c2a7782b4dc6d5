/* SPDX-License-Identifier: MIT */
/*
 * The answer to `portcullis streams`. Each chunk holds whole objects with commas between them, so that the master only
 * puts chunks together and parses nothing that came from the network. Members that do not apply are left out.
 */
#include "daemon/stream_list.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/strbuf.h"

#define CHUNK_MAX ((size_t)60 << 10)
#define TEXT_MAX 256

struct answer {
	struct outbox *box;
	struct strbuf chunk;
	unsigned worker;
	uint64_t number;
};

/* Left to itself the library opens /dev/urandom for its hash seed, which a sandboxed worker must not do. */
static void seed_library(void)
{
	static size_t seed;

	if (seed)
		return;
	random_bytes(&seed, sizeof(seed));
	seed |= 1;
	json_object_seed(seed);
}

static void put_text(json_t *object, const char *name, const char *text)
{
	char safe[TEXT_MAX * 8 + 1];

	if (!text || !*text)
		return;
	log_safe(safe, sizeof(safe), text, strlen(text), TEXT_MAX);
	json_object_set_new(object, name, json_string(safe));
}

static void put_leg(json_t *object, const char *name, const char *version, const char *cipher)
{
	json_t *leg = json_object();

	put_text(leg, "version", version);
	put_text(leg, "cipher", cipher);
	json_object_set_new(object, name, leg);
}

char *stream_list_json(const struct engine_stream *s, unsigned worker)
{
	char *text, *out;
	json_t *object;

	seed_library();
	object = json_object();

	put_text(object, "id", s->id);
	json_object_set_new(object, "worker", json_integer(worker));
	put_text(object, "role", s->role);
	put_text(object, "state", s->state);
	put_text(object, "from", s->from);
	put_text(object, "to", s->to);
	put_text(object, "source", s->source);
	put_leg(object, "outer", s->outer_tls, s->outer_cipher);
	put_leg(object, "inner", s->inner_tls, s->inner_cipher);
	put_text(object, "verification", s->verification);
	put_text(object, "auth_method", s->auth_method);
	put_text(object, "auth_identity", s->auth_identity);
	json_object_set_new(object, "age_ms", json_integer((json_int_t)s->age_ms));
	json_object_set_new(object, "bytes_in", json_integer((json_int_t)s->bytes_in));
	json_object_set_new(object, "bytes_out", json_integer((json_int_t)s->bytes_out));
	text = json_dumps(object, JSON_COMPACT);
	out = mem_strdup(text);
	free(text);
	json_decref(object);
	return out;
}

static void send_chunk(struct answer *a)
{
	struct message m = {
	    .type = MESSAGE_STREAMS_PART, .number = a->number, .payload = a->chunk.data, .len = a->chunk.len};

	if (a->chunk.len > 0)
		outbox_add(a->box, &m);
	strbuf_clear(&a->chunk);
}

static void add_stream(void *ctx, const struct engine_stream *stream)
{
	struct answer *a = ctx;
	char *text = stream_list_json(stream, a->worker);

	if (!text)
		return;
	if (a->chunk.len + strlen(text) + 1 > CHUNK_MAX)
		send_chunk(a);
	if (a->chunk.len > 0)
		strbuf_puts(&a->chunk, ",");
	strbuf_puts(&a->chunk, text);
	mem_free(text);
}

void stream_list_answer(const struct engine *engine, unsigned worker, uint64_t number, struct outbox *box)
{
	struct answer a = {.box = box, .worker = worker, .number = number};
	struct message end = {.type = MESSAGE_STREAMS_END, .number = number};

	strbuf_init(&a.chunk, MESSAGE_PAYLOAD_MAX);
	engine_streams(engine, add_stream, &a);
	send_chunk(&a);
	outbox_add(box, &end);
	strbuf_fini(&a.chunk);
}

/* SPDX-License-Identifier: MIT */
/*
 * What `portcullis peers list` and `show` tell, made by the keeper, which has the store: a page at a time, so that
 * audit records are acknowledged in between. Text of certificates is a peer's: it is escaped and cut here.
 */
#include "daemon/peer_list.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

/* A peer without its certificates takes less than 900 bytes; two with all of theirs less than 48 KiB. */
#define PAGE_PEERS 64

static void put_text(json_t *object, const char *name, const char *text)
{
	char safe[2 * PEER_TEXT_SIZE];

	log_safe(safe, sizeof(safe), text, strlen(text), PEER_ENDPOINT_SIZE);
	json_object_set_new(object, name, json_string(safe));
}

static void put_time(json_t *object, const char *name, int64_t seconds)
{
	char text[CLOCK_RFC3339_SIZE];

	clock_rfc3339(seconds * 1000000, text);
	/* Peer memory counts in seconds. */
	memcpy(text + strlen("2026-11-22T08:27:49"), "Z", sizeof("Z"));
	json_object_set_new(object, name, json_string(text));
}

static void put_number(json_t *object, const char *name, size_t number)
{
	json_object_set_new(object, name, json_integer((json_int_t)number));
}

static void put_flag(json_t *object, const char *name, bool flag)
{
	json_object_set_new(object, name, json_boolean(flag));
}

static void put_version(json_t *object, const char *name, int version)
{
	char text[] = {'1', '.', (char)('0' + version % 10), '\0'};

	json_object_set_new(object, name, json_string(version ? text : "none"));
}

static json_t *certificate_json(const struct peer_certificate *c)
{
	json_t *object = json_object();

	put_text(object, "sha256", c->sha256);
	put_text(object, "spki_sha256", c->spki_sha256);
	put_text(object, "subject", c->subject);
	put_text(object, "issuer", c->issuer);
	put_text(object, "endpoint", c->endpoint);
	put_time(object, "not_after", c->not_after);
	put_time(object, "first_seen", c->first_seen);
	put_time(object, "last_seen", c->last_seen);
	put_flag(object, "accepted", c->accepted);
	return object;
}

static void put_versions(json_t *tls, const struct peer_way *way)
{
	put_version(tls, "best", way->best_version);
	put_version(tls, "last", way->last_version);
}

static json_t *method_json(const struct peer_way *way)
{
	json_t *verification = json_object();

	put_text(verification, "best", peer_method_name(way->best_method));
	put_text(verification, "last", peer_method_name(way->last_method));
	return verification;
}

static void put_way(json_t *object, const char *name, const struct peer_way *way)
{
	json_t *json = json_object(), *tls = json_object();

	put_versions(tls, way);
	json_object_set_new(json, "tls", tls);
	json_object_set_new(json, "verification", method_json(way));
	put_time(json, "last_seen", way->last_seen);
	json_object_set_new(object, name, json);
}

/* The best of both directions, and the last of the one that was last. */
static struct peer_way either(const struct peer_memory *memory)
{
	const struct peer_way *out = &memory->way[PEER_OUTBOUND], *in = &memory->way[PEER_INBOUND];
	struct peer_way both = in->last_seen > out->last_seen ? *in : *out;

	both.best_version = in->best_version > out->best_version ? in->best_version : out->best_version;
	both.best_method = in->best_method > out->best_method ? in->best_method : out->best_method;
	return both;
}

static json_t *peer_json(const char *domain, enum peer_service service, const struct peer_memory *memory)
{
	json_t *object = json_object(), *starttls = json_object(), *tls = json_object();
	struct peer_way both = either(memory);

	put_text(object, "domain", domain);
	put_text(object, "service", peer_service_name(service));
	put_flag(tls, "established", memory->tls);
	put_versions(tls, &both);
	put_flag(tls, "direct", memory->direct);
	json_object_set_new(object, "tls", tls);
	json_object_set_new(object, "verification", method_json(&both));
	for (unsigned i = 0; i < PEER_DIRECTIONS; i++)
		if (memory->way[i].last_seen > 0)
			put_way(object, peer_direction_name((enum peer_direction)i), &memory->way[i]);
	put_flag(starttls, "offered", memory->offered);
	put_flag(starttls, "required", memory->required);
	json_object_set_new(object, "starttls", starttls);
	put_number(object, "certificate_count", memory->certificate_count);
	put_time(object, "first_seen", memory->first_seen);
	put_time(object, "last_seen", memory->last_seen);
	return object;
}

char *peer_list_json(const char *domain, enum peer_service service, const struct peer_memory *memory, bool certificates)
{
	json_t *object = peer_json(domain, service, memory), *list = json_array();
	char *text, *out;

	for (size_t i = 0; i < memory->certificate_count; i++)
		json_array_append_new(list, certificate_json(&memory->certificate[i]));
	if (certificates)
		json_object_set(object, "certificates", list);
	text = json_dumps(object, JSON_COMPACT);
	out = mem_strdup(text);
	free(text);
	json_decref(list);
	json_decref(object);
	return out;
}

struct page {
	struct peers_answer *answer;
	struct strbuf *text;
	bool certificates;
};

static void add_peer(void *ctx, const char *domain, enum peer_service service, const struct peer_memory *memory)
{
	struct page *page = ctx;
	char *object = peer_list_json(domain, service, memory, page->certificates);

	strbuf_printf(page->text, "%s%s", page->text->len > 0 ? "," : "", object ? object : "{}");
	mem_free(object);
	memset(page->answer->domain, 0, sizeof(page->answer->domain));
	memcpy(page->answer->domain, domain, strlen(domain));
	page->answer->service = service;
	page->answer->known = true;
}

static int show(struct peer_store *store, const char *domain, struct page *page, struct errbuf *err)
{
	for (unsigned i = 0; i < PEER_SERVICES; i++) {
		struct peer_memory memory;

		if (peer_store_get(store, domain, (enum peer_service)i, &memory, err) < 0)
			return -1;
		if (memory.known)
			add_peer(page, domain, (enum peer_service)i, &memory);
	}
	return 0;
}

int peer_list_page(struct peer_store *store, const struct peers_question *question, struct peers_answer *out,
		   struct strbuf *text, struct errbuf *err)
{
	struct page page = {.answer = out, .text = text, .certificates = question->verb == PEERS_SHOW};
	const char *after = question->domain[0] ? question->domain : NULL;
	size_t count = 0;

	if (question->verb == PEERS_SHOW)
		return show(store, question->domain, &page, err);
	if (peer_store_list(store, after, question->service, PAGE_PEERS, add_peer, &page, &count, err) < 0)
		return -1;
	out->more = count == PAGE_PEERS;
	return 0;
}

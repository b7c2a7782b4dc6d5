/* SPDX-License-Identifier: MIT */
/*
 * The pairs of domains of a stream between servers, and the keys that are being asked about. Invariants: a stanza
 * passes for a proven pair and nothing else; what was not asked cannot be answered; both tables are bounded, and
 * looked up by a keyed hash over few enough entries that no peer can make a look-up dear; no dialback key ever gets
 * here (DB-15).
 */
#include "xmpp/inspect_pairs_private.h"

#include <string.h>

#include "base/mem.h"

/* RFC 7622 section 3.1. */
#define JID_PART_MAX 1023

/* ---- tables ---- */

static uint64_t hash_of(const struct inspect_pairs *p, enum inspect_side side, const char *from, const char *to,
			const char *id)
{
	const char *part[] = {from, to, id};
	char kind = side == INSPECT_INITIATOR ? 'i' : 'r';
	uint64_t sum = siphash13(&p->key, &kind, 1);

	for (size_t i = 0; i < 3; i++) {
		struct siphash_key next = {p->key.k0 ^ sum, p->key.k1};

		sum = siphash13(&next, part[i], strlen(part[i]));
	}
	return sum;
}

static void table_add(struct inspect_table *t, uint64_t hash, void *item)
{
	if (t->count == t->room) {
		t->room = t->room == 0 ? 2 : t->room * 2;
		t->hash = mem_realloc(t->hash, t->room * sizeof(*t->hash));
		t->item = mem_realloc(t->item, t->room * sizeof(*t->item));
	}
	t->hash[t->count] = hash;
	t->item[t->count++] = item;
}

static size_t table_index(const struct inspect_table *t, const void *item)
{
	size_t i = 0;

	while (i < t->count && t->item[i] != item)
		i++;
	return i;
}

static void table_remove(struct inspect_table *t, const void *item)
{
	size_t at = table_index(t, item);

	if (at == t->count)
		return;
	t->count--;
	memmove(&t->hash[at], &t->hash[at + 1], (t->count - at) * sizeof(*t->hash));
	memmove(&t->item[at], &t->item[at + 1], (t->count - at) * sizeof(*t->item));
}

static void table_fini(struct inspect_table *t)
{
	mem_free(t->hash);
	mem_free(t->item);
}

/* An item of `size` bytes with the two domains behind it, which it points to. */
static void *item_new(size_t size, const char *from, const char *to, const char **from_out, const char **to_out)
{
	size_t from_size = strlen(from) + 1, to_size = strlen(to) + 1;
	char *item = mem_zalloc(size + from_size + to_size);

	memcpy(item + size, from, from_size);
	memcpy(item + size + from_size, to, to_size);
	*from_out = item + size;
	*to_out = item + size + from_size;
	return item;
}

/* ---- the whole ---- */

struct inspect_pairs *inspect_pairs_new(const char *remote_from)
{
	struct inspect_pairs *p = mem_zalloc(sizeof(*p));

	siphash_key_random(&p->key);
	p->remote_from = mem_strdup(remote_from);
	return p;
}

static void verify_free(struct inspect_verify *verify)
{
	mem_free(verify->theirs);
	mem_free(verify->ours);
	mem_free(verify);
}

void inspect_pairs_free(struct inspect_pairs **pairs)
{
	struct inspect_pairs *p = *pairs;

	if (!p)
		return;
	*pairs = NULL;
	for (size_t i = 0; i < p->claims.count; i++)
		mem_free(p->claims.item[i]);
	for (size_t i = 0; i < p->verifies.count; i++)
		verify_free(p->verifies.item[i]);
	table_fini(&p->claims);
	table_fini(&p->verifies);
	mem_free(p->remote_from);
	mem_free(p);
}

/* ---- claims ---- */

struct inspect_claim *inspect_claim_find(const struct inspect_pairs *p, enum inspect_side side, const char *from,
					 const char *to)
{
	uint64_t hash = hash_of(p, side, from, to, "");

	for (size_t i = 0; i < p->claims.count; i++) {
		struct inspect_claim *c = p->claims.item[i];

		if (p->claims.hash[i] == hash && c->side == side && strcmp(c->from, from) == 0 &&
		    strcmp(c->to, to) == 0)
			return c;
	}
	return NULL;
}

struct inspect_claim *inspect_claim_make(struct inspect_pairs *p, enum inspect_side side, const char *from,
					 const char *to)
{
	struct inspect_claim *claim = inspect_claim_find(p, side, from, to);
	const char *own_from, *own_to;

	if (claim || p->claims.count == INSPECT_CLAIMS_MAX)
		return claim;
	claim = item_new(sizeof(*claim), from, to, &own_from, &own_to);
	claim->side = side;
	claim->from = own_from;
	claim->to = own_to;
	table_add(&p->claims, hash_of(p, side, from, to, ""), claim);
	return claim;
}

bool inspect_claim_ask(struct inspect_pairs *p, struct inspect_claim *claim)
{
	if (claim->pending == INSPECT_PENDING_MAX)
		return false;
	claim->pending++;
	p->pending += claim->side == INSPECT_INITIATOR ? 1 : 0;
	return true;
}

void inspect_claim_prove(struct inspect_pairs *p, struct inspect_claim *claim, bool proven)
{
	if (claim->side == INSPECT_INITIATOR && proven != claim->proven)
		p->proven = proven ? p->proven + 1 : p->proven - 1;
	claim->proven = proven;
}

void inspect_claim_answer(struct inspect_pairs *p, struct inspect_claim *claim, bool proven)
{
	claim->pending--;
	p->pending -= claim->side == INSPECT_INITIATOR ? 1 : 0;
	inspect_claim_prove(p, claim, proven);
}

/* ---- keys that are asked about ---- */

struct inspect_verify *inspect_verify_add(struct inspect_pairs *p, enum inspect_side side, const char *from,
					  const char *to, const char *id)
{
	struct inspect_verify *verify;
	const char *own_from, *own_to;

	if (p->verifies.count == INSPECT_VERIFIES_MAX)
		return NULL;
	verify = item_new(sizeof(*verify), from, to, &own_from, &own_to);
	verify->side = side;
	verify->from = own_from;
	verify->to = own_to;
	verify->theirs = mem_strdup(id);
	table_add(&p->verifies, hash_of(p, side, from, to, id), verify);
	return verify;
}

void inspect_verify_rename(struct inspect_pairs *p, struct inspect_verify *verify, const char *ours)
{
	mem_free(verify->ours);
	verify->ours = mem_strdup(ours);
	p->verifies.hash[table_index(&p->verifies, verify)] = hash_of(p, verify->side, verify->from, verify->to, ours);
}

struct inspect_verify *inspect_verify_find(const struct inspect_pairs *p, enum inspect_side side, const char *from,
					   const char *to, const char *id)
{
	uint64_t hash = hash_of(p, side, from, to, id);

	for (size_t i = 0; i < p->verifies.count; i++) {
		struct inspect_verify *v = p->verifies.item[i];

		if (p->verifies.hash[i] == hash && v->side == side && strcmp(v->from, from) == 0 &&
		    strcmp(v->to, to) == 0 && strcmp(v->ours ? v->ours : v->theirs, id) == 0)
			return v;
	}
	return NULL;
}

void inspect_verify_remove(struct inspect_pairs *p, struct inspect_verify *verify)
{
	table_remove(&p->verifies, verify);
	verify_free(verify);
}

/* ---- stanzas ---- */

/* Cuts a JID in RFC 7622's order and finds its domain as it is written. False: a part of it is empty or too long. */
static bool cut_jid(const char *jid, const char **domain_out, size_t *len_out)
{
	size_t len = jid ? strcspn(jid, "/") : 0, rest;
	const char *at = jid ? memchr(jid, '@', len) : NULL;

	if (len == 0)
		return false;
	rest = jid[len] == '/' ? strlen(jid + len + 1) : 1;
	if (rest == 0 || rest > JID_PART_MAX || at == jid || (at && (size_t)(at - jid) > JID_PART_MAX))
		return false;
	*domain_out = at ? at + 1 : jid;
	*len_out = len - (size_t)(*domain_out - jid);
	return true;
}

static bool is_text(const char *text, const char *data, size_t len)
{
	return strncmp(text, data, len) == 0 && text[len] == '\0';
}

/* The proven pair that lets this side send so: its own, or with XEP-0288 the other side's the other way round. */
static const struct inspect_claim *proof(const struct inspect_pairs *p, enum inspect_side side, const char *from,
					 const char *to)
{
	const struct inspect_claim *claim = inspect_claim_find(p, side, from, to);

	if (side == INSPECT_RESPONDER && !(claim && claim->proven))
		claim = inspect_claim_find(p, INSPECT_INITIATOR, to, from);
	return claim && claim->proven ? claim : NULL;
}

enum reason inspect_pairs_judge(struct inspect_pairs *p, enum inspect_side side, const char *from, const char *to)
{
	struct inspect_recent *recent = &p->recent[side];
	char from_domain[XMPP_DOMAIN_SIZE], to_domain[XMPP_DOMAIN_SIZE];
	const char *from_text, *to_text;
	size_t from_len, to_len;

	if (!cut_jid(from, &from_text, &from_len) || !cut_jid(to, &to_text, &to_len))
		return REASON_ADDRESSING;
	if (recent->claim && recent->claim->proven && is_text(recent->from, from_text, from_len) &&
	    is_text(recent->to, to_text, to_len))
		return REASON_NONE;
	if (!jid_domain(from, from_domain) || !jid_domain(to, to_domain))
		return REASON_ADDRESSING;
	if (side == INSPECT_RESPONDER && !p->bidi)
		return REASON_FORGED_FROM;
	recent->claim = proof(p, side, from_domain, to_domain);
	if (!recent->claim)
		return REASON_FORGED_FROM;
	if (from_len >= sizeof(recent->from) || to_len >= sizeof(recent->to)) {
		recent->claim = NULL;
		return REASON_NONE;
	}
	memcpy(recent->from, from_text, from_len);
	recent->from[from_len] = '\0';
	memcpy(recent->to, to_text, to_len);
	recent->to[to_len] = '\0';
	return REASON_NONE;
}

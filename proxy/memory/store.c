/* SPDX-License-Identifier: MIT */
/*
 * Writing what was seen. An observation is merged into what is known and written back: flags only ever come, the best
 * stays the best, and what was seen last is what was seen last by the clock, in whatever order observations arrive.
 * Invariants: at most `max` pairs and PEER_CERTIFICATES certificates of each; a batch that fails is gone as a whole, so
 * that the database is always as it was at some commit.
 */
#include "memory/store.h"

#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "memory/store_private.h"

static int64_t lesser(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t greater(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* SQLite may have rolled back itself. */
static int drop_batch(struct peer_store *store)
{
	if (!sqlite3_get_autocommit(store->db))
		(void)peer_store_run(store, STATEMENT_ROLLBACK, NULL);
	store->batch = false;
	(void)peer_store_recount(store, NULL);
	return -1;
}

static int begin(struct peer_store *store, struct errbuf *err)
{
	if (store->batch)
		return 0;
	if (peer_store_run(store, STATEMENT_BEGIN, err) < 0)
		return -1;
	store->batch = true;
	return 0;
}

/* What is written into a file without a name nobody will ever read. */
static int check_place(const struct peer_store *store, struct errbuf *err)
{
	struct stat st;

	if (stat(store->path, &st) == 0 && st.st_dev == store->device && st.st_ino == store->inode)
		return 0;
	errbuf_set(err, "%s: was moved or deleted while it was in use", store->path);
	return -1;
}

int peer_store_commit(struct peer_store *store, struct errbuf *err)
{
	if (!store->batch)
		return 0;
	if (check_place(store, err) < 0 || peer_store_run(store, STATEMENT_COMMIT, err) < 0)
		return drop_batch(store);
	store->batch = false;
	return 0;
}

static void merge_way(struct peer_way *way, const struct peer_observation *seen)
{
	if (seen->version > way->best_version)
		way->best_version = seen->version;
	if (seen->method > way->best_method)
		way->best_method = seen->method;
	if (seen->when < way->last_seen)
		return;
	way->last_seen = seen->when;
	way->last_version = seen->version;
	way->last_method = seen->method;
}

static void merge_peer(struct peer_memory *known, const struct peer_observation *seen)
{
	known->first_seen = known->known ? lesser(known->first_seen, seen->when) : seen->when;
	known->tls |= seen->tls;
	known->offered |= seen->offered && !seen->inbound;
	known->required |= seen->required && !seen->inbound;
	known->direct |= seen->direct && !seen->inbound;
	known->last_seen = greater(known->last_seen, seen->when);
	merge_way(&known->way[seen->inbound ? PEER_INBOUND : PEER_OUTBOUND], seen);
}

static void bind_pair(struct peer_store *store, enum store_statement which, const struct peer_observation *seen)
{
	peer_store_bind_text(store, which, 1, seen->domain);
	peer_store_bind_text(store, which, 2, peer_service_name(seen->service));
}

static void bind_way(struct peer_store *store, int at, const struct peer_way *way)
{
	peer_store_bind_number(store, STATEMENT_PEER_PUT, at, way->last_seen);
	peer_store_bind_number(store, STATEMENT_PEER_PUT, at + 1, way->best_version);
	peer_store_bind_number(store, STATEMENT_PEER_PUT, at + 2, way->last_version);
	peer_store_bind_text(store, STATEMENT_PEER_PUT, at + 3, peer_method_name(way->best_method));
	peer_store_bind_text(store, STATEMENT_PEER_PUT, at + 4, peer_method_name(way->last_method));
}

static int put_peer(struct peer_store *store, const struct peer_observation *seen, const struct peer_memory *known,
		    struct errbuf *err)
{
	const int64_t numbers[] = {known->first_seen, known->last_seen, known->tls,
				   known->offered,    known->required,  known->direct};
	enum store_statement put = STATEMENT_PEER_PUT;

	bind_pair(store, put, seen);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		peer_store_bind_number(store, put, (int)i + 3, numbers[i]);
	bind_way(store, 9, &known->way[PEER_OUTBOUND]);
	bind_way(store, 14, &known->way[PEER_INBOUND]);
	return peer_store_run(store, put, err);
}

static void merge_certificate(struct peer_certificate *out, const struct peer_memory *known,
			      const struct peer_observation *seen)
{
	const struct peer_certificate *old = peer_memory_find(known, seen->certificate.sha256);

	*out = seen->certificate;
	out->first_seen = out->last_seen = seen->when;
	out->accepted |= peer_standing_good(peer_memory_judge(known, seen));
	if (seen->refused)
		out->accepted = old && old->accepted;
	if (!old)
		return;
	out->first_seen = lesser(old->first_seen, seen->when);
	out->last_seen = greater(old->last_seen, seen->when);
	if (seen->when < old->last_seen)
		memcpy(out->endpoint, old->endpoint, sizeof(out->endpoint));
}

/* keep: of the others. */
static int trim_certificates(struct peer_store *store, const struct peer_observation *seen, int keep,
			     struct errbuf *err)
{
	bind_pair(store, STATEMENT_CERTIFICATE_TRIM, seen);
	peer_store_bind_text(store, STATEMENT_CERTIFICATE_TRIM, 3, seen->certificate.sha256);
	peer_store_bind_number(store, STATEMENT_CERTIFICATE_TRIM, 4, keep);
	return peer_store_run(store, STATEMENT_CERTIFICATE_TRIM, err);
}

static int put_certificate(struct peer_store *store, const struct peer_observation *seen,
			   const struct peer_certificate *c, struct errbuf *err)
{
	const char *texts[] = {c->sha256, c->spki_sha256, c->subject, c->issuer, c->endpoint};
	const int64_t numbers[] = {c->not_after, c->first_seen, c->last_seen, c->accepted};
	enum store_statement put = STATEMENT_CERTIFICATE_PUT;
	int at = 3;

	bind_pair(store, put, seen);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		peer_store_bind_text(store, put, at++, texts[i]);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		peer_store_bind_number(store, put, at++, numbers[i]);
	return peer_store_run(store, put, err);
}

/* Only of certificates that are accepted: nobody can push out those that were met by having us led to many. */
static int remember_endpoint(struct peer_store *store, const struct peer_observation *seen, struct errbuf *err)
{
	bind_pair(store, STATEMENT_ENDPOINT_PUT, seen);
	peer_store_bind_text(store, STATEMENT_ENDPOINT_PUT, 3, seen->certificate.endpoint);
	peer_store_bind_number(store, STATEMENT_ENDPOINT_PUT, 4, seen->when);
	if (peer_store_run(store, STATEMENT_ENDPOINT_PUT, err) < 0)
		return -1;
	bind_pair(store, STATEMENT_ENDPOINT_TRIM, seen);
	peer_store_bind_text(store, STATEMENT_ENDPOINT_TRIM, 3, seen->certificate.endpoint);
	peer_store_bind_number(store, STATEMENT_ENDPOINT_TRIM, 4, PEER_ENDPOINTS - 1);
	return peer_store_run(store, STATEMENT_ENDPOINT_TRIM, err);
}

static int remember_certificate(struct peer_store *store, const struct peer_observation *seen,
				const struct peer_memory *known, struct errbuf *err)
{
	struct peer_certificate merged;

	merge_certificate(&merged, known, seen);
	if (put_certificate(store, seen, &merged, err) < 0)
		return -1;
	if (merged.accepted && !seen->inbound && !seen->refused && remember_endpoint(store, seen, err) < 0)
		return -1;
	/* One place is never taken by an accepted one: who shows one that is not finds it free, and pushes none out. */
	return trim_certificates(store, seen, merged.accepted ? PEER_CERTIFICATES - 2 : PEER_CERTIFICATES - 1, err);
}

/* The pair last: it is what says which. */
static int forget_oldest(struct peer_store *store, const struct peer_observation *spared, struct errbuf *err)
{
	static const enum store_statement forget[] = {STATEMENT_OLDEST_CERTIFICATES, STATEMENT_OLDEST_ENDPOINTS,
						      STATEMENT_OLDEST_PEER};

	for (size_t i = 0; i < ARRAY_LEN(forget); i++) {
		bind_pair(store, forget[i], spared);
		if (peer_store_run(store, forget[i], err) < 0)
			return -1;
	}
	store->count--;
	return 0;
}

/* Whoever it was, he was not let in: what else he did is not what the peer does. With nothing left to hold it against
 * (somebody has just said `peers forget`) the certificate is not kept, either: the next one is the first. */
static int merge_refused(struct peer_store *store, const struct peer_observation *seen, const struct peer_memory *known,
			 struct errbuf *err)
{
	if (!seen->has_certificate || known->certificate_count == 0)
		return 0;
	return remember_certificate(store, seen, known, err);
}

static int merge(struct peer_store *store, const struct peer_observation *seen, struct errbuf *err)
{
	struct peer_memory known;
	bool is_new;

	if (peer_store_get(store, seen->domain, seen->service, &known, err) < 0)
		return -1;
	if (seen->refused)
		return merge_refused(store, seen, &known, err);
	is_new = !known.known;
	merge_peer(&known, seen);
	if (put_peer(store, seen, &known, err) < 0)
		return -1;
	if (seen->has_certificate && remember_certificate(store, seen, &known, err) < 0)
		return -1;
	store->count += is_new;
	return is_new && store->count > store->max ? forget_oldest(store, seen, err) : 0;
}

int peer_store_observe(struct peer_store *store, const struct peer_observation *seen, struct errbuf *err)
{
	if (begin(store, err) < 0 || merge(store, seen, err) < 0)
		return drop_batch(store);
	return 0;
}

/* Runs a statement about one domain; *changed_out: rows. */
static int run_for_domain(struct peer_store *store, enum store_statement which, const char *domain,
			  unsigned *changed_out, struct errbuf *err)
{
	peer_store_bind_text(store, which, 1, domain);
	if (peer_store_run(store, which, err) < 0)
		return -1;
	if (changed_out)
		*changed_out = (unsigned)sqlite3_changes(store->db);
	return 0;
}

int peer_store_accept(struct peer_store *store, const char *domain, const char *sha256, unsigned *count_out,
		      struct errbuf *err)
{
	*count_out = 0;
	peer_store_bind_text(store, STATEMENT_CERTIFICATE_ACCEPT, 2, sha256);
	if (begin(store, err) < 0 || run_for_domain(store, STATEMENT_CERTIFICATE_ACCEPT, domain, count_out, err) < 0)
		return drop_batch(store);
	return peer_store_commit(store, err);
}

int peer_store_forget(struct peer_store *store, const char *domain, unsigned *count_out, struct errbuf *err)
{
	*count_out = 0;
	if (begin(store, err) < 0 || run_for_domain(store, STATEMENT_CERTIFICATE_FORGET, domain, NULL, err) < 0 ||
	    run_for_domain(store, STATEMENT_ENDPOINT_FORGET, domain, NULL, err) < 0 ||
	    run_for_domain(store, STATEMENT_PEER_FORGET, domain, count_out, err) < 0)
		return drop_batch(store);
	store->count -= *count_out;
	return peer_store_commit(store, err);
}

/* SPDX-License-Identifier: MIT */
/*
 * Reading peers. Nothing in the file is believed: a row of no domain or service is passed over, a certificate without
 * its digest too, a number that means nothing is zero, a name that is not known proves nothing, text is cut to its
 * place.
 */
#include <sqlite3.h>
#include <string.h>

#include "memory/store_private.h"

/* Columns of STATEMENT_PEER_GET and STATEMENT_PEER_PAGE. */
enum {
	DOMAIN,
	SERVICE,
	FIRST_SEEN,
	LAST_SEEN,
	TLS,
	OFFERED,
	REQUIRED,
	DIRECT,
	OUTBOUND, /* and behind it the five of a way */
	INBOUND = OUTBOUND + 5
};
enum { W_LAST_SEEN, W_BEST_VERSION, W_LAST_VERSION, W_BEST_METHOD, W_LAST_METHOD };
/* Columns of STATEMENT_CERTIFICATES. */
enum { C_SHA256, C_SPKI_SHA256, C_SUBJECT, C_ISSUER, C_ENDPOINT, C_NOT_AFTER, C_FIRST_SEEN, C_LAST_SEEN, C_ACCEPTED };

int peer_store_step(struct peer_store *store, enum store_statement which, struct errbuf *err)
{
	int code = sqlite3_step(store->statement[which]);

	if (code == SQLITE_ROW)
		return 1;
	return code == SQLITE_DONE ? 0 : peer_store_fail(store, err);
}

void peer_store_reset(struct peer_store *store, enum store_statement which)
{
	sqlite3_reset(store->statement[which]);
	sqlite3_clear_bindings(store->statement[which]);
}

int peer_store_run(struct peer_store *store, enum store_statement which, struct errbuf *err)
{
	int result = peer_store_step(store, which, err);

	peer_store_reset(store, which);
	return result < 0 ? -1 : 0;
}

/* text outlives the step. */
void peer_store_bind_text(struct peer_store *store, enum store_statement which, int at, const char *text)
{
	sqlite3_bind_text(store->statement[which], at, text, -1, SQLITE_STATIC);
}

void peer_store_bind_number(struct peer_store *store, enum store_statement which, int at, int64_t number)
{
	sqlite3_bind_int64(store->statement[which], at, number);
}

int peer_store_recount(struct peer_store *store, struct errbuf *err)
{
	int result = peer_store_step(store, STATEMENT_PEER_COUNT, err);

	if (result > 0)
		store->count = (size_t)sqlite3_column_int64(store->statement[STATEMENT_PEER_COUNT], 0);
	peer_store_reset(store, STATEMENT_PEER_COUNT);
	return result < 0 ? -1 : 0;
}

size_t peer_store_count(const struct peer_store *store)
{
	return store->count;
}

static const char *text_at(sqlite3_stmt *row, int column)
{
	const char *text = (const char *)sqlite3_column_text(row, column);

	return text ? text : "";
}

static void take_text(sqlite3_stmt *row, int column, char *out, size_t size)
{
	size_t len = strnlen(text_at(row, column), size - 1);

	memcpy(out, text_at(row, column), len);
	out[len] = '\0';
}

static int64_t time_at(sqlite3_stmt *row, int column)
{
	int64_t seconds = sqlite3_column_int64(row, column);

	return seconds < 0 ? 0 : seconds > PEER_TIME_MAX ? PEER_TIME_MAX : seconds;
}

static int version_at(sqlite3_stmt *row, int column)
{
	int64_t version = sqlite3_column_int64(row, column);

	return peer_version_valid(version) ? (int)version : 0;
}

static enum peer_method method_at(sqlite3_stmt *row, int column)
{
	for (unsigned i = 0; i < PEER_METHODS; i++)
		if (strcmp(text_at(row, column), peer_method_name((enum peer_method)i)) == 0)
			return (enum peer_method)i;
	return PEER_METHOD_NONE;
}

static bool flag_at(sqlite3_stmt *row, int column)
{
	return sqlite3_column_int64(row, column) != 0;
}

static void take_way(sqlite3_stmt *row, int first, struct peer_way *out)
{
	out->last_seen = time_at(row, first + W_LAST_SEEN);
	out->best_version = version_at(row, first + W_BEST_VERSION);
	out->last_version = version_at(row, first + W_LAST_VERSION);
	out->best_method = method_at(row, first + W_BEST_METHOD);
	out->last_method = method_at(row, first + W_LAST_METHOD);
}

static void take_peer(sqlite3_stmt *row, struct peer_memory *out)
{
	memset(out, 0, sizeof(*out));
	out->known = true;
	out->first_seen = time_at(row, FIRST_SEEN);
	out->last_seen = time_at(row, LAST_SEEN);
	out->tls = flag_at(row, TLS);
	out->offered = flag_at(row, OFFERED);
	out->required = flag_at(row, REQUIRED);
	out->direct = flag_at(row, DIRECT);
	take_way(row, OUTBOUND, &out->way[PEER_OUTBOUND]);
	take_way(row, INBOUND, &out->way[PEER_INBOUND]);
}

/* False: it is not one. */
static bool take_certificate(sqlite3_stmt *row, struct peer_certificate *out)
{
	memset(out, 0, sizeof(*out));
	take_text(row, C_SHA256, out->sha256, sizeof(out->sha256));
	take_text(row, C_SPKI_SHA256, out->spki_sha256, sizeof(out->spki_sha256));
	take_text(row, C_SUBJECT, out->subject, sizeof(out->subject));
	take_text(row, C_ISSUER, out->issuer, sizeof(out->issuer));
	take_text(row, C_ENDPOINT, out->endpoint, sizeof(out->endpoint));
	out->not_after = time_at(row, C_NOT_AFTER);
	out->first_seen = time_at(row, C_FIRST_SEEN);
	out->last_seen = time_at(row, C_LAST_SEEN);
	out->accepted = flag_at(row, C_ACCEPTED);
	return peer_digest_valid(out->sha256) && peer_digest_valid(out->spki_sha256);
}

static int read_certificates(struct peer_store *store, const char *domain, enum peer_service service,
			     struct peer_memory *out, struct errbuf *err)
{
	int result;

	peer_store_bind_text(store, STATEMENT_CERTIFICATES, 1, domain);
	peer_store_bind_text(store, STATEMENT_CERTIFICATES, 2, peer_service_name(service));
	while ((result = peer_store_step(store, STATEMENT_CERTIFICATES, err)) > 0 &&
	       out->certificate_count < PEER_CERTIFICATES)
		if (take_certificate(store->statement[STATEMENT_CERTIFICATES],
				     &out->certificate[out->certificate_count]))
			out->certificate_count++;
	if (out->certificate_count < PEER_CERTIFICATES)
		memset(&out->certificate[out->certificate_count], 0, sizeof(out->certificate[0]));
	peer_store_reset(store, STATEMENT_CERTIFICATES);
	return result < 0 ? -1 : 0;
}

static int read_endpoints(struct peer_store *store, const char *domain, enum peer_service service,
			  struct peer_memory *out, struct errbuf *err)
{
	sqlite3_stmt *row = store->statement[STATEMENT_ENDPOINTS];
	int result = 0;

	peer_store_bind_text(store, STATEMENT_ENDPOINTS, 1, domain);
	peer_store_bind_text(store, STATEMENT_ENDPOINTS, 2, peer_service_name(service));
	while (out->endpoint_count < PEER_ENDPOINTS && (result = peer_store_step(store, STATEMENT_ENDPOINTS, err)) > 0)
		take_text(row, 0, out->endpoint[out->endpoint_count++], PEER_ENDPOINT_SIZE);
	peer_store_reset(store, STATEMENT_ENDPOINTS);
	return result < 0 ? -1 : 0;
}

int peer_store_get(struct peer_store *store, const char *domain, enum peer_service service, struct peer_memory *out,
		   struct errbuf *err)
{
	int result;

	memset(out, 0, sizeof(*out));
	peer_store_bind_text(store, STATEMENT_PEER_GET, 1, domain);
	peer_store_bind_text(store, STATEMENT_PEER_GET, 2, peer_service_name(service));
	result = peer_store_step(store, STATEMENT_PEER_GET, err);
	if (result > 0)
		take_peer(store->statement[STATEMENT_PEER_GET], out);
	peer_store_reset(store, STATEMENT_PEER_GET);
	if (result > 0)
		result = read_certificates(store, domain, service, out, err);
	return out->known && result == 0 ? read_endpoints(store, domain, service, out, err) : result;
}

/* False: a row of no use. */
static bool take_key(sqlite3_stmt *row, char domain[PEER_DOMAIN_SIZE], enum peer_service *service)
{
	take_text(row, DOMAIN, domain, PEER_DOMAIN_SIZE);
	if (strcmp(domain, text_at(row, DOMAIN)) != 0 || !peer_domain_valid(domain))
		return false;
	for (unsigned i = 0; i < PEER_SERVICES; i++) {
		*service = (enum peer_service)i;
		if (strcmp(text_at(row, SERVICE), peer_service_name(*service)) == 0)
			return true;
	}
	return false;
}

int peer_store_list(struct peer_store *store, const char *after, enum peer_service after_service, size_t limit,
		    peer_each_fn *each, void *ctx, size_t *count_out, struct errbuf *err)
{
	sqlite3_stmt *row = store->statement[STATEMENT_PEER_PAGE];
	char domain[PEER_DOMAIN_SIZE];
	struct peer_memory memory;
	enum peer_service service;
	int result = 0;

	*count_out = 0;
	peer_store_bind_text(store, STATEMENT_PEER_PAGE, 1, after ? after : "");
	peer_store_bind_text(store, STATEMENT_PEER_PAGE, 2, after ? peer_service_name(after_service) : "");
	while (*count_out < limit && (result = peer_store_step(store, STATEMENT_PEER_PAGE, err)) > 0) {
		if (!take_key(row, domain, &service))
			continue;
		take_peer(row, &memory);
		result = read_certificates(store, domain, service, &memory, err);
		if (result < 0)
			break;
		each(ctx, domain, service, &memory);
		++*count_out;
	}
	peer_store_reset(store, STATEMENT_PEER_PAGE);
	return result < 0 ? -1 : 0;
}

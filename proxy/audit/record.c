/* SPDX-License-Identifier: MIT */
/*
 * From plain values to one line of JSON. One table per type says which member of the struct becomes which name of the
 * contract, in the order they are written; a dot nests. All text passes the escape filter first: it may be hostile
 * (LOG-9), and what comes out has no control character and is UTF-8, so that JSON asks for nothing but \" and \\.
 * Written straight into the line, without a tree of a JSON library: two or three records a stream are a tenth of what a
 * stream costs otherwise. Invariant: members of one object stand together in the tables, or it would be opened twice.
 */
#include "audit/record.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/escape.h"
#include "base/strbuf.h"

/* Bytes of one value, escaped, without the NUL. */
#define VALUE_MAX 1023
/* A certificate may hold any number of names of any length. */
#define NAMES_MAX 32
#define NAME_MAX_BYTES 255
/* Every value at its longest, quoted once more by JSON, is far less. */
#define RECORD_MAX ((size_t)256 * 1024)

/* NUMBER: int64_t, negative if absent. COUNT: int, 0 if absent. PROTOCOL: the protocol of whatever has a direction. */
enum kind { TEXT, NUMBER, COUNT, FLAG, PROTOCOL, TLS, LEAF, PREVIOUS, PEER_KEY, NAMES };

struct member {
	const char *name;
	enum kind kind;
	size_t offset;
};

#define MEMBER(n, k, f)                                                              \
	{                                                                            \
		.name = (n), .kind = (k), .offset = offsetof(struct audit_record, f) \
	}
#define TLS_MEMBER(n, k, f)                                                       \
	{                                                                         \
		.name = (n), .kind = (k), .offset = offsetof(struct audit_tls, f) \
	}

#define LEAF_MEMBER(n, k, f)                                                              \
	{                                                                                 \
		.name = (n), .kind = (k), .offset = offsetof(struct audit_certificate, f) \
	}

static const struct member tls_members[] = {
    TLS_MEMBER("established", FLAG, established),
    TLS_MEMBER("version", TEXT, version),
    TLS_MEMBER("cipher", TEXT, cipher),
    TLS_MEMBER("curve", TEXT, curve),
    TLS_MEMBER("resumed", FLAG, resumed),
    TLS_MEMBER("next_protocol", TEXT, next_protocol),
    TLS_MEMBER("client.server_name", TEXT, server_name),
};

/* Of a side of the network-facing leg: under "tls.server" or "tls.client". */
static const struct member leaf_members[] = {
    LEAF_MEMBER("x509.subject.distinguished_name", TEXT, subject),
    LEAF_MEMBER("x509.issuer.distinguished_name", TEXT, issuer),
    LEAF_MEMBER("x509.serial_number", TEXT, serial),
    LEAF_MEMBER("x509.not_before", TEXT, not_before),
    LEAF_MEMBER("x509.not_after", TEXT, not_after),
    LEAF_MEMBER("x509.alternative_names", NAMES, names),
    LEAF_MEMBER("x509.public_key_algorithm", TEXT, key_algorithm),
    LEAF_MEMBER("x509.public_key_size", COUNT, key_size),
    LEAF_MEMBER("x509.signature_algorithm", TEXT, signature_algorithm),
    LEAF_MEMBER("hash.sha256", TEXT, sha256),
};

/* The certificate that is remembered, as far as it is. */
static const struct member previous_members[] = {
    LEAF_MEMBER("subject", TEXT, subject),         LEAF_MEMBER("issuer", TEXT, issuer),
    LEAF_MEMBER("serial_number", TEXT, serial),    LEAF_MEMBER("not_before", TEXT, not_before),
    LEAF_MEMBER("not_after", TEXT, not_after),     LEAF_MEMBER("sha256", TEXT, sha256),
    LEAF_MEMBER("spki_sha256", TEXT, spki_sha256),
};

static const struct member members[] = {
    MEMBER("event.reason", TEXT, reason),
    MEMBER("event.code", TEXT, reason_word),
    MEMBER("event.duration", NUMBER, duration_ns),
    MEMBER("network.protocol", PROTOCOL, direction),
    MEMBER("network.direction", TEXT, direction),
    MEMBER("service.version", TEXT, version_text),
    MEMBER("source.ip", TEXT, source_ip),
    MEMBER("source.port", COUNT, source_port),
    MEMBER("source.bytes", NUMBER, source_bytes),
    MEMBER("destination.ip", TEXT, destination_ip),
    MEMBER("destination.port", COUNT, destination_port),
    MEMBER("destination.domain", TEXT, destination_domain),
    MEMBER("destination.bytes", NUMBER, destination_bytes),
    MEMBER("xmpp.stream", TEXT, stream),
    MEMBER("xmpp.role", TEXT, role),
    MEMBER("xmpp.from", TEXT, from),
    MEMBER("xmpp.to", TEXT, to),
    MEMBER("xmpp.version", TEXT, version),
    MEMBER("xmpp.policy.level", TEXT, level),
    MEMBER("xmpp.policy.mode", TEXT, mode),
    MEMBER("xmpp.policy.rule", TEXT, policy_rule),
    MEMBER("xmpp.policy.reason", TEXT, policy_reason),
    MEMBER("xmpp.policy.until", TEXT, policy_until),
    MEMBER("xmpp.starttls.advertised", FLAG, starttls_advertised),
    MEMBER("xmpp.starttls.required", FLAG, starttls_required),
    MEMBER("xmpp.starttls.result", TEXT, starttls_result),
    MEMBER("xmpp.starttls.differs", FLAG, starttls_differs),
    MEMBER("xmpp.dns.dnssec", TEXT, dnssec),
    MEMBER("xmpp.verification.method", TEXT, verification_method),
    MEMBER("xmpp.verification.identity", TEXT, verification_identity),
    MEMBER("xmpp.verification.matched", TEXT, verification_matched),
    MEMBER("xmpp.verification.result", TEXT, verification_result),
    MEMBER("xmpp.verification.reason", TEXT, verification_reason),
    {.name = "xmpp.peer.spki_sha256", .kind = PEER_KEY, .offset = 0},
    MEMBER("xmpp.peer.previous", PREVIOUS, previous_certificate),
    MEMBER("xmpp.auth.method", TEXT, auth_method),
    MEMBER("xmpp.auth.identity", TEXT, auth_identity),
    MEMBER("xmpp.error", TEXT, error),
    MEMBER("xmpp.stanzas.in", NUMBER, stanzas_in),
    MEMBER("xmpp.stanzas.out", NUMBER, stanzas_out),
    MEMBER("xmpp.inner.tls", TLS, inner),
    MEMBER("xmpp.inner.verification.method", TEXT, inner_verification_method),
    MEMBER("xmpp.inner.verification.result", TEXT, inner_verification_result),
    MEMBER("xmpp.inner.verification.reason", TEXT, inner_verification_reason),
    MEMBER("tls", TLS, outer),
    MEMBER("tls.client", LEAF, client_certificate),
    MEMBER("tls.server", LEAF, server_certificate),
};

static const char *const outcomes[] = {
    [AUDIT_SUCCESS] = "success",
    [AUDIT_FAILURE] = "failure",
    [AUDIT_UNKNOWN] = "unknown",
};

void audit_record_init(struct audit_record *r)
{
	*r = (struct audit_record){.outcome = AUDIT_UNKNOWN,
				   .duration_ns = -1,
				   .source_bytes = -1,
				   .destination_bytes = -1,
				   .stanzas_in = -1,
				   .stanzas_out = -1};
}

/* The record being written, and the objects that are open in it: "xmpp.policy.", "" between them. */
struct line {
	struct strbuf text;
	char open[64];
};

static void add(struct line *l, const char *text, size_t len)
{
	bool ok = strbuf_add(&l->text, text, len);

	assert(ok);
	(void)ok;
}

static void add_text(struct line *l, const char *text)
{
	add(l, text, strlen(text));
}

static void add_comma(struct line *l)
{
	if (l->text.data[l->text.len - 1] != '{')
		add(l, ",", 1);
}

/* Bytes of a and b that are alike, up to and with the last dot among them. */
static size_t shared_path(const char *a, const char *b)
{
	size_t shared = 0;

	for (size_t i = 0; a[i] && a[i] == b[i]; i++) {
		if (a[i] == '.')
			shared = i + 1;
	}
	return shared;
}

/* Ends the objects whose names stand behind the first `kept` bytes of the open path. */
static void close_objects(struct line *l, size_t kept)
{
	for (size_t i = kept; l->open[i]; i++) {
		if (l->open[i] == '.')
			add(l, "}", 1);
	}
	l->open[kept] = '\0';
}

static void add_name(struct line *l, const char *name, size_t len)
{
	add_comma(l);
	add(l, "\"", 1);
	add(l, name, len);
	add(l, "\":", 2);
}

/* Writes everything before the value of the member: objects that end, objects that begin, and its name. */
static void add_member(struct line *l, const char *name)
{
	size_t at = shared_path(l->open, name);
	const char *dot;

	close_objects(l, at);
	for (; (dot = strchr(name + at, '.')); at = (size_t)(dot - name) + 1) {
		add_name(l, name + at, (size_t)(dot - name) - at);
		add(l, "{", 1);
	}
	assert(at < sizeof(l->open));
	memcpy(l->open, name, at);
	l->open[at] = '\0';
	add_name(l, name + at, strlen(name + at));
}

static void add_quoted(struct line *l, const char *text)
{
	size_t run;

	add(l, "\"", 1);
	while (*text) {
		run = strcspn(text, "\"\\");
		add(l, text, run);
		text += run;
		if (*text) {
			add(l, "\\", 1);
			add(l, text++, 1);
		}
	}
	add(l, "\"", 1);
}

/* size: of the value with its NUL; VALUE_MAX + 1 at most. */
static void add_safe(struct line *l, const char *text, size_t size)
{
	char safe[VALUE_MAX + 1];

	(void)escape_text(safe, size, text, strnlen(text, size + 3));
	add_quoted(l, safe);
}

static void put_text(struct line *l, const char *name, const char *text)
{
	/* Absent, never empty. */
	if (!text || !text[0])
		return;
	add_member(l, name);
	add_safe(l, text, VALUE_MAX + 1);
}

static void put_names(struct line *l, const char *name, const struct audit_certificate *leaf)
{
	if (leaf->name_count == 0)
		return;
	add_member(l, name);
	for (size_t i = 0; i < leaf->name_count && i < NAMES_MAX; i++) {
		add_text(l, i == 0 ? "[" : ",");
		add_safe(l, leaf->names[i], NAME_MAX_BYTES + 1);
	}
	add_text(l, "]");
}

static void put_flag(struct line *l, const char *name, enum audit_flag flag)
{
	if (flag == AUDIT_ABSENT)
		return;
	add_member(l, name);
	add_text(l, flag == AUDIT_TRUE ? "true" : "false");
}

static void put_number(struct line *l, const char *name, int64_t n, int64_t least)
{
	char digits[24];

	if (n < least)
		return;
	(void)snprintf(digits, sizeof(digits), "%lld", (long long)n);
	add_member(l, name);
	add_text(l, digits);
}

static void put_table(struct line *l, const char *prefix, const struct member *table, size_t count, const void *data);

static void put_leaf(struct line *l, const char *prefix, enum kind kind, const struct audit_certificate *leaf)
{
	if (!leaf)
		return;
	if (kind == PREVIOUS)
		put_table(l, prefix, previous_members, ARRAY_LEN(previous_members), leaf);
	else
		put_table(l, prefix, leaf_members, ARRAY_LEN(leaf_members), leaf);
}

/* The key of the far end of the network-facing leg, whichever side of TLS it is. */
static const char *peer_key(const struct audit_record *r)
{
	const struct audit_certificate *leaf = r->server_certificate ? r->server_certificate : r->client_certificate;

	return leaf ? leaf->spki_sha256 : NULL;
}

/* data: the struct of the table, at: the member in it. */
static void put_member(struct line *l, const char *name, enum kind kind, const void *data, const char *at)
{
	switch (kind) {
	case TEXT:
		put_text(l, name, *(const char *const *)(const void *)at);
		break;
	case NUMBER:
		put_number(l, name, *(const int64_t *)(const void *)at, 0);
		break;
	case COUNT:
		put_number(l, name, *(const int *)(const void *)at, 1);
		break;
	case FLAG:
		put_flag(l, name, *(const enum audit_flag *)(const void *)at);
		break;
	case PROTOCOL:
		put_text(l, name, *(const char *const *)(const void *)at ? "xmpp" : NULL);
		break;
	case TLS:
		put_table(l, name, tls_members, ARRAY_LEN(tls_members), at);
		break;
	case LEAF:
	case PREVIOUS:
		put_leaf(l, name, kind, *(const struct audit_certificate *const *)(const void *)at);
		break;
	case PEER_KEY:
		put_text(l, name, peer_key(data));
		break;
	case NAMES:
		put_names(l, name, data);
		break;
	}
}

static void put_table(struct line *l, const char *prefix, const struct member *table, size_t count, const void *data)
{
	char name[sizeof(l->open)];
	size_t len = strlen(prefix);

	memcpy(name, prefix, len);
	if (len)
		name[len++] = '.';
	for (size_t i = 0; i < count; i++) {
		size_t own = strlen(table[i].name);

		assert(len + own < sizeof(name));
		memcpy(name + len, table[i].name, own + 1);
		put_member(l, name, table[i].kind, data, (const char *)data + table[i].offset);
	}
}

/* event.id comes early: the writer finds it there without parsing the line. */
static void put_head(struct line *l, const struct audit_record *r)
{
	char time[CLOCK_RFC3339_SIZE];

	clock_rfc3339(r->time_us, time);
	put_text(l, "@timestamp", time);
	put_text(l, "event.kind", "event");
	put_text(l, "event.id", r->id);
	add_member(l, "event.category");
	add_text(l, "[\"network\"]");
	put_text(l, "event.action", r->action);
	put_text(l, "event.outcome", outcomes[r->outcome]);
	put_number(l, "event.severity", r->severity, 0);
}

char *audit_record_json(const struct audit_record *r, size_t *len_out)
{
	struct line l = {.open = ""};

	strbuf_init(&l.text, RECORD_MAX);
	add(&l, "{", 1);
	put_head(&l, r);
	put_table(&l, "", members, ARRAY_LEN(members), r);
	close_objects(&l, 0);
	add(&l, "}", 1);
	*len_out = l.text.len;
	return l.text.data;
}

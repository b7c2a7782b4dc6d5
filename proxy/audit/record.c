/* SPDX-License-Identifier: MIT */
/*
 * From plain values to one line of JSON. One table per type says which member of the struct becomes which name of the
 * contract, in the order they are written; a dot nests. All text passes the escape filter first, both because it may be
 * hostile (LOG-9) and because the JSON library gives nothing at all for text that is not UTF-8.
 */
#include "audit/record.h"

#include <assert.h>
#include <jansson.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/escape.h"
#include "base/random.h"
#include "base/strbuf.h"

/* Bytes of one value, escaped, without the NUL. */
#define VALUE_MAX 1023
/* Every value at its longest, quoted once more by JSON, is far less. */
#define RECORD_MAX ((size_t)256 * 1024)

enum kind { TEXT, NUMBER, PORT, FLAG, TLS };

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

static const struct member tls_members[] = {
    TLS_MEMBER("established", FLAG, established),
    TLS_MEMBER("version", TEXT, version),
    TLS_MEMBER("cipher", TEXT, cipher),
    TLS_MEMBER("curve", TEXT, curve),
    TLS_MEMBER("resumed", FLAG, resumed),
    TLS_MEMBER("next_protocol", TEXT, next_protocol),
    TLS_MEMBER("client.server_name", TEXT, server_name),
};

static const struct member members[] = {
    MEMBER("event.reason", TEXT, reason),
    MEMBER("event.code", TEXT, reason_word),
    MEMBER("event.duration", NUMBER, duration_ns),
    MEMBER("service.version", TEXT, version_text),
    MEMBER("source.ip", TEXT, source_ip),
    MEMBER("source.port", PORT, source_port),
    MEMBER("source.bytes", NUMBER, source_bytes),
    MEMBER("destination.ip", TEXT, destination_ip),
    MEMBER("destination.port", PORT, destination_port),
    MEMBER("destination.domain", TEXT, destination_domain),
    MEMBER("destination.bytes", NUMBER, destination_bytes),
    MEMBER("network.direction", TEXT, direction),
    MEMBER("xmpp.stream", TEXT, stream),
    MEMBER("xmpp.role", TEXT, role),
    MEMBER("xmpp.from", TEXT, from),
    MEMBER("xmpp.to", TEXT, to),
    MEMBER("xmpp.version", TEXT, version),
    MEMBER("xmpp.policy.level", TEXT, level),
    MEMBER("xmpp.policy.mode", TEXT, mode),
    MEMBER("xmpp.starttls.advertised", FLAG, starttls_advertised),
    MEMBER("xmpp.starttls.required", FLAG, starttls_required),
    MEMBER("xmpp.starttls.result", TEXT, starttls_result),
    MEMBER("xmpp.verification.method", TEXT, verification_method),
    MEMBER("xmpp.verification.result", TEXT, verification_result),
    MEMBER("xmpp.verification.reason", TEXT, verification_reason),
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

/* The library's constructors and setters return NULL and -1 only for want of memory and for text we have made safe. */
static json_t *object_made(json_t *object)
{
	assert(object);
	return object;
}

/* Left to itself the library opens /dev/urandom for its hash seed, which a sandboxed worker must not do. */
static json_t *new_root(void)
{
	static size_t seed;

	if (!seed) {
		random_bytes(&seed, sizeof(seed));
		seed |= 1;
		json_object_seed(seed);
	}
	return object_made(json_object());
}

static void set(json_t *object, const char *name, json_t *value)
{
	int rc = json_object_set_new_nocheck(object, name, object_made(value));

	assert(!rc);
	(void)rc;
}

/* The object that the dots of name lead to, made where missing; *last is what stands behind the last dot. */
static json_t *descend(json_t *object, const char *name, const char **last)
{
	const char *dot;
	char part[32];
	json_t *next;

	for (; (dot = strchr(name, '.')); name = dot + 1) {
		assert((size_t)(dot - name) < sizeof(part));
		memcpy(part, name, (size_t)(dot - name));
		part[dot - name] = '\0';
		next = json_object_get(object, part);
		if (!next) {
			next = object_made(json_object());
			set(object, part, next);
		}
		object = next;
	}
	*last = name;
	return object;
}

static void put(json_t *root, const char *name, json_t *value)
{
	const char *last;
	json_t *object = descend(root, name, &last);

	set(object, last, value);
}

static void put_text(json_t *root, const char *name, const char *text)
{
	char safe[VALUE_MAX + 1];

	/* Absent, never empty. */
	if (!text || !text[0])
		return;
	(void)escape_text(safe, sizeof(safe), text, strnlen(text, VALUE_MAX + 4));
	put(root, name, json_string_nocheck(safe));
}

static void put_flag(json_t *root, const char *name, enum audit_flag flag)
{
	if (flag != AUDIT_ABSENT)
		put(root, name, json_boolean(flag == AUDIT_TRUE));
}

static void put_number(json_t *root, const char *name, int64_t n, int64_t least)
{
	if (n >= least)
		put(root, name, json_integer(n));
}

static void put_table(json_t *root, const char *prefix, const struct member *table, size_t count, const void *data);

static void put_tls(json_t *root, const char *name, const struct audit_tls *tls)
{
	put_table(root, name, tls_members, ARRAY_LEN(tls_members), tls);
}

static void put_member(json_t *root, const char *name, enum kind kind, const char *at)
{
	switch (kind) {
	case TEXT:
		put_text(root, name, *(const char *const *)(const void *)at);
		break;
	case NUMBER:
		put_number(root, name, *(const int64_t *)(const void *)at, 0);
		break;
	case PORT:
		put_number(root, name, *(const int *)(const void *)at, 1);
		break;
	case FLAG:
		put_flag(root, name, *(const enum audit_flag *)(const void *)at);
		break;
	case TLS:
		put_tls(root, name, (const struct audit_tls *)(const void *)at);
		break;
	}
}

static void put_table(json_t *root, const char *prefix, const struct member *table, size_t count, const void *data)
{
	struct strbuf name;
	size_t i;

	strbuf_init(&name, 128);
	for (i = 0; i < count; i++) {
		strbuf_clear(&name);
		(void)strbuf_printf(&name, "%s%s%s", prefix ? prefix : "", prefix ? "." : "", table[i].name);
		put_member(root, strbuf_text(&name), table[i].kind, (const char *)data + table[i].offset);
	}
	strbuf_fini(&name);
}

/* event.id comes early: the writer finds it there without parsing the line. */
static void put_head(json_t *root, const struct audit_record *r)
{
	char time[CLOCK_RFC3339_SIZE];

	clock_rfc3339(r->time_us, time);
	put_text(root, "@timestamp", time);
	put_text(root, "event.kind", "event");
	put_text(root, "event.id", r->id);
	put(root, "event.category", json_pack("[s]", "network"));
	put_text(root, "event.action", r->action);
	put_text(root, "event.outcome", outcomes[r->outcome]);
	put(root, "event.severity", json_integer(r->severity));
}

static int collect(const char *text, size_t len, void *ctx)
{
	return strbuf_add(ctx, text, len) ? 0 : -1;
}

char *audit_record_json(const struct audit_record *r, size_t *len_out)
{
	json_t *root = new_root();
	struct strbuf text;
	int rc;

	put_head(root, r);
	if (r->direction)
		put_text(root, "network.protocol", "xmpp");
	put_table(root, NULL, members, ARRAY_LEN(members), r);
	strbuf_init(&text, RECORD_MAX);
	rc = json_dump_callback(root, collect, &text, JSON_COMPACT);
	assert(!rc);
	(void)rc;
	json_decref(root);
	*len_out = text.len;
	return text.data;
}

/* SPDX-License-Identifier: MIT */
/*
 * Reads the name out of a SASL mechanism's first client message. The message may hold a password: it is decoded into a
 * buffer that is wiped before it is freed, and nothing but the name leaves this file. What cannot be read gives "":
 * the responder's own word (bind result, authorization-identifier) is better anyway.
 */
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "xmpp/domain.h"
#include "xmpp/inspect_private.h"

/* RFC 4422 section 3.1. */
const char *inspect_method_name(const char *mechanism)
{
	size_t len = mechanism ? strlen(mechanism) : 0;

	if (len == 0 || len > 20)
		return "invalid";
	if (strspn(mechanism, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != len)
		return "invalid";
	return mechanism;
}

/* Decodes into fresh memory, NUL-terminated behind *len_out bytes; NULL if malformed. Free with wipe_free. */
static char *decode(const char *text, size_t len, size_t *len_out)
{
	char *out = mem_alloc(len + 1);
	ssize_t got = base64_decode(out, len, text, len);

	if (got < 0) {
		mem_wipe(out, len + 1);
		mem_free(out);
		return NULL;
	}
	out[got] = '\0';
	*len_out = (size_t)got;
	return out;
}

static void wipe_free(char *data, size_t len)
{
	mem_wipe(data, len);
	mem_free(data);
}

/* RFC 4616: authzid NUL authcid NUL passwd. */
static char *name_plain(const char *data, size_t len)
{
	const char *first = memchr(data, '\0', len);

	if (!first || !memchr(first + 1, '\0', len - (size_t)(first + 1 - data)))
		return NULL;
	return mem_strdup(first + 1);
}

/* RFC 5802 section 5.1: "=2C" is a comma, "=3D" an equals sign, any other "=" is an error. */
static bool unescape_saslname(char *name)
{
	char *to = name;

	for (const char *from = name; *from; from++) {
		if (*from != '=') {
			*to++ = *from;
			continue;
		}
		if (strncmp(from, "=2C", 3) != 0 && strncmp(from, "=3D", 3) != 0)
			return false;
		*to++ = from[1] == '2' ? ',' : '=';
		from += 2;
	}
	*to = '\0';
	return true;
}

/* RFC 5802 section 7: gs2-header = cb-flag "," [authzid] ",", then n=saslname and more. */
static char *name_scram(const char *data)
{
	const char *comma = strchr(data, ',');
	const char *at = comma ? strchr(comma + 1, ',') : NULL;
	char *name;

	if (!at || strncmp(at, ",n=", 3) != 0)
		return NULL;
	at += 3;
	name = mem_strndup(at, strcspn(at, ","));
	if (unescape_saslname(name))
		return name;
	mem_free(name);
	return NULL;
}

static char *name_of(const char *method, const char *data, size_t len)
{
	if (strcmp(method, "PLAIN") == 0)
		return name_plain(data, len);
	if (strncmp(method, "SCRAM-", 6) == 0)
		return strlen(data) == len ? name_scram(data) : NULL;
	/* XEP-0484: authcid NUL token. */
	if (strncmp(method, "HT-", 3) == 0)
		return memchr(data, '\0', len) ? mem_strdup(data) : NULL;
	/* RFC 4422 appendix A: the authorization identity, which is a JID. */
	if (strcmp(method, "EXTERNAL") == 0)
		return strlen(data) == len ? mem_strdup(data) : NULL;
	return NULL;
}

/* A name with '@' is a JID already: a localpart cannot have one (RFC 7622 section 3.3.1). */
static void take_name(char **identity, const char *name, const char *domain)
{
	char bare[XMPP_JID_SIZE];
	char *jid = strchr(name, '@') ? mem_strdup(name) : mem_printf("%s@%s", name, domain);
	bool good = name[0] != '\0' && !strchr(name, '/') && jid_bare(jid, bare);

	mem_free(jid);
	if (!good)
		return;
	mem_free(*identity);
	*identity = mem_strdup(bare);
}

void inspect_identity(char **identity, const char *method, const char *domain, const char *text, size_t len)
{
	size_t got = 0;
	char *data, *name;

	if (strcmp(text, "=") == 0)
		return;
	data = decode(text, len, &got);
	if (!data)
		return;
	name = name_of(method, data, got);
	wipe_free(data, got);
	if (!name)
		return;
	take_name(identity, name, domain);
	wipe_free(name, strlen(name));
}

bool inspect_external_is(const char *domain, const char *text, size_t len)
{
	char named[XMPP_DOMAIN_SIZE];
	size_t got = 0;
	char *data;
	bool same;

	if (strcmp(text, "=") == 0)
		return true;
	data = decode(text, len, &got);
	if (!data)
		return false;
	same = strlen(data) == got && domain_normalise(data, named) && strcmp(named, domain) == 0;
	wipe_free(data, got);
	return same;
}

/* The value of a directive may stand in quotes (RFC 2831 section 7.1); only plain `auth` has no layer. */
static bool is_layer(const char *value)
{
	value += strspn(value, " \t\"");
	size_t len = strcspn(value, " \t\",");

	return len != 4 || strncmp(value, "auth", 4) != 0;
}

/* Every place that says qop counts, even inside another value, and what cannot be read counts as one: a lenient server
 * may read it. */
bool inspect_digest_has_layer(const char *text, size_t len)
{
	size_t got = 0;
	char *data;
	bool layer;

	if (strcmp(text, "=") == 0)
		return false;
	data = decode(text, len, &got);
	if (!data)
		return true;
	layer = strlen(data) != got;
	for (const char *at = data; (at = strcasestr(at, "qop")) != NULL && !layer; at += 3) {
		const char *eq = at + 3 + strspn(at + 3, " \t");

		layer = *eq == '=' && is_layer(eq + 1);
	}
	wipe_free(data, got);
	return layer;
}

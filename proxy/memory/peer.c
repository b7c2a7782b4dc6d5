/* SPDX-License-Identifier: MIT */
/*
 * Names of the values of peer memory, and which observations can be taken: one comes from a worker, which meets the
 * network, so that nothing in it is believed before it was looked at, not even that a bool is one.
 */
#include "memory/peer.h"

#include <string.h>

#include "base/array.h"
#include "xmpp/header.h"

static const char *const service_names[] = {[PEER_C2S] = "c2s", [PEER_S2S] = "s2s"};
_Static_assert(ARRAY_LEN(service_names) == PEER_SERVICES, "service without a name");
static const char *const method_names[] = {[PEER_METHOD_NONE] = "none",
					   [PEER_METHOD_DIALBACK] = "dialback",
					   [PEER_METHOD_FINGERPRINT] = "fingerprint",
					   [PEER_METHOD_PKIX] = "pkix"};
_Static_assert(ARRAY_LEN(method_names) == PEER_METHODS, "method without a name");
static const char *const direction_names[] = {[PEER_OUTBOUND] = "outbound", [PEER_INBOUND] = "inbound"};
_Static_assert(ARRAY_LEN(direction_names) == PEER_DIRECTIONS, "direction without a name");
_Static_assert(PEER_DOMAIN_SIZE == XMPP_DOMAIN_SIZE, "every normalised domain fits");

const char *peer_service_name(enum peer_service service)
{
	return (unsigned)service < PEER_SERVICES ? service_names[service] : "unknown";
}

const char *peer_direction_name(enum peer_direction direction)
{
	return (unsigned)direction < PEER_DIRECTIONS ? direction_names[direction] : "unknown";
}

const char *peer_method_name(enum peer_method method)
{
	return (unsigned)method < PEER_METHODS ? method_names[method] : "unknown";
}

const struct peer_certificate *peer_memory_find(const struct peer_memory *memory, const char *sha256)
{
	for (size_t i = 0; i < memory->certificate_count && i < PEER_CERTIFICATES; i++)
		if (strcmp(memory->certificate[i].sha256, sha256) == 0)
			return &memory->certificate[i];
	return NULL;
}

static const struct peer_certificate *find_accepted_key(const struct peer_memory *memory, const char *spki_sha256)
{
	for (size_t i = 0; i < memory->certificate_count && i < PEER_CERTIFICATES; i++)
		if (memory->certificate[i].accepted && strcmp(memory->certificate[i].spki_sha256, spki_sha256) == 0)
			return &memory->certificate[i];
	return NULL;
}

/* endpoint NULL: at any. */
static const struct peer_certificate *find_accepted(const struct peer_memory *memory, const char *endpoint)
{
	for (size_t i = 0; i < memory->certificate_count && i < PEER_CERTIFICATES; i++) {
		const struct peer_certificate *c = &memory->certificate[i];

		if (c->accepted && (!endpoint || strcmp(c->endpoint, endpoint) == 0))
			return c;
	}
	return NULL;
}

/* A certificate's own endpoint is only where it was seen last, but then it was there, accepted or not. */
static bool was_met(const struct peer_memory *memory, const char *endpoint)
{
	for (size_t i = 0; i < memory->endpoint_count && i < PEER_ENDPOINTS; i++)
		if (strcmp(memory->endpoint[i], endpoint) == 0)
			return true;
	for (size_t i = 0; i < memory->certificate_count && i < PEER_CERTIFICATES; i++)
		if (strcmp(memory->certificate[i].endpoint, endpoint) == 0)
			return true;
	return false;
}

enum peer_standing peer_memory_judge(const struct peer_memory *memory, const struct peer_observation *seen)
{
	const struct peer_certificate *shown = &seen->certificate;
	const struct peer_certificate *same = peer_memory_find(memory, shown->sha256);
	bool strange = !seen->inbound && !was_met(memory, shown->endpoint);

	if (memory->certificate_count == 0)
		return PEER_FIRST;
	if (same && same->accepted)
		return PEER_KNOWN;
	if (strange && !same && shown->accepted && seen->srv_secure)
		return PEER_NEW_SERVER;
	if (find_accepted_key(memory, shown->spki_sha256))
		return PEER_SAME_KEY;
	if (same)
		return PEER_WAITING;
	return strange ? PEER_STRANGE_SERVER : PEER_CHANGED;
}

bool peer_standing_good(enum peer_standing standing)
{
	return standing == PEER_FIRST || standing == PEER_KNOWN || standing == PEER_NEW_SERVER ||
	       standing == PEER_SAME_KEY;
}

const struct peer_certificate *peer_memory_previous(const struct peer_memory *memory,
						    const struct peer_observation *seen)
{
	const struct peer_certificate *before = find_accepted_key(memory, seen->certificate.spki_sha256);

	if (!before)
		before = find_accepted(memory, seen->certificate.endpoint);
	if (!before)
		before = find_accepted(memory, NULL);
	return before || memory->certificate_count == 0 ? before : &memory->certificate[0];
}

static bool is_flag(const bool *at)
{
	unsigned char byte;

	memcpy(&byte, at, 1);
	return byte <= 1;
}

static bool ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

bool peer_domain_valid(const char *domain)
{
	char normal[XMPP_DOMAIN_SIZE];

	return domain_normalise(domain, normal) && strcmp(normal, domain) == 0;
}

bool peer_version_valid(int64_t version)
{
	return version == 0 || (version >= 10 && version <= 13);
}

bool peer_digest_valid(const char *hex)
{
	return strspn(hex, "0123456789abcdef") == 64 && hex[64] == '\0';
}

static bool certificate_valid(const struct peer_certificate *c)
{
	return is_flag(&c->accepted) && ends(c->sha256, sizeof(c->sha256)) &&
	       ends(c->spki_sha256, sizeof(c->spki_sha256)) && ends(c->subject, sizeof(c->subject)) &&
	       ends(c->issuer, sizeof(c->issuer)) && ends(c->endpoint, sizeof(c->endpoint)) &&
	       peer_digest_valid(c->sha256) && peer_digest_valid(c->spki_sha256);
}

bool peer_observation_valid(const struct peer_observation *seen)
{
	const bool *flags[] = {&seen->inbound,  &seen->refused, &seen->tls,        &seen->offered,
			       &seen->required, &seen->direct,  &seen->srv_secure, &seen->has_certificate};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (!is_flag(flags[i]))
			return false;
	return ends(seen->domain, sizeof(seen->domain)) && peer_domain_valid(seen->domain) &&
	       (unsigned)seen->service < PEER_SERVICES && (unsigned)seen->method < PEER_METHODS && seen->when >= 0 &&
	       seen->when <= PEER_TIME_MAX && peer_version_valid(seen->version) &&
	       (!seen->has_certificate || certificate_valid(&seen->certificate));
}

/* SPDX-License-Identifier: MIT */
/* From targets with their addresses to the list of what to connect to, in order (RFC 8305 section 4). Pure. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "net/resolver_private.h"

static void set_port(struct addr *address, uint16_t port)
{
	if (address->ss.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&address->ss)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)&address->ss)->sin_port = htons(port);
}

static void set_candidate(struct candidate *out, const struct srv_record *record, const struct addr *address)
{
	*out = (struct candidate){.address = *address, .direct_tls = record->direct_tls, .port = record->port};
	set_port(&out->address, record->port);
	memcpy(out->target, record->target, sizeof(out->target));
}

/* IPv6 first, then one family and the other in turn: one that is broken here costs one attempt, not all. */
static size_t collect_target(struct candidate *out, size_t room, const struct target *target, bool secure)
{
	size_t count = 0, six = 0, four = 0;

	while (count < room && (six < target->v6.count || four < target->v4.count)) {
		bool take6 = six < target->v6.count && (six <= four || four >= target->v4.count);
		const struct addr *address = take6 ? &target->v6.addresses[six++] : &target->v4.addresses[four++];

		set_candidate(&out[count], &target->record, address);
		out[count++].secure = secure && (take6 ? target->secure6 : target->secure4);
	}
	return count;
}

size_t candidates_collect(struct candidate *out, const struct target *targets, size_t count, bool secure)
{
	size_t found = 0;
	unsigned group = 0;

	for (size_t i = 0; i < count; i++) {
		size_t more = targets[i].bogus
				  ? 0
				  : collect_target(out + found, RESOLVED_CANDIDATES_MAX - found, &targets[i], secure);

		for (size_t k = 0; k < more; k++)
			out[found + k].group = group;
		group += more > 0;
		found += more;
	}
	return found;
}

enum literal candidate_literal(struct candidate *out, const char *text, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct srv_record record = {.port = port};
	struct addr address;
	bool somebody;

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
		somebody = answer_is_unicast4((const uint8_t *)&in.sin_addr);
		addr_from_sockaddr(&address, (const struct sockaddr *)&in, sizeof(in));
	} else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
		somebody = answer_is_unicast6(&in6.sin6_addr);
		addr_from_sockaddr(&address, (const struct sockaddr *)&in6, sizeof(in6));
	} else {
		return LITERAL_NONE;
	}
	if (!somebody)
		return LITERAL_NOBODY;
	memcpy(record.target, text, strlen(text)); /* shorter than any target may be: inet_pton took it */
	set_candidate(out, &record, &address);
	return LITERAL_CANDIDATE;
}

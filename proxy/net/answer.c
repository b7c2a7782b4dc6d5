/* SPDX-License-Identifier: MIT */
/*
 * Reads the records of one type out of a DNS message. libunbound has followed aliases and taken out what does not
 * belong to the question, so that the owner of a record is of no interest here. A message that cannot be read to its
 * end counts as no answer at all: half of one could be the half that an attacker wanted us to see.
 */
#include "net/answer_private.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>
#include <string.h>

#define SRV_FIXED_LEN 6 /* priority, weight, port */

/* Takes one record of the type that was asked for; false: malformed. */
typedef bool take_fn(void *out, const ns_msg *message, const ns_rr *record);

/* NXDOMAIN is an answer and says "none"; it may follow an alias, so the records are looked at all the same. */
static bool begin(ns_msg *message, const void *packet, size_t len)
{
	if (len > NS_MAXMSG || ns_initparse(packet, (int)len, message) < 0)
		return false;
	return ns_msg_getflag(*message, ns_f_rcode) == ns_r_noerror ||
	       ns_msg_getflag(*message, ns_f_rcode) == ns_r_nxdomain;
}

static bool read_records(const void *packet, size_t len, int type, take_fn *take, void *out)
{
	ns_msg message;
	ns_rr record;

	if (!begin(&message, packet, len))
		return false;
	for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
		if (ns_parserr(&message, ns_s_an, i, &record) < 0)
			return false;
		if ((int)ns_rr_type(record) != type || ns_rr_class(record) != ns_c_in)
			continue;
		if (!take(out, &message, &record))
			return false;
	}
	return true;
}

/* Letters, digits, '-', '_' and dots between labels: what a certificate or a later question could name. */
static bool is_host(const char *name)
{
	char before = '.';

	for (const char *p = name; *p; before = *p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' || *p == '_';

		if (!plain && (*p != '.' || before == '.'))
			return false;
	}
	return before != '.';
}

static void lower(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

struct srv_reading {
	struct srv_answer *out;
	bool direct_tls;
	bool found;   /* a target was seen, usable or not */
	bool refused; /* the target "." was seen */
};

static void keep_srv(struct srv_reading *reading, const struct srv_record *record)
{
	reading->found = true;
	if (reading->out->count < ANSWER_SRV_MAX && record->port != 0 && is_host(record->target))
		reading->out->records[reading->out->count++] = *record;
}

static bool take_srv(void *ctx, const ns_msg *message, const ns_rr *rr)
{
	struct srv_reading *reading = ctx;
	const unsigned char *data = ns_rr_rdata(*rr);
	char name[NS_MAXDNAME];
	struct srv_record record = {.direct_tls = reading->direct_tls};
	int used;

	if (ns_rr_rdlen(*rr) <= SRV_FIXED_LEN)
		return false;
	record.priority = (uint16_t)ns_get16(data);
	record.weight = (uint16_t)ns_get16(data + 2);
	record.port = (uint16_t)ns_get16(data + 4);
	used =
	    ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message), data + SRV_FIXED_LEN, name, sizeof(name));
	if (used < 0 || used + SRV_FIXED_LEN != ns_rr_rdlen(*rr))
		return false;
	if (!strcmp(name, ".") || name[0] == '\0') {
		reading->refused = true;
		return true;
	}
	/* Longer with its escapes than a name can be: no host has that, and the empty name is none either. */
	if (strlen(name) < sizeof(record.target))
		memcpy(record.target, name, strlen(name));
	lower(record.target);
	keep_srv(reading, &record);
	return true;
}

enum answer_status answer_read_srv(struct srv_answer *out, const void *packet, size_t len, bool direct_tls)
{
	struct srv_reading reading = {.out = out, .direct_tls = direct_tls};

	out->count = 0;
	if (!read_records(packet, len, ns_t_srv, take_srv, &reading)) {
		out->count = 0;
		return ANSWER_BROKEN;
	}
	if (reading.found)
		return ANSWER_FOUND;
	return reading.refused ? ANSWER_REFUSED : ANSWER_NONE;
}

bool answer_is_unicast4(const uint8_t bytes[4])
{
	return bytes[0] != 0 && bytes[0] < 224;
}

bool answer_is_unicast6(const struct in6_addr *address)
{
	return !IN6_IS_ADDR_UNSPECIFIED(address) && !IN6_IS_ADDR_MULTICAST(address) && !IN6_IS_ADDR_V4MAPPED(address);
}

static void keep_address(struct address_answer *out, const void *sa, socklen_t len)
{
	if (out->count < ANSWER_ADDRESS_MAX)
		addr_from_sockaddr(&out->addresses[out->count++], sa, len);
}

static bool take_a(void *ctx, const ns_msg *message, const ns_rr *rr)
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	(void)message;
	if (ns_rr_rdlen(*rr) != sizeof(in.sin_addr))
		return false;
	memcpy(&in.sin_addr, ns_rr_rdata(*rr), sizeof(in.sin_addr));
	if (answer_is_unicast4(ns_rr_rdata(*rr)))
		keep_address(ctx, &in, sizeof(in));
	return true;
}

static bool take_aaaa(void *ctx, const ns_msg *message, const ns_rr *rr)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	(void)message;
	if (ns_rr_rdlen(*rr) != sizeof(in6.sin6_addr))
		return false;
	memcpy(&in6.sin6_addr, ns_rr_rdata(*rr), sizeof(in6.sin6_addr));
	if (answer_is_unicast6(&in6.sin6_addr))
		keep_address(ctx, &in6, sizeof(in6));
	return true;
}

enum answer_status answer_read_addresses(struct address_answer *out, const void *packet, size_t len, int type)
{
	out->count = 0;
	if (!read_records(packet, len, type, type == ns_t_a ? take_a : take_aaaa, out)) {
		out->count = 0;
		return ANSWER_BROKEN;
	}
	return out->count > 0 ? ANSWER_FOUND : ANSWER_NONE;
}

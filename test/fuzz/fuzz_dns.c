/* SPDX-License-Identifier: MIT */
/*
 * DNS answers. The first byte picks the type, the rest is the packet. Oracles: what is found can be used without asking
 * again (a host name, a port, an address of some one host), nothing is left of an answer that is broken, and the order
 * of records loses none and goes up by priority.
 */
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/answer_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good, const char *what)
{
	if (good)
		return;
	(void)fprintf(stderr, "%s\n", what);
	abort();
}

static uint32_t from_seed(void *ctx, uint32_t max)
{
	uint32_t *seed = ctx;

	*seed = *seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)(*seed >> 8) % ((uint64_t)max + 1));
}

static uint64_t sum(const struct srv_answer *answer)
{
	uint64_t result = 0;

	for (size_t i = 0; i < answer->count; i++) {
		const struct srv_record *r = &answer->records[i];

		result += ((uint64_t)r->priority << 32) + ((uint64_t)r->weight << 16) + r->port + strlen(r->target);
	}
	return result;
}

static void check_srv(const uint8_t *packet, size_t size, bool direct)
{
	struct srv_answer answer;
	enum answer_status status = answer_read_srv(&answer, packet, size, direct);
	uint32_t seed = (uint32_t)size;
	uint64_t before = sum(&answer);

	check(status == ANSWER_FOUND || answer.count == 0, "records where there are none");
	check(answer.count <= ANSWER_SRV_MAX, "too many records");
	for (size_t i = 0; i < answer.count; i++) {
		const struct srv_record *r = &answer.records[i];

		check(r->port != 0 && r->direct_tls == direct, "a record of no use");
		check(r->target[0] && strspn(r->target, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(r->target),
		      "a target that is no host");
		check(r->target[0] != '.' && r->target[strlen(r->target) - 1] != '.' && !strstr(r->target, ".."),
		      "a target with an empty label");
	}
	srv_order(answer.records, answer.count, from_seed, &seed);
	check(sum(&answer) == before, "the order loses records");
	for (size_t i = 1; i < answer.count; i++)
		check(answer.records[i - 1].priority <= answer.records[i].priority, "out of order");
}

static void check_addresses(const uint8_t *packet, size_t size, int type)
{
	struct address_answer answer;
	enum answer_status status = answer_read_addresses(&answer, packet, size, type);

	check(status == ANSWER_FOUND ? answer.count > 0 : answer.count == 0, "the count does not fit");
	check(answer.count <= ANSWER_ADDRESS_MAX, "too many addresses");
	for (size_t i = 0; i < answer.count; i++) {
		const struct addr *a = &answer.addresses[i];

		check(a->ss.ss_family == (type == ns_t_a ? AF_INET : AF_INET6), "an address of the other family");
		check(!addr_is_any(a) && addr_port(a) == 0, "an address of nobody");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 4 < 2)
		check_srv(data + 1, size - 1, data[0] % 4 == 1);
	else
		check_addresses(data + 1, size - 1, data[0] % 4 == 2 ? ns_t_a : ns_t_aaaa);
	return 0;
}

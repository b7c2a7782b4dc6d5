/* SPDX-License-Identifier: MIT */
/* What a DNS answer on the wire says, as records of ours. Pure; never given the packet of a bogus answer. */
#ifndef PROXY_NET_ANSWER_PRIVATE_H
#define PROXY_NET_ANSWER_PRIVATE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "net/srv.h"

enum answer_status {
	ANSWER_NONE,    /* no such name, or nothing of the type */
	ANSWER_FOUND,   /* records of the type; perhaps none that could be used */
	ANSWER_REFUSED, /* SRV with the target "." only: the service is decidedly not there */
	ANSWER_BROKEN,  /* no answer to go by: SERVFAIL and its like, or a record that is malformed */
};

#define ANSWER_SRV_MAX 64 /* of one kind; a domain has a handful */
#define ANSWER_ADDRESS_MAX 16

struct srv_answer {
	struct srv_record records[ANSWER_SRV_MAX];
	size_t count;
};
struct address_answer {
	struct addr addresses[ANSWER_ADDRESS_MAX]; /* port 0 */
	size_t count;
};

/* Records that nobody could use are left out: port 0, a target that is no host name. */
enum answer_status answer_read_srv(struct srv_answer *out, const void *packet, size_t len, bool direct_tls);
/* type: ns_t_a or ns_t_aaaa. Addresses that are no host's (any, multicast, broadcast, mapped) are left out. */
enum answer_status answer_read_addresses(struct address_answer *out, const void *packet, size_t len, int type);
/* Can a host have that address? 0/8 and 240/4 with the broadcast address are nobody's; a connection to 0.0.0.0 or ::
 * would be one to ourselves. bytes: in network order. */
bool answer_is_unicast4(const uint8_t bytes[4]);
bool answer_is_unicast6(const struct in6_addr *address);

#endif

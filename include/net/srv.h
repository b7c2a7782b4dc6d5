/* SPDX-License-Identifier: MIT */
/* The order in which SRV records are tried (RFC 2782, XEP-0368). Pure: chance comes from the caller. */
#ifndef PROXY_NET_SRV_H
#define PROXY_NET_SRV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SRV_TARGET_SIZE 256
struct srv_record {
	uint16_t priority, weight, port;
	bool direct_tls;              /* from _xmpps- */
	char target[SRV_TARGET_SIZE]; /* lower case, no trailing dot */
};

/* A number from 0 to max, both included, each as likely as the others. */
typedef uint32_t srv_random_fn(void *ctx, uint32_t max);

/*
 * Ascending priority; within one, a weighted draw without putting back. Both kinds of record are drawn together; where
 * one that begins with STARTTLS is drawn while one with direct TLS has the same weight, the latter takes its place.
 */
void srv_order(struct srv_record *records, size_t count, srv_random_fn *chance, void *ctx);

#endif

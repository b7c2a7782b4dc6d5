/* SPDX-License-Identifier: MIT */
/* SipHash-1-3: a keyed hash for tables whose keys a peer may choose. Not for anything that must last or be signed. */
#ifndef PROXY_BASE_SIPHASH_H
#define PROXY_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k0, k1;
};

/* A key nobody can guess. */
void siphash_key_random(struct siphash_key *key);
uint64_t siphash13(const struct siphash_key *key, const void *data, size_t len);

#endif

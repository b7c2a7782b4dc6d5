/* SPDX-License-Identifier: MIT */
/* Reading a chained line without judging it: for the writer's and the verifier's first line. */
#ifndef PROXY_AUDIT_CHAIN_PRIVATE_H
#define PROXY_AUDIT_CHAIN_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/chain.h"

/* What line (without newline) says its seq and chain are, and how many of its bytes are hashed; false: no such line. */
bool audit_chain_read(const char *line, size_t len, struct audit_chain *out, size_t *hashed_out);
/* 64 lower-case hex digits. */
bool audit_chain_unhex(uint8_t out[32], const char *hex);

#endif

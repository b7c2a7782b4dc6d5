/* SPDX-License-Identifier: MIT */
/* The hash chain: C(0) = 32 zero bytes, C(n) = SHA-256(C(n-1) ‖ bytes of line n before `,"chain":"`). */
#ifndef PROXY_AUDIT_CHAIN_H
#define PROXY_AUDIT_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

struct audit_chain {
	uint64_t seq;     /* of the last line */
	uint8_t hash[32]; /* C(seq) */
};

void audit_chain_init(struct audit_chain *chain);
void audit_chain_hex(const struct audit_chain *chain, char out[65]);
/*
 * Appends to out the line for body (`{…}` from audit_record_json): with `,"audit":{"seq":N,"chain":"…"}}` and a newline
 * put in, and moves the chain on. extra (may be NULL) is more members of `audit` before seq's successor:
 * `"previous":"…"`.
 */
void audit_chain_line(struct audit_chain *chain, struct strbuf *out, const char *body, size_t len, const char *extra);
/* Is line (without newline) the successor of chain? Moves on and returns 0; -1 with *why_out (static text) and chain
 * unchanged if not. */
int audit_chain_check(struct audit_chain *chain, const char *line, size_t len, const char **why_out);

#endif

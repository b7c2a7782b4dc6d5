/* SPDX-License-Identifier: MIT */
/*
 * The hash chain of the audit log (LOG-12): each line's value covers the line before it, so that a line cannot be taken
 * out, put in or changed without every later one showing it. Invariant: `audit` is the last member of a line and
 * `chain` the last of `audit`, so the hashed bytes end a fixed distance before the end. SHA-256 is fetched once.
 */
#include "audit/chain.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "audit/chain_private.h"
#include "base/log.h"

static const char chain_member[] = ",\"chain\":\"";
static const char audit_member[] = ",\"audit\":{\"seq\":";
#define HEX_LEN 64
/* `,"chain":"`, the digits, `"}}` */
#define TAIL_LEN (sizeof(chain_member) - 1 + HEX_LEN + 3)

static const EVP_MD *sha256(void)
{
	static EVP_MD *md;

	if (!md)
		md = EVP_MD_fetch(NULL, "SHA256", NULL);
	return md;
}

/* C(n) from C(n-1) and the bytes. A library without SHA-256 leaves nothing an audit log could be made with. */
static void step(uint8_t hash[32], const void *data, size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned n = 0;

	if (!ctx || EVP_DigestInit_ex(ctx, sha256(), NULL) != 1 || EVP_DigestUpdate(ctx, hash, 32) != 1 ||
	    EVP_DigestUpdate(ctx, data, len) != 1 || EVP_DigestFinal_ex(ctx, hash, &n) != 1 || n != 32) {
		log_error("SHA-256 is not available");
		abort();
	}
	EVP_MD_CTX_free(ctx);
}

void audit_chain_init(struct audit_chain *chain)
{
	*chain = (struct audit_chain){0};
}

void audit_chain_hex(const struct audit_chain *chain, char out[65])
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < 32; i++) {
		out[2 * i] = digits[chain->hash[i] >> 4];
		out[2 * i + 1] = digits[chain->hash[i] & 15];
	}
	out[64] = '\0';
}

void audit_chain_line(struct audit_chain *chain, struct strbuf *out, const char *body, size_t len, const char *extra)
{
	size_t start = out->len;
	char hex[65];

	/* All of the body but its closing brace. */
	(void)strbuf_add(out, body, len - 1);
	(void)strbuf_printf(out, "%s%" PRIu64, audit_member, chain->seq + 1);
	if (extra)
		(void)strbuf_printf(out, ",%s", extra);
	if (out->overflow)
		return;
	step(chain->hash, out->data + start, out->len - start);
	chain->seq++;
	audit_chain_hex(chain, hex);
	(void)strbuf_printf(out, "%s%s\"}}\n", chain_member, hex);
}

static bool hex_value(char c, uint8_t *out)
{
	if (c >= '0' && c <= '9')
		*out = (uint8_t)(c - '0');
	else if (c >= 'a' && c <= 'f')
		*out = (uint8_t)(c - 'a' + 10);
	else
		return false;
	return true;
}

bool audit_chain_unhex(uint8_t out[32], const char *hex)
{
	uint8_t high, low;
	size_t i;

	for (i = 0; i < 32; i++) {
		if (!hex_value(hex[2 * i], &high) || !hex_value(hex[2 * i + 1], &low))
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* The last place of needle in text, NULL if none. Quotes inside JSON strings are escaped: a member cannot be forged. */
static const char *find_last(const char *text, size_t len, const char *needle)
{
	const char *found = NULL, *at = text, *end = text + len;

	while ((at = memmem(at, (size_t)(end - at), needle, strlen(needle)))) {
		found = at;
		at++;
	}
	return found;
}

/* A decimal number as JSON writes it, which ends at `end` or before a comma. */
static bool parse_seq(const char *p, const char *end, uint64_t *out)
{
	const char *start = p;
	uint64_t n = 0;

	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		if (n > (UINT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (uint64_t)(*p - '0');
	}
	*out = n;
	return p > start && *start != '0' && (p == end || *p == ',');
}

bool audit_chain_read(const char *line, size_t len, struct audit_chain *out, size_t *hashed_out)
{
	const char *tail, *audit;

	if (len < TAIL_LEN)
		return false;
	tail = line + len - TAIL_LEN;
	if (memcmp(tail, chain_member, sizeof(chain_member) - 1) != 0 || memcmp(line + len - 3, "\"}}", 3) != 0)
		return false;
	if (!audit_chain_unhex(out->hash, tail + sizeof(chain_member) - 1))
		return false;
	audit = find_last(line, (size_t)(tail - line), audit_member);
	*hashed_out = (size_t)(tail - line);
	return line[0] == '{' && audit && parse_seq(audit + sizeof(audit_member) - 1, tail, &out->seq);
}

int audit_chain_check(struct audit_chain *chain, const char *line, size_t len, const char **why_out)
{
	struct audit_chain read;
	uint8_t hash[32];
	size_t hashed;

	if (!audit_chain_read(line, len, &read, &hashed)) {
		*why_out = "not a record of a chained log";
		return -1;
	}
	if (read.seq != chain->seq + 1) {
		*why_out = read.seq > chain->seq ? "the sequence has a gap: records before this one are missing"
						 : "the sequence goes back: this record was seen before";
		return -1;
	}
	memcpy(hash, chain->hash, sizeof(hash));
	step(hash, line, hashed);
	if (memcmp(hash, read.hash, sizeof(hash)) != 0) {
		*why_out = "the chain value does not match: this record or the one before it was changed";
		return -1;
	}
	*chain = read;
	return 0;
}

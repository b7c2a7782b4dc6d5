/* SPDX-License-Identifier: MIT */
/*
 * PROXY headers. Oracles: the outcome and the number of bytes taken do not depend on the split; nothing behind the
 * header is taken; what was understood, written again in either version, is understood the same way.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	enum proxy_result result;
	size_t used;
	char source[ADDR_TEXT_SIZE], destination[ADDR_TEXT_SIZE];
};

static void check(bool good, const char *what)
{
	if (good)
		return;
	(void)fprintf(stderr, "%s\n", what);
	abort();
}

static void show(struct outcome *out, const struct proxy_parser *p)
{
	const struct proxy_header *h = proxy_parser_header(p);

	addr_text(&h->source, out->source);
	addr_text(&h->destination, out->destination);
}

static void run(struct outcome *out, const void *data, size_t size, size_t piece)
{
	struct proxy_parser *p = proxy_parser_new();

	memset(out, 0, sizeof(*out));
	while (out->used < size && out->result == PROXY_MORE) {
		size_t n = size - out->used < piece ? size - out->used : piece, used = 0;

		out->result = proxy_parser_feed(p, (const char *)data + out->used, n, &used);
		check(used <= n && (used == n || out->result != PROXY_MORE), "bytes taken");
		out->used += used;
	}
	check((out->result == PROXY_MALFORMED) == (proxy_parser_why(p) != NULL),
	      "a reason where there is none to give");
	if (out->result == PROXY_COMPLETE)
		show(out, p);
	proxy_parser_free(&p);
}

static void same(const struct outcome *a, const struct outcome *b, const char *what)
{
	check(a->result == b->result && !strcmp(a->source, b->source) && !strcmp(a->destination, b->destination), what);
}

/* Written as it was read: only two network addresses survive that, anything else is told as unknown. */
static void round_trip(const struct proxy_header *h, const struct outcome *first)
{
	static const struct proxy_tlvs tlvs = {.authority = "im.test", .tls_version = "TLSv1.3", .checksum = true};
	uint8_t bytes[16];
	bool told = addr_bytes(&h->source, bytes) && addr_bytes(&h->destination, bytes);
	struct outcome again, unknown = {.result = PROXY_COMPLETE};
	struct strbuf out;

	strbuf_init(&out, 4096);
	proxy_header_write_v1(&out, &h->source, &h->destination);
	run(&again, out.data, out.len, out.len);
	same(told ? first : &unknown, &again, "version 1 reads otherwise than it was written");
	check(again.used == out.len, "version 1 is not read to its end");
	strbuf_clear(&out);
	proxy_header_write_v2(&out, &h->source, &h->destination, &tlvs);
	run(&again, out.data, out.len, out.len);
	same(told ? first : &unknown, &again, "version 2 reads otherwise than it was written");
	check(again.used == out.len, "version 2 is not read to its end");
	strbuf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = {1, 5, 64};
	struct outcome whole, split;

	if (size == 0)
		return 0;
	run(&whole, data, size, size);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		run(&split, data, size, pieces[i]);
		same(&whole, &split, "the outcome depends on the split");
		check(whole.used == split.used, "the bytes taken depend on the split");
	}
	if (whole.result != PROXY_COMPLETE)
		return 0;
	struct proxy_parser *p = proxy_parser_new();
	size_t used;
	(void)proxy_parser_feed(p, data, size, &used);
	round_trip(proxy_parser_header(p), &whole);
	proxy_parser_free(&p);
	return 0;
}

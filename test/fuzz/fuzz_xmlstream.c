/* SPDX-License-Identifier: MIT */
/*
 * xmlstream: whatever the bytes and however they are cut, the same events, offsets and reason. The first byte of the
 * input chooses detail, stopping, limits and resting between pieces, the second the size of these; the rest is the
 * stream. It is read once whole and once in pieces, and both accounts are compared.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../unit/xmpp/xml_record.h"
#include "xmpp/features.h"
#include "xmpp/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHOOSE_TOP = 1, CHOOSE_STOP = 2, CHOOSE_SMALL = 4, CHOOSE_STOP_PIECES = 8, CHOOSE_REST = 16 };

static void die(const struct record *whole, const struct record *pieces, const char *why)
{
	fprintf(stderr, "%s\n--- whole\n%s\n--- pieces\n%s\n", why, strbuf_text(&whole->log),
		strbuf_text(&pieces->log));
	abort();
}

static void check(const struct record *whole, const struct record *pieces, size_t size)
{
	if (whole->bad_range || pieces->bad_range)
		die(whole, pieces, "a range or a count that cannot be");
	if (strcmp(strbuf_text(&whole->log), strbuf_text(&pieces->log)) != 0)
		die(whole, pieces, "the accounts differ");
	if (whole->consumed > size || (whole->result == XMLSTREAM_MORE && whole->consumed != size))
		die(whole, pieces, "wrong number of bytes consumed");
	if (xmlstream_done(whole->xs) > size || xmlstream_done(whole->xs) != xmlstream_done(pieces->xs))
		die(whole, pieces, "done where nothing is");
}

static void run(const char *text, size_t len, unsigned choice, size_t piece)
{
	const struct xmlstream_limits wide = {.element = 4096, .depth = 16, .attributes = 16};
	const struct xmlstream_limits narrow = {.element = 96, .depth = 3, .attributes = 3};
	const struct xmlstream_limits *limits = choice & CHOOSE_SMALL ? &narrow : &wide;
	enum xmlstream_detail detail = choice & CHOOSE_TOP ? XMLSTREAM_TOP : XMLSTREAM_TREE;
	struct record whole, pieces;

	record_init(&whole, limits, detail, choice & CHOOSE_STOP ? XMLSTREAM_STOP : XMLSTREAM_GO_ON);
	record_init(&pieces, limits, detail, choice & CHOOSE_STOP_PIECES ? XMLSTREAM_STOP : XMLSTREAM_GO_ON);
	pieces.rests = (choice & CHOOSE_REST) != 0;
	record_run(&whole, text, len, len, 1);
	record_run(&pieces, text, len, piece, piece);
	check(&whole, &pieces, len);
	record_fini(&whole);
	record_fini(&pieces);
}

/* The readers of headers and features get what the stream gives them, too. */
struct readers {
	struct stream_header header;
	bool read;
};

static enum xmlstream_step read_open(void *ctx, const struct xml_node *root, const struct xml_decl *decls, size_t count)
{
	struct readers *r = ctx;
	char domain[XMPP_DOMAIN_SIZE], bare[XMPP_JID_SIZE];

	stream_header_read(&r->header, root, decls, count);
	r->read = true;
	(void)stream_header_check(&r->header, "jabber:client");
	if (jid_domain(r->header.from, domain) && strlen(domain) >= XMPP_DOMAIN_SIZE)
		abort();
	if (jid_bare(r->header.from, bare) && !jid_domain(bare, domain))
		abort();
	return XMLSTREAM_GO_ON;
}

static enum xmlstream_step read_element(void *ctx, const struct xml_node *element)
{
	struct features f;
	uint64_t at = element->start;

	(void)ctx;
	features_read(&f, element, true);
	for (size_t i = 0; i < f.cut_count; i++) {
		if (f.cut[i].start < at || f.cut[i].end <= f.cut[i].start || f.cut[i].end > element->end)
			abort();
		at = f.cut[i].end;
	}
	return XMLSTREAM_GO_ON;
}

static enum xmlstream_step read_close(void *ctx)
{
	(void)ctx;
	return XMLSTREAM_GO_ON;
}

static void run_readers(const char *text, size_t len)
{
	static const struct xmlstream_handlers handlers = {read_open, read_element, read_close};
	const struct xmlstream_limits limits = {.element = 4096, .depth = 16, .attributes = 16};
	struct readers readers = {.read = false};
	struct xmlstream *xs = xmlstream_new(&limits, &handlers, &readers);
	size_t used;

	(void)xmlstream_feed(xs, text, len, &used);
	if (readers.read)
		stream_header_fini(&readers.header);
	xmlstream_free(&xs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	run((const char *)data + 2, size - 2, data[0], (size_t)(data[1] & 63) + 1);
	run_readers((const char *)data + 2, size - 2);
	return 0;
}

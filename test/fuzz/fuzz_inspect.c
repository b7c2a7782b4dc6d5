/* SPDX-License-Identifier: MIT */
/*
 * The inspector between two sides. The first byte chooses parameters; after it a byte 0x01 changes the side that speaks
 * (the responder begins). Oracles: what either side gets and every event is the same however the bytes are split and
 * however often the inspector rests between them; what passes is, apart from what is cut, what came; nothing happens
 * after fail or blind.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "xmpp/inspect.h"
#include "xmpp/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADER                                                                    \
	"<stream:stream to='im.example.com' version='1.0' xmlns='jabber:client' " \
	"xmlns:stream='http://etherx.jabber.org/streams'>"

#define OLD_HEADER "<s:stream to='im.example.com' xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams'>"

static char plain[] = "PLAIN";
static char *const refused[] = {plain};

struct run {
	struct inspector *ins;
	struct strbuf to[INSPECT_SIDES]; /* what each side was sent */
	struct strbuf events;
	size_t passed[INSPECT_SIDES], fed[INSPECT_SIDES];
	bool over, blind, decided;
};

static void check(bool good, const char *what)
{
	if (good)
		return;
	(void)fprintf(stderr, "%s\n", what);
	abort();
}

static enum inspect_side other(enum inspect_side side)
{
	return side == INSPECT_INITIATOR ? INSPECT_RESPONDER : INSPECT_INITIATOR;
}

static void op_pass(void *ctx, enum inspect_side from, const void *data, size_t len)
{
	struct run *r = ctx;

	check(!r->over && len > 0, "pass after the end, or of nothing");
	r->passed[from] += len;
	check(r->passed[from] <= r->fed[from], "more passed than came");
	strbuf_add(&r->to[other(from)], data, len);
}

/* The random id of a header of the inspector's own is left out. */
static void op_reply(void *ctx, enum inspect_side to, const void *data, size_t len)
{
	struct run *r = ctx;
	const char *text = data, *id = memmem(data, len, " id='", 5);

	if (id && strspn(id + 5, "0123456789abcdef") == 32) {
		strbuf_add(&r->to[to], text, (size_t)(id - text));
		len -= (size_t)(id + 37 - text);
		text = id + 37;
	}
	strbuf_add(&r->to[to], text, len);
}

static void op_note(void *ctx, enum inspect_note note)
{
	strbuf_printf(&((struct run *)ctx)->events, "note %d\n", (int)note);
}

static void op_authenticated(void *ctx, const char *method, const char *identity)
{
	strbuf_printf(&((struct run *)ctx)->events, "auth %s %s\n", method, identity);
}

static void op_closed(void *ctx, enum inspect_side side)
{
	strbuf_printf(&((struct run *)ctx)->events, "closed %d\n", (int)side);
}

static void op_blind(void *ctx)
{
	struct run *r = ctx;

	check(!r->over, "blind after the end");
	r->over = r->blind = true;
}

static void op_fail(void *ctx, enum inspect_side culprit, enum reason reason)
{
	struct run *r = ctx;

	check(!r->over, "fail after the end");
	r->over = true;
	strbuf_printf(&r->events, "fail %d %d\n", (int)culprit, (int)reason);
}

static void op_plaintext(void *ctx)
{
	struct run *r = ctx;

	check(!r->over && !r->decided && r->passed[INSPECT_INITIATOR] == 0, "plaintext asked late or twice");
	r->decided = true;
	strbuf_puts(&r->events, "plaintext\n");
}

static void op_starttls(void *ctx, bool clean)
{
	struct run *r = ctx;

	(void)clean; /* what is behind it depends on how bytes were cut: the session looks into the kernel as well */
	check(!r->over && !r->decided && r->passed[INSPECT_INITIATOR] == 0, "starttls after something else");
	r->over = true;
	strbuf_puts(&r->events, "starttls\n");
}

static const struct inspect_ops ops = {.pass = op_pass,
				       .reply = op_reply,
				       .note = op_note,
				       .authenticated = op_authenticated,
				       .closed = op_closed,
				       .blind = op_blind,
				       .fail = op_fail,
				       .plaintext = op_plaintext,
				       .starttls = op_starttls};

static void begin(struct run *r, uint8_t flags)
{
	const struct inspect_params params = {
	    .content_ns = XMPP_NS_CLIENT,
	    .domain = "im.example.com",
	    .unauthenticated_limit = 1024,
	    .stanza_limit = flags & 1 ? 0 : 2048,
	    .depth = 8,
	    .auth_attempts = 2,
	    .strip_compression = (flags & 2) == 0,
	    .undecided = (flags & 64) != 0,
	    .offer_starttls = (flags & 128) != 0,
	    .idle_seconds = flags & 4 ? 60 : 0,
	    .mechanisms_refused = refused,
	    .mechanisms_refused_count = flags & 8 ? 1 : 0,
	    .monitor = (flags & 16) != 0,
	    .initiator_header = flags & 32 ? OLD_HEADER : HEADER,
	    .initiator_header_len = strlen(flags & 32 ? OLD_HEADER : HEADER),
	    .ops = &ops,
	    .ctx = r,
	};

	memset(r, 0, sizeof(*r));
	for (int side = 0; side < INSPECT_SIDES; side++)
		strbuf_init(&r->to[side], 4u * 1024u * 1024u);
	strbuf_init(&r->events, 1024u * 1024u);
	r->ins = inspect_new(&params);
}

/* Where the inspector has gone blind the session passes bytes on by itself. */
static void feed(struct run *r, enum inspect_side side, const uint8_t *data, size_t len)
{
	r->fed[side] += len;
	if (r->blind)
		strbuf_add(&r->to[other(side)], data, len);
	else
		inspect_feed(r->ins, side, data, len);
	if (r->decided)
		inspect_go_on(r->ins); /* the session does it once the record is acknowledged */
}

static void run(struct run *r, uint8_t flags, const uint8_t *data, size_t size, size_t piece)
{
	enum inspect_side side = INSPECT_RESPONDER;

	begin(r, flags);
	while (size > 0) {
		const uint8_t *turn = memchr(data, 1, size);
		size_t len = turn ? (size_t)(turn - data) : size;

		for (size_t at = 0; at < len; at += piece) {
			feed(r, side, data + at, len - at < piece ? len - at : piece);
			if (piece < size)
				inspect_rest(r->ins);
		}
		side = other(side);
		len += turn ? 1 : 0;
		data += len;
		size -= len;
	}
	inspect_end(r->ins, INSPECT_INITIATOR, REASON_SHUTDOWN);
	inspect_end(r->ins, INSPECT_RESPONDER, REASON_CLOSED);
	inspect_free(&r->ins);
}

static void release(struct run *r)
{
	for (int side = 0; side < INSPECT_SIDES; side++)
		strbuf_fini(&r->to[side]);
	strbuf_fini(&r->events);
}

static void compare(const struct run *a, const struct run *b)
{
	if (strcmp(strbuf_text(&a->events), strbuf_text(&b->events)) != 0)
		(void)fprintf(stderr, "--- whole\n%s--- pieces\n%s", strbuf_text(&a->events), strbuf_text(&b->events));
	check(strcmp(strbuf_text(&a->events), strbuf_text(&b->events)) == 0, "events depend on the split");
	for (int side = 0; side < INSPECT_SIDES; side++)
		check(a->to[side].len == b->to[side].len &&
			  memcmp(strbuf_text(&a->to[side]), strbuf_text(&b->to[side]), a->to[side].len) == 0,
		      "bytes depend on the split");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = {1, 7, 64};
	struct run whole, split;

	if (size < 2)
		return 0;
	run(&whole, data[0], data + 1, size - 1, size);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		run(&split, data[0], data + 1, size - 1, pieces[i]);
		compare(&whole, &split);
		release(&split);
	}
	release(&whole);
	return 0;
}

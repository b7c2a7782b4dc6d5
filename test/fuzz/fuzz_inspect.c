/* SPDX-License-Identifier: MIT */
/*
 * The inspector between two sides, of a client's stream or between servers. The first byte chooses parameters; after it
 * a byte 0x01 changes the side that speaks (the responder begins), which is when a pair that the session needed time
 * for is decided. Oracles: what either side gets and every event is the same however the bytes are split and however
 * often the inspector rests between them; what passes is, apart from what is cut, what came; no pair is proven that was
 * not allowed; nothing happens after fail or blind.
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

#define SERVER_HEADER                                                                              \
	"<stream:stream from='a.example' to='im.example.com' version='1.0' xmlns='jabber:server' " \
	"xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'>"

#define OLD_SERVER_HEADER                                           \
	"<stream:stream to='im.example.com' xmlns='jabber:server' " \
	"xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'>"

/* The bits of the first byte; STARTTLS among features that nobody is undecided about has no meaning otherwise. */
enum { UNDECIDED = 64, OFFER = 128, SERVER = OFFER };

#define OLD_HEADER "<s:stream to='im.example.com' xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams'>"

static char plain[] = "PLAIN";
static char *const refused[] = {plain};

struct run {
	struct inspector *ins;
	struct strbuf to[INSPECT_SIDES]; /* what each side was sent */
	struct strbuf events;
	size_t passed[INSPECT_SIDES], fed[INSPECT_SIDES];
	bool over, blind, decided;
	char waiting;          /* the first letter of the domain whose pair is not decided */
	struct strbuf allowed; /* pairs */
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

/* What is thought of a pair is in the first letter of who claims it. */
static enum inspect_pair judge(char first)
{
	switch (first) {
	case 'h':
		return INSPECT_PAIR_NOT_HOSTED;
	case 'n':
		return INSPECT_PAIR_NOT_AUTHORIZED;
	case 'o':
		return INSPECT_PAIR_OWN;
	case 'l':
		return INSPECT_PAIR_NOT_OURS;
	default:
		return INSPECT_PAIR_ALLOW;
	}
}

static void name_pair(char *out, size_t size, const char *from, const char *to)
{
	(void)snprintf(out, size, "[%s %s]", from, to);
}

/* w and the letter of the answer: it comes later. */
static enum inspect_pair op_pair(void *ctx, const char *from, const char *to)
{
	struct run *r = ctx;
	char pair[600];
	bool wait = from[0] == 'w';
	enum inspect_pair answer = judge(from[wait ? 1 : 0]);

	check(!r->over && r->waiting == 0, "a pair is asked about while another is not decided");
	name_pair(pair, sizeof(pair), from, to);
	strbuf_printf(&r->events, "pair %s\n", pair);
	if (answer == INSPECT_PAIR_ALLOW)
		strbuf_puts(&r->allowed, pair);
	r->waiting = '\0';
	if (wait)
		r->waiting = from[1] ? from[1] : '.';
	return wait ? INSPECT_PAIR_WAIT : answer;
}

static void op_proven(void *ctx, const char *from, const char *to, bool external)
{
	struct run *r = ctx;
	char pair[600];

	name_pair(pair, sizeof(pair), from, to);
	check(!r->over && (external || strstr(strbuf_text(&r->allowed), pair)),
	      "a pair is proven that was not allowed");
	strbuf_printf(&r->events, "proven %s %s %d\n", from, to, external);
}

static void op_unproven(void *ctx, const char *from, const char *to, enum reason reason)
{
	strbuf_printf(&((struct run *)ctx)->events, "unproven %s %s %d\n", from, to, (int)reason);
}

static bool op_translate(void *ctx, const char *id, const char *from, const char *to, char out[INSPECT_ID_SIZE])
{
	struct run *r = ctx;

	check(!r->over, "an id is asked for after the end");
	strbuf_printf(&r->events, "translate %s %s %s\n", id, from, to);
	(void)snprintf(out, INSPECT_ID_SIZE, "<%.10s'\">", id);
	return id[0] == 't';
}

static const struct inspect_ops ops = {.pass = op_pass,
				       .reply = op_reply,
				       .note = op_note,
				       .authenticated = op_authenticated,
				       .closed = op_closed,
				       .blind = op_blind,
				       .fail = op_fail,
				       .pair = op_pair,
				       .proven = op_proven,
				       .unproven = op_unproven,
				       .translate = op_translate,
				       .plaintext = op_plaintext,
				       .starttls = op_starttls};

static void begin(struct run *r, uint8_t flags)
{
	bool server = (flags & (UNDECIDED | OFFER)) == SERVER, old = (flags & 32) != 0;
	const char *header = server ? (old ? OLD_SERVER_HEADER : SERVER_HEADER) : old ? OLD_HEADER : HEADER;
	const struct inspect_params params = {
	    .content_ns = server ? XMPP_NS_SERVER : XMPP_NS_CLIENT,
	    .domain = "im.example.com",
	    .remote_from = old ? NULL : "a.example",
	    .remote = server && (flags & 16) != 0,
	    .unauthenticated_limit = 1024,
	    .stanza_limit = flags & 1 ? 0 : 2048,
	    .depth = 8,
	    .auth_attempts = 2,
	    .strip_compression = (flags & 2) == 0,
	    .undecided = (flags & UNDECIDED) != 0,
	    .offer_starttls = (flags & OFFER) != 0,
	    .idle_seconds = flags & 4 ? 60 : 0,
	    .mechanisms_refused = refused,
	    .mechanisms_refused_count = flags & 8 ? 1 : 0,
	    .monitor = (flags & 16) != 0,
	    .initiator_header = header,
	    .initiator_header_len = strlen(header),
	    .ops = &ops,
	    .ctx = r,
	};

	memset(r, 0, sizeof(*r));
	for (int side = 0; side < INSPECT_SIDES; side++)
		strbuf_init(&r->to[side], 4u * 1024u * 1024u);
	strbuf_init(&r->events, 1024u * 1024u);
	strbuf_init(&r->allowed, 1024u * 1024u);
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
}

/* The session does it later: once the record is acknowledged, once it knows. Here at the turn, for what else is read
 * before must not depend on the split. */
static void decide(struct run *r)
{
	char first = r->waiting;

	if (r->decided)
		inspect_go_on(r->ins);
	r->waiting = '\0';
	if (first)
		inspect_pair_decide(r->ins, judge(first));
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
		decide(r);
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
	strbuf_fini(&r->allowed);
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

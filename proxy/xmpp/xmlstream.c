/* SPDX-License-Identifier: MIT */
/*
 * The XML stream: owns the expat parser and decides what may enter it. Invariants:
 * - a character reaches expat only whole, and after our own UTF-8 check has passed it (XML-3);
 * - bytes in expat that belong to no complete event are never more than the element limit (XML-6);
 * - `done` only ever stands behind a whole event or white space between elements;
 * - after STOP expat sleeps holding the rest of what it was fed: `fed` is ahead of `at` then, and the next feed wakes
 * it and skips those bytes in the new data;
 * - the first failure is final, and expat is never called again after it;
 * - at rest there is no parser: `at`, `fed` and `done` are one, and a new parser's byte 0 lies `root_tag_len` before;
 * - bytes that expat does not get are text inside an element nobody reads, checked as UTF-8 and as XML characters,
 *   without anything that could end it or be at fault in it: what expat says of the rest is the same.
 */
#include "xmpp/xmlstream.h"

#include <assert.h>
#include <expat.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/slab.h"
#include "xmpp/xmlstream_private.h"

/*
 * Present in expat 2.6 and in the 2.5.0 of some distributions: asked of the linker, never of version macros. Without
 * the call expat keeps a complete element back until more bytes come, and the peer waits for ever (XML-5).
 */
XML_Bool XML_SetReparseDeferralEnabled(XML_Parser parser, XML_Bool enabled) __attribute__((weak));

/* What one call of XML_Parse gets at most; its length is an int. */
#define SLICE_MAX ((size_t)64 * 1024)
/* A text of so many bytes is worth a call of XML_Parse of its own for what stands before it. */
#define TEXT_MIN ((size_t)128)

static bool make_parser(struct xmlstream *xs)
{
	/* Parsers come and go while the rest of their streams stays. */
	static const XML_Memory_Handling_Suite memory = {slab_alloc, slab_realloc, slab_free};
	static const XML_Char separator[] = {XML_TREE_SEPARATOR, '\0'};

	xs->parser = XML_ParserCreate_MM("UTF-8", &memory, separator);
	if (xs->parser == NULL) {
		xmlstream_fail(xs, REASON_INTERNAL, "no XML parser", xs->fed);
		return false;
	}
	if (XML_SetReparseDeferralEnabled != NULL)
		(void)XML_SetReparseDeferralEnabled(xs->parser, XML_FALSE);
	XML_SetReturnNSTriplet(xs->parser, XML_TRUE); /* possible only before the first byte */
	return true;
}

struct xmlstream *xmlstream_new(const struct xmlstream_limits *limits, const struct xmlstream_handlers *handlers,
				void *ctx)
{
	struct xmlstream *xs = mem_zalloc(sizeof(*xs));

	xs->handlers = handlers;
	xs->ctx = ctx;
	xs->limits = *limits;
	xs->element_limit_next = limits->element;
	xml_tree_init(&xs->tree);
	xml_tree_set_limit(&xs->tree, limits->element);
	if (make_parser(xs))
		xmlstream_attach(xs);
	return xs;
}

void xmlstream_free(struct xmlstream **xs_ptr)
{
	struct xmlstream *xs = *xs_ptr;

	if (xs == NULL)
		return;
	if (xs->parser != NULL)
		XML_ParserFree(xs->parser);
	xml_tree_fini(&xs->tree);
	mem_free(xs->decls);
	mem_free(xs->root_tag);
	mem_free(xs);
	*xs_ptr = NULL;
}

/* Was it "<!" and a letter that expat choked on: a declaration in the middle of the stream? */
static bool is_declaration(const struct xmlstream *xs)
{
	int offset = 0, size = 0;
	const char *text = XML_GetInputContext(xs->parser, &offset, &size);

	return text != NULL && offset >= 2 && offset < size && text[offset - 2] == '<' && text[offset - 1] == '!' &&
	       (text[offset] & ~0x20) >= 'A' && (text[offset] & ~0x20) <= 'Z';
}

static enum reason reason_of(const struct xmlstream *xs, enum XML_Error code)
{
	/* expat has many codes and newer versions have more: what is not named here is not well-formed. */
	switch ((int)code) {
	case XML_ERROR_NO_MEMORY:
		return REASON_INTERNAL;
	case XML_ERROR_UNDEFINED_ENTITY:
	case XML_ERROR_RECURSIVE_ENTITY_REF:
	case XML_ERROR_ASYNC_ENTITY:
	case XML_ERROR_BINARY_ENTITY_REF:
	case XML_ERROR_ATTRIBUTE_EXTERNAL_ENTITY_REF:
	case XML_ERROR_MISPLACED_XML_PI:
	case XML_ERROR_AMPLIFICATION_LIMIT_BREACH:
		return REASON_RESTRICTED_XML;
	case XML_ERROR_UNKNOWN_ENCODING:
	case XML_ERROR_INCORRECT_ENCODING:
		return REASON_ENCODING;
	case XML_ERROR_INVALID_TOKEN:
		return is_declaration(xs) ? REASON_RESTRICTED_XML : REASON_NOT_WELL_FORMED;
	default:
		return REASON_NOT_WELL_FORMED;
	}
}

static void after_expat(struct xmlstream *xs, enum XML_Status status)
{
	enum XML_Error code;

	xs->asleep = status == XML_STATUS_SUSPENDED;
	if (status != XML_STATUS_ERROR || xs->state == XMLSTREAM_RUN_CLOSED || xs->state == XMLSTREAM_RUN_FAILED)
		return;
	code = XML_GetErrorCode(xs->parser);
	xmlstream_fail(xs, reason_of(xs, code), XML_ErrorString(code),
		       xs->base + (uint64_t)XML_GetCurrentByteIndex(xs->parser));
}

/* White space between elements is done as soon as it is seen. text is what the caller gave from offset `from` on. */
static void pass_blanks(struct xmlstream *xs, const char *text, uint64_t from)
{
	if (!xs->opened || xs->done < from)
		return;
	xs->done += xmlstream_blanks(text + (xs->done - from), (size_t)(xs->fed - xs->done));
}

/*
 * What stands at `done` begins an element, a closing tag or a reference; anything else is stray text. expat keeps some
 * text back, and finds fault with its end before it reports its beginning: asked of the bytes, the answer is the same
 * however they are cut.
 */
static void judge_text(struct xmlstream *xs, const char *text, uint64_t from)
{
	if (!xs->opened || xs->done < from || xs->done >= xs->fed - xs->carry_len)
		return;
	if (text[xs->done - from] == '<' || text[xs->done - from] == '&')
		return;
	if (xs->state == XMLSTREAM_RUN_FAILED && xs->failure.reason == REASON_NOT_WELL_FORMED)
		xs->state = XMLSTREAM_RUN_READING;
	xmlstream_fail(xs, REASON_STRAY_TEXT, "text between elements", xs->done);
}

/* U+FEFF is no byte order mark in XMPP (RFC 6120 section 11.6), but expat would swallow it as one. */
static bool begins_with_bom(struct xmlstream *xs, const char *text, size_t len)
{
	static const char bom[] = "\xEF\xBB\xBF";

	for (uint64_t i = xs->fed; i < 3 && i - xs->fed < len; i++) {
		if (xs->bom == i && text[i - xs->fed] == bom[i])
			xs->bom++;
	}
	return xs->bom == 3;
}

/* Bytes of a character that ended too early. */
static size_t bytes_of_cut(const struct utf8_state *s)
{
	if (s->need == 0)
		return 0;
	return (s->least >= 0x10000 ? 4U : s->least >= 0x800 ? 3U : 2U) - s->need;
}

/* Takes the bytes that are UTF-8 and says how many they are. */
static size_t take_utf8(struct xmlstream *xs, const char *text, size_t len)
{
	size_t good;

	xs->utf8_result = utf8_check(&xs->utf8, text, len, &good);
	xs->utf8_where = xs->fed + good - xs->carry_len;
	xs->fed += good;
	return good;
}

static void parse(struct xmlstream *xs, const char *text, size_t len)
{
	if (len > 0)
		after_expat(xs, XML_Parse(xs->parser, text, (int)len, XML_FALSE));
}

static void carry(struct xmlstream *xs, const char *text, size_t len)
{
	memcpy(xs->carry + xs->carry_len, text, len);
	xs->carry_len += len;
}

/* The rest of a character that was cut. */
static void parse_carried(struct xmlstream *xs, const char *text, size_t len)
{
	size_t good = take_utf8(xs, text, len < xs->utf8.need ? len : xs->utf8.need);

	carry(xs, text, good);
	if (xs->utf8_result != UTF8_OK || xs->utf8.need > 0)
		return;
	parse(xs, xs->carry, xs->carry_len);
	xs->carry_len = 0;
}

static void parse_slice(struct xmlstream *xs, const char *text, size_t len)
{
	size_t good = take_utf8(xs, text, len);
	size_t cut = xs->utf8_result == UTF8_OK ? bytes_of_cut(&xs->utf8) : 0;

	carry(xs, text + good - cut, cut);
	parse(xs, text, good - cut);
}

/* Bytes that are text for certain where text may stand: no tag, no reference, and not the "]]>" that is forbidden. */
static size_t text_run(const char *text, size_t len)
{
	static const char other[] = {'<', '&', ']'};

	for (size_t i = 0; i < sizeof(other); i++) {
		const char *found = memchr(text, other[i], len);

		if (found != NULL)
			len = (size_t)(found - text);
	}
	return len;
}

/* Has expat read all it was given, to the end of a tag, inside an element of which only the first tag is read? */
static bool is_in_text(const struct xmlstream *xs)
{
	return xs->level > 1 && xs->detail == XMLSTREAM_TOP && xs->tag_end == xs->fed && xs->carry_len == 0 &&
	       xs->state == XMLSTREAM_RUN_READING && xs->utf8_result == UTF8_OK;
}

/* Expat passes over a text twice, byte by byte, to say nothing of it: two thirds of the cost of a long stanza. */
static void skip_text(struct xmlstream *xs, const char *text, size_t len)
{
	size_t good = take_utf8(xs, text, len);
	size_t cut = xs->utf8_result == UTF8_OK ? bytes_of_cut(&xs->utf8) : 0;

	carry(xs, text + good - cut, cut);
	xs->base += good - cut;
	xs->tag_end += good - cut;
}

/* How much expat should get first, so that it may stand before a long text then. */
static size_t before_text(const struct xmlstream *xs, const char *text, size_t len)
{
	size_t at = 0;
	const char *end;

	if (xs->level == 0 || xs->detail_next != XMLSTREAM_TOP)
		return len;
	while ((end = memchr(text + at, '>', len - at)) != NULL) {
		size_t run;

		at = (size_t)(end - text) + 1;
		run = text_run(text + at, len - at);
		if (run >= TEXT_MIN)
			return at;
		at += run;
	}
	return len;
}

/*
 * One guess only: where the '>' was in an attribute or a CDATA section, expat gets all the rest at once. It reads an
 * unfinished token from its beginning with every call, which nobody shall make us do a thousand times.
 */
static void parse_around_text(struct xmlstream *xs, const char *text, size_t len)
{
	size_t first = before_text(xs, text, len);

	parse_slice(xs, text, first);
	if (first < len && xs->state == XMLSTREAM_RUN_READING && xs->utf8_result == UTF8_OK && !is_in_text(xs))
		parse_slice(xs, text + first, len - first);
}

/* Reads the next bytes, at most as many as may still belong to the element being read. */
static void feed_slice(struct xmlstream *xs, const char *text, size_t len)
{
	uint64_t pending = xs->fed - xs->done;
	size_t room = pending >= xs->limits.element ? 0 : xs->limits.element - (size_t)pending;

	if (room == 0) {
		xmlstream_fail(xs, REASON_TOO_BIG, xs->opened ? "element too big" : "stream header too big", xs->fed);
		return;
	}
	if (len > room)
		len = room;
	if (len > SLICE_MAX)
		len = SLICE_MAX;
	if (!xs->begun)
		xs->begun = xmlstream_blanks(text, len) < len;
	if (xs->bom == xs->fed && begins_with_bom(xs, text, len)) {
		xmlstream_fail(xs, REASON_NOT_WELL_FORMED, "byte order mark", 0);
		return;
	}
	size_t run = is_in_text(xs) ? text_run(text, len) : 0;

	if (run > 0)
		skip_text(xs, text, run);
	else if (xs->carry_len > 0)
		parse_carried(xs, text, len);
	else
		parse_around_text(xs, text, len);
}

static void fail_utf8(struct xmlstream *xs)
{
	if (xs->utf8_result == UTF8_INVALID)
		xmlstream_fail(xs, REASON_ENCODING, "invalid UTF-8", xs->utf8_where);
	else if (xs->utf8_result == UTF8_NOT_XML)
		xmlstream_fail(xs, REASON_NOT_WELL_FORMED, "character that XML forbids", xs->utf8_where);
}

static void free_parser(struct xmlstream *xs)
{
	XML_ParserFree(xs->parser);
	xs->parser = NULL;
	xs->asleep = false;
	xml_tree_fini(&xs->tree);
	xml_tree_set_limit(&xs->tree, xs->limits.element);
}

bool xmlstream_rest(struct xmlstream *xs)
{
	if (xs->parser == NULL)
		return true;
	/* Behind STOP expat may hold nothing more than what has been told: then it need not go on from there. */
	if (xs->state > XMLSTREAM_RUN_STOPPED || xs->close_pending || xs->root_tag == NULL || xs->level != 1 ||
	    xs->fed != xs->done || xs->at != xs->done)
		return false;
	xs->state = XMLSTREAM_RUN_READING;
	free_parser(xs);
	return true;
}

/* The header as far as it matters to what follows is read again, before any handler is there to hear of it. */
static void revive(struct xmlstream *xs)
{
	if (!make_parser(xs))
		return;
	xs->base = xs->fed - xs->root_tag_len;
	if (XML_Parse(xs->parser, xs->root_tag, (int)xs->root_tag_len, XML_FALSE) != XML_STATUS_OK)
		xmlstream_fail(xs, REASON_INTERNAL, "no XML parser", xs->fed);
	xmlstream_attach(xs);
}

/* White space keeps a stream alive that is at rest, and need not wake it. */
static void feed_resting(struct xmlstream *xs, const char *text, size_t len)
{
	size_t blank = xmlstream_blanks(text, len);

	xs->fed += blank;
	xs->done = xs->fed;
	if (blank < len)
		revive(xs);
}

/* A new feed after STOP: the close that was put off, then what expat still holds. */
static void wake(struct xmlstream *xs)
{
	xs->state = XMLSTREAM_RUN_READING;
	if (xs->close_pending)
		xmlstream_end(xs);
	else if (xs->asleep)
		after_expat(xs, XML_ResumeParser(xs->parser));
}

/* Reads until something ends it; `from` is the offset of text[0]. */
static void read_all(struct xmlstream *xs, const char *text, size_t len, uint64_t from)
{
	while (xs->state == XMLSTREAM_RUN_READING) {
		size_t used = (size_t)(xs->fed - from);

		pass_blanks(xs, text, from);
		judge_text(xs, text, from);
		fail_utf8(xs);
		if (xs->state != XMLSTREAM_RUN_READING || used >= len)
			break;
		feed_slice(xs, text + used, len - used);
	}
	if (xs->state == XMLSTREAM_RUN_FAILED) {
		pass_blanks(xs, text, from);
		judge_text(xs, text, from);
	}
}

static enum xmlstream_result result_of(const struct xmlstream *xs)
{
	switch (xs->state) {
	case XMLSTREAM_RUN_STOPPED:
		return XMLSTREAM_STOPPED;
	case XMLSTREAM_RUN_CLOSED:
		return XMLSTREAM_CLOSED;
	case XMLSTREAM_RUN_FAILED:
		return XMLSTREAM_FAILED;
	case XMLSTREAM_RUN_READING:
	default:
		return XMLSTREAM_MORE;
	}
}

enum xmlstream_result xmlstream_feed(struct xmlstream *xs, const void *data, size_t len, size_t *consumed_out)
{
	uint64_t from = xs->at;

	*consumed_out = 0;
	if (xs->state == XMLSTREAM_RUN_CLOSED || xs->state == XMLSTREAM_RUN_FAILED)
		return result_of(xs);
	/* Given less than was left over, the caller's bytes and ours would be out of step from here on. */
	assert(len >= xs->fed - from);
	if (xs->state == XMLSTREAM_RUN_STOPPED)
		wake(xs);
	if (xs->parser == NULL)
		feed_resting(xs, data, len);
	read_all(xs, data, len, from);
	if (xs->state == XMLSTREAM_RUN_READING)
		xs->at = from + len;
	else if (xs->done > from)
		xs->at = xs->done;
	*consumed_out = (size_t)(xs->at - from);
	return result_of(xs);
}

void xmlstream_set_detail(struct xmlstream *xs, enum xmlstream_detail detail)
{
	xs->detail_next = detail;
}

void xmlstream_set_element_limit(struct xmlstream *xs, size_t bytes)
{
	xs->element_limit_next = bytes;
	if (xs->state == XMLSTREAM_RUN_STOPPED || xs->fed == xs->done) {
		xs->limits.element = bytes;
		xml_tree_set_limit(&xs->tree, bytes);
	}
}

uint64_t xmlstream_done(const struct xmlstream *xs)
{
	return xs->done;
}

uint64_t xmlstream_elements(const struct xmlstream *xs)
{
	return xs->elements;
}

bool xmlstream_begun(const struct xmlstream *xs)
{
	return xs->begun;
}

bool xmlstream_opened(const struct xmlstream *xs)
{
	return xs->opened;
}

const struct xmlstream_failure *xmlstream_failure(const struct xmlstream *xs)
{
	return &xs->failure;
}

const char *xmlstream_library(void)
{
	static char text[64];
	XML_Expat_Version v = XML_ExpatVersionInfo();

	(void)snprintf(text, sizeof(text), "libexpat %d.%d.%d, %s", v.major, v.minor, v.micro,
		       XML_SetReparseDeferralEnabled != NULL ? "reparse deferral off" : "no reparse deferral");
	return text;
}

/* SPDX-License-Identifier: MIT */
/*
 * What is changed of either side's own bytes, by byte range and nowhere else: a version put into a header (NEG-40) or
 * cut out of it (NEG-15), features cut (NEG-12, 24), limits lowered or added (NEG-31), other places to connect to cut
 * out (NEG-25), the id of a stream that has another one on the other side. Invariants: edits ascend and do not overlap;
 * what is put in declares its own namespace, so that no declaration of the responder changes its meaning; a tag that
 * the scanner does not understand is not passed.
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "xmpp/inspect_private.h"
#include "xmpp/names.h"
#include "xmpp/reply.h"
#include "xmpp/starttag.h"

#define TEXT_MAX 4096

static struct inspect_edits *edits_of(struct inspect_dir *d)
{
	struct inspect_verdict *v = &d->ins->verdict;

	if (!v->edits) {
		v->edits = mem_zalloc(sizeof(*v->edits));
		strbuf_init(&v->edits->text, TEXT_MAX);
	}
	return v->edits;
}

void inspect_edits_free(struct inspect_edits **edits)
{
	if (!*edits)
		return;
	strbuf_fini(&(*edits)->text);
	mem_free(*edits);
	*edits = NULL;
}

/* In place of [start, end) stands what was added to text since `text_at`. */
static void put(struct inspect_edits *e, uint64_t start, uint64_t end, size_t text_at)
{
	if (e->text.overflow || e->count == INSPECT_EDITS_MAX || (e->count > 0 && start < e->edit[e->count - 1].end)) {
		e->broken = true;
		return;
	}
	e->edit[e->count++] = (struct inspect_edit){start, end, text_at, e->text.len - text_at};
}

static void cut(struct inspect_dir *d, uint64_t start, uint64_t end)
{
	struct inspect_edits *e = edits_of(d);

	put(e, start, end, e->text.len);
}

/*
 * Bytes of the stream from an element that the parser has just told of: they came with this read or are in hold. A
 * copy, which the caller frees.
 */
static char *raw_bytes(const struct inspect_dir *d, uint64_t start, uint64_t end)
{
	size_t len = (size_t)(end - start), kept = 0;
	char *out = mem_alloc(len + 1);

	if (start < d->chunk_at) {
		kept = (size_t)((end < d->chunk_at ? end : d->chunk_at) - start);
		assert(start >= d->passed && start - d->passed + kept <= d->hold.len);
		memcpy(out, d->hold.data + (start - d->passed), kept);
	}
	if (kept < len)
		memcpy(out + kept, d->chunk + (start + kept - d->chunk_at), len - kept);
	out[len] = '\0';
	return out;
}

/* Behind the id, where RFC 6120's own examples have it, or first if there is none. 0: the tag is not understood. */
static size_t place_for_version(const char *raw, size_t len)
{
	struct start_tag_attr a;

	switch (start_tag_find(raw, len, "id", &a)) {
	case START_TAG_FOUND:
		return a.end;
	case START_TAG_ABSENT:
		return start_tag_name_end(raw, len);
	case START_TAG_BROKEN:
		break;
	}
	return 0;
}

/* An older server may say so (version='0.9') or say nothing. */
static bool put_version(struct inspect_edits *e, const struct xml_node *root, const char *raw, size_t len)
{
	struct start_tag_attr a;
	enum start_tag_result found = start_tag_find(raw, len, "version", &a);
	size_t at = place_for_version(raw, len), text_at = e->text.len;

	if (found == START_TAG_BROKEN || at == 0 || start_tag_is_empty(raw, len))
		return false;
	if (found == START_TAG_FOUND) {
		strbuf_puts(&e->text, "1.0");
		put(e, root->start + a.value, root->start + a.value_end, text_at);
		return true;
	}
	strbuf_puts(&e->text, " version='1.0'");
	/* RFC 6120 section 4.7.4: what has no language of its own has one by the header of a 1.0 stream. */
	if (start_tag_find(raw, len, "xml:lang", &a) == START_TAG_ABSENT)
		strbuf_puts(&e->text, " xml:lang='en'");
	put(e, root->start + at, root->start + at, text_at);
	return true;
}

bool inspect_edit_upgrade(struct inspect_dir *d, const struct xml_node *root)
{
	struct inspect_edits *e = edits_of(d);
	size_t len = (size_t)(root->open_end - root->start), text_at;
	char *raw = raw_bytes(d, root->start, root->open_end);
	bool good = put_version(e, root, raw, len);

	mem_free(raw);
	text_at = e->text.len;
	reply_features_pre10(&e->text, root->prefix, d->ins->pairs != NULL,
			     d->ins->plaintext && d->ins->offer_starttls);
	put(e, root->open_end, root->open_end, text_at);
	return good && !e->broken;
}

/* Leaves the attribute out with the white space before it. */
static bool cut_attr(struct inspect_dir *d, const struct xml_node *node, const char *name)
{
	char *raw = raw_bytes(d, node->start, node->open_end);
	struct start_tag_attr a;
	bool found = start_tag_find(raw, (size_t)(node->open_end - node->start), name, &a) == START_TAG_FOUND;

	mem_free(raw);
	if (found)
		cut(d, node->start + a.space, node->start + a.end);
	return found;
}

bool inspect_edit_downgrade(struct inspect_dir *d, const struct xml_node *root)
{
	return !xml_node_attr(root, "version") || cut_attr(d, root, "version");
}

bool inspect_edit_location(struct inspect_dir *d, const struct xml_node *element)
{
	bool good = true;

	for (const struct xml_node *node = element; node; node = xml_node_walk(node, element)) {
		if (!xml_node_is(node, XMPP_NS_SM, "enabled") || !xml_node_attr(node, "location"))
			continue;
		good = cut_attr(d, node, "location") && good;
		d->ins->verdict.note[INSPECT_NOTE_STEERING] = true;
	}
	return good && !(d->ins->verdict.edits && d->ins->verdict.edits->broken);
}

bool inspect_edit_value(struct inspect_dir *d, uint64_t start, uint64_t open_end, const char *name, const char *value)
{
	struct inspect_edits *e = edits_of(d);
	char *raw = raw_bytes(d, start, open_end);
	struct start_tag_attr a;
	bool found = start_tag_find(raw, (size_t)(open_end - start), name, &a) == START_TAG_FOUND;
	size_t text_at = e->text.len;

	mem_free(raw);
	if (!found)
		return false;
	strbuf_put_xml(&e->text, value);
	put(e, start + a.value, start + a.value_end, text_at);
	return !e->broken;
}

/* ---- limits (XEP-0478) ---- */

struct features_edit {
	struct inspect_edits *edits;
	const char *raw; /* of the features element, from `start` on */
	uint64_t start;
	struct stream_limits ours;
};

/* Where the end tag of a node begins that has one: no other end tag stands behind it within the node. */
static uint64_t end_tag(const struct features_edit *f, const struct xml_node *node)
{
	size_t at = (size_t)(node->end - f->start) - 1;

	while (at > (size_t)(node->open_end - f->start) && (f->raw[at] != '<' || f->raw[at + 1] != '/'))
		at--;
	return f->start + at;
}

/* A number from 1 on, alone but for blanks; 0 if it is none. */
static uint64_t read_limit(const struct xml_node *node)
{
	const char *at = node->text + strspn(node->text, " \t\r\n");
	uint64_t value = 0;

	for (; *at >= '0' && *at <= '9'; at++)
		value = value > UINT64_MAX / 10 - 1 ? UINT64_MAX / 10 : value * 10 + (uint64_t)(*at - '0');
	return node->first_child || at[strspn(at, " \t\r\n")] != '\0' ? 0 : value;
}

/* Ours stands where theirs is larger or says nothing; a smaller one is the responder's to enforce and stays. */
static void lower(struct features_edit *f, const struct xml_node *node, uint64_t ours)
{
	size_t text_at = f->edits->text.len;
	uint64_t theirs = read_limit(node);

	if (theirs > 0 && theirs <= ours)
		return;
	if (node->open_end == node->end) {
		strbuf_printf(&f->edits->text, "<%s xmlns='" XMPP_NS_LIMITS "'>%" PRIu64 "</%s>", node->name, ours,
			      node->name);
		put(f->edits, node->start, node->end, text_at);
	} else {
		strbuf_printf(&f->edits->text, "%" PRIu64, ours);
		put(f->edits, node->open_end, end_tag(f, node), text_at);
	}
}

static void add_missing(struct features_edit *f, const char *name, uint64_t ours)
{
	if (ours > 0)
		strbuf_printf(&f->edits->text, "<%s xmlns='" XMPP_NS_LIMITS "'>%" PRIu64 "</%s>", name, ours, name);
}

/* The responder's own <limits/>: each of ours is lowered where it stands, or put in at the end. */
static void merge_limits(struct features_edit *f, const struct xml_node *limits)
{
	uint64_t max_bytes = f->ours.max_bytes, idle = f->ours.idle_seconds;
	size_t text_at;

	for (const struct xml_node *child = limits->first_child; child; child = child->next) {
		if (f->ours.max_bytes > 0 && xml_node_is(child, XMPP_NS_LIMITS, "max-bytes")) {
			lower(f, child, f->ours.max_bytes);
			max_bytes = 0;
		} else if (f->ours.idle_seconds > 0 && xml_node_is(child, XMPP_NS_LIMITS, "idle-seconds")) {
			lower(f, child, f->ours.idle_seconds);
			idle = 0;
		}
	}
	text_at = f->edits->text.len;
	if (limits->open_end == limits->end) {
		reply_limits(&f->edits->text, &f->ours);
		put(f->edits, limits->start, limits->end, text_at);
	} else if (max_bytes > 0 || idle > 0) {
		add_missing(f, "max-bytes", max_bytes);
		add_missing(f, "idle-seconds", idle);
		put(f->edits, end_tag(f, limits), end_tag(f, limits), text_at);
	}
}

/* The stream-wide ones of this phase. Where nothing is inspected afterwards, nothing is enforced. Dialback brings no
 * features after it: between servers they are those of the stream that a pair is proven on. */
static struct stream_limits our_limits(const struct inspector *ins)
{
	if (!ins->authenticated && !ins->pairs)
		return (struct stream_limits){.max_bytes = ins->unauthenticated_limit};
	return (struct stream_limits){.max_bytes = ins->stanza_limit, .idle_seconds = ins->idle_seconds};
}

static void say_limits(struct features_edit *f, const struct xml_node *element, const struct features *cuts)
{
	size_t text_at = f->edits->text.len;

	if (f->ours.max_bytes == 0 && f->ours.idle_seconds == 0)
		return;
	/* Empty features say that nothing is left to negotiate (RFC 6120 section 4.3.5): they stay empty. */
	if (xml_node_child(element, XMPP_NS_LIMITS, "limits") || cuts->children == cuts->cut_count)
		return;
	reply_limits(&f->edits->text, &f->ours);
	put(f->edits, end_tag(f, element), end_tag(f, element), text_at);
}

/* STARTTLS of our own among the backend's features, where the initiator's leg is still plaintext (inspect_offer.c). */
static void put_offer(struct inspect_edits *e, const struct xml_node *element)
{
	size_t text_at = e->text.len;

	reply_starttls(&e->text);
	put(e, element->open_end, element->open_end, text_at);
}

/* NEG-32: not on a plaintext leg. */
static bool is_bidi_in_clear(const struct inspector *ins, const struct xml_node *child)
{
	return ins->plaintext && xml_node_is(child, XMPP_NS_BIDI_FEATURE, "bidi");
}

bool inspect_edit_features(struct inspect_dir *d, const struct xml_node *element, const struct features *cuts,
			   bool offer)
{
	struct features_edit f = {.edits = edits_of(d), .start = element->start, .ours = our_limits(d->ins)};
	char *raw = raw_bytes(d, element->start, element->end);
	bool any = f.ours.max_bytes > 0 || f.ours.idle_seconds > 0;
	size_t next = 0;

	f.raw = raw;
	if (offer)
		put_offer(f.edits, element);
	for (const struct xml_node *child = element->first_child; child; child = child->next) {
		if (next < cuts->cut_count && cuts->cut[next].start == child->start) {
			cut(d, child->start, child->end);
			next++;
		} else if (is_bidi_in_clear(d->ins, child)) {
			cut(d, child->start, child->end);
		} else if (any && xml_node_is(child, XMPP_NS_LIMITS, "limits")) {
			merge_limits(&f, child);
		}
	}
	say_limits(&f, element, cuts);
	mem_free(raw);
	return !f.edits->broken;
}

/* SPDX-License-Identifier: MIT */
/*
 * Reads one stream and gives whole first-level elements with their bytes as they came, each in one piece (NEG-36).
 * Invariant between two calls: `hold` has exactly the bytes of the element that is not complete.
 */
#include "relay/hub_private.h"

static enum xmlstream_step step(const struct hub_reader *r)
{
	return r->stopped ? XMLSTREAM_STOP : XMLSTREAM_GO_ON;
}

static enum xmlstream_step on_open(void *ctx, const struct xml_node *root, const struct xml_decl *decls, size_t count)
{
	struct hub_reader *r = ctx;
	r->ops->open(r->ctx, root, decls, count);
	return step(r);
}

/* Only an element that began in an earlier chunk is copied together. */
static enum xmlstream_step on_element(void *ctx, const struct xml_node *element)
{
	struct hub_reader *r = ctx;
	size_t len = (size_t)(element->end - element->start);
	if (element->start >= r->chunk_at) {
		r->ops->element(r->ctx, element, r->chunk + (element->start - r->chunk_at), len);
		return step(r);
	}
	if (!strbuf_add(&r->hold, r->chunk, (size_t)(element->end - r->chunk_at))) {
		r->stopped = true;
		r->ops->failed(r->ctx, REASON_TOO_BIG, NULL);
		return XMLSTREAM_STOP;
	}
	r->ops->element(r->ctx, element, r->hold.data + (element->start - r->hold_at), len);
	strbuf_fini(&r->hold);
	return step(r);
}

static enum xmlstream_step on_close(void *ctx)
{
	struct hub_reader *r = ctx;
	r->stopped = true;
	r->ops->close(r->ctx);
	return XMLSTREAM_STOP;
}

static const struct xmlstream_handlers handlers = {on_open, on_element, on_close};

void hub_reader_init(struct hub_reader *r, const struct xmlstream_limits *limits, size_t hold_max,
		     const struct hub_reader_ops *ops, void *ctx)
{
	*r = (struct hub_reader){.ops = ops, .ctx = ctx};
	r->xs = xmlstream_new(limits, &handlers, r);
	strbuf_init(&r->hold, hold_max);
}

void hub_reader_fini(struct hub_reader *r)
{
	xmlstream_free(&r->xs);
	strbuf_fini(&r->hold);
}

void hub_reader_stop(struct hub_reader *r)
{
	r->stopped = true;
}

/* What belongs to an element that is not complete is kept. False: it is more than the limits allow. */
static bool keep(struct hub_reader *r, size_t len)
{
	uint64_t done = xmlstream_done(r->xs);
	size_t skip = done > r->chunk_at ? (size_t)(done - r->chunk_at) : 0;
	if (done >= r->chunk_at) {
		strbuf_clear(&r->hold);
		r->hold_at = done;
	}
	return strbuf_add(&r->hold, r->chunk + skip, len - skip);
}

void hub_reader_feed(struct hub_reader *r, const char *data, size_t len)
{
	size_t used;
	if (r->stopped || len == 0)
		return;
	r->chunk = data;
	enum xmlstream_result result = xmlstream_feed(r->xs, data, len, &used);
	if (r->stopped)
		return;
	if (result == XMLSTREAM_FAILED) {
		const struct xmlstream_failure *f = xmlstream_failure(r->xs);
		r->stopped = true;
		r->ops->failed(r->ctx, f->reason, f->detail);
		return;
	}
	if (!keep(r, len)) {
		r->stopped = true;
		r->ops->failed(r->ctx, REASON_TOO_BIG, NULL);
		return;
	}
	r->chunk_at += len;
	if (r->hold.len == 0)
		strbuf_fini(&r->hold);
}

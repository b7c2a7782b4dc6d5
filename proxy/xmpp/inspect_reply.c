/* SPDX-License-Identifier: MIT */
/*
 * What either side is told when the stream ends: errors and close tags, written into the stream that the *other* side's
 * header opened and therefore with that header's prefix (NEG-19). Invariants: a side is told an end once, and nothing
 * passes to it afterwards; a stream that has no header yet gets one of ours if it runs towards the initiating entity
 * (NEG-17), and nothing at all towards the responder.
 */
#include "base/mem.h"
#include "base/random.h"
#include "xmpp/header.h"
#include "xmpp/inspect_private.h"
#include "xmpp/reply.h"

#define TELL_MAX 8192
#define ID_BYTES 16

void inspect_put_header(struct inspector *ins, struct strbuf *out)
{
	struct inspect_dir *towards = &ins->dir[INSPECT_RESPONDER];
	char id[2 * ID_BYTES + 1];

	if (towards->opened)
		return;
	random_hex(id, ID_BYTES);
	const struct stream_reply reply = {
	    .content_ns = ins->content_ns,
	    .from = ins->domain,
	    .to = ins->claimed,
	    .id = id,
	    .lang = "en",
	    .version = !ins->pre10,
	};
	stream_reply_write(out, &reply);
	mem_free(towards->prefix);
	towards->prefix = mem_strdup("stream");
	towards->opened = true;
}

/* The direction that ends at `to`, if anything may still be written there; its header is seen to. */
static struct inspect_dir *begin(struct inspector *ins, enum inspect_side to, struct strbuf *out)
{
	struct inspect_dir *towards = &ins->dir[inspect_other(to)];

	if (towards->closed || towards->muted)
		return NULL;
	towards->muted = true;
	strbuf_init(out, TELL_MAX);
	if (to == INSPECT_INITIATOR)
		inspect_put_header(ins, out);
	return towards->opened ? towards : NULL;
}

static void finish(struct inspector *ins, enum inspect_side to, struct strbuf *out)
{
	if (out->len > 0 && !out->overflow)
		ins->ops->reply(ins->ctx, to, out->data, out->len);
	strbuf_fini(out);
}

void inspect_tell_error(struct inspector *ins, enum inspect_side to, enum reason reason)
{
	struct strbuf out;
	struct inspect_dir *towards;

	if (reason_info(reason)->condition == XMPP_ERROR_NONE)
		return;
	towards = begin(ins, to, &out);
	if (!towards)
		return;
	reply_stream_error(&out, reason, towards->prefix);
	finish(ins, to, &out);
}

void inspect_tell_close(struct inspector *ins, enum inspect_side to)
{
	struct strbuf out;
	struct inspect_dir *towards = begin(ins, to, &out);

	if (!towards)
		return;
	reply_close(&out, towards->prefix);
	finish(ins, to, &out);
}

/* NEG-10, row 14. */
void inspect_tell_tls_failure(struct inspector *ins)
{
	struct strbuf out;
	struct inspect_dir *towards = begin(ins, INSPECT_INITIATOR, &out);

	if (!towards)
		return;
	reply_starttls_failure(&out);
	reply_close(&out, towards->prefix);
	finish(ins, INSPECT_INITIATOR, &out);
}

static bool is_backend_reason(enum reason reason)
{
	return reason >= REASON_BACKEND_DOWN && reason <= REASON_BACKEND_MISCONFIGURED;
}

static bool is_remote_reason(enum reason reason)
{
	return reason >= REASON_REMOTE_DOWN && reason <= REASON_REMOTE_OTHER;
}

/* What a responder broke, in the words for remote servers. */
static enum reason remote_reason(enum reason reason)
{
	if (!is_backend_reason(reason))
		return reason;
	return reason == REASON_BACKEND_REFUSED ? REASON_REMOTE_ERROR : REASON_REMOTE_INVALID;
}

/* The reason is of the kind that is told to the initiator alone; any other is the responder's own, and the initiator
 * hears no more than where the fault is. */
static bool is_about_responder(const struct inspector *ins, enum reason reason)
{
	return ins->remote ? is_remote_reason(reason) : is_backend_reason(reason);
}

/* Rows 6, 7, 14, 23, 34-43: the culprit gets the error of the table, the other a close tag; but an initiating entity
 * whose server broke the stream is told that the fault is on our side, or on the remote server's. */
void inspect_fail(struct inspector *ins, enum inspect_side culprit, enum reason reason, bool tls_failure)
{
	ins->ended = true;
	if (ins->remote && culprit == INSPECT_RESPONDER)
		reason = remote_reason(reason);
	if (culprit == INSPECT_INITIATOR) {
		if (tls_failure)
			inspect_tell_tls_failure(ins);
		else
			inspect_tell_error(ins, INSPECT_INITIATOR, reason);
		inspect_tell_close(ins, INSPECT_RESPONDER);
	} else {
		bool about = is_about_responder(ins, reason);

		inspect_tell_error(ins, INSPECT_INITIATOR,
				   about         ? reason
				   : ins->remote ? REASON_REMOTE_INVALID
						 : REASON_BACKEND_INVALID);
		if (about)
			inspect_tell_close(ins, INSPECT_RESPONDER);
		else
			inspect_tell_error(ins, INSPECT_RESPONDER, reason);
	}
	ins->ops->fail(ins->ctx, culprit, reason);
}

/* SPDX-License-Identifier: MIT */
/*
 * Both negotiators on one leg's bytes. The first byte chooses table and parameters and how the rest is cut. Oracles:
 * what is sent and done is the same however the bytes are split; nothing is sent between <proceed/> and TLS (NEG-11);
 * the initiating entity's own header never leaves before TLS where another stands in for it (NEG-29); nobody is ready
 * towards a remote server who asked for TLS and has none; FAIL is the last action.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "xmpp/negotiate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT 2048
#define HEADER                                                                    \
	"<stream:stream to='im.example.com' version='1.0' xmlns='jabber:client' " \
	"xmlns:stream='http://etherx.jabber.org/streams'>"
#define FIRST "<s:stream to='b.example' version='1.0' xmlns:s='http://etherx.jabber.org/streams'>"

struct run {
	struct negotiator *n;
	struct xmlstream *xs;
	struct strbuf log;
	bool handshake, failed, over;
	bool keeps_header; /* until TLS */
};

static void check(bool good, const char *what)
{
	if (good)
		return;
	(void)fprintf(stderr, "%s\n", what);
	abort();
}

static enum xmlstream_step on_open(void *ctx, const struct xml_node *root, const struct xml_decl *decls, size_t count)
{
	negotiate_open(((struct run *)ctx)->n, root, decls, count);
	return XMLSTREAM_STOP;
}

static enum xmlstream_step on_element(void *ctx, const struct xml_node *element)
{
	negotiate_element(((struct run *)ctx)->n, element);
	return XMLSTREAM_STOP;
}

static enum xmlstream_step on_close(void *ctx)
{
	negotiate_close(((struct run *)ctx)->n);
	return XMLSTREAM_STOP;
}

static bool hosts(void *ctx, const char *domain)
{
	(void)ctx;
	return strcmp(domain, "im.example.com") == 0 || strcmp(domain, "b.example") == 0;
}

static void new_id(void *ctx, char out[NEG_ID_SIZE])
{
	(void)ctx;
	(void)snprintf(out, NEG_ID_SIZE, "id");
}

static void new_parser(struct run *r)
{
	static const struct xmlstream_handlers handlers = {on_open, on_element, on_close};
	static const struct xmlstream_limits limits = {.element = LIMIT, .depth = 8, .attributes = 16};

	xmlstream_free(&r->xs);
	r->xs = xmlstream_new(&limits, &handlers, r);
}

static void take(struct run *r, const struct neg_action *a)
{
	check(!r->failed, "an action behind FAIL");
	strbuf_printf(&r->log, "[%d %d %d]", (int)a->kind, (int)a->note, (int)a->reason);
	if (a->kind == NEG_SEND) {
		check(!r->handshake, "bytes between <proceed/> and TLS");
		check(!r->keeps_header || memmem(a->data, a->len, HEADER, sizeof(HEADER) - 1) == NULL,
		      "the header is out before TLS");
		strbuf_add(&r->log, a->data, a->len);
	} else if (a->kind == NEG_START_TLS) {
		r->handshake = true;
	} else if (a->kind == NEG_RESET_XML) {
		r->handshake = false;
		new_parser(r);
	} else if (a->kind == NEG_READY) {
		check(!r->keeps_header, "ready without TLS");
	} else if (a->kind == NEG_FAIL) {
		r->failed = true;
	}
}

static void drain(struct run *r)
{
	struct neg_action a;

	while (negotiate_next(r->n, &a))
		take(r, &a);
	r->over = negotiate_is_failed(r->n) || negotiate_is_ready(r->n);
}

/* The handshake always works at once: the bytes behind starttls stand for what comes inside TLS. */
static void secure(struct run *r)
{
	if (!negotiate_in_handshake(r->n))
		return;
	r->keeps_header = false;
	negotiate_secured(r->n, "im.example.com");
	drain(r);
}

static void feed(struct run *r, const uint8_t *data, size_t len)
{
	while (len > 0 && !r->over) {
		size_t used = 0;
		enum xmlstream_result result = xmlstream_feed(r->xs, data, len, &used);

		if (result == XMLSTREAM_FAILED)
			negotiate_xml_failed(r->n, xmlstream_failure(r->xs)->reason);
		drain(r);
		r->over = r->over || result == XMLSTREAM_CLOSED;
		secure(r);
		data += used;
		len -= used;
	}
}

static void begin(struct run *r, uint8_t flags)
{
	const char *ns = flags & 2 ? XMPP_NS_SERVER : XMPP_NS_CLIENT;
	const struct neg_accept_params accept = {.content_ns = ns,
						 .outbound = (flags & 64) != 0,
						 .direct_tls = (flags & 4) != 0 && !(flags & 64),
						 .is_own = flags & 128 ? hosts : NULL,
						 .default_domain = flags & 8 ? "b.example" : NULL,
						 .hosts = hosts,
						 .new_id = new_id};
	const bool direct = (flags & 128) != 0, starttls = (flags & 8) && !direct, remote = (flags & 64) != 0;
	const struct neg_connect_params connect = {.content_ns = ns,
						   .tls = starttls ? NEG_TLS_STARTTLS : NEG_TLS_NEVER,
						   .direct_tls = direct,
						   .remote = remote ? "b.example" : NULL,
						   .first_header = remote ? FIRST : NULL,
						   .first_header_len = sizeof(FIRST) - 1,
						   .header = HEADER,
						   .header_len = sizeof(HEADER) - 1,
						   .strip_compression = (flags & 4) != 0};

	memset(r, 0, sizeof(*r));
	strbuf_init(&r->log, 1024u * 1024u);
	r->keeps_header = (flags & 1) && remote && starttls;
	r->n = flags & 1 ? negotiate_connect_new(&connect) : negotiate_accept_new(&accept);
	new_parser(r);
	drain(r);
	secure(r);
}

static void finish(struct run *r, uint8_t flags)
{
	/* Towards a remote server silence is answered by <starttls/>, and is the end only the second time. */
	for (int i = 0; i < 2 && (flags & 16); i++) {
		negotiate_timeout(r->n, xmlstream_begun(r->xs));
		drain(r);
	}
	if (!(flags & 16))
		negotiate_refuse(r->n, REASON_SHUTDOWN, flags & 32 ? XMPP_ERROR_HOST_GONE : XMPP_ERROR_NONE);
	drain(r);
	check(negotiate_is_failed(r->n), "alive after the end");
	negotiate_free(&r->n);
	xmlstream_free(&r->xs);
}

static void run(struct run *r, uint8_t flags, const uint8_t *data, size_t len, size_t piece)
{
	begin(r, flags);
	for (size_t at = 0; at < len; at += piece)
		feed(r, data + at, len - at < piece ? len - at : piece);
	finish(r, flags);
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
		check(strcmp(strbuf_text(&whole.log), strbuf_text(&split.log)) == 0, "depends on the split");
		strbuf_fini(&split.log);
	}
	strbuf_fini(&whole.log);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * libunbound's context in the worker's loop: its settings, and the questions it works on. It reads no file: servers and
 * anchor come from the configuration.
 *
 * Invariants: a question lives until libunbound calls back or the context is deleted, for libunbound cannot be made to
 * forget one; an abandoned question only loses whom to tell, and still counts. Nobody outside this file is called while
 * libunbound is on the stack except question_fn, and these only take notes: so whoever drops the last reference may
 * delete the context at once.
 */
#include "net/resolver_private.h"

#include <arpa/nameser.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <unbound-event.h>
#include <unbound.h>

#include "base/array.h"
#include "base/mem.h"

/* A lookup asks two questions, then two for each target. libunbound takes about 15 KiB for one while it is open. */
#define QUESTIONS_MAX 4096
#define BOGUS 1
#define SECURE 2

struct question {
	LIST_ENTRY(question) entry;
	struct dns_context *context;
	question_fn *done; /* NULL: abandoned */
	void *ctx;
	bool asking; /* ub_resolve_event is on the stack */
};

struct dns_context {
	struct ub_ctx *ub;
	unsigned refs;
	size_t count;
	LIST_HEAD(question_list, question) questions;
};

static void forget(struct question *question)
{
	LIST_REMOVE(question, entry);
	question->context->count--;
	mem_free(question);
}

/*
 * With the data of a bogus answer comes response code 0, so validation is asked about first. A failure comes with a
 * packet of an earlier question. What libunbound says of why_bogus has names of the peer's in it and stays here.
 */
static void judge(struct question_result *out, int rcode, const void *packet, int len, int sec, const char *why)
{
	*out = (struct question_result){.outcome = QUESTION_FAILED};
	if (sec == BOGUS) {
		out->outcome = QUESTION_BOGUS;
		out->rootless = why != NULL && strstr(why, "trust anchor") != NULL;
	} else if (rcode == 0 && packet != NULL && len > 0) {
		*out = (struct question_result){
		    .outcome = QUESTION_PACKET, .secure = sec == SECURE, .packet = packet, .len = (size_t)len};
	}
}

static void answered(void *ctx, int rcode, void *packet, int len, int sec, char *why, int limited)
{
	struct question *question = ctx;
	struct question_result result;

	(void)limited;
	judge(&result, rcode, packet, len, sec, why);
	if (question->done)
		question->done(question->ctx, &result);
	if (question->asking)
		question->done = NULL;
	else
		forget(question);
}

struct question *dns_context_ask(struct dns_context *context, const char *name, int type, question_fn *done, void *ctx)
{
	static const struct question_result failed = {.outcome = QUESTION_FAILED};
	struct question *question = mem_zalloc(sizeof(*question));
	int result;

	*question = (struct question){.context = context, .done = done, .ctx = ctx, .asking = true};
	LIST_INSERT_HEAD(&context->questions, question, entry);
	context->count++;
	result = ub_resolve_event(context->ub, name, type, ns_c_in, question, answered, NULL);
	if (result != 0 && question->done) {
		question->done = NULL;
		done(ctx, &failed);
	}
	question->asking = false;
	if (question->done)
		return question;
	forget(question);
	return NULL;
}

void question_abandon(struct question **question)
{
	if (*question)
		(*question)->done = NULL;
	*question = NULL;
}

bool dns_context_full(const struct dns_context *context)
{
	return context->count >= QUESTIONS_MAX;
}

static int refused(int result, const char *what, const char *value, struct errbuf *err)
{
	if (result == 0)
		return 0;
	errbuf_set(err, "DNS: %s %s: %s", what, value, ub_strerror(result));
	return -1;
}

/*
 * 16 ports, the default of the library, would let that many slow questions hold up all others. A server that was down
 * is otherwise given up for 15 minutes. Questions about keys of the anchor (RFC 8145) are nobody's business here.
 */
static int set_options(struct ub_ctx *ub, struct errbuf *err)
{
	static const char *const options[][2] = {
	    {"do-not-query-localhost:", "no"}, {"outgoing-range:", "512"},        {"outgoing-num-tcp:", "16"},
	    {"msg-cache-size:", "4m"},         {"rrset-cache-size:", "8m"},       {"key-cache-size:", "1m"},
	    {"neg-cache-size:", "1m"},         {"infra-cache-numhosts:", "1000"}, {"infra-host-ttl:", "30"},
	    {"infra-keep-probing:", "yes"},    {"trust-anchor-signaling:", "no"}, {"root-key-sentinel:", "no"},
	};

	(void)ub_ctx_debugout(ub, NULL);
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (refused(ub_ctx_set_option(ub, options[i][0], options[i][1]), "option", options[i][0], err))
			return -1;
	return 0;
}

static int set_servers(struct ub_ctx *ub, const struct config_dns *dns, struct errbuf *err)
{
	char host[ADDR_TEXT_SIZE], text[ADDR_TEXT_SIZE + 8];

	for (size_t i = 0; i < dns->server_count; i++) {
		addr_host(&dns->servers[i], host);
		(void)snprintf(text, sizeof(text), "%s@%" PRIu16, host, addr_port(&dns->servers[i]));
		if (refused(ub_ctx_set_fwd(ub, text), "server", text, err))
			return -1;
	}
	return 0;
}

/* A record a line; what stands behind a semicolon is a comment, which libunbound takes only in files. */
static int set_anchor(struct ub_ctx *ub, const struct config_file *anchor, struct errbuf *err)
{
	const char *next = anchor->data;

	while (next && *next) {
		const char *line = next;
		size_t len = strcspn(line, ";\n");
		char *record = mem_strndup(line, len);
		int result = 0;

		if (record[strspn(record, " \t\r")])
			result = refused(ub_ctx_add_ta(ub, record), "trust anchor", anchor->path, err);
		mem_free(record);
		if (result)
			return -1;
		next = line + strcspn(line, "\n");
		next += *next == '\n';
	}
	return 0;
}

/*
 * Names that the library answers by itself though the network may know them. This is what makes the settings final and
 * finds an anchor that cannot be read: it must come last.
 */
static int open_zones(struct ub_ctx *ub, struct errbuf *err)
{
	static const char *const zones[] = {"test.", "home.arpa."};

	for (size_t i = 0; i < ARRAY_LEN(zones); i++)
		if (refused(ub_ctx_zone_remove(ub, zones[i]), "its settings or the trust anchor; zone", zones[i], err))
			return -1;
	return 0;
}

struct dns_context *dns_context_new(struct event_base *base, const struct config_dns *dns, struct errbuf *err)
{
	struct dns_context *context = mem_zalloc(sizeof(*context));

	context->refs = 1;
	LIST_INIT(&context->questions);
	context->ub = ub_ctx_create_event(base);
	if (!context->ub)
		errbuf_set(err, "DNS: no memory for a resolver");
	if (!context->ub || set_options(context->ub, err) || set_servers(context->ub, dns, err) ||
	    set_anchor(context->ub, &dns->trust_anchor, err) || open_zones(context->ub, err))
		dns_context_unref(&context);
	return context;
}

struct dns_context *dns_context_ref(struct dns_context *context)
{
	context->refs++;
	return context;
}

/* Deleting calls back for some of what is open, and not for all. */
void dns_context_unref(struct dns_context **context)
{
	struct dns_context *c = *context;
	struct question *question;

	*context = NULL;
	if (!c || --c->refs > 0)
		return;
	for (question = LIST_FIRST(&c->questions); question; question = LIST_NEXT(question, entry))
		question->done = NULL;
	if (c->ub)
		ub_ctx_delete(c->ub);
	while ((question = LIST_FIRST(&c->questions)) != NULL)
		forget(question);
	mem_free(c);
}

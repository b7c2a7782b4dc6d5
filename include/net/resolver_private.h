/* SPDX-License-Identifier: MIT */
/* The two halves of the resolver: questions to libunbound (resolver_context.c) and lookups made of them (resolver.c,
 * resolver_candidates.c). */
#ifndef PROXY_NET_RESOLVER_PRIVATE_H
#define PROXY_NET_RESOLVER_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "net/answer_private.h"
#include "net/resolver.h"

/* One libunbound context: settings, caches, questions under way. */
struct dns_context;
/* One question. Belongs to its context, which keeps it until libunbound is done with it. */
struct question;

/* How libunbound came back. Only with PACKET there is something to read. */
enum question_outcome { QUESTION_PACKET, QUESTION_BOGUS, QUESTION_FAILED };
struct question_result {
	enum question_outcome outcome;
	bool secure;
	bool rootless; /* BOGUS: already the root's keys do not fit the anchor, or come without signatures */
	const void *packet;
	size_t len;
};
typedef void question_fn(void *ctx, const struct question_result *result);

/* dns: the servers, the anchor. One reference. NULL with err set. */
struct dns_context *dns_context_new(struct event_base *base, const struct config_dns *dns, struct errbuf *err);
struct dns_context *dns_context_ref(struct dns_context *context);
/* Not from inside a question_fn: libunbound's context must not be deleted while one of its callbacks runs. */
void dns_context_unref(struct dns_context **context);
/* Are so many questions under way, abandoned ones too, that no more should be asked? */
bool dns_context_full(const struct dns_context *context);

/*
 * Asks; done may be called before this returns, which then gives NULL. name: any text; what is no name of DNS fails
 * without a question.
 */
struct question *dns_context_ask(struct dns_context *context, const char *name, int type, question_fn *done, void *ctx);
/* done will not be called. libunbound goes on for itself and may fill its cache. */
void question_abandon(struct question **question);

/* One host to connect to and what is known of its addresses. */
struct target {
	struct srv_record record;
	struct address_answer v4, v6;
	bool secure4, secure6;
	bool bogus; /* somebody forges its addresses: none of them is used */
};

#define RESOLVED_TARGETS_MAX 16
#define RESOLVED_CANDIDATES_MAX 32

/* Those of the targets in their order; out has room for RESOLVED_CANDIDATES_MAX. secure: the SRV answers were. */
size_t candidates_collect(struct candidate *out, const struct target *targets, size_t count, bool secure);
enum literal { LITERAL_NONE, LITERAL_NOBODY, LITERAL_CANDIDATE };
/* text as an address ("192.0.2.1", "2001:db8::1") with that port. NOBODY: one that no host has (0.0.0.0 would be our
 * own), out is not filled; NONE: it is a name. */
enum literal candidate_literal(struct candidate *out, const char *text, uint16_t port);

#endif

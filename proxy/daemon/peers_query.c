/* SPDX-License-Identifier: MIT */
/*
 * Puts the pages of the keeper together: each is JSON objects with commas between, which is all the master has to know
 * of them. Domains are normalised: nothing in them has to be escaped.
 */
#include "daemon/peers_query.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "daemon/control_server.h"

#define ANSWER_MAX ((size_t)128 << 20)

void peers_query_begin(struct peers_query *q, uint64_t client, enum peers_verb verb, const char *domain,
		       const char *sha256)
{
	memset(q, 0, sizeof(*q));
	q->client = client;
	q->question.verb = verb;
	snprintf(q->domain, sizeof(q->domain), "%s", domain);
	memcpy(q->question.domain, q->domain, sizeof(q->domain));
	snprintf(q->question.sha256, sizeof(q->question.sha256), "%s", sha256);
	strbuf_init(&q->text, ANSWER_MAX);
	if (verb == PEERS_LIST)
		strbuf_puts(&q->text, "{\"peers\":[");
	else
		strbuf_printf(&q->text, "{\"domain\":\"%s\",", q->domain);
}

static char *finish(struct peers_query *q)
{
	char *out;

	strbuf_puts(&q->text, "}\n");
	if (q->text.overflow)
		return peers_query_fail(q, "too many peers for one answer");
	out = mem_strndup(q->text.data, q->text.len);
	strbuf_fini(&q->text);
	q->client = 0;
	return out;
}

char *peers_query_fail(struct peers_query *q, const char *why)
{
	strbuf_fini(&q->text);
	q->client = 0;
	return control_error_json(why);
}

static char *take_page(struct peers_query *q, const struct peers_answer *answer, const char *text, size_t len)
{
	if (len > 0 && q->text.len > 0 && q->text.data[q->text.len - 1] != '[')
		strbuf_puts(&q->text, ",");
	strbuf_add(&q->text, text, len);
	if (answer->more && !q->text.overflow) {
		memcpy(q->question.domain, answer->domain, sizeof(q->question.domain));
		q->question.service = answer->service;
		return NULL;
	}
	strbuf_puts(&q->text, "]");
	return finish(q);
}

static char *refused(struct peers_query *q, const char *text, size_t len)
{
	char why[640];

	snprintf(why, sizeof(why), "peer memory: %.*s", (int)len, text);
	return peers_query_fail(q, why);
}

char *peers_query_take(struct peers_query *q, const struct message *m)
{
	struct peers_answer answer;
	const char *text = (const char *)m->payload + sizeof(answer), *known;
	size_t len = m->len - sizeof(answer);

	if (m->len < sizeof(answer))
		return peers_query_fail(q, "the keeper's answer is none");
	memcpy(&answer, m->payload, sizeof(answer));
	if (!answer.ok)
		return refused(q, text, len);
	if (q->question.verb == PEERS_LIST)
		return take_page(q, &answer, text, len);
	known = answer.known ? "true" : "false";
	strbuf_printf(&q->text, "\"known\":%s,", known);
	if (q->question.verb == PEERS_SHOW) {
		strbuf_puts(&q->text, "\"peers\":[");
		return take_page(q, &answer, text, len);
	}
	if (q->question.sha256[0])
		strbuf_printf(&q->text, "\"sha256\":\"%s\",", q->question.sha256);
	strbuf_printf(&q->text, "\"%s\":%u", q->question.verb == PEERS_ACCEPT ? "accepted" : "forgotten", answer.count);
	return finish(q);
}

/* SPDX-License-Identifier: MIT */
/* What a session needs only until its legs are joined: negotiators, their parsers, the bytes that must be read again.
 */
#include "relay/session_private.h"

#include "base/mem.h"

/* One turn's reading may stand behind an element that fits the limit. */
#define EARLY_MAX (256 * 1024)

struct negotiation *negotiation_new(size_t limit)
{
	struct negotiation *n = mem_zalloc(sizeof(*n));
	strbuf_init(&n->header, limit + EARLY_MAX);
	strbuf_init(&n->early, EARLY_MAX);
	strbuf_init(&n->backend, 2 * limit + EARLY_MAX);
	return n;
}

void negotiation_free(struct negotiation **np)
{
	struct negotiation *n = *np;
	if (n == NULL)
		return;
	*np = NULL;
	negotiate_free(&n->accept);
	negotiate_free(&n->connect);
	xmlstream_free(&n->accept_xml);
	xmlstream_free(&n->connect_xml);
	strbuf_fini(&n->header);
	strbuf_fini(&n->early);
	strbuf_fini(&n->backend);
	mem_free(n);
}

/* SPDX-License-Identifier: MIT */
/* The bytes that a hub sends of its own: the header of a spoke, and answers of dialback for those that will not come.
 */
#include "relay/hub_private.h"

#include <string.h>

#include "base/array.h"

static void put_attr(struct strbuf *out, const char *name, const char *value)
{
	strbuf_printf(out, " %s='", name);
	strbuf_put_xml(out, value);
	strbuf_puts(out, "'");
}

static void put_decl(struct strbuf *out, const char *prefix, const char *uri)
{
	strbuf_printf(out, " xmlns%s%s='", prefix[0] == '\0' ? "" : ":", prefix);
	strbuf_put_xml(out, uri);
	strbuf_puts(out, "'");
}

void hub_words_decls(struct strbuf *out, const struct xml_decl *decls, size_t count)
{
	bool db = false;
	for (size_t i = 0; i < count; i++) {
		put_decl(out, decls[i].prefix, decls[i].uri);
		db = db || strcmp(decls[i].prefix, "db") == 0;
	}
	if (!db)
		put_decl(out, "db", XMPP_NS_DIALBACK);
}

void hub_words_header(struct strbuf *out, const char *prefix, const struct strbuf *decls, const char *from,
		      const char *to)
{
	strbuf_printf(out, "<%s%sstream%s", prefix, prefix[0] == '\0' ? "" : ":", strbuf_text(decls));
	put_attr(out, "from", from);
	put_attr(out, "to", to);
	strbuf_puts(out, ">");
}

/* XEP-0220 section 2.5: what became of the stream, in the words of dialback. */
static const struct condition {
	enum xmpp_error error;
	const char *type, *name;
} conditions[] = {
    {XMPP_ERROR_HOST_UNKNOWN, "cancel", "item-not-found"},
    {XMPP_ERROR_HOST_GONE, "cancel", "item-not-found"},
    {XMPP_ERROR_REMOTE_CONNECTION_FAILED, "cancel", "remote-server-not-found"},
    {XMPP_ERROR_POLICY_VIOLATION, "cancel", "policy-violation"},
    {XMPP_ERROR_NOT_AUTHORIZED, "auth", "not-authorized"},
    {XMPP_ERROR_INVALID_FROM, "auth", "not-authorized"},
    {XMPP_ERROR_RESOURCE_CONSTRAINT, "wait", "resource-constraint"},
};

static void put_condition(struct strbuf *out, enum xmpp_error error)
{
	struct condition found = {error, "wait", "remote-server-timeout"};
	for (size_t i = 0; i < ARRAY_LEN(conditions); i++)
		if (conditions[i].error == error)
			found = conditions[i];
	strbuf_printf(out, "<error type='%s'><%s xmlns='" XMPP_NS_STANZA_ERROR "'/></error>", found.type, found.name);
}

void hub_words_answer(struct strbuf *out, const struct hub_answer *a)
{
	const char *name = a->id != NULL ? "verify" : "result";
	strbuf_printf(out, "<db:%s", name);
	put_attr(out, "from", a->from);
	put_attr(out, "to", a->to);
	if (a->id != NULL)
		put_attr(out, "id", a->id);
	put_attr(out, "type", a->type != NULL ? a->type : "error");
	if (a->type != NULL) {
		strbuf_puts(out, "/>");
		return;
	}
	strbuf_puts(out, ">");
	put_condition(out, a->error);
	strbuf_printf(out, "</db:%s>", name);
}

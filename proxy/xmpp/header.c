/* SPDX-License-Identifier: MIT */
/*
 * Stream headers: what a peer's says, whether it is acceptable, and the ones we write. Invariant: a header is copied
 * out of the parser whole; one that is passed on keeps every byte but its version.
 */
#include "xmpp/header.h"

#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "xmpp/names.h"
#include "xmpp/starttag.h"

#define NS_XML "http://www.w3.org/XML/1998/namespace"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads one number of a version; NULL when there is none. Huge ones stay at the largest (RFC 6120 section 4.7.5). */
static const char *read_number(const char *at, unsigned *out)
{
	unsigned value = 0;

	if (!is_digit(*at))
		return NULL;
	for (; is_digit(*at); at++) {
		unsigned digit = (unsigned)(*at - '0');

		value = value > (UINT_MAX - digit) / 10 ? UINT_MAX : value * 10 + digit;
	}
	*out = value;
	return at;
}

static void read_version(struct stream_header *h, const char *text)
{
	unsigned major = 0, minor = 0;
	const char *at;

	h->has_version = text != NULL;
	if (text == NULL)
		return;
	at = read_number(text, &major);
	if (at == NULL || *at != '.')
		return;
	at = read_number(at + 1, &minor);
	if (at == NULL || *at != '\0')
		return;
	h->version_valid = true;
	h->major = major;
	h->minor = minor;
}

static const char *xml_lang(const struct xml_node *root)
{
	for (size_t i = 0; i < root->attr_count; i++) {
		const struct xml_attr *attr = &root->attrs[i];

		if (attr->ns != NULL && strcmp(attr->ns, NS_XML) == 0 && strcmp(attr->name, "lang") == 0)
			return attr->value;
	}
	return NULL;
}

static const char *default_namespace(const struct xml_decl *decls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (decls[i].prefix[0] != '\0' || decls[i].uri[0] == '\0')
			continue;
		return strcmp(decls[i].uri, XMPP_NS_STREAM) == 0 ? NULL : decls[i].uri;
	}
	return NULL;
}

/* Some servers write from='' and to='' where they know no domain, which says as much as leaving them out. */
static char *address_attr(const struct xml_node *root, const char *name)
{
	const char *value = xml_node_attr(root, name);

	return value != NULL && value[0] != '\0' ? mem_strdup(value) : NULL;
}

void stream_header_read(struct stream_header *h, const struct xml_node *root, const struct xml_decl *decls,
			size_t count)
{
	memset(h, 0, sizeof(*h));
	h->from = address_attr(root, "from");
	h->to = address_attr(root, "to");
	h->id = mem_strdup(xml_node_attr(root, "id"));
	h->lang = mem_strdup(xml_lang(root));
	h->content_ns = mem_strdup(default_namespace(decls, count));
	h->prefix = mem_strdup(root->prefix);
	h->ns = mem_strdup(root->ns);
	h->name = mem_strdup(root->name);
	read_version(h, xml_node_attr(root, "version"));
}

void stream_header_fini(struct stream_header *h)
{
	mem_free(h->from);
	mem_free(h->to);
	mem_free(h->id);
	mem_free(h->lang);
	mem_free(h->content_ns);
	mem_free(h->prefix);
	mem_free(h->ns);
	mem_free(h->name);
	memset(h, 0, sizeof(*h));
}

bool stream_header_is_pre10(const struct stream_header *h)
{
	return !h->has_version || (h->version_valid && h->major == 0);
}

enum reason stream_header_check(const struct stream_header *h, const char *content_ns)
{
	if (h->ns == NULL || strcmp(h->ns, XMPP_NS_STREAM) != 0)
		return REASON_NAMESPACE;
	/* The namespace is right, the element is not: bad-format (RFC 6120 section 4.9.3.1). */
	if (h->name == NULL || strcmp(h->name, "stream") != 0)
		return REASON_SMUGGLING;
	if (h->content_ns != NULL && strcmp(h->content_ns, content_ns) != 0)
		return REASON_NAMESPACE;
	return REASON_NONE;
}

static void put_attr(struct strbuf *out, const char *name, const char *value)
{
	if (value == NULL)
		return;
	strbuf_printf(out, " %s='", name);
	strbuf_put_xml(out, value);
	strbuf_puts(out, "'");
}

void stream_reply_write(struct strbuf *out, const struct stream_reply *reply)
{
	strbuf_puts(out, "<?xml version='1.0'?><stream:stream");
	put_attr(out, "from", reply->from);
	put_attr(out, "id", reply->id);
	put_attr(out, "to", reply->to);
	put_attr(out, "version", reply->version ? "1.0" : NULL);
	put_attr(out, "xml:lang", reply->lang);
	put_attr(out, "xmlns", reply->content_ns);
	put_attr(out, "xmlns:db", strcmp(reply->content_ns, XMPP_NS_SERVER) == 0 ? XMPP_NS_DIALBACK : NULL);
	put_attr(out, "xmlns:stream", XMPP_NS_STREAM);
	strbuf_puts(out, ">");
}

void stream_header_first(struct strbuf *out, const char *content_ns, const char *from, const char *to)
{
	const struct stream_reply first = {
	    .content_ns = content_ns,
	    .from = strcmp(content_ns, XMPP_NS_SERVER) == 0 ? from : NULL,
	    .to = to,
	    .lang = "en",
	    .version = true,
	};

	stream_reply_write(out, &first);
}

/* Does the attribute's raw value say 1.0 or more? */
static bool is_modern(const char *tag, const struct start_tag_attr *attr)
{
	struct stream_header h = {0};
	char text[32];
	size_t len = attr->value_end - attr->value;

	if (len >= sizeof(text))
		return false;
	memcpy(text, tag + attr->value, len);
	text[len] = '\0';
	read_version(&h, text);
	return h.version_valid && !stream_header_is_pre10(&h);
}

bool stream_header_modernise(struct strbuf *out, const void *raw, size_t len)
{
	const char *tag = memrchr(raw, '<', len); /* '<' is not allowed in values: the last one begins the tag */
	size_t before = tag != NULL ? (size_t)(tag - (const char *)raw) : len;
	size_t name_end = tag != NULL ? start_tag_name_end(tag, len - before) : 0;
	struct start_tag_attr attr;

	if (name_end == 0)
		return false;
	switch (start_tag_find(tag, len - before, "version", &attr)) {
	case START_TAG_BROKEN:
		return false;
	case START_TAG_ABSENT:
		return strbuf_add(out, raw, before + name_end) && strbuf_puts(out, " version='1.0'") &&
		       strbuf_add(out, tag + name_end, len - before - name_end);
	case START_TAG_FOUND:
	default:
		break;
	}
	if (is_modern(tag, &attr))
		return strbuf_add(out, raw, len);
	return strbuf_add(out, raw, before + attr.value) && strbuf_puts(out, "1.0") &&
	       strbuf_add(out, tag + attr.value_end, len - before - attr.value_end);
}

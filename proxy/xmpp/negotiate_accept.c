/* SPDX-License-Identifier: MIT */
/*
 * The accept table: we are the receiving entity. Before TLS nothing but {xmpp-tls}starttls leads on and the legacy
 * server hears of nothing. Where it is the legacy side that opens the stream, its header alone leads to `ready`, and we
 * stand for the remote server that will answer it. Invariants: between <proceed/> and the end of the handshake nothing
 * is ever sent (NEG-11); what the peer said before TLS is forgotten after it (NEG-9), only the domain of the
 * certificate shown is kept; in `ready` the header has not been answered, because the backend answers it (NEG-3).
 */
#include <assert.h>
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "xmpp/credentials.h"
#include "xmpp/negotiate.h"
#include "xmpp/negotiate_private.h"
#include "xmpp/reply.h"

enum {
	NA_WAIT_OPEN,
	NA_WAIT_OPEN_LEGACY,
	NA_WAIT_STARTTLS,
	NA_HANDSHAKE,
	NA_WAIT_OPEN_TLS,
	NA_READY,
	NA_FAILED,
	NA_COUNT
};

/* RFC 5646 tags are letters, digits and hyphens; 35 is the longest that means anything. */
static const char *reply_lang(const struct negotiator *n)
{
	const char *lang = n->header.lang;
	size_t len = lang ? strlen(lang) : 0;

	if (len == 0 || len > 35)
		return "en";
	if (strspn(lang, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != len)
		return "en";
	return lang;
}

static bool is_server(const struct negotiator *n)
{
	return strcmp(n->content_ns, XMPP_NS_SERVER) == 0;
}

/*
 * How the peer itself spells an address that was found good: A-labels are for comparing, on the wire it says and
 * expects U-labels (RFC 7622 section 3.2), and an address literal with its brackets. Plain names are said as we know
 * them.
 */
static const char *spelled(const char *known, const char *theirs, size_t len)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
	const char *domain = memchr(theirs, '@', len);

	domain = domain ? domain + 1 : theirs;
	return strspn(domain, plain) >= len - (size_t)(domain - theirs) ? known : theirs;
}

/* NEG-1: to a client its own bare JID iff it gave one, to a server its domain. Allocated, or NULL. */
static char *reply_to(const struct negotiator *n)
{
	const char *from = n->header.from;
	char known[XMPP_JID_SIZE];
	size_t len;

	if (!from || !(is_server(n) ? domain_normalise(from, known) : jid_bare(from, known)))
		return NULL;
	len = strcspn(from, "/");
	return spelled(known, from, len) == from ? mem_printf("%.*s", (int)len, from) : mem_strdup(known);
}

/* NEG-17: an unknown host is never echoed; a name of ours is said, the one whose certificate was shown first of all. To
 * the legacy side we speak for the remote domain. */
static const char *reply_from(const struct negotiator *n)
{
	if (n->domain[0])
		return n->header.to ? spelled(n->domain, n->header.to, strlen(n->header.to)) : n->domain;
	if (n->certificate_domain[0])
		return n->certificate_domain;
	return n->default_domain && !n->outbound ? n->default_domain : "";
}

static void put_header_from(struct negotiator *n, struct strbuf *out, const char *from)
{
	bool version = !n->header_received || !stream_header_is_pre10(&n->header);

	if (n->header_sent)
		return;
	n->new_id(n->ctx, n->own_id);
	char *to = reply_to(n);
	const struct stream_reply reply = {
	    .content_ns = n->content_ns,
	    .from = from,
	    .to = to,
	    .id = n->own_id,
	    .lang = version || from ? reply_lang(n) : NULL,
	    .version = version,
	};
	stream_reply_write(out, &reply);
	mem_free(to);
	n->header_sent = true;
}

static void put_header(struct negotiator *n, struct strbuf *out)
{
	put_header_from(n, out, reply_from(n));
}

/* Ends the stream: header if none was sent (NEG-17), what `before` holds, the error and the close tag, in one SEND. */
static void refuse_with(struct negotiator *n, enum reason reason, enum xmpp_error condition, struct strbuf *before)
{
	struct strbuf out;

	strbuf_init(&out, NEG_SEND_MAX);
	if (condition != XMPP_ERROR_NONE || reason_info(reason)->condition != XMPP_ERROR_NONE)
		put_header(n, &out);
	if (before) {
		strbuf_add(&out, strbuf_text(before), before->len);
		strbuf_fini(before);
	}
	/* Our own header opened the stream as stream:stream, so that is this direction's prefix (NEG-19). */
	if (condition != XMPP_ERROR_NONE)
		reply_stream_error_as(&out, condition, NULL, "stream");
	else
		reply_stream_error(&out, reason, "stream");
	neg_send(n, &out);
	neg_fail(n, reason);
}

static void refuse(struct negotiator *n, enum reason reason)
{
	refuse_with(n, reason, XMPP_ERROR_NONE, NULL);
}

static void na_refuse(struct negotiator *n, enum reason reason, enum xmpp_error condition)
{
	refuse_with(n, reason, condition, NULL);
}

/* Within the handshake no XML is legal in either direction: the connection is closed as it is. */
static void na_refuse_silent(struct negotiator *n, enum reason reason, enum xmpp_error condition)
{
	(void)condition;
	neg_fail(n, reason);
}

static bool takes_plaintext(const struct negotiator *n)
{
	return n->takes_plaintext ? n->takes_plaintext(n->ctx, n->header.from) : n->plaintext_allowed;
}

/* NEG-15, 16, 18 of a header in either state; the host (NEG-17) is the state's own business. */
static enum reason check_header(const struct negotiator *n)
{
	const struct stream_header *h = &n->header;
	enum reason reason = stream_header_check(h, n->content_ns);

	if (reason != REASON_NONE)
		return reason;
	if (stream_header_is_pre10(h) && !n->outbound && !takes_plaintext(n))
		return REASON_PRE10_INITIATOR;
	if (!h->has_version)
		return REASON_NONE;
	/* 2.0 and above are answered 1.0 and may go on with that; what is no version at all cannot. */
	return h->version_valid ? REASON_NONE : REASON_VERSION;
}

/* Notes the domain asked for if it is ours. Old servers name none and mean the only one (NEG-39). */
static bool choose_domain(struct negotiator *n)
{
	const char *to = n->header.to || !is_server(n) ? n->header.to : n->default_domain;
	char domain[XMPP_DOMAIN_SIZE];

	if (!to || !domain_normalise(to, domain) || !n->hosts(n->ctx, domain))
		return false;
	memcpy(n->domain, domain, sizeof(domain));
	return true;
}

static void na_open(struct negotiator *n)
{
	bool ours = choose_domain(n);
	enum reason reason = check_header(n);
	struct strbuf out;

	if (reason == REASON_NONE && !ours)
		reason = REASON_HOST_UNKNOWN;
	if (reason != REASON_NONE) {
		refuse(n, reason);
		return;
	}
	if (takes_plaintext(n)) {
		neg_add(n, NEG_READY);
		neg_enter(n, NA_READY);
		return;
	}
	strbuf_init(&out, NEG_SEND_MAX);
	put_header(n, &out);
	reply_features_starttls(&out);
	neg_send(n, &out);
	neg_enter(n, NA_WAIT_STARTTLS);
}

/* The domain that the legacy side speaks for must be one of ours, for its word goes out under that name (STZ-4). What a
 * client says of itself is judged by the server that it logs in to. */
static enum reason choose_local(struct negotiator *n)
{
	char domain[XMPP_DOMAIN_SIZE];

	if (!is_server(n) || !n->header.from)
		return REASON_NONE;
	if (!domain_normalise(n->header.from, domain) || !n->hosts(n->ctx, domain))
		return REASON_NOT_OURS;
	memcpy(n->local, domain, sizeof(domain));
	return REASON_NONE;
}

/* jabberd2 says who talks to whom in <db:result/> alone, and only to who has answered: with an id, for its dialback
 * keys are made of it, and, where it counts on them, with features. */
static void answer_nameless(struct negotiator *n)
{
	struct strbuf out;

	strbuf_init(&out, NEG_SEND_MAX);
	put_header_from(n, &out, NULL);
	if (!stream_header_is_pre10(&n->header))
		reply_features_dialback(&out);
	neg_send(n, &out);
	neg_add(n, NEG_NAMELESS);
	neg_enter(n, NA_READY);
}

static void na_open_legacy(struct negotiator *n)
{
	bool named = n->header.to && domain_normalise(n->header.to, n->domain);
	enum reason reason = check_header(n);

	if (reason == REASON_NONE)
		reason = choose_local(n);
	if (reason == REASON_NONE && !named && (n->header.to || !is_server(n)))
		reason = REASON_HOST_UNKNOWN;
	if (reason != REASON_NONE) {
		refuse(n, reason);
		return;
	}
	if (!named) {
		answer_nameless(n);
		return;
	}
	neg_add(n, NEG_READY);
	neg_enter(n, NA_READY);
}

/* RFC 6120 section 5.4.2.2, NEG-10. */
static void starttls_failure(struct negotiator *n)
{
	struct strbuf out;

	strbuf_init(&out, NEG_SEND_MAX);
	reply_starttls_failure(&out);
	reply_close(&out, "stream");
	neg_send(n, &out);
	neg_fail(n, REASON_STARTTLS_MISUSE);
}

/* The element has no attributes; loudmouth (mcabber) numbers all that it sends with an `id`, which says nothing here.
 */
static bool is_plain_starttls(const struct xml_node *element)
{
	size_t known = xml_node_attr(element, "id") != NULL;

	return element->attr_count == known && !element->first_child && element->text_len == 0;
}

static void take_starttls(struct negotiator *n, const struct xml_node *element)
{
	struct strbuf out;

	if (!is_plain_starttls(element)) {
		starttls_failure(n);
		return;
	}
	n->proceed_at = n->action_count;
	strbuf_init(&out, NEG_SEND_MAX);
	reply_proceed(&out);
	neg_send(n, &out);
	neg_add(n, NEG_START_TLS);
	neg_enter(n, NA_HANDSHAKE);
}

/* Row 10: the request's own failure first (RFC 6120 section 6.5.4), then the stream ends. */
static void refuse_sasl(struct negotiator *n, const struct xml_node *element, bool sasl2)
{
	struct strbuf before;

	if (credentials_in(element))
		neg_note(n, NEG_NOTE_CREDENTIALS_EXPOSED);
	strbuf_init(&before, NEG_SEND_MAX);
	reply_sasl_failure(&before, sasl2, "encryption-required");
	refuse_with(n, REASON_PLAINTEXT_AUTH, XMPP_ERROR_NONE, &before);
}

/* Row 11; jabber:iq:auth is authentication, though it is an iq (SASL-2). */
static void refuse_stanza(struct negotiator *n, const struct xml_node *element)
{
	bool iq = strcmp(element->name, "iq") == 0;

	if (iq && credentials_in(element))
		neg_note(n, NEG_NOTE_CREDENTIALS_EXPOSED);
	refuse(n, iq && xml_node_child(element, XMPP_NS_IQ_AUTH, "query") ? REASON_PLAINTEXT_AUTH
									  : REASON_PLAINTEXT_STANZA);
}

static void put_attr(struct strbuf *out, const char *name, const char *value)
{
	if (!value)
		return;
	strbuf_printf(out, " %s='", name);
	strbuf_put_xml(out, value);
	strbuf_puts(out, "'");
}

/* Row 13 (XEP-0220 section 2.5): the dialback element itself is answered, then the stream ends. Our header has bound
 * the prefix. */
static void refuse_dialback(struct negotiator *n, const struct xml_node *element)
{
	struct strbuf before;

	strbuf_init(&before, NEG_SEND_MAX);
	strbuf_printf(&before, "<db:%s", element->name);
	put_attr(&before, "from", xml_node_attr(element, "to"));
	put_attr(&before, "to", xml_node_attr(element, "from"));
	put_attr(&before, "id", xml_node_attr(element, "id"));
	strbuf_printf(&before,
		      " type='error'><error type='cancel'><policy-violation xmlns='" XMPP_NS_STANZA_ERROR
		      "'/></error></db:%s>",
		      element->name);
	refuse_with(n, REASON_PLAINTEXT_DIALBACK, XMPP_ERROR_NONE, &before);
}

static bool is_stanza(const struct negotiator *n, const struct xml_node *element)
{
	return xml_node_is(element, n->content_ns, "iq") || xml_node_is(element, n->content_ns, "message") ||
	       xml_node_is(element, n->content_ns, "presence");
}

static bool is_dialback(const struct negotiator *n, const struct xml_node *element)
{
	return is_server(n) &&
	       (xml_node_is(element, XMPP_NS_DIALBACK, "result") || xml_node_is(element, XMPP_NS_DIALBACK, "verify"));
}

/* A peer that ends the stream is answered with our close tag (RFC 6120 section 4.4). */
static void reciprocate(struct negotiator *n, enum reason reason)
{
	struct strbuf out;

	strbuf_init(&out, NEG_SEND_MAX);
	put_header(n, &out);
	reply_close(&out, "stream");
	neg_send(n, &out);
	neg_fail(n, reason);
}

static void na_element(struct negotiator *n, const struct xml_node *element)
{
	if (xml_node_is(element, XMPP_NS_TLS, "starttls")) {
		take_starttls(n, element);
		return;
	}
	if (xml_node_is(element, XMPP_NS_STREAM, "error")) {
		reciprocate(n, REASON_PEER_ERROR);
		return;
	}
	neg_note(n, NEG_NOTE_STARTTLS_IGNORED);
	if (xml_node_is(element, XMPP_NS_SASL, "auth"))
		refuse_sasl(n, element, false);
	else if (xml_node_is(element, XMPP_NS_SASL2, "authenticate"))
		refuse_sasl(n, element, true);
	else if (is_stanza(n, element))
		refuse_stanza(n, element);
	else if (is_dialback(n, element))
		refuse_dialback(n, element);
	else
		refuse(n, REASON_TLS_REQUIRED);
}

static void na_close(struct negotiator *n)
{
	reciprocate(n, REASON_CLOSED);
}

/* NEG-9: a new parser, and nothing the peer said in plaintext is known any more. */
static void na_secured(struct negotiator *n, const char *certificate_domain)
{
	neg_forget_header(n);
	if (!domain_normalise(certificate_domain, n->certificate_domain)) {
		neg_fail(n, REASON_INTERNAL);
		return;
	}
	neg_add(n, NEG_RESET_XML);
	neg_enter(n, NA_WAIT_OPEN_TLS);
}

/* NEG-33: who connects from outside is none of our domains. */
static bool claims_own(const struct negotiator *n)
{
	char domain[XMPP_DOMAIN_SIZE];

	return is_server(n) && n->is_own && jid_domain(n->header.from, domain) && n->is_own(n->ctx, domain);
}

static void na_open_tls(struct negotiator *n)
{
	bool ours = choose_domain(n);
	enum reason reason = check_header(n);

	if (reason == REASON_NONE && !ours)
		reason = REASON_HOST_UNKNOWN;
	if (reason == REASON_NONE && strcmp(n->domain, n->certificate_domain) != 0 && !n->switch_allowed)
		reason = REASON_HEADER_SWITCH;
	if (reason == REASON_HEADER_SWITCH)
		n->domain[0] = '\0';
	if (reason == REASON_NONE && claims_own(n))
		reason = REASON_SELF_CLAIM;
	if (reason != REASON_NONE) {
		refuse(n, reason);
		return;
	}
	neg_add(n, NEG_READY);
	neg_enter(n, NA_READY);
}

/* Row 2: who never began a stream is not spoken to. */
static void na_timeout_open(struct negotiator *n, bool begun)
{
	if (begun)
		refuse(n, REASON_HEADER_TIMEOUT);
	else
		neg_fail(n, REASON_HEADER_TIMEOUT);
}

static void na_timeout_open_tls(struct negotiator *n, bool begun)
{
	if (begun)
		refuse(n, REASON_NEGOTIATION_TIMEOUT);
	else
		neg_fail(n, REASON_NEGOTIATION_TIMEOUT);
}

static void na_timeout(struct negotiator *n, bool begun)
{
	(void)begun;
	refuse(n, REASON_NEGOTIATION_TIMEOUT);
}

/* Row 16, NEG-11. */
static void na_timeout_handshake(struct negotiator *n, bool begun)
{
	(void)begun;
	neg_fail(n, REASON_TLS_TIMEOUT);
}

static void na_xml_failed(struct negotiator *n, enum reason reason)
{
	neg_note(n, NEG_NOTE_STANZA_VIOLATION);
	refuse(n, reason);
}

/* Row 15 (CVE-2011-0411): neither <proceed/> nor TLS, if they have not left yet. */
static void na_injected(struct negotiator *n)
{
	neg_take_back(n);
	neg_fail(n, REASON_STARTTLS_INJECTION);
}

/* XML events while the handshake runs: bytes reached the parser that belong to TLS alone. */
static void na_violation_handshake(struct negotiator *n)
{
	neg_fail(n, REASON_INTERNAL);
}

static void na_violation(struct negotiator *n)
{
	refuse(n, REASON_INTERNAL);
}

static const struct neg_state accept_states[] = {
    [NA_WAIT_OPEN] = {.name = "wait-open",
		      .on_open = na_open,
		      .on_timeout = na_timeout_open,
		      .on_xml_failed = na_xml_failed,
		      .on_refuse = na_refuse,
		      .on_violation = na_violation},
    [NA_WAIT_OPEN_LEGACY] = {.name = "wait-open-legacy",
			     .on_open = na_open_legacy,
			     .on_timeout = na_timeout_open,
			     .on_xml_failed = na_xml_failed,
			     .on_refuse = na_refuse,
			     .on_violation = na_violation},
    [NA_WAIT_STARTTLS] = {.name = "wait-starttls",
			  .on_element = na_element,
			  .on_close = na_close,
			  .on_timeout = na_timeout,
			  .on_xml_failed = na_xml_failed,
			  .on_refuse = na_refuse,
			  .on_violation = na_violation},
    [NA_HANDSHAKE] = {.name = "handshake",
		      .on_secured = na_secured,
		      .on_timeout = na_timeout_handshake,
		      .on_injected = na_injected,
		      .on_refuse = na_refuse_silent,
		      .on_violation = na_violation_handshake},
    [NA_WAIT_OPEN_TLS] = {.name = "wait-open-tls",
			  .on_open = na_open_tls,
			  .on_timeout = na_timeout_open_tls,
			  .on_xml_failed = na_xml_failed,
			  .on_refuse = na_refuse,
			  .on_violation = na_violation},
    [NA_READY] = {.name = "ready",
		  .on_close = na_close,
		  .on_timeout = na_timeout,
		  .on_xml_failed = na_xml_failed,
		  .on_refuse = na_refuse,
		  .on_violation = na_violation},
    [NA_FAILED] = {.name = "failed"},
};
_Static_assert(ARRAY_LEN(accept_states) == NA_COUNT, "state without a row");

struct negotiator *negotiate_accept_new(const struct neg_accept_params *params)
{
	struct negotiator *n = neg_new(accept_states, NA_READY, NA_FAILED);

	assert(params->hosts && params->new_id);
	assert(!params->outbound || !params->direct_tls);
	n->content_ns = mem_strdup(params->content_ns);
	n->default_domain = mem_strdup(params->default_domain);
	n->hosts = params->hosts;
	n->new_id = params->new_id;
	n->log_state = params->log_state;
	n->ctx = params->ctx;
	n->is_own = params->is_own;
	n->outbound = params->outbound;
	n->plaintext_allowed = params->plaintext_allowed;
	n->takes_plaintext = params->takes_plaintext;
	n->switch_allowed = params->switch_allowed;
	n->state = params->outbound ? NA_WAIT_OPEN_LEGACY : NA_WAIT_OPEN;
	if (params->direct_tls)
		n->state = NA_HANDSHAKE;
	return n;
}

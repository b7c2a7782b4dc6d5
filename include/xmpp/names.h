/* SPDX-License-Identifier: MIT */
/* Namespaces and stream-error names (RFC 6120 section 4.9.3). */
#ifndef PROXY_XMPP_NAMES_H
#define PROXY_XMPP_NAMES_H

#define XMPP_NS_STREAM "http://etherx.jabber.org/streams"
#define XMPP_NS_STREAM_ERROR "urn:ietf:params:xml:ns:xmpp-streams"
#define XMPP_NS_STANZA_ERROR "urn:ietf:params:xml:ns:xmpp-stanzas"
#define XMPP_NS_CLIENT "jabber:client"
#define XMPP_NS_SERVER "jabber:server"
#define XMPP_NS_DIALBACK "jabber:server:dialback"
#define XMPP_NS_DIALBACK_FEATURE "urn:xmpp:features:dialback"
#define XMPP_NS_BIDI "urn:xmpp:bidi"
#define XMPP_NS_BIDI_FEATURE "urn:xmpp:features:bidi"
#define XMPP_NS_TLS "urn:ietf:params:xml:ns:xmpp-tls"
#define XMPP_NS_SASL "urn:ietf:params:xml:ns:xmpp-sasl"
#define XMPP_NS_SASL2 "urn:xmpp:sasl:2"
#define XMPP_NS_SASL_CB "urn:xmpp:sasl-cb:0"
#define XMPP_NS_BIND "urn:ietf:params:xml:ns:xmpp-bind"
#define XMPP_NS_COMPRESS_FEATURE "http://jabber.org/features/compress"
#define XMPP_NS_COMPRESS "http://jabber.org/protocol/compress"
#define XMPP_NS_IQ_AUTH "jabber:iq:auth"
#define XMPP_NS_IQ_REGISTER "jabber:iq:register"
#define XMPP_NS_IQ_AUTH_FEATURE "http://jabber.org/features/iq-auth"
#define XMPP_NS_SM "urn:xmpp:sm:3"
#define XMPP_NS_LIMITS "urn:xmpp:stream-limits:0"
#define XMPP_NS_ERRORS "urn:xmpp:errors"

enum xmpp_error {
	XMPP_ERROR_NONE,
	XMPP_ERROR_BAD_FORMAT,
	XMPP_ERROR_BAD_NAMESPACE_PREFIX,
	XMPP_ERROR_CONFLICT,
	XMPP_ERROR_CONNECTION_TIMEOUT,
	XMPP_ERROR_HOST_GONE,
	XMPP_ERROR_HOST_UNKNOWN,
	XMPP_ERROR_IMPROPER_ADDRESSING,
	XMPP_ERROR_INTERNAL_SERVER_ERROR,
	XMPP_ERROR_INVALID_FROM,
	XMPP_ERROR_INVALID_NAMESPACE,
	XMPP_ERROR_INVALID_XML,
	XMPP_ERROR_NOT_AUTHORIZED,
	XMPP_ERROR_NOT_WELL_FORMED,
	XMPP_ERROR_POLICY_VIOLATION,
	XMPP_ERROR_REMOTE_CONNECTION_FAILED,
	XMPP_ERROR_RESET,
	XMPP_ERROR_RESOURCE_CONSTRAINT,
	XMPP_ERROR_RESTRICTED_XML,
	XMPP_ERROR_SEE_OTHER_HOST,
	XMPP_ERROR_SYSTEM_SHUTDOWN,
	XMPP_ERROR_UNDEFINED_CONDITION,
	XMPP_ERROR_UNSUPPORTED_ENCODING,
	XMPP_ERROR_UNSUPPORTED_FEATURE,
	XMPP_ERROR_UNSUPPORTED_STANZA_TYPE,
	XMPP_ERROR_UNSUPPORTED_VERSION,
	XMPP_ERROR_COUNT
};

/* "bad-format" …; "" for XMPP_ERROR_NONE. */
const char *xmpp_error_name(enum xmpp_error error);
/* The condition of that name, RFC 3920's old names too (XML-15); anything else is UNDEFINED_CONDITION. */
enum xmpp_error xmpp_error_from_name(const char *name);

#endif

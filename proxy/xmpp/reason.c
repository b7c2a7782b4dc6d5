/* SPDX-License-Identifier: MIT */
/*
 * The one table of endings: what the log calls it, what the peer is told, whether it is a refusal. Rows follow the
 * order of enum reason. Invariants: every reason has a word of its own and a sentence; peer_text says nothing about
 * the inside of the installation; what fails behind us is internal-server-error without text (NEG-38).
 */
#include "xmpp/reason.h"

#include <stddef.h>

#include "base/array.h"

/* A row in brief. text: what the peer reads; NULL: nothing. */
#define ENDED(word_, condition_, text_, sentence_)                                                                   \
	{                                                                                                            \
		.word = (word_), .condition = XMPP_ERROR_##condition_, .peer_text = (text_), .sentence = (sentence_) \
	}
#define REFUSED(word_, condition_, text_, sentence_)                                                          \
	{                                                                                                     \
		.word = (word_), .condition = XMPP_ERROR_##condition_, .refusal = true, .peer_text = (text_), \
		.sentence = (sentence_)                                                                       \
	}

static const struct reason_info reasons[] = {
    [REASON_NONE] =
	{
	    .word = "none",
	    .condition = XMPP_ERROR_NONE,
	    .sentence = "Nothing ended it.",
	},
    [REASON_CLOSED] =
	{
	    .word = "closed",
	    .condition = XMPP_ERROR_NONE,
	    .sentence = "Both sides closed the stream.",
	},
    [REASON_PEER_GONE] =
	{
	    .word = "peer-gone",
	    .condition = XMPP_ERROR_NONE,
	    .sentence = "The initiating entity went away without closing its stream.",
	},
    [REASON_CONNECTION_LIMIT] =
	{
	    .word = "connection-limit",
	    .condition = XMPP_ERROR_NONE,
	    .refusal = true,
	    .sentence = "Too many connections were open from this address.",
	},
    [REASON_TOTAL_LIMIT] =
	{
	    .word = "total-limit",
	    .condition = XMPP_ERROR_RESOURCE_CONSTRAINT,
	    .refusal = true,
	    .peer_text = "Too many connections, try again later",
	    .sentence = "Too many connections were open in all.",
	},
    [REASON_PROXY_HEADER] =
	{
	    .word = "proxy-header",
	    .condition = XMPP_ERROR_NONE,
	    .refusal = true,
	    .sentence = "The trusted proxy in front did not begin with a PROXY header that can be used.",
	},
    [REASON_HEADER_TIMEOUT] =
	{
	    .word = "header-timeout",
	    .condition = XMPP_ERROR_CONNECTION_TIMEOUT,
	    .refusal = true,
	    .peer_text = "No stream header came in time",
	    .sentence = "The stream header did not come in time.",
	},
    [REASON_NEGOTIATION_TIMEOUT] =
	{
	    .word = "negotiation-timeout",
	    .condition = XMPP_ERROR_CONNECTION_TIMEOUT,
	    .refusal = true,
	    .peer_text = "Stream negotiation took too long",
	    .sentence = "Negotiation of an encrypted stream did not end in time.",
	},
    [REASON_TLS_TIMEOUT] =
	{
	    .word = "tls-timeout",
	    .condition = XMPP_ERROR_NONE,
	    .refusal = true,
	    .sentence = "The TLS handshake did not end in time.",
	},
    [REASON_AUTH_TIMEOUT] =
	{
	    .word = "auth-timeout",
	    .condition = XMPP_ERROR_CONNECTION_TIMEOUT,
	    .refusal = true,
	    .peer_text = "Authentication took too long",
	    .sentence = "Nobody authenticated on the stream in time.",
	},
    [REASON_IDLE] =
	{
	    .word = "idle",
	    .condition = XMPP_ERROR_POLICY_VIOLATION,
	    .peer_text = "The stream was idle for too long",
	    .sentence = "Nothing was sent on the stream for longer than the idle timeout.",
	},
    [REASON_HOST_UNKNOWN] =
	{
	    .word = "host-unknown",
	    .condition = XMPP_ERROR_HOST_UNKNOWN,
	    .refusal = true,
	    .sentence = "The stream header names no domain that is served here.",
	},
    [REASON_SNI_UNKNOWN] =
	{
	    .word = "sni-unknown",
	    .condition = XMPP_ERROR_NONE,
	    .refusal = true,
	    .sentence = "The TLS server name is no domain that is served here.",
	},
    [REASON_ALPN] =
	{
	    .word = "alpn",
	    .condition = XMPP_ERROR_NONE,
	    .refusal = true,
	    .sentence = "The application protocols offered in the TLS handshake do not include the right one.",
	},
    [REASON_NAMESPACE] =
	{
	    .word = "namespace",
	    .condition = XMPP_ERROR_INVALID_NAMESPACE,
	    .refusal = true,
	    .sentence = "The stream header declares a namespace that does not belong on this listener.",
	},
    [REASON_PREFIX] =
	{
	    .word = "prefix",
	    .condition = XMPP_ERROR_BAD_NAMESPACE_PREFIX,
	    .refusal = true,
	    .sentence = "An element of the content namespace was sent with a prefix.",
	},
    [REASON_VERSION] =
	{
	    .word = "version",
	    .condition = XMPP_ERROR_UNSUPPORTED_VERSION,
	    .refusal = true,
	    .sentence = "The stream header asks for a version of XMPP that cannot be used.",
	},
    [REASON_PRE10_INITIATOR] =
	{
	    .word = "pre10-initiator",
	    .condition = XMPP_ERROR_POLICY_VIOLATION,
	    .refusal = true,
	    .peer_text = "TLS is required and needs version 1.0",
	    .sentence = "The initiating entity sent a stream header without version 1.0 and so cannot use STARTTLS.",
	},
    [REASON_PLAINTEXT_AUTH] =
	{
	    .word = "plaintext-auth",
	    .condition = XMPP_ERROR_POLICY_VIOLATION,
	    .refusal = true,
	    .peer_text = "Use of STARTTLS required",
	    .sentence = "Authentication was tried before TLS.",
	},
    [REASON_PLAINTEXT_STANZA] =
	{
	    .word = "plaintext-stanza",
	    .condition = XMPP_ERROR_NOT_AUTHORIZED,
	    .refusal = true,
	    .sentence = "A stanza was sent before TLS and authentication.",
	},
    [REASON_TLS_REQUIRED] =
	{
	    .word = "tls-required",
	    .condition = XMPP_ERROR_POLICY_VIOLATION,
	    .refusal = true,
	    .peer_text = "Use of STARTTLS required",
	    .sentence = "Something other than STARTTLS was sent before TLS.",
	},
    [REASON_PLAINTEXT_DIALBACK] =
	{
	    .word = "plaintext-dialback",
	    .condition = XMPP_ERROR_POLICY_VIOLATION,
	    .refusal = true,
	    .peer_text = "Use of STARTTLS required",
	    .sentence = "Server dialback was tried before TLS.",
	},
    [REASON_STARTTLS_MISUSE] =
	{
	    .word = "starttls-misuse",
	    .condition = XMPP_ERROR_NONE,
	    .refusal = true,
	    .sentence = "STARTTLS was malformed, or asked for where it is not offered.",
	},
    [REASON_STARTTLS_INJECTION] =
	{
	    .word = "starttls-injection",
	    .condition = XMPP_ERROR_NONE,
	    .refusal = true,
	    .sentence = "Bytes were waiting behind the STARTTLS element.",
	},
    [REASON_TLS_FAILED] =
	{
	    .word = "tls-failed",
	    .condition = XMPP_ERROR_NONE,
	    .refusal = true,
	    .sentence = "The TLS handshake failed.",
	},
    [REASON_NOT_TLS] =
	{
	    .word = "not-tls",
	    .condition = XMPP_ERROR_NONE,
	    .refusal = true,
	    .sentence = "Something other than a TLS handshake came where TLS must begin.",
	},
    [REASON_NO_EMS] =
	{
	    .word = "no-ems",
	    .condition = XMPP_ERROR_NONE,
	    .refusal = true,
	    .sentence = "TLS 1.2 was negotiated without the extended master secret.",
	},
    [REASON_RENEGOTIATION] =
	{
	    .word = "renegotiation",
	    .condition = XMPP_ERROR_NONE,
	    .refusal = true,
	    .sentence = "TLS renegotiation was tried.",
	},
    [REASON_HEADER_SWITCH] =
	{
	    .word = "header-switch",
	    .condition = XMPP_ERROR_NOT_AUTHORIZED,
	    .refusal = true,
	    .sentence = "The stream header names another domain than the one this stream was secured for.",
	},
    [REASON_BACKEND_DOWN] =
	{
	    .word = "backend-down",
	    .condition = XMPP_ERROR_INTERNAL_SERVER_ERROR,
	    .sentence = "The legacy server could not be reached.",
	},
    [REASON_BACKEND_TIMEOUT] =
	{
	    .word = "backend-timeout",
	    .condition = XMPP_ERROR_INTERNAL_SERVER_ERROR,
	    .sentence = "The legacy server did not answer in time.",
	},
    [REASON_BACKEND_CLOSED] =
	{
	    .word = "backend-closed",
	    .condition = XMPP_ERROR_INTERNAL_SERVER_ERROR,
	    .sentence = "The legacy server went away in the middle of the stream.",
	},
    [REASON_BACKEND_INVALID] =
	{
	    .word = "backend-invalid",
	    .condition = XMPP_ERROR_INTERNAL_SERVER_ERROR,
	    .sentence = "The legacy server sent something that is not an XMPP stream.",
	},
    [REASON_BACKEND_REFUSED] =
	{
	    .word = "backend-refused",
	    .condition = XMPP_ERROR_INTERNAL_SERVER_ERROR,
	    .sentence = "The legacy server answered with a stream error.",
	},
    [REASON_BACKEND_MISCONFIGURED] =
	{
	    .word = "backend-misconfigured",
	    .condition = XMPP_ERROR_INTERNAL_SERVER_ERROR,
	    .sentence = "The legacy server offers nothing but STARTTLS or compression: it must allow authentication on "
			"its plaintext side.",
	},
    [REASON_BACKEND_TLS] =
	{
	    .word = "backend-tls",
	    .condition = XMPP_ERROR_INTERNAL_SERVER_ERROR,
	    .refusal = true,
	    .sentence = "TLS with the legacy server failed.",
	},
    [REASON_BACKEND_INJECTION] =
	{
	    .word = "backend-injection",
	    .condition = XMPP_ERROR_INTERNAL_SERVER_ERROR,
	    .refusal = true,
	    .sentence = "Bytes were waiting behind the legacy server's answer to STARTTLS.",
	},
    [REASON_NOT_OURS] = REFUSED("not-ours", INVALID_FROM, "This domain is not configured here",
				"The legacy side speaks for a domain that is not among \"domains\"."),
    [REASON_SOURCE] =
	REFUSED("source-not-allowed", NONE, NULL,
		"An outbound listener takes connections of the legacy side only, and this address is not among "
		"those allowed (accept-from)."),
    [REASON_NOT_INTERCEPTED] =
	REFUSED("not-intercepted", POLICY_VIOLATION, "This port takes redirected connections only",
		"The listener takes redirected connections (intercept: redirect), and this one was made to the "
		"listener itself."),
    [REASON_LOOP] = REFUSED("loop", REMOTE_CONNECTION_FAILED, "The remote server cannot be reached from here",
			    "The connection would have led to portcullis itself."),
    [REASON_DNS] = REFUSED("dns", REMOTE_CONNECTION_FAILED, "The remote server could not be found",
			   "DNS gave no address for the remote domain."),
    [REASON_DNS_BOGUS] = REFUSED("dns-bogus", REMOTE_CONNECTION_FAILED, "The remote server could not be found",
				 "DNSSEC says that the answer about the remote domain is forged or broken."),
    [REASON_NO_SERVICE] =
	REFUSED("no-service", REMOTE_CONNECTION_FAILED, "The remote domain does not offer this service",
		"The remote domain says in DNS that it does not offer this service."),
    [REASON_REMOTE_DOWN] = REFUSED("remote-down", REMOTE_CONNECTION_FAILED, "The remote server could not be reached",
				   "The remote server could not be reached at any of its addresses."),
    [REASON_REMOTE_TIMEOUT] =
	REFUSED("remote-timeout", REMOTE_CONNECTION_FAILED, "The remote server did not answer in time",
		"The remote server did not answer in time."),
    [REASON_REMOTE_CLOSED] = ENDED("remote-closed", REMOTE_CONNECTION_FAILED, "The remote server closed the connection",
				   "The remote server went away without closing its stream."),
    [REASON_REMOTE_INVALID] =
	REFUSED("remote-invalid", REMOTE_CONNECTION_FAILED, "The remote server sent something that cannot be used",
		"The remote server sent something that is not an XMPP stream."),
    [REASON_REMOTE_ERROR] = REFUSED("remote-error", REMOTE_CONNECTION_FAILED, "The remote server refused the stream",
				    "The remote server answered with a stream error."),
    [REASON_REMOTE_REDIRECT] =
	REFUSED("remote-redirect", REMOTE_CONNECTION_FAILED, "The remote server refused the stream",
		"The remote server names another host to connect to; that is not followed."),
    [REASON_REMOTE_OTHER] =
	REFUSED("remote-other-domain", REMOTE_CONNECTION_FAILED, "The remote server answered for another domain",
		"The remote server answered for another domain than the one that was asked for."),
    [REASON_NO_TLS] = REFUSED("no-tls", POLICY_VIOLATION, "The remote server does not offer TLS, which policy requires",
			      "The remote server could not be brought to use TLS."),
    [REASON_REMOTE_INJECTION] =
	REFUSED("remote-injection", REMOTE_CONNECTION_FAILED, "The connection to the remote server was tampered with",
		"Bytes were waiting behind the remote server's answer to STARTTLS."),
    [REASON_REMOTE_TLS] = REFUSED("remote-tls", REMOTE_CONNECTION_FAILED, "TLS with the remote server failed",
				  "The TLS handshake with the remote server failed."),
    [REASON_REMOTE_UNVERIFIED] =
	REFUSED("remote-unverified", POLICY_VIOLATION, "The certificate of the remote server could not be verified",
		"The remote server did not prove that it is the domain."),
    [REASON_STRIPPED] = REFUSED(
	"stripped", POLICY_VIOLATION, "The TLS feature was stripped and the peer certificate could not be verified",
	"STARTTLS worked though it was not offered, so somebody took the offer away, and nobody was "
	"authenticated."),
    [REASON_WEAK_TLS] = REFUSED("weak-tls", POLICY_VIOLATION, "A newer version of TLS is required",
				"The TLS version is lower than policy asks for."),
    [REASON_CERTIFICATE_CHANGED] =
	REFUSED("certificate-changed", POLICY_VIOLATION, "The peer certificate has changed and has not been accepted",
		"The certificate is not one that is remembered, is not verified, and on-certificate-change is refuse."),
    [REASON_MEMORY_UNAVAILABLE] =
	ENDED("memory-unavailable", INTERNAL_SERVER_ERROR, NULL,
	      "What is remembered of the peer could not be read, and on-certificate-change is refuse."),
    [REASON_PEER_UNVERIFIED] =
	REFUSED("peer-unverified", NOT_AUTHORIZED, "The certificate does not prove this domain, which policy requires",
		"The initiating server did not prove that it is the domain."),
    [REASON_SELF_CLAIM] = REFUSED("self-claim", NOT_AUTHORIZED, "This domain is served here",
				  "A peer claims to be a domain that is served here."),
    [REASON_ADDRESSING] =
	REFUSED("addressing", IMPROPER_ADDRESSING, NULL, "A stanza between servers lacked a usable from or to."),
    [REASON_FORGED_FROM] = REFUSED("forged-from", INVALID_FROM, NULL,
				   "A stanza was sent for a pair of domains that is not proven on this stream."),
    [REASON_UNSOLICITED_DIALBACK] = REFUSED("unsolicited-dialback", POLICY_VIOLATION, "That was not asked for",
					    "An answer of dialback was sent that nobody had asked for."),
    [REASON_DIALBACK_FAILED] = REFUSED("dialback-failed", NOT_AUTHORIZED, "Dialback failed",
				       "Dialback failed, and no proven pair of domains is left on the stream."),
    [REASON_RESTRICTED_XML] =
	{
	    .word = "restricted-xml",
	    .condition = XMPP_ERROR_RESTRICTED_XML,
	    .refusal = true,
	    .sentence = "A comment, processing instruction, document type or entity was sent.",
	},
    [REASON_NOT_WELL_FORMED] =
	{
	    .word = "not-well-formed",
	    .condition = XMPP_ERROR_NOT_WELL_FORMED,
	    .refusal = true,
	    .sentence = "What was sent is not well-formed XML.",
	},
    [REASON_ENCODING] =
	{
	    .word = "encoding",
	    .condition = XMPP_ERROR_UNSUPPORTED_ENCODING,
	    .refusal = true,
	    .sentence = "What was sent is not UTF-8.",
	},
    [REASON_SMUGGLING] =
	{
	    .word = "smuggling",
	    .condition = XMPP_ERROR_BAD_FORMAT,
	    .refusal = true,
	    .sentence = "An element of the streams namespace was sent where none may stand.",
	},
    [REASON_SECOND_HEADER] =
	{
	    .word = "second-header",
	    .condition = XMPP_ERROR_INVALID_XML,
	    .refusal = true,
	    .sentence = "A second stream header was sent where none is due.",
	},
    [REASON_STRAY_TEXT] =
	{
	    .word = "stray-text",
	    .condition = XMPP_ERROR_BAD_FORMAT,
	    .refusal = true,
	    .sentence = "Text was sent between the elements of the stream.",
	},
    [REASON_TOO_BIG] =
	{
	    .word = "too-big",
	    .condition = XMPP_ERROR_POLICY_VIOLATION,
	    .too_big = true,
	    .refusal = true,
	    .peer_text = "The element is too big",
	    .sentence = "An element is larger than the limit.",
	},
    [REASON_TOO_DEEP] =
	{
	    .word = "too-deep",
	    .condition = XMPP_ERROR_POLICY_VIOLATION,
	    .too_big = true,
	    .refusal = true,
	    .peer_text = "The element is nested too deeply",
	    .sentence = "An element is nested more deeply than the limit.",
	},
    [REASON_AUTH_ATTEMPTS] =
	{
	    .word = "auth-attempts",
	    .condition = XMPP_ERROR_POLICY_VIOLATION,
	    .refusal = true,
	    .peer_text = "Too many authentication attempts",
	    .sentence = "Authentication failed too often on one stream.",
	},
    [REASON_SASL_LAYER] =
	{
	    .word = "sasl-layer",
	    .condition = XMPP_ERROR_POLICY_VIOLATION,
	    .refusal = true,
	    .peer_text = "SASL security layers are not supported here",
	    .sentence = "A SASL mechanism with a security layer of its own was asked for.",
	},
    [REASON_UNSUPPORTED_ELEMENT] =
	{
	    .word = "unsupported-element",
	    .condition = XMPP_ERROR_UNSUPPORTED_STANZA_TYPE,
	    .refusal = true,
	    .sentence = "A first-level element was sent that has no place in the stream.",
	},
    [REASON_PEER_ERROR] =
	{
	    .word = "peer-error",
	    .condition = XMPP_ERROR_NONE,
	    .sentence = "The initiating entity ended the stream with a stream error.",
	},
    [REASON_AUDIT_UNAVAILABLE] =
	{
	    .word = "audit-unavailable",
	    .condition = XMPP_ERROR_INTERNAL_SERVER_ERROR,
	    .sentence = "The audit log cannot be written, and new streams are refused until it can.",
	},
    [REASON_SHUTDOWN] =
	{
	    .word = "shutdown",
	    .condition = XMPP_ERROR_SYSTEM_SHUTDOWN,
	    .sentence = "The proxy was stopped.",
	},
    [REASON_INTERNAL] =
	{
	    .word = "internal",
	    .condition = XMPP_ERROR_INTERNAL_SERVER_ERROR,
	    .sentence = "Something failed inside the proxy.",
	},
};
_Static_assert(ARRAY_LEN(reasons) == REASON_COUNT, "reason without a row");

const struct reason_info *reason_info(enum reason reason)
{
	if ((unsigned)reason >= REASON_COUNT)
		return &reasons[REASON_INTERNAL];
	return &reasons[reason];
}

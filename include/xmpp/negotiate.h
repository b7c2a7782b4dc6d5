/* SPDX-License-Identifier: MIT */
/*
 * The negotiators: what brings one leg to "encrypted as policy demands, header exchanged". Const tables, a row per
 * state, a handler per event; no handler means protocol violation, and the stream fails (default deny). No I/O here:
 * handlers append actions, which the session runs after the parser has returned.
 *
 * The caller owns the xmlstream. It passes each event on and STOPs the parser after every event while negotiating.
 */
#ifndef PROXY_XMPP_NEGOTIATE_H
#define PROXY_XMPP_NEGOTIATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xmpp/features.h"
#include "xmpp/header.h"
#include "xmpp/reason.h"
#include "xmpp/xmlstream.h"

enum neg_action_kind {
	NEG_SEND,      /* bytes to this leg */
	NEG_START_TLS, /* stop reading, see that the input is empty, flush, begin TLS as the server (accept) or client
			  (connect) */
	NEG_RESET_XML, /* throw the parser away, begin a new one */
	NEG_NOTE,      /* something the record must say */
	NEG_READY,     /* negotiated; the caller goes on (accept: route and dial; connect: facts and verdict) */
	NEG_NAMELESS,  /* accept, outbound between servers: the header names no remote domain (jabberd2). It has been
			  answered with an id of ours (negotiate_own_id); the domains come with the elements behind it.
			  In place of READY */
	NEG_FAIL,      /* ended for `reason`; what the peer is told stands in SEND actions before this one */
	NEG_ACTION_KINDS
};

enum neg_note {
	NEG_NOTE_STARTTLS_IGNORED,    /* told <required/>, sent something else in plaintext */
	NEG_NOTE_CREDENTIALS_EXPOSED, /* a password crossed in plaintext */
	NEG_NOTE_STANZA_VIOLATION,    /* restricted XML, too big, too deep … */
	NEG_NOTE_STARTTLS_INJECTION,  /* bytes behind <starttls/> or <proceed/> */
	NEG_NOTE_COUNT                /* what concerns STARTTLS on a connect leg is in negotiate_starttls() */
};

struct neg_action {
	enum neg_action_kind kind;
	const char *data; /* SEND */
	size_t len;
	enum neg_note note;
	enum reason reason; /* FAIL */
};

struct negotiator;

#define NEG_ID_SIZE 40
struct neg_accept_params {
	/*
	 * The far end is our own legacy side, which opens a stream to a remote domain (s2s-outbound, c2s-outbound). No
	 * TLS is offered and any version is taken. READY by a header whose `to` is a domain (negotiate_domain: that
	 * remote domain); it is not answered, for the remote server answers it (NEG-3, 28). Between servers `from` must
	 * be hosted (REASON_NOT_OURS), may be missing (negotiate_local is "" then), and without `to` it is
	 * NEG_NAMELESS.
	 */
	bool outbound;
	const char *content_ns; /* XMPP_NS_CLIENT or XMPP_NS_SERVER */
	/* Named in errors before the peer named one of ours; may be NULL: from=''. Between servers also what a header
	 * without `to` means (NEG-39). */
	const char *default_domain;
	/* Level may or none, or mode monitor: READY already by a plaintext header, also by one without version; the
	 * backend's own features are then shown with STARTTLS added (inspect.h). */
	bool plaintext_allowed;
	/* Asked instead, with the header's `from` (NULL: none), where that may differ from peer to peer. */
	bool (*takes_plaintext)(void *ctx, const char *from);
	bool switch_allowed; /* mode monitor: inside TLS another of our domains than the certificate's may be named */
	bool direct_tls;     /* TLS comes first: begin by waiting for _secured */
	bool (*hosts)(void *ctx, const char *domain); /* normalised domain: is it one of ours on this role? */
	/* Between servers, inbound, inside TLS: a `from` of which this is true is REASON_SELF_CLAIM (NEG-33). NULL:
	 * not asked. */
	bool (*is_own)(void *ctx, const char *domain);
	void (*new_id)(void *ctx, char out[NEG_ID_SIZE]);               /* unpredictable, never repeated (NEG-2) */
	void (*log_state)(void *ctx, const char *from, const char *to); /* may be NULL */
	void *ctx;
};
/* We are the receiving entity. params is copied (strings included). */
struct negotiator *negotiate_accept_new(const struct neg_accept_params *params);

/* Does the connect side ask for TLS? It does not matter here whether going on without is allowed: no TLS is a FAIL with
 * REASON_BACKEND_TLS, and whoever may do without begins anew, on a new connection, with NEVER. */
enum neg_tls { NEG_TLS_NEVER, NEG_TLS_STARTTLS };

struct neg_connect_params {
	const char *content_ns;
	enum neg_tls tls;
	bool direct_tls;    /* TLS comes first: nothing is sent before _secured. Not with STARTTLS */
	const void *header; /* the initiating entity's last header, byte for byte, prolog included: sent first */
	size_t header_len;
	/*
	 * What is sent before STARTTLS instead of `header` (NEG-29: neither a JID nor what else stands there goes out
	 * in clear; header.h, stream_header_first). NULL: header.
	 */
	const void *first_header;
	size_t first_header_len;
	/*
	 * The far end is a remote domain's server, normalised; NULL: our own legacy server. With it: silence where
	 * features are due is no failure but makes <starttls/> go out (STRIP-2, event _timeout); another `from` than
	 * this domain in the last header (inside TLS, if any) is REASON_REMOTE_OTHER (CERT-15; none at all is taken);
	 * see-other-host in place of features is REASON_REMOTE_REDIRECT. Other reasons are the BACKEND ones: the caller
	 * has the words for remote servers.
	 */
	const char *remote;
	bool strip_compression;
	void (*log_state)(void *ctx, const char *from, const char *to);
	void *ctx;
};
/* We are the initiating entity. The first action, NEG_SEND, is there at once, but with direct_tls. params is copied. */
struct negotiator *negotiate_connect_new(const struct neg_connect_params *params);

void negotiate_free(struct negotiator **n);

/* Events. After NEG_FAIL all of them are ignored. */
void negotiate_open(struct negotiator *n, const struct xml_node *root, const struct xml_decl *decls, size_t decl_count);
void negotiate_element(struct negotiator *n, const struct xml_node *element);
void negotiate_close(struct negotiator *n); /* the peer closed its stream; connect: or its connection ended */
void negotiate_xml_failed(struct negotiator *n, enum reason reason); /* the parser refused */
void negotiate_injected(struct negotiator *n);                       /* bytes stood behind <starttls/> or <proceed/> */
/* TLS is up; certificate_domain is the local domain whose certificate was presented (accept side), never NULL there;
 * the connect side takes none. */
void negotiate_secured(struct negotiator *n, const char *certificate_domain);
/* A deadline passed. begun: has the peer sent any of its header (row 2)? */
void negotiate_timeout(struct negotiator *n, bool begun);
/*
 * Ends it from outside, in any state but after FAIL (the backend is down, shutdown): header if none was sent on this
 * stream, stream error, close tag. condition other than NONE replaces the reason's own (NEG-38 row 32).
 */
void negotiate_refuse(struct negotiator *n, enum reason reason, enum xmpp_error condition);

/* Takes the oldest action; false when there is none. data stays valid until the next call on n. */
bool negotiate_next(struct negotiator *n, struct neg_action *out);

/*
 * Connect: how STARTTLS went (STRIP-3, 6, 9). Facts only: classifying them is policy's and the record's business.
 */
enum neg_answer {
	NEG_ANSWER_NONE, /* <starttls/> was not sent, or nothing came yet */
	NEG_ANSWER_PROCEED,
	NEG_ANSWER_FAILURE, /* <failure/> */
	NEG_ANSWER_ERROR,   /* a stream error: negotiate_peer_error */
	NEG_ANSWER_CLOSED,  /* its stream or connection ended */
	NEG_ANSWER_SILENCE, /* nothing in time */
	NEG_ANSWER_GARBAGE, /* anything else, or what is no XML */
	NEG_ANSWERS
};
struct neg_starttls {
	bool sent;
	bool features;             /* features came before TLS */
	bool advertised, required; /* kept after TLS, for the record alone */
	bool mangled; /* something like an offer that is none: wrong namespace, parent, case, as text, twice (of which
			 neither counts) */
	bool version; /* its header before TLS had a version of 1.0 or more */
	enum neg_answer answer;
	/* Inside TLS something differs that nobody but an attacker would change: features with <starttls/>, another
	 * `from`, a version that the header before had not, mechanisms that were offered in plaintext only. Known in
	 * READY. */
	bool differs;
};
const struct neg_starttls *negotiate_starttls(const struct negotiator *n);

/* Questions. */
const char *negotiate_state(const struct negotiator *n); /* "wait-starttls" */
bool negotiate_is_ready(const struct negotiator *n);
bool negotiate_is_failed(const struct negotiator *n);
bool negotiate_in_handshake(const struct negotiator *n);
/* Connect: <starttls/> was sent and TLS is not up yet, so that an end of the connection now is an answer to it. */
bool negotiate_awaits_tls(const struct negotiator *n);
/* The stream header received last (after TLS: only that one; everything before is forgotten). Valid while n lives. */
const struct stream_header *negotiate_header(const struct negotiator *n);
/* Accept: the domain chosen so far, normalised: by the pre-TLS header for the certificate, by the post-TLS header once
 * READY. "" if none. */
const char *negotiate_domain(const struct negotiator *n);
/* Accept, outbound between servers: the domain of ours that the header speaks for, normalised; "" if it names none. */
const char *negotiate_local(const struct negotiator *n);
/* Accept: the id of the header that we answered last with; "" before. */
const char *negotiate_own_id(const struct negotiator *n);
/*
 * Connect: the features received where TLS is what it shall be; for READY and for REASON_BACKEND_MISCONFIGURED. NULL
 * before. For a server older than 1.0, which has none, what the inspector gives the initiating entity instead.
 */
const struct features *negotiate_features(const struct negotiator *n);
/* Connect: the condition of the stream error the far side sent (REASON_BACKEND_REFUSED), else NONE. */
enum xmpp_error negotiate_peer_error(const struct negotiator *n);

#endif

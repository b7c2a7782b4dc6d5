/* SPDX-License-Identifier: MIT */
/*
 * Why a stream ended or was refused: the one table of it (enum, word for log and metrics, stream error the peer sees,
 * sentence for the record and the text the peer may see). Rows follow the error table of the protocol (section 4).
 */
#ifndef PROXY_XMPP_REASON_H
#define PROXY_XMPP_REASON_H

#include <stdbool.h>

#include "xmpp/names.h"

enum reason {
	REASON_NONE,
	REASON_CLOSED,                /* both sides closed the stream as they should */
	REASON_PEER_GONE,             /* the initiating entity vanished: FIN or RST without a close (row 48) */
	REASON_CONNECTION_LIMIT,      /* too many from one address: row 1 */
	REASON_TOTAL_LIMIT,           /* too many in all */
	REASON_PROXY_HEADER,          /* a trusted proxy sent no PROXY header, or none that can be understood */
	REASON_HEADER_TIMEOUT,        /* row 2 */
	REASON_NEGOTIATION_TIMEOUT,   /* STARTTLS or the header after TLS did not come in time */
	REASON_TLS_TIMEOUT,           /* the handshake did not end in time: row 16 */
	REASON_AUTH_TIMEOUT,          /* no authentication in time */
	REASON_IDLE,                  /* row 47 */
	REASON_HOST_UNKNOWN,          /* row 3 */
	REASON_SNI_UNKNOWN,           /* row 4 */
	REASON_ALPN,                  /* row 5 */
	REASON_NAMESPACE,             /* row 6 */
	REASON_PREFIX,                /* row 7 */
	REASON_VERSION,               /* row 8 */
	REASON_PRE10_INITIATOR,       /* row 9 */
	REASON_PLAINTEXT_AUTH,        /* row 10 */
	REASON_PLAINTEXT_STANZA,      /* row 11 */
	REASON_TLS_REQUIRED,          /* row 12 */
	REASON_PLAINTEXT_DIALBACK,    /* row 13 */
	REASON_STARTTLS_MISUSE,       /* row 14 */
	REASON_STARTTLS_INJECTION,    /* row 15 */
	REASON_TLS_FAILED,            /* row 16 */
	REASON_NOT_TLS,               /* direct TLS expected, something else came */
	REASON_NO_EMS,                /* TLS 1.2 without extended master secret */
	REASON_RENEGOTIATION,         /* row 17 */
	REASON_HEADER_SWITCH,         /* row 18 */
	REASON_BACKEND_DOWN,          /* cannot connect: row 22 */
	REASON_BACKEND_TIMEOUT,       /* connected, but did not answer in time */
	REASON_BACKEND_CLOSED,        /* went away before or in the middle of the stream */
	REASON_BACKEND_INVALID,       /* what it sent is no XMPP stream */
	REASON_BACKEND_REFUSED,       /* it answered with a stream error */
	REASON_BACKEND_MISCONFIGURED, /* only starttls or compression offered: row 23 */
	REASON_BACKEND_TLS,           /* TLS with it could not be had, or it could not prove who it is */
	REASON_BACKEND_INJECTION,     /* bytes behind its <proceed/> (NEG-8) */
	/* Outbound: the remote domain's side, told to our own legacy side. */
	REASON_NOT_OURS,          /* the legacy side speaks for a domain that is not configured here (STZ-4) */
	REASON_SOURCE,            /* an outbound listener is not for whoever connects from there */
	REASON_NOT_INTERCEPTED,   /* intercept: redirect, and the kernel knows no other destination */
	REASON_LOOP,              /* it would have connected to portcullis itself (NEG-34) */
	REASON_DNS,               /* no address to be had: row 24 */
	REASON_DNS_BOGUS,         /* DNSSEC says that the answer is forged: row 24 */
	REASON_NO_SERVICE,        /* the SRV record says ".": row 24 */
	REASON_REMOTE_DOWN,       /* cannot connect: row 25 */
	REASON_REMOTE_TIMEOUT,    /* connected, but did not answer in time */
	REASON_REMOTE_CLOSED,     /* went away before or in the middle of the stream */
	REASON_REMOTE_INVALID,    /* what it sent is no XMPP stream */
	REASON_REMOTE_ERROR,      /* it answered with a stream error: row 32 */
	REASON_REMOTE_REDIRECT,   /* see-other-host: row 33 */
	REASON_REMOTE_OTHER,      /* it answered for another domain (CERT-15) */
	REASON_NO_TLS,            /* rows 26, 27 */
	REASON_REMOTE_INJECTION,  /* bytes behind its <proceed/>: row 28 */
	REASON_REMOTE_TLS,        /* the handshake with it failed: row 29 */
	REASON_REMOTE_UNVERIFIED, /* its certificate does not prove the domain: row 30 */
	REASON_STRIPPED,          /* STARTTLS was stripped, and nobody was authenticated: row 31 */
	/* Either direction. */
	REASON_WEAK_TLS,            /* less than the policy for that domain asks for */
	REASON_CERTIFICATE_CHANGED, /* policy.on-certificate-change: refuse */
	REASON_MEMORY_UNAVAILABLE,  /* what is remembered of the peer decides, and cannot be asked */
	/* Inbound s2s, and what is said of domain pairs on either. */
	REASON_PEER_UNVERIFIED,      /* its certificate does not prove the domain: rows 19, 21 */
	REASON_SELF_CLAIM,           /* a peer claims to be a domain that is ours: row 18 (NEG-33) */
	REASON_ADDRESSING,           /* row 40 */
	REASON_FORGED_FROM,          /* row 41 */
	REASON_UNSOLICITED_DIALBACK, /* row 43 */
	REASON_DIALBACK_FAILED,      /* no proof of any pair on the stream is left (DB-7, DB-9) */
	REASON_RESTRICTED_XML,       /* row 34 */
	REASON_NOT_WELL_FORMED,      /* row 35 */
	REASON_ENCODING,             /* row 36 */
	REASON_SMUGGLING,            /* row 37 */
	REASON_SECOND_HEADER,        /* row 37: a stream header where none is due */
	REASON_STRAY_TEXT,           /* text between elements */
	REASON_TOO_BIG,              /* row 38 */
	REASON_TOO_DEEP,             /* row 38 */
	REASON_AUTH_ATTEMPTS,        /* SASL-10 */
	REASON_SASL_LAYER,           /* SASL-6 */
	REASON_UNSUPPORTED_ELEMENT,  /* row 39 */
	REASON_PEER_ERROR,           /* the initiating entity sent a stream error */
	REASON_AUDIT_UNAVAILABLE,    /* the audit log cannot be written and audit.on-failure is refuse */
	REASON_SHUTDOWN,             /* row 49 */
	REASON_INTERNAL,             /* row 50 */
	REASON_COUNT
};

struct reason_info {
	const char *word;          /* "header-timeout": log, metrics */
	enum xmpp_error condition; /* NONE: the connection is closed without XML */
	bool too_big;              /* add <stanza-too-big xmlns='urn:xmpp:errors'/> */
	bool refusal;              /* a `stream-refused` record is written: policy or protocol ended it */
	const char *peer_text;     /* plain words for the peer's <text/>, or NULL: says nothing of our inside */
	const char *sentence;      /* for the record and the operator */
};

/* Never NULL; an unknown value gives the row of REASON_INTERNAL. */
const struct reason_info *reason_info(enum reason reason);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * TLS with remote domains: the connections we open to them, and what the certificate of either side proves. A domain is
 * proven by PKIX (CERT-1…12: DNS-ID, SRV-ID, XmppAddr, never the common name; serverAuth is enough on either side) or
 * by a fingerprint of the configuration, nothing else. Every answer is about the certificate as it is now: a resumed
 * session is judged again, dates and all (TLS-14).
 */
#ifndef PROXY_TLS_PEER_H
#define PROXY_TLS_PEER_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/peer.h"
#include "tls/store.h"

struct tls_peer_params {
	enum role role;                   /* s2s-outbound or c2s-outbound */
	const char *domain;               /* the remote domain, normalised: SNI (none for an address literal) and
					     reference identifier */
	const char *local;                /* present this local domain's certificate; NULL or one without: none */
	const struct peer_policy *policy; /* settings of this peer on this SSL only (rule 7), fingerprints, anchors */
	bool must_prove; /* a certificate that proves nothing ends the handshake with the alert that says why */
	bool direct;     /* direct TLS: ALPN is sent (TLS-19) */
	bool resume;     /* a session of an earlier connection to it may be offered */
};
/* The caller owns the SSL. NULL on exhaustion or settings that OpenSSL refuses (tls_check has said which). */
struct ssl_st *tls_connect_peer(struct tls_store *store, const struct tls_peer_params *params);

/* What the peer's certificate proves. All text owned by the struct or static. */
#define TLS_IDENTIFIER_SIZE 300
struct tls_identity {
	bool verified;
	const char *method;                  /* "pkix", "fingerprint", "none" */
	const char *unverified;              /* why not, in plain words; NULL if verified */
	char reference[TLS_IDENTIFIER_SIZE]; /* the domain that was to be proven */
	char matched[TLS_IDENTIFIER_SIZE];   /* "DNS-ID example.com", "SRV-ID _xmpp-server.example.com", "XmppAddr
						example.com", "sha256:…"; "" if not verified */
};
/*
 * Of an SSL of either side after its handshake: does the certificate that the peer presented prove `domain` for that
 * role? service: SRV-ID _xmpp-server for s2s, _xmpp-client for c2s-outbound. policy: whose anchors, key sizes and
 * fingerprints count (level fingerprint: one of rule->fingerprints, and nothing else). store: the one the SSL is of.
 */
void tls_identify(struct tls_identity *out, struct tls_store *store, const struct ssl_st *ssl, enum role role,
		  const char *domain, const struct peer_policy *policy);
/* As above for an SSL of tls_connect_peer whose handshake failed: what was wrong with the certificate; NULL if that was
 * not it. */
const char *tls_peer_fault(const struct ssl_st *ssl);
/* The session may be resumed no more (the stream was refused, TLS-14). */
void tls_forget_session(const struct ssl_st *ssl);

/* The peer's leaf as plain values for records and peer memory. */
#define TLS_CERTIFICATE_NAMES 32
struct tls_certificate {
	char subject[512], issuer[512];     /* RFC 2253 */
	char serial[64];                    /* upper-case hex */
	char not_before[32], not_after[32]; /* RFC 3339, UTC */
	int64_t not_after_s;                /* seconds since 1970 */
	char *names[TLS_CERTIFICATE_NAMES]; /* alternative names as they were meant: "example.com",
					       "_xmpp-server.example.com", "192.0.2.1"; owned */
	size_t name_count;
	char key_algorithm[32]; /* "EC", "RSA", "ED25519" */
	int key_size;           /* bits */
	char signature_algorithm[48];
	char sha256[65], spki_sha256[65]; /* lower-case hex: of the certificate, of its SubjectPublicKeyInfo */
};
/* Also of the one that ended a handshake of ours. NULL: the peer presented none. The caller frees. */
struct tls_certificate *tls_certificate_read(const struct ssl_st *ssl);
void tls_certificate_free(struct tls_certificate **certificate);

#endif

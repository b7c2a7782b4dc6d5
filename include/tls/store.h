/* SPDX-License-Identifier: MIT */
/*
 * Every TLS context a configuration needs, made once: profile from one table, every parameter set explicitly whatever
 * the system's openssl.cnf says, certificate by name, tickets, OCSP staple, ALPN, EMS. Immutable and reference-counted.
 * OpenSSL types appear only as forward declarations.
 */
#ifndef PROXY_TLS_STORE_H
#define PROXY_TLS_STORE_H

#include <stdbool.h>

#include "base/errbuf.h"
#include "policy/config.h"
#include "tls/tickets.h"
#include "xmpp/reason.h"

struct peer_policy;
struct ssl_st;
struct tls_store;

/* Call once per process before anything else of this room: OpenSSL without its configuration file. */
void tls_library_init(void);
/* "OpenSSL 3.0.22 …" */
const char *tls_library(void);

/*
 * tickets may be NULL (no resumption). Keeps a reference on config. Returns NULL with the reason in err: config_load's
 * and tls_check's findings name keys and lines better, so call those first.
 */
struct tls_store *tls_store_new(struct config *config, const struct shared_tickets *tickets, struct errbuf *err);
struct tls_store *tls_store_ref(struct tls_store *store);
void tls_store_unref(struct tls_store **store);

/*
 * A server-side SSL for an accepted leg. to: the domain the pre-TLS header named (STARTTLS), or NULL for direct TLS,
 * where SNI decides and no SNI means the first domain. Unknown SNI: fatal unrecognized_name (TLS-16); ALPN offered
 * without ours: fatal no_application_protocol (TLS-17); TLS 1.2 without extended master secret: fatal handshake_failure
 * (TLS-11). Renegotiation is refused; see tls_renegotiated. The caller owns the SSL; it keeps a reference on its
 * context. Never NULL but on exhaustion.
 */
struct ssl_st *tls_accept(struct tls_store *store, enum role role, const char *to);
/*
 * The same with the TLS settings of a remote domain on this SSL only (design rule 7): of the one that the pre-TLS
 * header says it is from. Nothing is believed by that: policy_decide holds the handshake against the domain that the
 * header inside TLS names. policy is copied and points into the store's configuration.
 */
struct ssl_st *tls_accept_peer(struct tls_store *store, enum role role, const char *to,
			       const struct peer_policy *policy);

/*
 * A client-side SSL for a leg we opened: SNI and reference identifier are domain (CERT-1), a DNS-ID and never the
 * common name (CERT-3, 4). must_verify: a certificate that does not verify fails the handshake with the alert that says
 * so; else it is a fact (tls_facts_read). The caller owns the SSL. NULL on exhaustion, for a name that cannot be sent,
 * or where the configuration asked for no such connection.
 */
struct ssl_st *tls_connect(struct tls_store *store, const char *domain, bool must_verify);
/* Of an SSL of tls_connect, also after a failed handshake: what is wrong with the certificate in plain words, NULL if
 * nothing was found wrong. */
const char *tls_unverified(const struct ssl_st *ssl);

/* The local domain whose certificate was chosen: known once the ClientHello was read. Never NULL for an SSL of
 * tls_accept after the handshake. */
const char *tls_certificate_domain(const struct ssl_st *ssl);
/* After a failed handshake: REASON_SNI_UNKNOWN, REASON_ALPN, REASON_NO_EMS, else REASON_TLS_FAILED. */
enum reason tls_failure_reason(const struct ssl_st *ssl);
/* Mode monitor, after the handshake: what enforce would have refused in the ClientHello (name, ALPN), else REASON_NONE.
 */
enum reason tls_objection(const struct ssl_st *ssl);
/* Did the peer try to renegotiate (TLS-10)? Ask after every read; if so close the connection at once and send nothing.
 */
bool tls_renegotiated(const struct ssl_st *ssl);
/* Takes OpenSSL's error queue as one line without addresses ("no shared cipher"); "" when empty. */
void tls_error_text(struct errbuf *out);

#endif

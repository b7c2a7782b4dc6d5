/* SPDX-License-Identifier: MIT */
/* Sessions of earlier connections to remote domains, to be resumed: worker-local and bounded. For the tls room only. */
#ifndef PROXY_TLS_SESSIONS_PRIVATE_H
#define PROXY_TLS_SESSIONS_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

struct ssl_session_st;
struct tls_sessions;

/* No more than `most` sessions; the one that was used longest ago makes room. */
struct tls_sessions *tls_sessions_new(size_t most);
void tls_sessions_free(struct tls_sessions **sessions);
/* Takes a copy of the session, in place of an older one for the key. until_ms: of clock_ms. */
void tls_sessions_put(struct tls_sessions *sessions, const char *key, const struct ssl_session_st *session,
		      uint64_t until_ms);
/* The caller frees. NULL: none. A session of TLS 1.3 is given out once (RFC 8446 appendix C.4). */
struct ssl_session_st *tls_sessions_take(struct tls_sessions *sessions, const char *key, uint64_t now_ms);
void tls_sessions_drop(struct tls_sessions *sessions, const char *key);

#endif

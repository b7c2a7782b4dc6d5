/* SPDX-License-Identifier: MIT */
/* Roles, modes and levels: ordered enums with predicates, so that nobody compares levels elsewhere. Numerical order is
 * critical. */
#ifndef PROXY_POLICY_LEVEL_H
#define PROXY_POLICY_LEVEL_H

#include <stdbool.h>

enum role { ROLE_C2S_INBOUND, ROLE_S2S_INBOUND, ROLE_S2S_OUTBOUND, ROLE_C2S_OUTBOUND, ROLE_COUNT };
enum mode { MODE_ENFORCE, MODE_MONITOR, MODE_COUNT };
enum level {
	LEVEL_NONE,
	LEVEL_MAY,
	LEVEL_ENCRYPT,
	LEVEL_VERIFY,
	LEVEL_DANE,
	LEVEL_DANE_ONLY,
	LEVEL_FINGERPRINT,
	LEVEL_COUNT
};

const char *role_name(enum role role); /* "c2s-inbound" */
const char *mode_name(enum mode mode);
const char *level_name(enum level level);
bool role_is_inbound(enum role role);
/* Between servers: jabber:server, dialback, domain pairs. */
bool role_is_s2s(enum role role);
const char *role_content_ns(enum role role); /* jabber:client or jabber:server */
const char *role_alpn(enum role role);       /* xmpp-client or xmpp-server */
bool level_needs_tls(enum level level);
bool level_needs_identity(enum level level);
/* Does a ask for less than b? fingerprint asks for as much as verify: an identity, by another proof. */
bool level_is_weaker(enum level a, enum level b);
/* May a stream of that level go on without TLS: at levels none and may, and at every level in mode monitor. */
bool level_allows_plaintext(enum mode mode, enum level level);

#endif

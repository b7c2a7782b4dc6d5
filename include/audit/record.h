/* SPDX-License-Identifier: MIT */
/*
 * One audit record as one JSON object, by the audit-log contract. A member that does not apply is NULL (text), negative
 * (number where 0 means something) or OFF (tri-state) and is left out, never empty. Peer text is made valid UTF-8,
 * control and bidirectional characters escaped, capped at 1023 bytes a value. Secrets are never given to this module.
 */
#ifndef PROXY_AUDIT_RECORD_H
#define PROXY_AUDIT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum audit_flag { AUDIT_ABSENT = 0, AUDIT_FALSE, AUDIT_TRUE };
enum audit_outcome { AUDIT_SUCCESS, AUDIT_FAILURE, AUDIT_UNKNOWN };

struct audit_tls { /* one leg */
	enum audit_flag established;
	const char *version, *cipher, *curve, *next_protocol, *server_name;
	enum audit_flag resumed;
};

/* The leaf that one side presented: tls.server.x509.* or tls.client.x509.*, hash.sha256 and xmpp.peer.spki_sha256. */
struct audit_certificate {
	const char *subject, *issuer, *serial, *not_before, *not_after;
	const char *const *names; /* alternative_names */
	size_t name_count;
	const char *key_algorithm;
	int key_size; /* 0: absent */
	const char *signature_algorithm;
	const char *sha256, *spki_sha256;
};

struct audit_record {
	int64_t time_us;    /* clock_real_us */
	const char *id;     /* event.id: unique in this log; the keeper knows by it what it has written already */
	const char *action; /* "stream-closed" */
	enum audit_outcome outcome;
	int severity;            /* 0 info, 1 notice, 2 warning, 3 alert */
	const char *reason;      /* event.reason: one sentence */
	const char *reason_word; /* event.code: the reason table's word, for counting */
	int64_t duration_ns;     /* event.duration; negative: absent */
	const char *stream;      /* xmpp.stream */
	const char *source_ip;
	int source_port; /* 0: absent */
	const char *destination_ip, *destination_domain;
	int destination_port;
	const char *direction; /* network.direction; also sets network.protocol = xmpp */
	const char *role, *from, *to, *version;
	const char *level, *mode;
	enum audit_flag starttls_advertised, starttls_required;
	enum audit_flag starttls_differs; /* xmpp.starttls.differs: TRUE or absent; our own addition (STRIP-9) */
	const char *starttls_result;
	struct audit_tls outer, inner;
	const char *verification_method, *verification_result, *verification_reason;
	const char *verification_identity, *verification_matched;
	const struct audit_certificate *server_certificate, *client_certificate; /* network-facing leg; NULL: absent */
	const struct audit_certificate *previous_certificate; /* xmpp.peer.previous, of certificate-changed */
	/* xmpp.policy.rule (our own addition: the pattern of the rule in `peers` that decided, or the role whose level
	 * did), .reason, .until */
	const char *policy_rule, *policy_reason, *policy_until;
	const char *dnssec; /* xmpp.dns.dnssec: "secure" or "insecure"; our own addition (DB-16) */
	const char *inner_verification_method, *inner_verification_result, *inner_verification_reason;
	const char *auth_method, *auth_identity;
	const char *error;                                                /* xmpp.error */
	int64_t source_bytes, destination_bytes, stanzas_in, stanzas_out; /* negative: absent */
	/* the proxy's own life (proxy-started …) */
	const char *version_text; /* service.version */
	const char *previous;     /* audit.previous: set by the writer, for checkpoints */
};

/* Everything absent; time, action and outcome are then the caller's to set. */
void audit_record_init(struct audit_record *r);
/* The object's text `{…}` on one line, without the `audit` member; allocated, the caller frees with mem_free. */
char *audit_record_json(const struct audit_record *r, size_t *len_out);

#endif

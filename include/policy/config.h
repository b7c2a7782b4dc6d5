/* SPDX-License-Identifier: MIT */
/*
 * The configuration: one schema (policy/schema.h) fills this one immutable struct. Reference-counted: sessions keep the
 * one they started with. Nothing here is ever changed after config_load has returned.
 */
#ifndef PROXY_POLICY_CONFIG_H
#define PROXY_POLICY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/log.h"
#include "policy/diag.h"
#include "policy/files.h"
#include "policy/level.h"

/* A file named by a key: its path made absolute, and its bytes. path NULL: not set. */
struct config_file {
	char *path;
	char *data; /* NUL-terminated behind len bytes */
	size_t len;
	bool secret;
	struct config_mark mark;
};

enum listener_tls {
	LISTENER_TLS_AUTO,
	LISTENER_TLS_STARTTLS,
	LISTENER_TLS_DIRECT,
	LISTENER_TLS_NONE,
	LISTENER_TLS_COUNT
};
enum listener_intercept { INTERCEPT_NONE, INTERCEPT_REDIRECT, INTERCEPT_TPROXY, INTERCEPT_COUNT };

/* dns: SRV and addresses of the remote domain; original-destination: where the intercepted connection was going. */
enum listener_next_hop { NEXT_HOP_DNS, NEXT_HOP_ORIGINAL_DESTINATION, NEXT_HOP_COUNT };

struct config_listener {
	struct config_mark mark;
	int role; /* enum role */
	struct addr address;
	struct config_mark address_mark;
	int tls; /* enum listener_tls; outbound roles: none */
	bool tls_set;
	struct config_mark tls_mark;
	int intercept;
	struct config_mark intercept_mark;
	int next_hop; /* our own addition: where an outbound stream is taken to */
	struct config_mark next_hop_mark;
	/* accept-from, our own addition: who may connect to an outbound listener; none said: loopback and the addresses
	 * of the domains' backends. */
	struct cidr *accept_from;
	size_t accept_from_count;
	struct cidr *accept_proxy; /* accept-proxy-protocol */
	size_t accept_proxy_count;
};

enum backend_tls { BACKEND_TLS_NEVER, BACKEND_TLS_OPPORTUNISTIC, BACKEND_TLS_REQUIRED, BACKEND_TLS_COUNT };
enum proxy_protocol { PROXY_PROTOCOL_NONE, PROXY_PROTOCOL_V1, PROXY_PROTOCOL_V2, PROXY_PROTOCOL_COUNT };
enum backend_source { BACKEND_SOURCE_PROXY, BACKEND_SOURCE_CLIENT, BACKEND_SOURCE_COUNT };

struct config_backend {
	struct config_mark mark;
	struct addr c2s; /* len 0: not set */
	struct config_mark c2s_mark;
	struct addr s2s;
	struct config_mark s2s_mark;
	int tls;
	int proxy_protocol;
	int source;
	bool allow_remote_plaintext;
};

/* A further certificate of a domain, of another kind of key. */
struct config_credential {
	struct config_mark mark;
	struct config_file certificate;
	struct config_file private_key;
	struct config_file ocsp_response;
};

struct config_domain {
	struct config_mark mark;
	char *name; /* normalised (domain_normalise) */
	struct config_mark name_mark;
	struct config_file certificate;
	struct config_file private_key;
	struct config_file ocsp_response;
	struct config_credential *more_certificates;
	size_t more_certificate_count;
	char **server_names; /* our own addition: further names a client may send as SNI (SRV targets, TLS-16),
				normalised */
	size_t server_name_count;
	struct config_backend backend;
};

enum tls_profile { TLS_PROFILE_MODERN, TLS_PROFILE_BCP195, TLS_PROFILE_COMPAT, TLS_PROFILE_COUNT };
enum client_certificate {
	CLIENT_CERTIFICATE_NO,
	CLIENT_CERTIFICATE_REQUEST,
	CLIENT_CERTIFICATE_REQUIRE,
	CLIENT_CERTIFICATE_COUNT
};

struct config_tls {
	struct config_mark mark;
	int profile;
	int min_version;                       /* 0: the profile's; else 10, 11, 12, 13 */
	char *ciphers, *ciphersuites, *groups; /* NULL: the profile's */
	struct config_mark ciphers_mark, ciphersuites_mark, groups_mark;
	int64_t min_rsa_bits, min_ec_bits;
	bool session_resumption;
	bool session_resumption_set;
	int64_t ticket_lifetime;    /* ms */
	struct config_file ca_file; /* the system's, without a mark, where one is needed and none was given */
	struct config_file crl_file;
	int client_certificate;
	struct config_mark client_certificate_mark;
};

/* A rule of `peers`: an exception by remote domain. First match wins (policy/peer.h). */
struct config_peer {
	struct config_mark mark;
	char *domain; /* normalised; a leading "*." stands for one or more labels */
	struct config_mark domain_mark;
	int level; /* enum level; -1: the role's */
	struct config_mark level_mark;
	char **fingerprints; /* "sha256:HEX", "spki-sha256:HEX", HEX lower-case, 64 digits, without colons */
	size_t fingerprint_count;
	struct config_mark fingerprints_mark;
	char *connect_host; /* instead of DNS: a name or a numeric address (no brackets); NULL: DNS */
	uint16_t connect_port;
	struct config_mark connect_mark;
	struct config_tls tls;     /* the common settings with those of the rule laid over them; owns nothing */
	struct config_tls own_tls; /* what the rule says: profile -1, numbers 0 and texts NULL where it says nothing */
	bool tls_set;              /* the rule has settings of its own */
	char *reason;              /* NULL: none given */
	char *until_text;          /* "2027-03-31"; NULL: for ever */
	int64_t until;             /* the last second of that day, UTC, since 1970; INT64_MAX: for ever */
	struct config_mark until_mark;
};

struct config_dns {
	struct addr
	    *servers; /* those of the file, else those of /etc/resolv.conf, in order; port 53 where none is said */
	size_t server_count;
	struct config_file trust_anchor; /* DS or DNSKEY records as text; the system's where none was named */
	int64_t timeout;                 /* ms */
};

enum compression_policy { COMPRESSION_STRIP, COMPRESSION_PASS, COMPRESSION_COUNT };
enum certificate_change { CERTIFICATE_CHANGE_WARN, CERTIFICATE_CHANGE_REFUSE, CERTIFICATE_CHANGE_COUNT };

struct config_policy {
	int level[ROLE_COUNT]; /* enum level */
	struct config_mark level_mark[ROLE_COUNT];
	int compression;
	char **mechanisms_refused;
	size_t mechanisms_refused_count;
	int on_certificate_change;
};

struct config_limits {
	int64_t connections, connections_per_address;
	int64_t unauthenticated_stanza; /* bytes */
	int64_t stanza;                 /* bytes; 0: blind after authentication */
	int64_t depth;
	int64_t buffer; /* bytes */
};

struct config_timeouts { /* milliseconds; 0: never, where allowed */
	int64_t connect, negotiation, authentication, idle, drain;
};

enum audit_output { AUDIT_STDOUT, AUDIT_FILE, AUDIT_SYSLOG, AUDIT_JOURNALD, AUDIT_OUTPUT_COUNT };
enum audit_on_failure { AUDIT_REFUSE, AUDIT_CONTINUE, AUDIT_ON_FAILURE_COUNT };

struct config_audit {
	int output;      /* enum audit_output */
	char *file_path; /* absolute, for AUDIT_FILE */
	struct config_mark output_mark;
	int on_failure;
	bool chain;
	struct config_file signing_key;
};

struct config_log {
	int output; /* enum log_output */
	int level;  /* enum log_level */
};

struct config_admin {
	char *socket; /* absolute path */
	struct addr metrics;
};

struct config {
	unsigned refs;
	char *file;      /* as named on the command line */
	char *directory; /* that relative paths start from, absolute */
	int mode;        /* enum mode */
	struct config_mark mode_mark;
	int64_t workers; /* 0: auto */
	char *user;
	bool user_set; /* said in the file, not the default */
	struct config_mark user_mark;
	char *state_directory;
	struct config_listener *listeners;
	size_t listener_count;
	struct config_domain *domains;
	size_t domain_count;
	struct config_mark domains_mark;
	struct config_tls tls;
	struct config_policy policy;
	struct config_peer *peers;
	size_t peer_count;
	struct config_dns dns;
	struct config_limits limits;
	struct config_timeouts timeouts;
	struct config_audit audit;
	struct config_log log;
	struct config_admin admin;
};

/*
 * Reads `path` and every file it names through `source`. Findings go to `diags` (all of them in one run). Returns NULL
 * if any is an error. The result has one reference.
 */
struct config *config_load(const char *path, const struct file_source *source, struct diag_list *diags);
/* The same, but never NULL: where diags has an error, what could not be read is absent or at its default. Only good for
 * further checks. */
struct config *config_read(const char *path, const struct file_source *source, struct diag_list *diags);
struct config *config_ref(struct config *config);
void config_unref(struct config **config);

/* The domain of that normalised name, or NULL. */
const struct config_domain *config_find_domain(const struct config *config, const char *name);
/* As above, also by `server-names` (what a client may send as SNI). */
const struct config_domain *config_find_server_name(const struct config *config, const char *name);
/* May the leg to the domain's backend for that role be plaintext (TLS-25): backend.tls does not forbid it, and the
 * backend is local or remote plaintext is allowed. */
bool config_backend_may_plaintext(const struct config_domain *domain, enum role role);
/* The domain as if number `more` of its more_certificates were its only one. Owns nothing: lives as long as domain. */
struct config_domain config_domain_with(const struct config_domain *domain, size_t more);
/*
 * What the calendar says of the rules in `peers`: those that are over, and those that will be within 30 days. Warnings.
 * now: seconds since 1970.
 */
void config_check_dates(const struct config *config, int64_t now, struct diag_list *diags);
/* Is there a listener of that role? */
bool config_has_role(const struct config *config, enum role role);
/* Is any listener of a role that looks DNS up / that has remote domains (any but c2s-inbound)? */
bool config_needs_dns(const struct config *config);
bool config_has_peers(const struct config *config);
/* The backend's address for that role; len 0: none (outbound roles have none). */
const struct addr *config_backend_address(const struct config_domain *domain, enum role role);

#endif

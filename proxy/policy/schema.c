/* SPDX-License-Identifier: MIT */
/*
 * The schema's top and the blocks that have no parts of their own, and how a row is put into words: for errors, the
 * reference page and the sample alike. The blocks with parts are in schema_streams.c. Defaults of the program stand in
 * these two files and nowhere else.
 */
#include "policy/schema_private.h"

#include <inttypes.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "policy/config.h"

#define MS 1
#define SECOND (1000LL * MS)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define KIB 1024LL
#define MIB (1024 * KIB)

const char schema_later[] = "is not available in this version";

static const struct schema_choice modes[] = {
    {"enforce", MODE_ENFORCE, NULL}, {"monitor", MODE_MONITOR, NULL}, {NULL, 0, NULL}};
static const struct schema_choice audit_outputs[] = {{"stdout", AUDIT_STDOUT, NULL},
						     {"syslog", AUDIT_SYSLOG, NULL},
						     {"journald", AUDIT_JOURNALD, NULL},
						     {NULL, 0, NULL}};
static const struct schema_choice audit_failures[] = {
    {"refuse", AUDIT_REFUSE, NULL}, {"continue", AUDIT_CONTINUE, NULL}, {NULL, 0, NULL}};
static const struct schema_choice log_outputs[] = {{"stderr", LOG_OUTPUT_STDERR, NULL},
						   {"syslog", LOG_OUTPUT_SYSLOG, NULL},
						   {"journald", LOG_OUTPUT_JOURNALD, NULL},
						   {NULL, 0, NULL}};
static const struct schema_choice log_levels[] = {{"error", LOG_LEVEL_ERROR, NULL},
						  {"warn", LOG_LEVEL_WARN, NULL},
						  {"info", LOG_LEVEL_INFO, NULL},
						  {"debug", LOG_LEVEL_DEBUG, NULL},
						  {NULL, 0, NULL}};

#define LATER_ONLY (SCHEMA_LATER | SCHEMA_NO_STORE)

#define DNS(field) .offset = offsetof(struct config_dns, field)
static const struct schema_row dns_rows[] = {
    {.name = "servers",
     .type = SCHEMA_SERVERS,
     DNS(servers),
     .also = offsetof(struct config_dns, server_count),
     .dflt = "[]",
     .example = "\"127.0.0.1@53\"",
     .help = "Resolvers as HOST[@PORT]; empty: those of /etc/resolv.conf"},
    {.name = "trust-anchor",
     .type = SCHEMA_FILE,
     DNS(trust_anchor),
     .dflt = "null",
     .example = "root.key",
     .help = "DNSSEC trust anchor, DS or DNSKEY records; null: the root anchor of the system"},
    {.name = "timeout",
     .type = SCHEMA_DURATION,
     DNS(timeout),
     .dflt = "5s",
     .min = 100 * MS,
     .max = HOUR,
     .help = "How long the SRV records of a domain may take, and then the addresses"},
};

#define LIMIT(field) .offset = offsetof(struct config_limits, field)
static const char stanza_floor[] = "RFC 6120 section 13.12.4 has every server take stanzas of 10000 bytes";

static const struct schema_row limits_rows[] = {
    {.name = "connections",
     .type = SCHEMA_INT,
     LIMIT(connections),
     .dflt = "100000",
     .min = 1,
     .max = 10000000,
     .help = "Accepted connections, all workers together"},
    {.name = "connections-per-address",
     .type = SCHEMA_INT,
     LIMIT(connections_per_address),
     .dflt = "200",
     .min = 1,
     .max = 10000000,
     .help = "Of these from one IPv4 address or one IPv6 /64"},
    {.name = "unauthenticated-stanza",
     .type = SCHEMA_SIZE,
     LIMIT(unauthenticated_stanza),
     .dflt = "16k",
     .min = 10000,
     .max = 16 * MIB,
     .why = stanza_floor,
     .help = "One top-level element before authentication"},
    {.name = "stanza",
     .type = SCHEMA_SIZE,
     .flags = SCHEMA_ZERO,
     LIMIT(stanza),
     .dflt = "512k",
     .min = 10000,
     .max = 1024 * MIB,
     .why = stanza_floor,
     .help = "One top-level element after authentication; 0: bytes are passed on unread"},
    {.name = "depth",
     .type = SCHEMA_INT,
     LIMIT(depth),
     .dflt = "64",
     .min = 8,
     .max = 1000,
     .help = "Nested elements in one top-level element"},
    {.name = "buffer",
     .type = SCHEMA_SIZE,
     LIMIT(buffer),
     .dflt = "256k",
     .min = 16 * KIB,
     .max = 256 * MIB,
     .help = "One direction of one stream; past it reading pauses"},
};

#define TIMEOUT(field) .offset = offsetof(struct config_timeouts, field)
static const struct schema_row timeouts_rows[] = {
    {.name = "connect",
     .type = SCHEMA_DURATION,
     TIMEOUT(connect),
     .dflt = "10s",
     .min = 1,
     .max = DAY,
     .help = "Connecting to the legacy server, or to one address of a remote one"},
    {.name = "negotiation",
     .type = SCHEMA_DURATION,
     TIMEOUT(negotiation),
     .dflt = "30s",
     .min = 1,
     .max = DAY,
     .help = "From accept to an encrypted stream on both legs"},
    {.name = "authentication",
     .type = SCHEMA_DURATION,
     TIMEOUT(authentication),
     .dflt = "60s",
     .min = 1,
     .max = DAY,
     .help = "To SASL success, a valid dialback or a jabber:iq:auth result"},
    {.name = "idle",
     .type = SCHEMA_DURATION,
     .flags = SCHEMA_ZERO,
     TIMEOUT(idle),
     .dflt = "0",
     .min = 1,
     .max = 365 * DAY,
     .help = "How long nothing may pass on a stream; 0: for ever (TCP keepalive is always on)"},
    {.name = "drain",
     .type = SCHEMA_DURATION,
     .flags = SCHEMA_ZERO,
     TIMEOUT(drain),
     .dflt = "30s",
     .min = 1,
     .max = 7 * DAY,
     .help = "How long open streams may go on when stopping; 0: not at all"},
};

static const struct schema_row audit_rows[] = {
    {.name = "output",
     .type = SCHEMA_OUTPUT,
     .offset = offsetof(struct config_audit, output),
     .also = offsetof(struct config_audit, file_path),
     .mark = offsetof(struct config_audit, output_mark),
     .choices = audit_outputs,
     .dflt = "stdout",
     .example = "file:/var/log/portcullis/audit.log",
     .help = "Where audit records go"},
    {.name = "on-failure",
     .type = SCHEMA_CHOICE,
     .offset = offsetof(struct config_audit, on_failure),
     .choices = audit_failures,
     .dflt = "refuse",
     .help = "What to do with new streams while the audit log cannot be written"},
    {.name = "chain",
     .type = SCHEMA_BOOL,
     .offset = offsetof(struct config_audit, chain),
     .dflt = "true",
     .help = "Hash chain over the records of a file"},
    {.name = "signing-key",
     .type = SCHEMA_FILE,
     .flags = SCHEMA_LATER | SCHEMA_SECRET,
     .offset = offsetof(struct config_audit, signing_key),
     .dflt = "null",
     .example = "audit.key",
     .help = "Ed25519 key in PEM that signs the checkpoints of the chain"},
};

static const struct schema_row log_rows[] = {
    {.name = "output",
     .type = SCHEMA_CHOICE,
     .offset = offsetof(struct config_log, output),
     .choices = log_outputs,
     .dflt = "stderr",
     .help = "Where the operator's log goes, apart from the audit log"},
    {.name = "level",
     .type = SCHEMA_CHOICE,
     .offset = offsetof(struct config_log, level),
     .choices = log_levels,
     .dflt = "info",
     .help = "How much it says"},
};

static const struct schema_row admin_rows[] = {
    {.name = "socket",
     .type = SCHEMA_PATH,
     .offset = offsetof(struct config_admin, socket),
     .max = 107,
     .dflt = "/run/portcullis/control.sock",
     .help = "Unix socket of the status and reload subcommands, mode 0600"},
    {.name = "metrics",
     .type = SCHEMA_ADDR,
     .flags = SCHEMA_LATER | SCHEMA_NO_UNIX,
     .offset = offsetof(struct config_admin, metrics),
     .dflt = "null",
     .example = "\"127.0.0.1:9180\"",
     .help = "HOST:PORT that answers GET /metrics and /healthz"},
};

#define BLOCK_OF(rows_)                                    \
	{                                                  \
		.rows = (rows_), .count = ARRAY_LEN(rows_) \
	}
const struct schema_block schema_dns = BLOCK_OF(dns_rows);
static const struct schema_block limits_block = BLOCK_OF(limits_rows);
static const struct schema_block timeouts_block = BLOCK_OF(timeouts_rows);
static const struct schema_block audit_block = BLOCK_OF(audit_rows);
static const struct schema_block log_block = BLOCK_OF(log_rows);
static const struct schema_block admin_block = BLOCK_OF(admin_rows);

#define ROOT(field) .offset = offsetof(struct config, field)
static const struct schema_row root_rows[] = {
    {.name = "mode",
     .type = SCHEMA_CHOICE,
     ROOT(mode),
     .mark = offsetof(struct config, mode_mark),
     .choices = modes,
     .dflt = "enforce",
     .help = "Whether the policy is enforced, or (monitor) only what it would refuse is logged"},
    {.name = "workers",
     .type = SCHEMA_INT,
     ROOT(workers),
     .word = "auto",
     .min = 1,
     .max = 256,
     .dflt = "auto",
     .help = "Worker processes; auto: one per CPU that this process may use"},
    {.name = "user",
     .type = SCHEMA_STRING,
     ROOT(user),
     .set = offsetof(struct config, user_set),
     .mark = offsetof(struct config, user_mark),
     .dflt = "portcullis",
     .help = "Account taken when started as root, with its primary group"},
    {.name = "state-directory",
     .type = SCHEMA_PATH,
     ROOT(state_directory),
     .dflt = "/var/lib/portcullis",
     .help = "Where what is remembered of peers is kept"},
    {.name = "listeners",
     .type = SCHEMA_LIST,
     .flags = SCHEMA_REQUIRED | SCHEMA_NOT_EMPTY,
     ROOT(listeners),
     .also = offsetof(struct config, listener_count),
     .block = &schema_listener,
     .help = "What is listened on, and for whom"},
    {.name = "domains",
     .type = SCHEMA_LIST,
     .flags = SCHEMA_NEEDED | SCHEMA_NOT_EMPTY,
     ROOT(domains),
     .also = offsetof(struct config, domain_count),
     .mark = offsetof(struct config, domains_mark),
     .block = &schema_domain,
     .help = "The local XMPP domains; the stream header picks one; c2s-outbound listeners alone need none"},
    {.name = "tls", .type = SCHEMA_BLOCK, ROOT(tls), .block = &schema_tls, .help = "TLS on the network-facing leg"},
    {.name = "policy",
     .type = SCHEMA_BLOCK,
     ROOT(policy),
     .block = &schema_policy,
     .help = "What is asked of a stream, for each role"},
    {.name = "peers",
     .type = SCHEMA_LIST,
     ROOT(peers),
     .also = offsetof(struct config, peer_count),
     .dflt = "[]",
     .block = &schema_peer,
     .help = "Exceptions by remote domain; the first match wins"},
    {.name = "dns", .type = SCHEMA_BLOCK, ROOT(dns), .block = &schema_dns, .help = "Name resolution"},
    {.name = "limits", .type = SCHEMA_BLOCK, ROOT(limits), .block = &limits_block, .help = "Bounds on peers"},
    {.name = "timeouts", .type = SCHEMA_BLOCK, ROOT(timeouts), .block = &timeouts_block, .help = "Bounds in time"},
    {.name = "audit",
     .type = SCHEMA_BLOCK,
     ROOT(audit),
     .block = &audit_block,
     .help = "The audit log: one record for everything that happens to a stream"},
    {.name = "log", .type = SCHEMA_BLOCK, ROOT(log), .block = &log_block, .help = "The operator's log"},
    {.name = "admin", .type = SCHEMA_BLOCK, ROOT(admin), .block = &admin_block, .help = "The operator's access"},
};
_Static_assert(ARRAY_LEN(root_rows) <= SCHEMA_KEYS_MAX, "more keys than a block may have");

const struct schema_block schema_root = BLOCK_OF(root_rows);

/* SPDX-License-Identifier: MIT */
/*
 * The schema of what decides over a stream: listeners, domains with their backend, TLS, policy. Offsets speak of the
 * structs of policy/config.h. The exceptions to it, by remote domain, are in schema_peers.c.
 */
#include "policy/schema_private.h"

#include "base/array.h"
#include "policy/config.h"

#define SECOND 1000LL
#define DAY (86400 * SECOND)

#define BLOCK_OF(rows_)                                                    \
	{                                                                  \
		.rows = (rows_), .count = ARRAY_LEN(rows_), .marked = true \
	}
#define LIST_OF(rows_, type_, key_)                                                                              \
	{                                                                                                        \
		.rows = (rows_), .count = ARRAY_LEN(rows_), .size = sizeof(type_), .marked = true, .key = (key_) \
	}

static const struct schema_choice roles[] = {{"c2s-inbound", ROLE_C2S_INBOUND, NULL},
					     {"s2s-inbound", ROLE_S2S_INBOUND, NULL},
					     {"s2s-outbound", ROLE_S2S_OUTBOUND, NULL},
					     {"c2s-outbound", ROLE_C2S_OUTBOUND, NULL},
					     {NULL, 0, NULL}};
static const struct schema_choice listener_tls[] = {{"auto", LISTENER_TLS_AUTO, NULL},
						    {"starttls", LISTENER_TLS_STARTTLS, NULL},
						    {"direct", LISTENER_TLS_DIRECT, NULL},
						    {"none", LISTENER_TLS_NONE, NULL},
						    {NULL, 0, NULL}};
static const struct schema_choice intercepts[] = {{"none", INTERCEPT_NONE, NULL},
						  {"redirect", INTERCEPT_REDIRECT, NULL},
						  {"tproxy", INTERCEPT_TPROXY, schema_later},
						  {NULL, 0, NULL}};
static const struct schema_choice next_hops[] = {
    {"dns", NEXT_HOP_DNS, NULL}, {"original-destination", NEXT_HOP_ORIGINAL_DESTINATION, NULL}, {NULL, 0, NULL}};

#define LISTENER(field) .offset = offsetof(struct config_listener, field)
#define LISTENER_MARK(field) .mark = offsetof(struct config_listener, field##_mark)
static const struct schema_row listener_rows[] = {
    {.name = "role",
     .type = SCHEMA_CHOICE,
     .flags = SCHEMA_REQUIRED,
     LISTENER(role),
     .choices = roles,
     .example = "c2s-inbound",
     .help = "Who connects here: clients or servers, from the network or from the legacy side"},
    {.name = "address",
     .type = SCHEMA_ADDR,
     .flags = SCHEMA_REQUIRED | SCHEMA_NO_UNIX,
     LISTENER(address),
     LISTENER_MARK(address),
     .example = "\"[::]:5222\"",
     .help = "Where to listen; [::] takes IPv4 too"},
    {.name = "tls",
     .type = SCHEMA_CHOICE,
     LISTENER(tls),
     LISTENER_MARK(tls),
     .set = offsetof(struct config_listener, tls_set),
     .choices = listener_tls,
     .dflt = "auto",
     .help = "How TLS begins; auto: by the first byte, direct TLS or STARTTLS; outbound roles take none only"},
    {.name = "intercept",
     .type = SCHEMA_CHOICE,
     LISTENER(intercept),
     LISTENER_MARK(intercept),
     .choices = intercepts,
     .dflt = "none",
     .help = "Outbound: take redirected connections, whose original destination the kernel knows"},
    {.name = "next-hop",
     .type = SCHEMA_CHOICE,
     LISTENER(next_hop),
     LISTENER_MARK(next_hop),
     .choices = next_hops,
     .dflt = "dns",
     .help = "Outbound: where to connect to; original-destination needs intercept: redirect"},
    {.name = "accept-from",
     .type = SCHEMA_CIDRS,
     LISTENER(accept_from),
     .also = offsetof(struct config_listener, accept_from_count),
     .dflt = "[]",
     .example = "10.0.0.10/32",
     .help = "Outbound: the networks of the legacy side; empty: loopback and the addresses of the backends"},
    {.name = "accept-proxy-protocol",
     .type = SCHEMA_CIDRS,
     LISTENER(accept_proxy),
     .also = offsetof(struct config_listener, accept_proxy_count),
     .dflt = "[]",
     .example = "10.0.0.0/8",
     .help = "Inbound: from these networks a PROXY header is required and believed"},
};
const struct schema_block schema_listener = LIST_OF(listener_rows, struct config_listener, "role");

static const struct schema_choice backend_tls[] = {{"never", BACKEND_TLS_NEVER, NULL},
						   {"opportunistic", BACKEND_TLS_OPPORTUNISTIC, NULL},
						   {"required", BACKEND_TLS_REQUIRED, NULL},
						   {NULL, 0, NULL}};
static const struct schema_choice proxy_protocols[] = {{"none", PROXY_PROTOCOL_NONE, NULL},
						       {"v1", PROXY_PROTOCOL_V1, NULL},
						       {"v2", PROXY_PROTOCOL_V2, NULL},
						       {NULL, 0, NULL}};
static const struct schema_choice sources[] = {
    {"proxy", BACKEND_SOURCE_PROXY, NULL}, {"client", BACKEND_SOURCE_CLIENT, schema_later}, {NULL, 0, NULL}};

#define BACKEND(field) .offset = offsetof(struct config_backend, field)
static const struct schema_row backend_rows[] = {
    {.name = "c2s",
     .type = SCHEMA_ADDR,
     .flags = SCHEMA_SHOWN,
     BACKEND(c2s),
     .mark = offsetof(struct config_backend, c2s_mark),
     .dflt = "null",
     .example = "\"127.0.0.1:15222\"",
     .help = "Where the legacy server takes clients; needed with a c2s-inbound listener"},
    {.name = "s2s",
     .type = SCHEMA_ADDR,
     BACKEND(s2s),
     .mark = offsetof(struct config_backend, s2s_mark),
     .dflt = "null",
     .example = "\"127.0.0.1:15269\"",
     .help = "Where the legacy server takes other servers; needed with an s2s-inbound listener"},
    {.name = "tls",
     .type = SCHEMA_CHOICE,
     BACKEND(tls),
     .choices = backend_tls,
     .dflt = "never",
     .help = "TLS to the legacy server; opportunistic: any certificate, else plaintext; required: verified by ca-file"},
    {.name = "proxy-protocol",
     .type = SCHEMA_CHOICE,
     BACKEND(proxy_protocol),
     .choices = proxy_protocols,
     .dflt = "none",
     .help = "Tell the legacy server by a PROXY header who the client is; v2 tells of its TLS too"},
    {.name = "source",
     .type = SCHEMA_CHOICE,
     BACKEND(source),
     .choices = sources,
     .dflt = "proxy",
     .help = "Whose address the legacy server sees"},
    {.name = "allow-remote-plaintext",
     .type = SCHEMA_BOOL,
     BACKEND(allow_remote_plaintext),
     .dflt = "false",
     .help = "Allow plaintext to a legacy server that is neither on loopback nor a Unix socket"},
};
static const struct schema_block backend_block = BLOCK_OF(backend_rows);

#define CREDENTIAL(field) .offset = offsetof(struct config_credential, field)
static const struct schema_row credential_rows[] = {
    {.name = "certificate",
     .type = SCHEMA_FILE,
     .flags = SCHEMA_REQUIRED,
     CREDENTIAL(certificate),
     .example = "tls/example.com/fullchain-rsa.pem",
     .help = "Certificates in PEM, leaf first"},
    {.name = "private-key",
     .type = SCHEMA_FILE,
     .flags = SCHEMA_REQUIRED | SCHEMA_SECRET,
     CREDENTIAL(private_key),
     .example = "tls/example.com/privkey-rsa.pem",
     .help = "Its private key in PEM"},
    {.name = "ocsp-response",
     .type = SCHEMA_FILE,
     CREDENTIAL(ocsp_response),
     .dflt = "null",
     .example = "tls/example.com/ocsp-rsa.der",
     .help = "OCSP response in DER to staple with it"},
};
static const struct schema_block credential_block = LIST_OF(credential_rows, struct config_credential, "certificate");

#define DOMAIN(field) .offset = offsetof(struct config_domain, field)
static const struct schema_row domain_rows[] = {
    {.name = "name",
     .type = SCHEMA_DOMAIN,
     .flags = SCHEMA_REQUIRED,
     DOMAIN(name),
     .mark = offsetof(struct config_domain, name_mark),
     .example = "example.com",
     .help = "The domain as it stands in addresses"},
    {.name = "server-names",
     .type = SCHEMA_DOMAINS,
     DOMAIN(server_names),
     .also = offsetof(struct config_domain, server_name_count),
     .dflt = "[]",
     .example = "xmpp.example.com",
     .help = "Further names that clients may send in TLS (SNI), such as the targets of SRV records"},
    {.name = "certificate",
     .type = SCHEMA_FILE,
     .flags = SCHEMA_SHOWN,
     DOMAIN(certificate),
     .dflt = "null",
     .example = "tls/example.com/fullchain.pem",
     .help = "Certificates in PEM, leaf first"},
    {.name = "private-key",
     .type = SCHEMA_FILE,
     .flags = SCHEMA_SHOWN | SCHEMA_SECRET,
     DOMAIN(private_key),
     .dflt = "null",
     .example = "tls/example.com/privkey.pem",
     .help = "Its private key in PEM"},
    {.name = "ocsp-response",
     .type = SCHEMA_FILE,
     DOMAIN(ocsp_response),
     .dflt = "null",
     .example = "tls/example.com/ocsp.der",
     .help = "OCSP response in DER to staple"},
    {.name = "more-certificates",
     .type = SCHEMA_LIST,
     DOMAIN(more_certificates),
     .also = offsetof(struct config_domain, more_certificate_count),
     .dflt = "[]",
     .block = &credential_block,
     .help = "Certificates of other kinds of key, RSA beside ECDSA; a client gets one it can verify, ECDSA first"},
    {.name = "backend",
     .type = SCHEMA_BLOCK,
     DOMAIN(backend),
     .block = &backend_block,
     .help = "The legacy server of this domain"},
};
const struct schema_block schema_domain = LIST_OF(domain_rows, struct config_domain, "name");

static const struct schema_choice profiles[] = {
    {"modern", TLS_PROFILE_MODERN, NULL},
    {"bcp195", TLS_PROFILE_BCP195, NULL},
    {"compat", TLS_PROFILE_COMPAT, "is only for one peer at a time, never for all of them"},
    {NULL, 0, NULL}};
#define TOO_OLD "is forbidden by RFC 8996: the least is \"1.2\""
static const struct schema_choice versions[] = {
    {"1.0", 10, TOO_OLD}, {"1.1", 11, TOO_OLD}, {"1.2", 12, NULL}, {"1.3", 13, NULL}, {NULL, 0, NULL}};
static const struct schema_choice client_certificates[] = {{"no", CLIENT_CERTIFICATE_NO, NULL},
							   {"request", CLIENT_CERTIFICATE_REQUEST, NULL},
							   {"require", CLIENT_CERTIFICATE_REQUIRE, NULL},
							   {NULL, 0, NULL}};

#define TLS(field) .offset = offsetof(struct config_tls, field)
#define TLS_MARK(field) .mark = offsetof(struct config_tls, field##_mark)
static const struct schema_row tls_rows[] = {
    {.name = "profile",
     .type = SCHEMA_CHOICE,
     TLS(profile),
     .choices = profiles,
     .dflt = "bcp195",
     .help = "modern: TLS 1.3 only; bcp195: TLS 1.2 and 1.3 as RFC 9325 asks"},
    {.name = "min-version",
     .type = SCHEMA_CHOICE,
     TLS(min_version),
     .choices = versions,
     .dflt = "null",
     .example = "\"1.2\"",
     .help = "Least TLS version; null: the one of the profile"},
    {.name = "ciphers",
     .type = SCHEMA_STRING,
     TLS(ciphers),
     TLS_MARK(ciphers),
     .dflt = "null",
     .example = "ECDHE-ECDSA-AES256-GCM-SHA384",
     .help = "OpenSSL cipher list for TLS 1.2; null: that of the profile"},
    {.name = "ciphersuites",
     .type = SCHEMA_STRING,
     TLS(ciphersuites),
     TLS_MARK(ciphersuites),
     .dflt = "null",
     .example = "TLS_AES_256_GCM_SHA384",
     .help = "OpenSSL list of TLS 1.3 suites; null: that of the profile"},
    {.name = "groups",
     .type = SCHEMA_STRING,
     TLS(groups),
     TLS_MARK(groups),
     .dflt = "null",
     .example = "X25519:P-256",
     .help = "OpenSSL list of key exchange groups; null: that of the profile"},
    {.name = "min-rsa-bits",
     .type = SCHEMA_INT,
     TLS(min_rsa_bits),
     .dflt = "2048",
     .min = 2048,
     .max = 16384,
     .why = "RFC 9325 section 4.5",
     .help = "Least size of an RSA key in a certificate"},
    {.name = "min-ec-bits",
     .type = SCHEMA_INT,
     TLS(min_ec_bits),
     .dflt = "256",
     .min = 256,
     .max = 521,
     .why = "RFC 9325 section 4.5",
     .help = "Least size of an elliptic curve key in a certificate"},
    {.name = "session-resumption",
     .type = SCHEMA_BOOL,
     TLS(session_resumption),
     .set = offsetof(struct config_tls, session_resumption_set),
     .dflt = "true",
     .help = "Whether who connects gets session tickets, and sessions with remote servers are resumed"},
    {.name = "ticket-lifetime",
     .type = SCHEMA_DURATION,
     TLS(ticket_lifetime),
     .dflt = "12h",
     .min = SECOND,
     .max = 7 * DAY,
     .why = "RFC 9325 section 3.4",
     .help = "How often the key of the tickets is replaced"},
    {.name = "ca-file",
     .type = SCHEMA_FILE,
     TLS(ca_file),
     .dflt = "null",
     .example = "ca.pem",
     .help = "Certificate authorities to trust; null: those of the system"},
    {.name = "crl-file",
     .type = SCHEMA_FILE,
     .flags = SCHEMA_LATER,
     TLS(crl_file),
     .dflt = "null",
     .example = "crl.pem",
     .help = "Revocation lists; with it a missing list is a failure"},
    {.name = "client-certificate",
     .type = SCHEMA_CHOICE,
     TLS(client_certificate),
     TLS_MARK(client_certificate),
     .choices = client_certificates,
     .dflt = "request",
     .help = "What inbound listeners ask of the initiating entity"},
};
const struct schema_block schema_tls = BLOCK_OF(tls_rows);

#define NEEDS_LIST "needs a list of fingerprints: it is for the rules in \"peers\""
static const struct schema_choice levels[] = {{"none", LEVEL_NONE, NULL},
					      {"may", LEVEL_MAY, NULL},
					      {"encrypt", LEVEL_ENCRYPT, NULL},
					      {"verify", LEVEL_VERIFY, NULL},
					      {"dane", LEVEL_DANE, schema_later},
					      {"dane-only", LEVEL_DANE_ONLY, schema_later},
					      {"fingerprint", LEVEL_FINGERPRINT, NEEDS_LIST},
					      {NULL, 0, NULL}};
static const struct schema_choice c2s_levels[] = {{"none", LEVEL_NONE, NULL},
						  {"may", LEVEL_MAY, NULL},
						  {"encrypt", LEVEL_ENCRYPT, NULL},
						  {"verify", LEVEL_VERIFY, schema_later},
						  {"dane", LEVEL_DANE, schema_later},
						  {"dane-only", LEVEL_DANE_ONLY, schema_later},
						  {"fingerprint", LEVEL_FINGERPRINT, schema_later},
						  {NULL, 0, NULL}};
static const struct schema_choice compressions[] = {
    {"strip", COMPRESSION_STRIP, NULL}, {"pass", COMPRESSION_PASS, NULL}, {NULL, 0, NULL}};
static const struct schema_choice changes[] = {
    {"warn", CERTIFICATE_CHANGE_WARN, NULL}, {"refuse", CERTIFICATE_CHANGE_REFUSE, NULL}, {NULL, 0, NULL}};

#define LEVEL_AT(role)                                                                                 \
	.type = SCHEMA_CHOICE, .offset = offsetof(struct config_policy, level) + (role) * sizeof(int), \
	.mark = offsetof(struct config_policy, level_mark) + (role) * sizeof(struct config_mark)
static const struct schema_row policy_rows[] = {
    {.name = "c2s-inbound",
     LEVEL_AT(ROLE_C2S_INBOUND),
     .choices = c2s_levels,
     .dflt = "encrypt",
     .help = "Level for clients that connect to the local domains"},
    {.name = "s2s-inbound",
     LEVEL_AT(ROLE_S2S_INBOUND),
     .choices = levels,
     .dflt = "verify",
     .help = "Level for servers that connect to the local domains"},
    {.name = "s2s-outbound",
     LEVEL_AT(ROLE_S2S_OUTBOUND),
     .choices = levels,
     .dflt = "verify",
     .help = "Level for the local server's connections to other servers"},
    {.name = "c2s-outbound",
     LEVEL_AT(ROLE_C2S_OUTBOUND),
     .choices = levels,
     .dflt = "verify",
     .help = "Level for local clients' connections to other servers"},
    {.name = "compression",
     .type = SCHEMA_CHOICE,
     .offset = offsetof(struct config_policy, compression),
     .choices = compressions,
     .dflt = "strip",
     .help = "XEP-0138 stream compression that the legacy server offers"},
    {.name = "mechanisms-refused",
     .type = SCHEMA_STRINGS,
     .offset = offsetof(struct config_policy, mechanisms_refused),
     .also = offsetof(struct config_policy, mechanisms_refused_count),
     .dflt = "[]",
     .example = "PLAIN",
     .help = "SASL mechanisms answered with mechanism-too-weak, whatever the legacy server offers"},
    {.name = "on-certificate-change",
     .type = SCHEMA_CHOICE,
     .offset = offsetof(struct config_policy, on_certificate_change),
     .choices = changes,
     .dflt = "warn",
     .help = "A peer's certificate is not one remembered, and not verified: warn, or refuse until it is accepted"},
};
const struct schema_block schema_policy = {.rows = policy_rows, .count = ARRAY_LEN(policy_rows)};

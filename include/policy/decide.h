/* SPDX-License-Identifier: MIT */
/* Facts of a leg and a level make a verdict. No library type comes in here, no level goes out. Unknown means refuse. */
#ifndef PROXY_POLICY_DECIDE_H
#define PROXY_POLICY_DECIDE_H

#include <stdbool.h>

#include "policy/level.h"
#include "xmpp/reason.h"

/* The network-facing leg as observed. Plain values. */
struct leg_facts {
	bool encrypted;
	int tls_version;             /* 10, 11, 12, 13; 0 when not encrypted */
	bool extended_master_secret; /* true for TLS 1.3 */
	bool identity_verified;      /* by the method that the level asks for: PKIX, or one of the fingerprints */
	int min_version;             /* what policy_min_tls says of the peer; 0: 12, and a refusal is TLS_FAILED */
	bool stripped;               /* STARTTLS worked though it was not offered (STRIP-4): somebody is on the path */
	bool changed;                /* the certificate is not one that is remembered of the peer */
	bool refuse_change;          /* policy.on-certificate-change: refuse */
	bool memory_missing;         /* what is remembered could not be asked */
	bool announced;              /* DNS announces direct TLS for the domain: a promise (STRIP-8) */
	bool outbound;               /* the leg was opened by us: the words of a refusal are others */
};

struct verdict {
	bool allow;
	enum reason reason; /* REASON_NONE when allowed */
};

/*
 * mode monitor allows what enforce refuses, keeping the reason. Order of what is asked: TLS at all (NO_TLS outbound,
 * TLS_REQUIRED inbound; where it is announced, at every level that attempts it), its version (WEAK_TLS), extended
 * master secret (not of who may do with less than TLS 1.2), stripped and not verified (STRIPPED, at every level that
 * attempts TLS), identity (REMOTE_UNVERIFIED, PEER_UNVERIFIED), a change that nothing verifies (CERTIFICATE_CHANGED;
 * MEMORY_UNAVAILABLE where it cannot be known; both only where refuse_change). At may, only STRIPPED and announced TLS
 * that is not there refuse; at none nothing does.
 */
struct verdict policy_decide(enum mode mode, enum level level, const struct leg_facts *facts);

/*
 * The leg to the legacy server: required asks for TLS and a verified identity, anything else for either TLS or the
 * permission to do without. In every mode: monitor is about what comes from the network.
 */
struct verdict policy_decide_backend(bool required, bool may_plaintext, const struct leg_facts *facts);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What is remembered of remote domains across restarts (STRIP-7, LOG-6): by domain and service, which TLS, verification
 * and certificates were seen. Plain values, fit to be sent between our own processes as they are.
 */
#ifndef PROXY_MEMORY_PEER_H
#define PROXY_MEMORY_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_DOMAIN_SIZE 256
#define PEER_ENDPOINT_SIZE 272
#define PEER_TEXT_SIZE 256
#define PEER_TIME_MAX 253402300799 /* seconds since 1970: the last of the year 9999 */
/* Remembered of one (domain, service): the ones seen last, of which those not accepted make room first, so that nobody
 * can push a known certificate out by showing many: the last place is for one that is not. */
#define PEER_CERTIFICATES 8
/* … and servers of it that were met with a certificate that was accepted then. As many: a server that is known while
 * its certificate is forgotten would show a changed one. */
#define PEER_ENDPOINTS (PEER_CERTIFICATES - 1)

enum peer_service { PEER_C2S, PEER_S2S, PEER_SERVICES };
const char *peer_service_name(enum peer_service service); /* "c2s", "s2s" */

/* Ordered by how much it proves; stored by name. */
enum peer_method { PEER_METHOD_NONE, PEER_METHOD_DIALBACK, PEER_METHOD_FINGERPRINT, PEER_METHOD_PKIX, PEER_METHODS };
const char *peer_method_name(enum peer_method method);

struct peer_certificate {
	char sha256[65], spki_sha256[65];
	char subject[PEER_TEXT_SIZE], issuer[PEER_TEXT_SIZE];
	char endpoint[PEER_ENDPOINT_SIZE]; /* "target:port" where it was seen last, "inbound" for a client's */
	int64_t not_after;                 /* seconds since 1970 */
	int64_t first_seen, last_seen;
	bool accepted; /* by `portcullis peers accept`, or the first one ever seen, or verified when seen */
};

/* A server may do more when it is called than when it calls: what it does in one direction is no less than what it did
 * in the other. */
enum peer_direction { PEER_OUTBOUND, PEER_INBOUND, PEER_DIRECTIONS };
const char *peer_direction_name(enum peer_direction direction); /* "outbound", "inbound" */

struct peer_way {
	int64_t last_seen; /* 0: never met so */
	int best_version;  /* highest TLS version seen: 10 … 13; 0: none */
	int last_version;
	enum peer_method best_method, last_method;
};

/* known false: nothing is remembered, and everything else is zero. */
struct peer_memory {
	bool known;
	int64_t first_seen, last_seen;
	bool tls;               /* TLS was ever established with it */
	bool offered, required; /* it ever advertised STARTTLS, with <required/> */
	bool direct;            /* direct TLS was ever used or announced in DNS */
	struct peer_way way[PEER_DIRECTIONS];
	size_t certificate_count;
	struct peer_certificate certificate[PEER_CERTIFICATES]; /* the one seen last first */
	size_t endpoint_count;
	char endpoint[PEER_ENDPOINTS][PEER_ENDPOINT_SIZE]; /* "target:port" */
};

/* One stream's worth. Flags say what was seen this time. */
struct peer_observation {
	char domain[PEER_DOMAIN_SIZE];
	enum peer_service service;
	int64_t when; /* seconds since 1970 */
	bool inbound; /* the peer came to us: offered, required and direct say nothing of it and are not looked at */
	bool refused; /* for its certificate, which alone is remembered then, and not as accepted */
	bool tls, offered, required, direct;
	bool srv_secure; /* DNSSEC proved that the endpoint is one of the domain's */
	int version;     /* 10 … 13, 0 */
	enum peer_method method;
	bool has_certificate;
	struct peer_certificate certificate; /* accepted: by its own verification */
};

/* Could that have come from a session? Of bytes another process sent. */
bool peer_observation_valid(const struct peer_observation *seen);
bool peer_domain_valid(const char *domain); /* normalised */
bool peer_version_valid(int64_t version);   /* 0, 10 … 13 */
bool peer_digest_valid(const char *hex);    /* 64 digits in lower case */

/*
 * What a certificate that is shown is against those remembered (LOG-6), each of which is good at every endpoint: a site
 * may carry it from one node to the next. A site may also have a certificate for each of its nodes, so that one shown
 * at an endpoint where we were never before is no change, if it is verified and DNSSEC proves the endpoint. Each alone
 * is not enough to say nothing: DNSSEC proves a name and not who answers there, and whoever has got himself a
 * certificate would only have to think of a new name. Inbound there is one endpoint, never new.
 */
enum peer_standing {
	PEER_FIRST,          /* there is none to hold it against */
	PEER_KNOWN,          /* remembered and accepted */
	PEER_NEW_SERVER,     /* not remembered, verified, at an endpoint not met before that DNSSEC proves */
	PEER_SAME_KEY,       /* not accepted, but its key is one of a certificate that is */
	PEER_WAITING,        /* remembered from a stream that was refused or warned of, and not accepted */
	PEER_STRANGE_SERVER, /* none of these, at an endpoint not met before */
	PEER_CHANGED         /* none of these */
};
/* seen->has_certificate. The session decides by it, and the store by the same what counts as accepted from then on. */
enum peer_standing peer_memory_judge(const struct peer_memory *memory, const struct peer_observation *seen);
/* That standing is no change of the kind that on-certificate-change: refuse is about. */
bool peer_standing_good(enum peer_standing standing);
/* NULL: it is not remembered. */
const struct peer_certificate *peer_memory_find(const struct peer_memory *memory, const char *sha256);
/* The one that a changed one is held against: with the same key, else the good one at that endpoint, else the good one
 * that was seen last, else the last one; NULL: none is remembered. */
const struct peer_certificate *peer_memory_previous(const struct peer_memory *memory,
						    const struct peer_observation *seen);

#endif

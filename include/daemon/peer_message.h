/* SPDX-License-Identifier: MIT */
/* Payloads of the messages about peer memory. */
#ifndef PROXY_DAEMON_PEER_MESSAGE_H
#define PROXY_DAEMON_PEER_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "memory/peer.h"

/* A worker's: what is remembered of that pair? */
struct peer_question {
	char domain[PEER_DOMAIN_SIZE];
	enum peer_service service;
};

enum peers_verb { PEERS_LIST, PEERS_SHOW, PEERS_ACCEPT, PEERS_FORGET, PEERS_VERBS };

/* The operator's. LIST: the page behind that pair (domain "": the first one); the others: of all services. */
struct peers_question {
	enum peers_verb verb;
	char domain[PEER_DOMAIN_SIZE];
	enum peer_service service;
	char sha256[65]; /* ACCEPT: that certificate; "": all of the domain's */
};

struct peers_answer {
	bool ok;        /* false: the text says why not */
	bool known;     /* SHOW, ACCEPT, FORGET: something was remembered of the domain; or that certificate */
	bool more;      /* LIST: another page follows, behind the pair below */
	unsigned count; /* ACCEPT: certificates, FORGET: pairs */
	char domain[PEER_DOMAIN_SIZE];
	enum peer_service service;
	/* Behind it: LIST, SHOW: JSON objects with commas between. */
};

#endif

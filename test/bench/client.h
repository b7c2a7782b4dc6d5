/* SPDX-License-Identifier: MIT */
/*
 * One XMPP client of the load generator, without threads: TCP, STARTTLS or direct TLS, stream header, SASL PLAIN,
 * restart, bind, then whatever the phase sends. Every client is on the one epoll set of its crowd.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far a client goes before it is done: the handshake alone, to the features inside TLS, or logged in and open. */
enum goal { GOAL_HANDSHAKE, GOAL_STREAM, GOAL_OPEN };

enum step {
	STEP_CONNECT,
	STEP_OFFER,
	STEP_PROCEED,
	STEP_TLS,
	STEP_FEATURES,
	STEP_SUCCESS,
	STEP_BINDING,
	STEP_BOUND,
	STEP_OPEN,
	STEP_CLOSING,
	STEP_DEAD
};

/* In flight at 4,000 messages a second on 1,000 streams: one or two. */
#define STAMPS 64

struct crowd;

struct client {
	struct crowd *crowd;
	int fd;
	SSL *ssl;
	enum step step;
	enum goal goal;
	bool failed, want_write;
	char *in; /* what was read and not yet understood; only before STEP_OPEN */
	size_t in_len;
	char *out; /* what the kernel did not take */
	size_t out_len;
	size_t got;                              /* bytes of the answer that is coming in */
	uint64_t stamp[STAMPS], asked, answered; /* when each message in flight was sent */
	struct client *next;
};

struct crowd {
	int epoll;
	SSL_CTX *tls;
	struct sockaddr_in to;
	bool starttls, resume;
	const char *domain, *auth, *mode;
	SSL_SESSION *ticket; /* the first one that came */
	size_t resumed;
	/* Told once a client: logged in, or ended (step STEP_DEAD), well or failed. */
	void (*on_open)(struct client *c);
	void (*on_end)(struct client *c);
	/* Bytes on an open stream; NULL data is room to write again. */
	void (*on_bytes)(struct client *c, size_t len);
};

void crowd_init(struct crowd *crowd);
/* Waits at most ms and lets every client that can go on do so. */
void crowd_turn(struct crowd *crowd, int ms);
struct client *client_new(struct crowd *crowd, enum goal goal);
void client_free(struct client *c);
void client_send(struct client *c, const void *data, size_t len);
/* Ends the stream: </stream:stream>, close_notify, end of file, and reads to the peer's. */
void client_close(struct client *c);

#endif

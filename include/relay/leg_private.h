/* SPDX-License-Identifier: MIT */
/* What leg.c, leg_io.c and leg_tls.c share. Included by those three only. */
#ifndef PROXY_RELAY_LEG_PRIVATE_H
#define PROXY_RELAY_LEG_PRIVATE_H

#include "relay/leg.h"

struct evbuffer;
struct event;

#define LEG_SCRATCH (128 * 1024)

/*
 * The worker's shared buffers. wire_in and plain_in are used within one call of leg_on_readable only; wire_out collects
 * what the leg `owner` has sent in this turn, so that a turn costs one send(2) a leg.
 */
struct leg_io {
	struct event_base *base;
	struct leg *owner;
	size_t wire_out_len;
	unsigned char wire_in[LEG_SCRATCH];
	unsigned char plain_in[LEG_SCRATCH];
	unsigned char wire_out[LEG_SCRATCH];
};

struct leg {
	struct leg_io *io;
	const struct leg_callbacks *callbacks;
	void *ctx;
	int fd;
	size_t high_mark;
	struct event *readable, *writable;
	struct ssl_st *ssl;          /* NULL: plaintext */
	struct ssl_st *ssl_pending;  /* waits for the last plaintext byte to leave */
	struct evbuffer *kept_in;    /* wire bytes received but not consumed; NULL when empty */
	struct evbuffer *kept_out;   /* wire bytes not yet sent; NULL when empty */
	const unsigned char *now_in; /* the BIO's input during one call */
	size_t now_in_len;
	bool connecting;
	bool reading;     /* the owner wants input */
	bool secured;     /* handshake complete */
	bool hello_due;   /* TLS client: our side of the handshake comes first */
	bool clogged;     /* on_drained is owed */
	bool ended;       /* on_end was called */
	bool finishing;   /* leg_finish was called */
	bool half_closed; /* leg_half_close was called */
	bool fin_sent;
	bool peer_done;  /* while finishing: nothing more comes from the peer */
	bool closed;     /* on_closed was called */
	bool broken;     /* send(2) failed */
	bool tls_failed; /* no SSL_shutdown after a fatal error */
};

/* Appends wire bytes; never fails, never blocks. */
void leg_wire_out(struct leg *leg, const void *data, size_t len);
/* Nothing can be sent any more: told to the owner from the write event, never from inside its own call. */
void leg_break(struct leg *leg);
void leg_end(struct leg *leg, enum leg_end how, const char *detail);

/* leg_tls.c: the BIO and everything that calls OpenSSL. */
void leg_tls_begin(struct leg *leg);
/* Runs handshake and reads over now_in and kept_in until nothing is left, reading was turned off or the leg ended. */
void leg_tls_input(struct leg *leg);
void leg_tls_send(struct leg *leg, const void *data, size_t len);
void leg_tls_shutdown(struct leg *leg);
bool leg_tls_has_pending(const struct leg *leg);
void leg_tls_free(struct leg *leg);

#endif

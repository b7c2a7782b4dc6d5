/* SPDX-License-Identifier: MIT */
/*
 * A leg: one TCP (or Unix) connection with its optional TLS, for its whole life. TLS is laid over it by a BIO of our
 * own on buffers that all legs of a worker share (struct leg_io): ciphertext is received into one, decrypted into
 * another and handed on at once; only what the far side cannot take yet is kept in the leg's own evbuffer. A leg at
 * rest holds no buffer.
 *
 * "Is it encrypted?" is asked of the leg (leg_is_secured) and stored nowhere else.
 * After on_end no further callback comes but on_closed.
 */
#ifndef PROXY_RELAY_LEG_H
#define PROXY_RELAY_LEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/errbuf.h"

struct event_base;
struct ssl_st;
struct leg;
struct leg_io;

enum leg_end {
	LEG_END_CLOSED,        /* the peer closed as it should: close_notify, or FIN on a plaintext leg */
	LEG_END_TRUNCATED,     /* FIN without close_notify (TLS-22) */
	LEG_END_RESET,         /* RST or another socket error */
	LEG_END_REFUSED,       /* connecting failed */
	LEG_END_TLS,           /* handshake or record failure; the alert, if any, has been queued */
	LEG_END_RENEGOTIATION, /* TLS-10 */
	LEG_END_COUNT
};

struct leg_callbacks {
	void (*on_connected)(void *ctx);
	/* Plaintext that arrived. All of it is the callee's; it lives in a shared buffer until the callback returns. */
	void (*on_data)(void *ctx, const void *data, size_t len);
	void (*on_secured)(void *ctx);
	/* Output had been above the high mark (leg_is_clogged) and has been sent. */
	void (*on_drained)(void *ctx);
	/* detail: plain words, no peer bytes. */
	void (*on_end)(void *ctx, enum leg_end how, const char *detail);
	/* leg_finish has done all it could: nothing more will happen on this leg. */
	void (*on_closed)(void *ctx);
};

/* One per worker: the shared buffers. */
struct leg_io *leg_io_new(struct event_base *base);
void leg_io_free(struct leg_io **io);
/*
 * Sends what the current turn gathered. To be called at the end of every event callback that may have called leg_send
 * outside a leg's own callbacks (timers, audit acknowledgements, accepting); the legs do it themselves.
 */
void leg_io_flush(struct leg_io *io);

/*
 * fd is the leg's from here on. connecting: connect(2) has been started, on_connected or on_end(REFUSED) will come.
 * Reading is off until leg_read(leg, true). high_mark: bytes of unsent output above which the leg is clogged.
 */
struct leg *leg_new(struct leg_io *io, int fd, bool connecting, size_t high_mark, const struct leg_callbacks *callbacks,
		    void *ctx);
/* Closes the socket at once: unsent output is lost, the peer may see RST. Must not be called from inside this leg's
 * callback. */
void leg_free(struct leg **leg);

/* Turns reading on or off. Off takes effect at once, also in the middle of what was received: the rest is kept as
 * ciphertext. */
void leg_read(struct leg *leg, bool on);
/* Sends or queues all of it. Ignored once the leg is finishing. */
void leg_send(struct leg *leg, const void *data, size_t len);
/* Does more output than high_mark wait for the peer? The source should stop until on_drained. */
bool leg_is_clogged(const struct leg *leg);
/* Bytes of output, as they go over the wire, not yet with the kernel. */
size_t leg_unsent(const struct leg *leg);
/* Has the peer ended the connection, or lost it? For a leg that is not read: nothing else would tell. */
bool leg_hung_up(const struct leg *leg);

/*
 * True if the peer has sent anything but white space that nobody has read yet (white space is read and dropped; 4 KiB
 * of it are too much): asked before <proceed/> goes out (NEG-7). Reading must be off.
 */
bool leg_has_unread(struct leg *leg);
/* True if the peer has sent anything at all that nobody has read yet: asked before a ClientHello goes out (NEG-8).
 * Reading must be off. */
bool leg_has_bytes(struct leg *leg);
/*
 * TLS from here on, as the side that ssl was made for: starts when the last plaintext byte has left (a client speaks
 * first, from a loop turn of its own); input then goes to the TLS record parser only. The leg takes ssl. first: bytes
 * already read that are TLS (direct TLS), else NULL, 0. Turns reading on.
 */
void leg_start_tls(struct leg *leg, struct ssl_st *ssl, const void *first, size_t len);

/*
 * Ends the leg in good order: output is flushed, then close_notify if `notify` and TLS is up, FIN, and input is
 * discarded until the peer closes too; then on_closed, at the latest when the owner's patience ends (it calls
 * leg_free).
 */
void leg_finish(struct leg *leg, bool notify);
/* No more output from us: flush, close_notify if TLS, FIN; input goes on being delivered. leg_finish may follow. */
void leg_half_close(struct leg *leg);
/* Forgets queued output (TLS-10: nothing may follow a renegotiation attempt). */
void leg_discard_output(struct leg *leg);

/* TLS is up: the handshake is complete and the leg has not ended. */
bool leg_is_secured(const struct leg *leg);
struct ssl_st *leg_ssl(const struct leg *leg); /* NULL for a plaintext leg */
/* Our own end of the connection. */
void leg_own_address(const struct leg *leg, struct addr *out);

#endif

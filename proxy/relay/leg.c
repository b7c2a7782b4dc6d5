/* SPDX-License-Identifier: MIT */
/*
 * A leg's socket: reading, writing, connecting, ending. What TLS adds is in leg_tls.c.
 * Invariants: on_end is called at most once and before on_closed; the read event is pending exactly while the leg may
 * deliver input; the write event exactly while kept_out holds bytes or connect(2) is under way.
 */
#include "relay/leg.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "base/mem.h"
#include "net/dialer.h"
#include "relay/leg_private.h"

/* White space behind <starttls/> that is still taken for a line end, not for an attack. */
#define BLANKS_MAX 4096

static void finish_output(struct leg *leg);

static void update_reading(struct leg *leg)
{
	bool want = (leg->reading || leg->finishing) && !leg->connecting && !leg->closed && !leg->peer_done &&
		    leg->ssl_pending == NULL;
	if (leg->ended && !leg->finishing)
		want = false;
	if (want)
		event_add(leg->readable, NULL);
	else
		event_del(leg->readable);
}

static void leg_close(struct leg *leg)
{
	if (leg->closed)
		return;
	leg->closed = true;
	event_del(leg->readable);
	event_del(leg->writable);
	leg->callbacks->on_closed(leg->ctx);
}

void leg_end(struct leg *leg, enum leg_end how, const char *detail)
{
	if (leg->finishing) {
		/* The peer has closed before us: what is queued for it still goes out first. */
		leg->peer_done = true;
		event_del(leg->readable);
		if (leg_unsent(leg) == 0 || leg->broken || how == LEG_END_RESET)
			leg_close(leg);
		return;
	}
	if (leg->ended)
		return;
	leg->ended = true;
	leg->reading = false;
	update_reading(leg);
	leg->callbacks->on_end(leg->ctx, how, detail);
}

/* The shared buffer has gone out or the socket is writable again: what waited for empty output goes on. */
static void output_left(struct leg *leg)
{
	if (leg->clogged && leg_unsent(leg) <= leg->high_mark / 4) {
		leg->clogged = false;
		if (!leg->ended && !leg->finishing)
			leg->callbacks->on_drained(leg->ctx);
	}
	if (leg_unsent(leg) > 0)
		return;
	if (leg->ssl_pending != NULL) {
		leg_tls_begin(leg);
		update_reading(leg);
		if (leg->kept_in != NULL || leg->hello_due)
			event_active(leg->readable, EV_READ, 0);
	}
	if (leg->finishing || leg->half_closed)
		finish_output(leg);
}

static void keep_out(struct leg *leg, const void *data, size_t len)
{
	if (leg->kept_out == NULL)
		leg->kept_out = evbuffer_new();
	if (leg->kept_out == NULL || evbuffer_add(leg->kept_out, data, len) != 0)
		leg->broken = true;
	else if (evbuffer_get_length(leg->kept_out) > leg->high_mark)
		leg->clogged = true;
	event_add(leg->writable, NULL);
}

void leg_break(struct leg *leg)
{
	leg->broken = true;
	event_active(leg->writable, EV_WRITE, 0);
}

static void send_now(struct leg *leg, const unsigned char *data, size_t len)
{
	ssize_t n = leg->broken ? (ssize_t)len : send(leg->fd, data, len, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
		n = 0;
	if (n < 0) {
		leg_break(leg);
		return;
	}
	if ((size_t)n < len)
		keep_out(leg, data + n, len - (size_t)n);
}

struct leg_io *leg_io_new(struct event_base *base)
{
	struct leg_io *io = mem_zalloc(sizeof(*io));
	io->base = base;
	return io;
}

void leg_io_free(struct leg_io **io)
{
	mem_free(*io);
	*io = NULL;
}

static void flush_shared(struct leg_io *io)
{
	struct leg *leg = io->owner;
	size_t len = io->wire_out_len;
	io->owner = NULL;
	io->wire_out_len = 0;
	if (leg == NULL)
		return;
	send_now(leg, io->wire_out, len);
}

/* The shared buffer is wanted in the middle of a turn. What waited for its owner's output to leave goes on from an
 * event of its own: this may be inside anybody's leg_send. */
static void make_room(struct leg_io *io)
{
	struct leg *leg = io->owner;
	flush_shared(io);
	if (leg != NULL && leg->kept_out == NULL && (leg->ssl_pending != NULL || leg->finishing || leg->half_closed))
		event_active(leg->writable, EV_WRITE, 0);
}

void leg_io_flush(struct leg_io *io)
{
	/* Going on may send again (a drained leg lets its source go on), so until nothing is left. */
	while (io->owner != NULL) {
		struct leg *leg = io->owner;
		flush_shared(io);
		output_left(leg);
	}
}

void leg_wire_out(struct leg *leg, const void *data, size_t len)
{
	struct leg_io *io = leg->io;
	if (leg->kept_out == NULL && (io->owner != leg || io->wire_out_len + len > LEG_SCRATCH))
		make_room(io);
	if (leg->kept_out != NULL) {
		keep_out(leg, data, len);
		return;
	}
	if (len > LEG_SCRATCH) {
		send_now(leg, data, len);
		return;
	}
	io->owner = leg;
	memcpy(io->wire_out + io->wire_out_len, data, len);
	io->wire_out_len += len;
}

size_t leg_unsent(const struct leg *leg)
{
	size_t len = leg->kept_out != NULL ? evbuffer_get_length(leg->kept_out) : 0;
	return len + (leg->io->owner == leg ? leg->io->wire_out_len : 0);
}

bool leg_is_clogged(const struct leg *leg)
{
	return leg->clogged;
}

/* Input of a leg that is finishing is read and thrown away, so that the peer's bytes do not make the kernel send RST.
 */
static void take_input(struct leg *leg, size_t len)
{
	if (leg->ssl == NULL) {
		if (leg->reading && !leg->finishing)
			leg->callbacks->on_data(leg->ctx, leg->io->wire_in, len);
		return;
	}
	if (leg->finishing)
		return;
	leg->now_in = leg->io->wire_in;
	leg->now_in_len = len;
	leg_tls_input(leg);
}

static void socket_ended(struct leg *leg, ssize_t n, int error)
{
	if (n < 0)
		leg_end(leg, LEG_END_RESET, strerror(error));
	else if (leg->ssl == NULL)
		leg_end(leg, LEG_END_CLOSED, "end of stream");
	else
		leg_end(leg, LEG_END_TRUNCATED, "end of stream without close_notify");
}

static void readable(struct leg *leg)
{
	if (!leg->finishing && (leg->kept_in != NULL || leg->hello_due || leg_tls_has_pending(leg)))
		leg_tls_input(leg);
	if (leg->closed || leg->kept_in != NULL || !(leg->reading || leg->finishing))
		return;
	ssize_t n = recv(leg->fd, leg->io->wire_in, LEG_SCRATCH, 0);
	if (n > 0)
		take_input(leg, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		socket_ended(leg, n, errno);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct leg *leg = arg;
	struct leg_io *io = leg->io;
	readable(leg);
	leg_io_flush(io);
}

static void connect_done(struct leg *leg)
{
	int error = dialer_result(leg->fd);
	if (error != 0) {
		leg_end(leg, LEG_END_REFUSED, strerror(error));
		return;
	}
	leg->connecting = false;
	event_del(leg->writable);
	update_reading(leg);
	leg->callbacks->on_connected(leg->ctx);
}

static void write_kept(struct leg *leg)
{
	if (leg->kept_out != NULL && !leg->broken && evbuffer_write(leg->kept_out, leg->fd) < 0 && errno != EAGAIN &&
	    errno != EINTR && errno != ENOBUFS)
		leg->broken = true;
	if (leg->broken) {
		leg_discard_output(leg);
		leg_end(leg, LEG_END_RESET, "cannot send");
		return;
	}
	if (leg->kept_out != NULL && evbuffer_get_length(leg->kept_out) == 0)
		leg_discard_output(leg);
	output_left(leg);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct leg *leg = arg;
	struct leg_io *io = leg->io;
	if (leg->connecting)
		connect_done(leg);
	else
		write_kept(leg);
	leg_io_flush(io);
}

struct leg *leg_new(struct leg_io *io, int fd, bool connecting, size_t high_mark, const struct leg_callbacks *callbacks,
		    void *ctx)
{
	struct leg *leg = mem_zalloc(sizeof(*leg));
	leg->io = io;
	leg->callbacks = callbacks;
	leg->ctx = ctx;
	leg->fd = fd;
	leg->connecting = connecting;
	leg->high_mark = high_mark;
	leg->readable = event_new(io->base, fd, EV_READ | EV_PERSIST, on_readable, leg);
	leg->writable = event_new(io->base, fd, EV_WRITE | EV_PERSIST, on_writable, leg);
	assert(leg->readable != NULL && leg->writable != NULL);
	if (connecting)
		event_add(leg->writable, NULL);
	return leg;
}

void leg_free(struct leg **legp)
{
	struct leg *leg = *legp;
	if (leg == NULL)
		return;
	*legp = NULL;
	if (leg->io->owner == leg)
		flush_shared(leg->io);
	event_free(leg->readable);
	event_free(leg->writable);
	leg_tls_free(leg);
	if (leg->kept_in != NULL)
		evbuffer_free(leg->kept_in);
	if (leg->kept_out != NULL)
		evbuffer_free(leg->kept_out);
	close(leg->fd);
	mem_free(leg);
}

void leg_read(struct leg *leg, bool on)
{
	if (leg->ended || leg->finishing || leg->reading == on)
		return;
	leg->reading = on;
	update_reading(leg);
	/* Bytes that were received already make no event of their own. */
	if (on && (leg->kept_in != NULL || leg_tls_has_pending(leg)))
		event_active(leg->readable, EV_READ, 0);
}

void leg_send(struct leg *leg, const void *data, size_t len)
{
	if (leg->finishing || leg->half_closed || leg->broken || len == 0)
		return;
	if (leg->ssl == NULL)
		leg_wire_out(leg, data, len);
	else
		leg_tls_send(leg, data, len);
}

bool leg_hung_up(const struct leg *leg)
{
	struct pollfd p = {.fd = leg->fd, .events = POLLRDHUP};
	return leg->ended || (poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
}

bool leg_has_unread(struct leg *leg)
{
	char bytes[BLANKS_MAX];
	assert(!leg->reading && leg->ssl == NULL);
	ssize_t n = recv(leg->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	for (ssize_t i = 0; i < n; i++)
		if (bytes[i] == '\0' || strchr(" \t\r\n", bytes[i]) == NULL)
			return true;
	/* Never a loop until nothing is left: a peer that keeps sending would hold the whole worker in it. */
	if (n == (ssize_t)sizeof(bytes))
		return true;
	if (n > 0)
		(void)recv(leg->fd, bytes, (size_t)n, MSG_DONTWAIT);
	return false;
}

bool leg_has_bytes(struct leg *leg)
{
	char byte;
	assert(!leg->reading && leg->ssl == NULL);
	return recv(leg->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void leg_start_tls(struct leg *leg, struct ssl_st *ssl, const void *first, size_t len)
{
	assert(leg->ssl == NULL && leg->ssl_pending == NULL);
	leg->ssl_pending = ssl;
	if (len > 0)
		leg->kept_in = evbuffer_new();
	if (len > 0 && (leg->kept_in == NULL || evbuffer_add(leg->kept_in, first, len) != 0))
		leg->broken = true;
	leg->reading = true;
	update_reading(leg);
	if (leg_unsent(leg) == 0)
		output_left(leg);
}

static void finish_output(struct leg *leg)
{
	if (leg_unsent(leg) > 0)
		return;
	if (!leg->fin_sent) {
		leg->fin_sent = true;
		if (shutdown(leg->fd, SHUT_WR) != 0)
			leg->peer_done = true;
	}
	if (leg->finishing && leg->peer_done)
		leg_close(leg);
}

void leg_half_close(struct leg *leg)
{
	if (leg->finishing || leg->half_closed)
		return;
	if (leg->ssl != NULL)
		leg_tls_shutdown(leg);
	leg->half_closed = true;
	if (leg_unsent(leg) == 0)
		finish_output(leg);
}

void leg_finish(struct leg *leg, bool notify)
{
	if (leg->finishing)
		return;
	if (leg->ssl_pending != NULL && leg->ssl == NULL)
		notify = false;
	if (notify && leg->ssl != NULL && !leg->half_closed)
		leg_tls_shutdown(leg);
	leg->finishing = true;
	leg->reading = false;
	if (leg->kept_in != NULL)
		evbuffer_free(leg->kept_in);
	leg->kept_in = NULL;
	if (leg->connecting || leg->broken) {
		event_active(leg->writable, EV_WRITE, 0);
		leg->broken = true;
		leg->connecting = false;
		return;
	}
	update_reading(leg);
	if (leg_unsent(leg) == 0)
		finish_output(leg);
}

void leg_discard_output(struct leg *leg)
{
	if (leg->io->owner == leg) {
		leg->io->owner = NULL;
		leg->io->wire_out_len = 0;
	}
	if (leg->kept_out != NULL)
		evbuffer_free(leg->kept_out);
	leg->kept_out = NULL;
	event_del(leg->writable);
}

bool leg_is_secured(const struct leg *leg)
{
	return leg->ssl != NULL && leg->secured && !leg->tls_failed;
}

struct ssl_st *leg_ssl(const struct leg *leg)
{
	return leg->ssl;
}

void leg_own_address(const struct leg *leg, struct addr *out)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	*out = (struct addr){0};
	if (getsockname(leg->fd, (struct sockaddr *)&ss, &len) == 0)
		addr_from_sockaddr(out, (const struct sockaddr *)&ss, len);
}

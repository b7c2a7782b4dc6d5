/* SPDX-License-Identifier: MIT */
/*
 * TLS over a leg: an OpenSSL BIO of our own whose input is whatever the current turn received and whose output goes to
 * the worker's shared buffer. The BIO never blocks on output, so SSL_write takes everything at once; on input it says
 * "retry" when the turn's bytes are used up. Invariant: now_in is empty when leg_tls_input returns; what was not
 * consumed is in kept_in.
 */
#include "relay/leg_private.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#include <event2/buffer.h>

#include "tls/store.h"

static int bio_write(BIO *bio, const char *data, size_t len, size_t *written)
{
	leg_wire_out(BIO_get_data(bio), data, len);
	*written = len;
	return 1;
}

static size_t take_kept(struct leg *leg, void *out, size_t len)
{
	int n = evbuffer_remove(leg->kept_in, out, len);
	if (evbuffer_get_length(leg->kept_in) == 0) {
		evbuffer_free(leg->kept_in);
		leg->kept_in = NULL;
	}
	return n > 0 ? (size_t)n : 0;
}

static int bio_read(BIO *bio, char *out, size_t len, size_t *got)
{
	struct leg *leg = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (leg->kept_in != NULL) {
		*got = take_kept(leg, out, len);
		return 1;
	}
	if (leg->now_in_len == 0) {
		BIO_set_retry_read(bio);
		*got = 0;
		return 0;
	}
	*got = len < leg->now_in_len ? len : leg->now_in_len;
	memcpy(out, leg->now_in, *got);
	leg->now_in += *got;
	leg->now_in_len -= *got;
	return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0;
}

static int bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

/* Made once per process; a worker is one thread. Lives as long as the process. */
static BIO_METHOD *bio_method(void)
{
	static BIO_METHOD *method;
	if (method == NULL) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "leg");
		BIO_meth_set_write_ex(method, bio_write);
		BIO_meth_set_read_ex(method, bio_read);
		BIO_meth_set_ctrl(method, bio_ctrl);
		BIO_meth_set_create(method, bio_create);
	}
	return method;
}

void leg_tls_begin(struct leg *leg)
{
	assert(leg->ssl == NULL && leg->ssl_pending != NULL);
	BIO *bio = BIO_new(bio_method());
	leg->ssl = leg->ssl_pending;
	leg->ssl_pending = NULL;
	if (bio == NULL) {
		leg->tls_failed = true;
		leg_end(leg, LEG_END_TLS, "out of memory");
		return;
	}
	BIO_set_data(bio, leg);
	SSL_set_bio(leg->ssl, bio, bio);
	leg->hello_due = !SSL_is_server(leg->ssl);
}

enum tls_step { TLS_GO, TLS_WAIT, TLS_CLOSED, TLS_FAILED, TLS_RENEGOTIATED };

/* Judges the result of an OpenSSL call while its error queue is fresh. */
static enum tls_step judge(struct leg *leg, int result, struct errbuf *why)
{
	if (tls_renegotiated(leg->ssl))
		return TLS_RENEGOTIATED;
	if (result > 0)
		return TLS_GO;
	int error = SSL_get_error(leg->ssl, result);
	if (error == SSL_ERROR_WANT_READ)
		return TLS_WAIT;
	if (error == SSL_ERROR_ZERO_RETURN)
		return TLS_CLOSED;
	tls_error_text(why);
	return TLS_FAILED;
}

static void act(struct leg *leg, enum tls_step step, const struct errbuf *why)
{
	switch (step) {
	case TLS_GO:
	case TLS_WAIT:
		return;
	case TLS_CLOSED:
		leg_end(leg, LEG_END_CLOSED, "close_notify");
		return;
	case TLS_RENEGOTIATED:
		leg->tls_failed = true;
		leg_discard_output(leg);
		leg_end(leg, LEG_END_RENEGOTIATION, "renegotiation attempted");
		return;
	case TLS_FAILED:
		leg->tls_failed = true;
		leg_end(leg, LEG_END_TLS, why->text);
		return;
	}
}

static enum tls_step handshake(struct leg *leg, struct errbuf *why)
{
	ERR_clear_error();
	enum tls_step step = judge(leg, SSL_do_handshake(leg->ssl), why);
	if (step == TLS_GO) {
		leg->secured = true;
		leg->callbacks->on_secured(leg->ctx);
	}
	return step;
}

/* Fills the shared plaintext buffer from as many records as there are, then hands it on once. */
static enum tls_step read_records(struct leg *leg, struct errbuf *why)
{
	enum tls_step step = TLS_GO;
	size_t len = 0;
	while (step == TLS_GO && LEG_SCRATCH - len >= SSL3_RT_MAX_PLAIN_LENGTH) {
		ERR_clear_error();
		int n = SSL_read(leg->ssl, leg->io->plain_in + len, (int)(LEG_SCRATCH - len));
		step = judge(leg, n, why);
		if (step == TLS_GO)
			len += (size_t)n;
	}
	if (len > 0 && !leg->finishing)
		leg->callbacks->on_data(leg->ctx, leg->io->plain_in, len);
	return step;
}

static void keep_rest(struct leg *leg)
{
	if (leg->now_in_len > 0 && !leg->ended && !leg->finishing) {
		if (leg->kept_in == NULL)
			leg->kept_in = evbuffer_new();
		if (leg->kept_in == NULL || evbuffer_add(leg->kept_in, leg->now_in, leg->now_in_len) != 0)
			leg_end(leg, LEG_END_RESET, "out of memory");
	}
	leg->now_in = NULL;
	leg->now_in_len = 0;
}

void leg_tls_input(struct leg *leg)
{
	enum tls_step step = TLS_GO;
	leg->hello_due = false;
	while (step == TLS_GO && leg->reading && !leg->ended) {
		struct errbuf why = {""};
		step = leg->secured ? read_records(leg, &why) : handshake(leg, &why);
		if (!leg->ended)
			act(leg, step, &why);
	}
	keep_rest(leg);
}

void leg_tls_send(struct leg *leg, const void *data, size_t len)
{
	const unsigned char *at = data;
	while (len > 0) {
		ERR_clear_error();
		int n = SSL_write(leg->ssl, at, len > 1 << 20 ? 1 << 20 : (int)len);
		if (n <= 0) {
			leg_break(leg);
			return;
		}
		at += n;
		len -= (size_t)n;
	}
}

void leg_tls_shutdown(struct leg *leg)
{
	if (leg->secured && !leg->tls_failed) {
		ERR_clear_error();
		(void)SSL_shutdown(leg->ssl);
	}
}

bool leg_tls_has_pending(const struct leg *leg)
{
	return leg->ssl != NULL && SSL_pending(leg->ssl) > 0;
}

void leg_tls_free(struct leg *leg)
{
	SSL_free(leg->ssl);
	SSL_free(leg->ssl_pending);
	leg->ssl = NULL;
	leg->ssl_pending = NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * Legs over socketpairs: plaintext, the STARTTLS hand-over, TLS both ways, back-pressure, every way to end. The far end
 * is a plain blocking-free OpenSSL client or bare recv/send, so that what is asserted is what really crossed the
 * socket.
 */
#include "far_end.h"

static void test_plaintext_both_ways(void **state)
{
	struct far_end *t = *state;
	char buf[64];
	assert_int_equal(send(t->fd, "hello", 5, 0), 5);
	turn(t);
	assert_int_equal(t->got.len, 0); /* nobody asked to read yet */
	leg_read(t->leg, true);
	turn(t);
	assert_string_equal(strbuf_text(&t->got), "hello");
	leg_send(t->leg, "ab", 2);
	leg_send(t->leg, "cd", 2);
	assert_int_equal(recv(t->fd, buf, sizeof(buf), 0), -1); /* gathered until the turn ends */
	leg_io_flush(t->io);
	assert_int_equal(recv(t->fd, buf, sizeof(buf), 0), 4);
	assert_memory_equal(buf, "abcd", 4);
}

static void test_own_address(void **state)
{
	struct far_end *t = *state;
	struct addr own, at;
	const char *why;
	socklen_t len = sizeof(at.ss);
	int listening = socket(AF_INET, SOCK_STREAM, 0), far = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(addr_parse(&at, "127.0.0.1:0", true, &why), 0);
	assert_int_equal(bind(listening, (const struct sockaddr *)&at.ss, at.len), 0);
	assert_int_equal(listen(listening, 1), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&at.ss, &len), 0);
	assert_int_equal(connect(far, (const struct sockaddr *)&at.ss, at.len), 0);
	struct leg *leg = leg_new(t->io, accept(listening, NULL, NULL), false, 1024, &callbacks, t);
	leg_own_address(leg, &own);
	assert_true(addr_equal(&own, &at));
	leg_free(&leg);
	close(far);
	close(listening);
}

static void test_unread_bytes_are_seen(void **state)
{
	struct far_end *t = *state;
	assert_false(leg_has_unread(t->leg));
	assert_int_equal(send(t->fd, " \r\n\t", 4, 0), 4);
	assert_false(leg_has_unread(t->leg)); /* white space is dropped */
	assert_int_equal(send(t->fd, "\n\x16", 2, 0), 2);
	assert_true(leg_has_unread(t->leg)); /* a pipelined ClientHello too */
	assert_true(leg_has_unread(t->leg));
}

/* NEG-8: not even white space, and nothing is taken away. */
static void test_any_byte_is_seen(void **state)
{
	struct far_end *t = *state;
	assert_false(leg_has_bytes(t->leg));
	assert_int_equal(send(t->fd, "\n", 1, 0), 1);
	assert_true(leg_has_bytes(t->leg));
	assert_true(leg_has_bytes(t->leg));
	leg_read(t->leg, true);
	turn(t);
	assert_string_equal(strbuf_text(&t->got), "\n");
}

/* The leg is the TLS client: it speaks first, of its own accord, when the last plaintext byte has left. */
static void test_client_side_begins(void **state)
{
	struct far_end *t = *state;
	char buf[16];
	SSL *client;
	t->ctx = SSL_CTX_new(TLS_client_method());
	client = SSL_new(t->ctx);
	SSL_set_connect_state(client);
	leg_send(t->leg, "<starttls/>", 11);
	leg_start_tls(t->leg, client, NULL, 0);
	turn(t);
	assert_null(leg_ssl(t->leg));
	leg_io_flush(t->io);
	turn(t);
	turn(t);
	assert_non_null(leg_ssl(t->leg));
	assert_int_equal(recv(t->fd, buf, 11, 0), 11);
	assert_memory_equal(buf, "<starttls/>", 11);
	assert_int_equal(recv(t->fd, buf, sizeof(buf), MSG_PEEK), sizeof(buf));
	assert_int_equal(buf[0], 0x16);
	t->ssl = server_ssl();
	SSL_set_fd(t->ssl, t->fd);
	handshake(t);
	assert_int_equal(SSL_write(t->ssl, "hello", 5), 5);
	turn(t);
	assert_string_equal(strbuf_text(&t->got), "hello");
	leg_send(t->leg, "secret", 6);
	leg_io_flush(t->io);
	assert_int_equal(SSL_read(t->ssl, buf, sizeof(buf)), 6);
	assert_memory_equal(buf, "secret", 6);
}

static void test_client_side_meets_plaintext(void **state)
{
	struct far_end *t = *state;
	t->ctx = SSL_CTX_new(TLS_client_method());
	SSL *client = SSL_new(t->ctx);
	SSL_set_connect_state(client);
	leg_start_tls(t->leg, client, NULL, 0);
	turn(t);
	assert_int_equal(send(t->fd, "<stream>", 8, 0), 8);
	turn(t);
	assert_int_equal(t->ended, 1);
	assert_int_equal(t->how, LEG_END_TLS);
	assert_int_equal(t->got.len, 0);
}

static void test_starttls_waits_for_the_last_plaintext_byte(void **state)
{
	struct far_end *t = *state;
	char buf[16];
	leg_send(t->leg, "<proceed/>", 10);
	leg_start_tls(t->leg, server_ssl(), NULL, 0);
	assert_null(leg_ssl(t->leg));
	leg_io_flush(t->io);
	assert_non_null(leg_ssl(t->leg));
	assert_false(leg_is_secured(t->leg));
	assert_int_equal(recv(t->fd, buf, sizeof(buf), 0), 10);
	client_start(t);
	handshake(t);
	assert_int_equal(SSL_write(t->ssl, "secret", 6), 6);
	turn(t);
	assert_string_equal(strbuf_text(&t->got), "secret");
}

static void test_plaintext_after_start_tls_meets_the_record_parser(void **state)
{
	struct far_end *t = *state;
	leg_start_tls(t->leg, server_ssl(), NULL, 0);
	assert_int_equal(send(t->fd, "<auth/>", 7, 0), 7);
	turn(t);
	assert_int_equal(t->ended, 1);
	assert_int_equal(t->how, LEG_END_TLS);
	assert_int_equal(t->got.len, 0);
	assert_false(leg_is_secured(t->leg));
}

static void test_direct_tls_with_first_bytes(void **state)
{
	struct far_end *t = *state;
	char hello[4096];
	client_start(t);
	SSL_do_handshake(t->ssl);
	int raw = fcntl(t->fd, F_GETFL) >= 0 ? t->fd : -1;
	assert_true(raw >= 0);
	leg_read(t->leg, true);
	turn(t); /* the ClientHello was delivered as plain data, as the session sees it when it sniffs */
	assert_true(t->got.len > 0 && t->got.data[0] == 0x16 && t->got.len < sizeof(hello));
	size_t len = t->got.len;
	memcpy(hello, t->got.data, len);
	strbuf_clear(&t->got);
	leg_read(t->leg, false);
	leg_start_tls(t->leg, server_ssl(), hello, len);
	handshake(t);
}

static void pump_in(struct far_end *t, const char *data, size_t len)
{
	size_t sent = 0;
	for (int i = 0; i < 100000 && (sent < len || t->got.len < len); i++) {
		if (sent < len) {
			int n = SSL_write(t->ssl, data + sent, (int)(len - sent > 16384 ? 16384 : len - sent));
			if (n > 0)
				sent += (size_t)n;
		}
		turn(t);
		if (t->pause_after_data)
			leg_read(t->leg, true);
	}
	assert_int_equal(sent, len);
}

static void test_bulk_in_with_pauses(void **state)
{
	struct far_end *t = *state;
	size_t len = 3 << 20;
	char *data = mem_alloc(len);
	for (size_t i = 0; i < len; i++)
		data[i] = (char)(i * 31 + i / 977);
	secured_leg(t);
	t->pause_after_data = true;
	SSL_set_mode(t->ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
	pump_in(t, data, len);
	assert_int_equal(t->got.len, len);
	assert_memory_equal(t->got.data, data, len);
	mem_free(data);
}

static void test_bulk_out_clogs_and_drains(void **state)
{
	struct far_end *t = *state;
	size_t len = 3 << 20, got = 0;
	char *data = mem_alloc(len), *back = mem_alloc(len + 16384);
	for (size_t i = 0; i < len; i++)
		data[i] = (char)(i * 17 + i / 1013);
	secured_leg(t);
	leg_send(t->leg, data, len);
	leg_io_flush(t->io);
	assert_true(leg_is_clogged(t->leg));
	for (int i = 0; i < 100000 && got < len; i++) {
		int n = SSL_read(t->ssl, back + got, 16384);
		if (n > 0)
			got += (size_t)n;
		else
			turn(t);
	}
	assert_int_equal(got, len);
	assert_memory_equal(back, data, len);
	assert_int_equal(t->drained, 1);
	assert_false(leg_is_clogged(t->leg));
	mem_free(data);
	mem_free(back);
}

static void test_close_notify_is_a_clean_end(void **state)
{
	struct far_end *t = *state;
	secured_leg(t);
	SSL_write(t->ssl, "last", 4);
	SSL_shutdown(t->ssl);
	turn(t);
	assert_string_equal(strbuf_text(&t->got), "last"); /* data and close_notify in one segment: data first */
	assert_int_equal(t->ended, 1);
	assert_int_equal(t->how, LEG_END_CLOSED);
}

static void test_fin_without_close_notify_is_truncation(void **state)
{
	struct far_end *t = *state;
	secured_leg(t);
	SSL_write(t->ssl, "half", 4);
	shutdown(t->fd, SHUT_WR);
	turn(t);
	turn(t);
	assert_string_equal(strbuf_text(&t->got), "half");
	assert_int_equal(t->ended, 1);
	assert_int_equal(t->how, LEG_END_TRUNCATED);
}

static void test_finish_sends_all_then_close_notify(void **state)
{
	struct far_end *t = *state;
	char buf[64];
	secured_leg(t);
	leg_send(t->leg, "bye", 3);
	leg_finish(t->leg, true);
	leg_send(t->leg, "ignored", 7);
	leg_io_flush(t->io);
	assert_int_equal(SSL_read(t->ssl, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "bye", 3);
	assert_int_equal(SSL_read(t->ssl, buf, sizeof(buf)), 0);
	assert_int_equal(SSL_get_shutdown(t->ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
	assert_int_equal(t->closed, 0); /* the peer has not closed yet */
	shutdown(t->fd, SHUT_WR);
	turn(t);
	assert_int_equal(t->closed, 1);
	assert_int_equal(t->ended, 0);
}

static void test_finish_without_notify_is_bare_fin(void **state)
{
	struct far_end *t = *state;
	char buf[64];
	secured_leg(t);
	leg_finish(t->leg, false);
	leg_io_flush(t->io);
	int n = SSL_read(t->ssl, buf, sizeof(buf));
	assert_true(n <= 0);
	assert_int_equal(SSL_get_error(t->ssl, n), SSL_ERROR_SSL); /* unexpected EOF, not a close_notify */
	assert_int_equal(recv(t->fd, buf, sizeof(buf), 0), 0);
}

static void test_half_close_goes_on_reading(void **state)
{
	struct far_end *t = *state;
	char buf[8];
	leg_read(t->leg, true);
	leg_send(t->leg, "x", 1);
	leg_half_close(t->leg);
	leg_io_flush(t->io);
	assert_int_equal(recv(t->fd, buf, sizeof(buf), 0), 1);
	assert_int_equal(recv(t->fd, buf, sizeof(buf), 0), 0);
	assert_int_equal(send(t->fd, "still here", 10, 0), 10);
	turn(t);
	assert_string_equal(strbuf_text(&t->got), "still here");
	leg_finish(t->leg, true);
	shutdown(t->fd, SHUT_WR);
	turn(t);
	assert_int_equal(t->closed, 1);
}

static void test_peer_gone_with_output_waiting(void **state)
{
	struct far_end *t = *state;
	size_t len = 4 << 20;
	char *data = mem_zalloc(len);
	leg_send(t->leg, data, len);
	leg_io_flush(t->io);
	assert_true(leg_is_clogged(t->leg));
	close(t->fd);
	t->fd = -1;
	for (int i = 0; i < 10 && t->ended == 0; i++)
		turn(t);
	assert_int_equal(t->ended, 1);
	assert_int_equal(t->how, LEG_END_RESET);
	leg_finish(t->leg, true);
	for (int i = 0; i < 10 && t->closed == 0; i++)
		turn(t);
	assert_int_equal(t->closed, 1);
	mem_free(data);
}

/* Sends on `leg` until the peer, which does not read, can take no more; returns how much that was. */
static size_t clog_at_once(struct far_end *t, size_t len)
{
	char *data = mem_zalloc(len);
	leg_send(t->leg, data, len);
	leg_io_flush(t->io);
	mem_free(data);
	return len;
}

static void read_all(struct far_end *t, size_t len)
{
	char buf[65536];
	for (int i = 0; i < 10000 && len > 0; i++) {
		ssize_t n = recv(t->fd, buf, sizeof(buf), 0);
		len -= n > 0 ? (size_t)n : 0;
		turn(t);
	}
	assert_int_equal(len, 0);
}

/* A stanza may be larger than the shared buffer: it goes past it, and the source must still hear of the end of it. */
static void test_one_large_piece_clogs_and_drains(void **state)
{
	struct far_end *t = *state;
	size_t len = clog_at_once(t, 4 << 20);
	assert_true(leg_is_clogged(t->leg));
	assert_int_equal(t->drained, 0);
	read_all(t, len);
	assert_false(leg_is_clogged(t->leg));
	assert_int_equal(t->drained, 1);
}

/* With a mark below the shared buffer's size: whoever is told "clogged" is always told "drained" later. */
static void test_small_mark(void **state)
{
	struct far_end *t = *state;
	int pair[2];
	char data[60000] = {0};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	struct leg *leg = leg_new(t->io, pair[0], false, 16384, &callbacks, t);
	leg_send(leg, data, sizeof(data)); /* the socket takes all of it */
	bool told = leg_is_clogged(leg);
	leg_io_flush(t->io);
	assert_false(leg_is_clogged(leg));
	assert_int_equal(t->drained, told ? 1 : 0);
	leg_free(&leg);
	close(pair[1]);
}

/* Two legs send in one turn: the one whose output had to make room goes on all the same. */
static void test_hand_over_when_another_leg_needs_the_buffer(void **state)
{
	struct far_end *t = *state;
	int pair[2];
	char buf[16];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	struct leg *another = leg_new(t->io, pair[0], false, 16384, &callbacks, t);
	leg_send(t->leg, "<proceed/>", 10);
	leg_start_tls(t->leg, server_ssl(), NULL, 0);
	leg_send(another, "x", 1);
	leg_io_flush(t->io);
	assert_int_equal(recv(t->fd, buf, sizeof(buf), 0), 10);
	turn(t);
	assert_non_null(leg_ssl(t->leg));
	client_start(t);
	handshake(t);
	leg_free(&another);
	close(pair[1]);
}

static void test_finish_with_input_waiting(void **state)
{
	struct far_end *t = *state;
	char *piece = mem_zalloc(8192);
	int sent = 0;
	secured_leg(t);
	SSL_set_mode(t->ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	while (sent < 124 * 1024 && SSL_write(t->ssl, piece, 8192) > 0)
		sent += 8192;
	assert_true(sent >= 124 * 1024); /* more than one turn decrypts */
	t->finish_after_data = true;
	turn(t);
	assert_true(t->got.len > 0);
	shutdown(t->fd, SHUT_WR);
	for (int i = 0; i < 10 && t->closed == 0; i++)
		turn(t);
	assert_int_equal(t->closed, 1); /* what was kept is not in the way of the peer's FIN */
	mem_free(piece);
}

static void test_white_space_without_end(void **state)
{
	struct far_end *t = *state;
	char blanks[4096];
	memset(blanks, ' ', sizeof(blanks));
	assert_int_equal(send(t->fd, blanks, sizeof(blanks) - 1, 0), sizeof(blanks) - 1);
	assert_false(leg_has_unread(t->leg));
	assert_int_equal(send(t->fd, blanks, sizeof(blanks), 0), sizeof(blanks));
	assert_true(leg_has_unread(t->leg));
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN); /* as the worker does */
	tls_library_init();
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_plaintext_both_ways, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_own_address, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_unread_bytes_are_seen, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_any_byte_is_seen, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_client_side_begins, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_client_side_meets_plaintext, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_starttls_waits_for_the_last_plaintext_byte, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_plaintext_after_start_tls_meets_the_record_parser, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_direct_tls_with_first_bytes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bulk_in_with_pauses, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bulk_out_clogs_and_drains, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_close_notify_is_a_clean_end, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_fin_without_close_notify_is_truncation, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_finish_sends_all_then_close_notify, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_finish_without_notify_is_bare_fin, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_half_close_goes_on_reading, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_peer_gone_with_output_waiting, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_one_large_piece_clogs_and_drains, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_small_mark, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hand_over_when_another_leg_needs_the_buffer, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_finish_with_input_waiting, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_white_space_without_end, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

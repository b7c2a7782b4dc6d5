/* SPDX-License-Identifier: MIT */
/* The client's steps as a table: what it waits for, what it says then, where that leads. */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_MAX 16384

static void fail(struct client *c, const char *why);

static void say(struct client *c, const char *before, const char *word, const char *after)
{
	char text[1024];
	int len = snprintf(text, sizeof(text), "%s%s%s", before, word, after);

	client_send(c, text, (size_t)len);
}

static void say_header(struct client *c)
{
	say(c, "<?xml version='1.0'?><stream:stream to='", c->crowd->domain,
	    "' version='1.0' xml:lang='en' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>");
}

static void say_bind(struct client *c)
{
	static unsigned long number;
	char resource[32];

	/* A real server ends the older of two streams with one resource. */
	snprintf(resource, sizeof(resource), "%s-%lu", c->crowd->mode, number++);
	say(c, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>", resource,
	    "</resource></bind></iq>");
}

static void watch(struct client *c)
{
	bool want = c->out_len > 0 || c->step == STEP_CONNECT;
	struct epoll_event e = {.events = EPOLLIN | (want ? EPOLLOUT : 0u), .data.ptr = c};

	if (want == c->want_write)
		return;
	c->want_write = want;
	epoll_ctl(c->crowd->epoll, EPOLL_CTL_MOD, c->fd, &e);
}

static void end(struct client *c)
{
	if (c->step == STEP_DEAD)
		return;
	c->step = STEP_DEAD;
	close(c->fd);
	SSL_free(c->ssl);
	free(c->in);
	free(c->out);
	c->ssl = NULL;
	c->in = c->out = NULL;
	c->crowd->on_end(c);
}

static void fail(struct client *c, const char *why)
{
	static bool told;

	if (c->step == STEP_DEAD)
		return;
	if (!told)
		fprintf(stderr, "bench: step %d: %s: %s: %s\n", (int)c->step, why, strerror(errno),
			ERR_reason_error_string(ERR_peek_error()));
	told = true;
	c->failed = true;
	end(c);
}

/* Bytes taken, 0 for "later", negative for an error. */
static ssize_t put(struct client *c, const char *data, size_t len)
{
	ssize_t n;

	if (c->ssl == NULL || c->step == STEP_CONNECT) {
		n = send(c->fd, data, len, MSG_NOSIGNAL);
		return n < 0 && errno == EAGAIN ? 0 : n;
	}
	ERR_clear_error();
	n = SSL_write(c->ssl, data, len > (1 << 20) ? 1 << 20 : (int)len);
	if (n > 0)
		return n;
	return SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static size_t put_all(struct client *c, const char *data, size_t len)
{
	size_t done = 0;
	ssize_t n = 1;

	while (done < len && n > 0) {
		n = put(c, data + done, len - done);
		if (n > 0)
			done += (size_t)n;
	}
	if (n < 0)
		fail(c, "write");
	return done;
}

void client_send(struct client *c, const void *data, size_t len)
{
	size_t done = c->out_len > 0 ? 0 : put_all(c, data, len);

	if (c->step == STEP_DEAD || done == len)
		return;
	c->out = realloc(c->out, c->out_len + len - done);
	memcpy(c->out + c->out_len, (const char *)data + done, len - done);
	c->out_len += len - done;
	watch(c);
}

static void flush(struct client *c)
{
	size_t done = put_all(c, c->out, c->out_len);

	if (c->step == STEP_DEAD)
		return;
	c->out_len -= done;
	memmove(c->out, c->out + done, c->out_len);
	watch(c);
	if (c->out_len == 0 && c->step == STEP_OPEN)
		c->crowd->on_bytes(c, 0);
}

static void finish(struct client *c)
{
	c->step = STEP_CLOSING;
	if (c->ssl != NULL)
		SSL_shutdown(c->ssl);
	shutdown(c->fd, SHUT_WR);
}

void client_close(struct client *c)
{
	say(c, "</stream:stream>", "", "");
	if (c->step != STEP_DEAD)
		c->step = STEP_CLOSING;
}

static void begin_tls(struct client *c)
{
	c->ssl = SSL_new(c->crowd->tls);
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_connect_state(c->ssl);
	SSL_set_tlsext_host_name(c->ssl, c->crowd->domain);
	SSL_set_app_data(c->ssl, c->crowd);
	if (c->crowd->ticket != NULL) {
		SSL_SESSION *copy = SSL_SESSION_dup(c->crowd->ticket);
		SSL_set_session(c->ssl, copy);
		SSL_SESSION_free(copy);
	}
	c->step = STEP_TLS;
}

static void handshake(struct client *c)
{
	ERR_clear_error();
	int n = SSL_do_handshake(c->ssl);

	if (n <= 0) {
		int error = SSL_get_error(c->ssl, n);
		if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
			fail(c, "handshake");
		return;
	}
	c->crowd->resumed += SSL_session_reused(c->ssl) ? 1 : 0;
	if (c->goal == GOAL_HANDSHAKE) {
		finish(c);
		return;
	}
	c->step = STEP_FEATURES;
	say_header(c);
}

static void connected(struct client *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	errno = error;
	if (error != 0) {
		fail(c, "connect");
		return;
	}
	if (c->crowd->starttls) {
		c->step = STEP_OFFER;
		say_header(c);
	} else {
		begin_tls(c);
		handshake(c);
	}
	if (c->step != STEP_DEAD)
		watch(c);
}

static const char *const awaited[] = {
    [STEP_OFFER] = "</stream:features>", [STEP_PROCEED] = "xmpp-tls'/>",        [STEP_FEATURES] = "</stream:features>",
    [STEP_SUCCESS] = "<success",         [STEP_BINDING] = "</stream:features>", [STEP_BOUND] = "</iq>",
    [STEP_CLOSING] = "</stream:stream>",
};

static void go_on(struct client *c)
{
	const struct crowd *crowd = c->crowd;

	switch (c->step) {
	case STEP_OFFER:
		c->step = STEP_PROCEED;
		say(c, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "", "");
		return;
	case STEP_PROCEED:
		begin_tls(c);
		handshake(c);
		return;
	case STEP_FEATURES:
		if (c->goal == GOAL_STREAM) {
			client_close(c);
			return;
		}
		c->step = STEP_SUCCESS;
		say(c, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>", crowd->auth, "</auth>");
		return;
	case STEP_SUCCESS:
		c->step = STEP_BINDING;
		say_header(c);
		return;
	case STEP_BINDING:
		c->step = STEP_BOUND;
		say_bind(c);
		return;
	case STEP_BOUND:
		free(c->in);
		c->in = NULL;
		c->step = STEP_OPEN;
		c->crowd->on_open(c);
		return;
	case STEP_CLOSING:
		finish(c);
		return;
	case STEP_CONNECT:
	case STEP_TLS:
	case STEP_OPEN:
	case STEP_DEAD:
		return;
	}
}

/* Every answer is complete when its token has come: the servers say nothing behind it before we have spoken. */
static void understand(struct client *c, const char *data, size_t len)
{
	if (c->in == NULL)
		c->in = malloc(IN_MAX);
	if (c->in_len + len >= IN_MAX)
		c->in_len = 0;
	if (len >= IN_MAX)
		return;
	memcpy(c->in + c->in_len, data, len);
	c->in_len += len;
	c->in[c->in_len] = '\0';
	if (strstr(c->in, awaited[c->step]) == NULL)
		return;
	c->in_len = 0;
	go_on(c);
}

static ssize_t get(struct client *c, char *data, size_t size)
{
	ssize_t n;

	if (c->ssl == NULL) {
		n = recv(c->fd, data, size, 0);
		return n < 0 && errno == EAGAIN ? 0 : n == 0 ? -1 : n;
	}
	ERR_clear_error();
	n = SSL_read(c->ssl, data, (int)size);
	if (n > 0)
		return n;
	return SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_READ ? 0 : -1;
}

static void readable(struct client *c)
{
	static char data[65536];
	ssize_t n;

	if (c->step == STEP_TLS)
		handshake(c);
	while (c->step != STEP_DEAD && c->step != STEP_TLS && (n = get(c, data, sizeof(data))) != 0) {
		if (n < 0 && c->step == STEP_CLOSING)
			end(c);
		else if (n < 0)
			fail(c, "read");
		else if (c->step == STEP_OPEN)
			c->crowd->on_bytes(c, (size_t)n);
		else
			understand(c, data, (size_t)n);
	}
}

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct crowd *crowd = SSL_get_app_data(ssl);

	/* One ticket for all: those that come while it is in use would be of connections that are not finished. */
	if (!crowd->resume || crowd->ticket != NULL)
		return 0;
	crowd->ticket = SSL_SESSION_dup(session);
	return 0;
}

void crowd_init(struct crowd *crowd)
{
	crowd->epoll = epoll_create1(EPOLL_CLOEXEC);
	crowd->tls = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(crowd->tls, TLS1_3_VERSION);
	SSL_CTX_set_ciphersuites(crowd->tls, "TLS_AES_256_GCM_SHA384");
	SSL_CTX_set1_groups_list(crowd->tls, "X25519");
	SSL_CTX_set_mode(crowd->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					 SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(crowd->tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(crowd->tls, on_ticket);
}

void crowd_turn(struct crowd *crowd, int ms)
{
	struct epoll_event events[64];
	int n = epoll_wait(crowd->epoll, events, 64, ms);

	for (int i = 0; i < n; i++) {
		struct client *c = events[i].data.ptr;
		if (c->step == STEP_CONNECT) {
			connected(c);
			continue;
		}
		if ((events[i].events & EPOLLOUT) != 0 && c->out_len > 0)
			flush(c);
		if (c->step != STEP_DEAD)
			readable(c);
	}
}

struct client *client_new(struct crowd *crowd, enum goal goal)
{
	struct client *c = calloc(1, sizeof(*c));
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
	int on = 1;

	c->crowd = crowd;
	c->goal = goal;
	c->want_write = true;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		perror("bench: socket");
		exit(3);
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(c->fd, (struct sockaddr *)&crowd->to, sizeof(crowd->to)) != 0 && errno != EINPROGRESS) {
		perror("bench: connect");
		exit(3);
	}
	epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, c->fd, &e);
	return c;
}

void client_free(struct client *c)
{
	free(c);
}

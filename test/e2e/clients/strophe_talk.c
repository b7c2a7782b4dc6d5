/* SPDX-License-Identifier: MIT */
/*
 * A libstrophe client for the end-to-end tests: strophe_talk HOST PORT JID PASSWORD CAFILE
 * TLS is mandatory. Input lines are "ADDRESS TEXT" to send; output lines say what happened. A lost connection is made
 * again, with XEP-0198 resumption where the server gave us one.
 */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strophe.h>
#include <unistd.h>

struct talk {
	const char *host, *jid, *password, *ca;
	unsigned short port;
	xmpp_ctx_t *ctx;
	xmpp_conn_t *conn;
	xmpp_sm_state_t *sm;
	bool online, lost, leaving;
};

static int on_message(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *arg)
{
	struct talk *t = arg;
	char *body = xmpp_message_get_body(stanza);
	(void)conn;
	if (body != NULL) {
		printf("message %s\n", body);
		xmpp_free(t->ctx, body);
	}
	return 1;
}

static void on_conn(xmpp_conn_t *conn, xmpp_conn_event_t event, int error, xmpp_stream_error_t *stream_error, void *arg)
{
	struct talk *t = arg;
	if (event != XMPP_CONN_CONNECT) {
		printf("lost %d %s\n", error,
		       stream_error != NULL && stream_error->text != NULL ? stream_error->text : "");
		t->online = false;
		t->lost = true;
		return;
	}
	printf("online secured=%d\n", xmpp_conn_is_secured(conn));
	t->online = true;
	xmpp_handler_add(conn, on_message, NULL, "message", NULL, t);
	xmpp_stanza_t *presence = xmpp_presence_new(t->ctx);
	xmpp_send(conn, presence);
	xmpp_stanza_release(presence);
}

static int on_certificate(const xmpp_tlscert_t *certificate, const char *why)
{
	(void)certificate;
	printf("certificate %s\n", why);
	return 0;
}

static bool dial(struct talk *t)
{
	t->lost = false;
	t->conn = xmpp_conn_new(t->ctx);
	xmpp_conn_set_jid(t->conn, t->jid);
	xmpp_conn_set_pass(t->conn, t->password);
	xmpp_conn_set_flags(t->conn, XMPP_CONN_FLAG_MANDATORY_TLS);
	xmpp_conn_set_cafile(t->conn, t->ca);
	xmpp_conn_set_certfail_handler(t->conn, on_certificate);
	if (t->sm != NULL && xmpp_conn_set_sm_state(t->conn, t->sm) == XMPP_EOK)
		t->sm = NULL;
	return xmpp_connect_client(t->conn, t->host, t->port, on_conn, t) == XMPP_EOK;
}

static void hang_up(struct talk *t)
{
	t->sm = xmpp_conn_get_sm_state(t->conn);
	xmpp_conn_release(t->conn);
	t->conn = NULL;
}

static void say(struct talk *t, char *line)
{
	char *text = strchr(line, ' ');
	line[strcspn(line, "\n")] = '\0';
	if (text == NULL)
		return;
	*text++ = '\0';
	xmpp_stanza_t *message = xmpp_message_new(t->ctx, "chat", line, NULL);
	xmpp_message_set_body(message, text);
	xmpp_send(t->conn, message);
	xmpp_stanza_release(message);
}

static void read_orders(struct talk *t)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char line[1024];
	if (!t->online || t->leaving || poll(&in, 1, 0) <= 0)
		return;
	if (fgets(line, sizeof(line), stdin) != NULL) {
		say(t, line);
		return;
	}
	t->leaving = true;
	xmpp_disconnect(t->conn);
}

static void talk(struct talk *t)
{
	while (!(t->lost && t->leaving)) {
		if (t->lost) {
			hang_up(t);
			usleep(200000);
			if (!dial(t))
				return;
		}
		xmpp_run_once(t->ctx, 20);
		read_orders(t);
	}
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0); /* poll must see what is there */
	signal(SIGPIPE, SIG_IGN);        /* libstrophe writes to connections that are gone */
	xmpp_initialize();
	struct talk t = {.host = argv[1], .jid = argv[3], .password = argv[4], .ca = argv[5]};
	t.port = (unsigned short)strtoul(argv[2], NULL, 10);
	t.ctx = xmpp_ctx_new(
	    NULL, xmpp_get_default_logger(getenv("STROPHE_DEBUG") != NULL ? XMPP_LEVEL_DEBUG : XMPP_LEVEL_WARN));
	if (dial(&t))
		talk(&t);
	if (t.conn != NULL)
		hang_up(&t);
	if (t.sm != NULL)
		xmpp_free_sm_state(t.sm);
	xmpp_ctx_free(t.ctx);
	xmpp_shutdown();
	return 0;
}

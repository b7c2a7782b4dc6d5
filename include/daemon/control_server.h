/* SPDX-License-Identifier: MIT */
/* The master's control socket: a request line in, one JSON answer out, close. No client can make the master wait. */
#ifndef PROXY_DAEMON_CONTROL_SERVER_H
#define PROXY_DAEMON_CONTROL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errbuf.h"
#include "daemon/pollset.h"
#include "xmpp/header.h"

enum control_command {
	CONTROL_STATUS,
	CONTROL_STREAMS,
	CONTROL_RELOAD,
	CONTROL_PEERS_LIST,
	CONTROL_PEERS_SHOW,
	CONTROL_PEERS_ACCEPT,
	CONTROL_PEERS_FORGET,
	CONTROL_COUNT,
	CONTROL_INVALID = CONTROL_COUNT
};

struct control_request {
	enum control_command command;
	char domain[XMPP_DOMAIN_SIZE]; /* normalised; "" where the command takes none */
	char sha256[65];               /* of peers-accept: one certificate of the domain; "": all */
};

/* One request line: {"command":"status"}, {"command":"peers-show","domain":"example.com"}. false with err set: it is
 * none. */
bool control_parse(struct control_request *out, const char *line, size_t len, struct errbuf *err);
/* {"error":"…"}, allocated. */
char *control_error_json(const char *text);

/* client: to be named in control_server_answer, now or later. */
typedef void control_request_fn(void *ctx, uint64_t client, const struct control_request *request);

struct control_server;

/* Mode 0600; makes the directory if only that is missing; takes away a socket on which nobody answers. */
struct control_server *control_server_open(const char *path, control_request_fn *request, void *ctx,
					   struct errbuf *err);
/* Removes the socket. */
void control_server_free(struct control_server **server);
void control_server_poll(struct control_server *server, struct pollset *set);
/* Drops clients whose time is up. */
void control_server_tick(struct control_server *server, uint64_t now_ms);
/* When control_server_tick is wanted next; UINT64_MAX: not. */
uint64_t control_server_due(const struct control_server *server);
/* Takes text (mem_alloc'd). A client that has gone meanwhile is no error. */
void control_server_answer(struct control_server *server, uint64_t client, char *text, size_t len);

#endif

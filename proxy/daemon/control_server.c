/* SPDX-License-Identifier: MIT */
/*
 * The listening control socket and its clients, all non-blocking. At most sixteen at once; the rest wait in the kernel.
 * A client that neither sends its line nor takes its answer within two seconds is dropped. A client is known by a
 * number that is never used again, so that an answer that comes late cannot reach somebody else.
 */
#include "daemon/control_server.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define CLIENTS_MAX 16
#define REQUEST_MAX 4096
#define PATIENCE_MS 2000
/* Longer than the master waits for its workers; two reloads may go before the one that was asked for. */
#define ANSWER_MS 10000
#define RELOAD_ANSWER_MS 110000

enum client_state { CLIENT_FREE, CLIENT_READING, CLIENT_WAITING, CLIENT_WRITING };

struct client {
	struct control_server *server;
	enum client_state state;
	uint64_t number;
	int fd;
	uint64_t deadline_ms;
	char request[REQUEST_MAX];
	size_t request_len;
	char *answer;
	size_t answer_len, sent;
};

struct control_server {
	char *path;
	struct stat made; /* what bind made at path: only that is removed in the end */
	int fd;
	control_request_fn *request;
	void *ctx;
	uint64_t last_number;
	struct client clients[CLIENTS_MAX];
};

static int fill_address(struct sockaddr_un *out, const char *path)
{
	size_t len = strlen(path);

	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (len >= sizeof(out->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(out->sun_path, path, len);
	return 0;
}

static bool is_socket(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Somebody answers on it: another portcullis. Refused: what a killed one has left. */
static bool socket_is_stale(const struct sockaddr_un *at)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool stale;

	if (fd < 0)
		return false;
	stale = is_socket(at->sun_path) && connect(fd, (const struct sockaddr *)at, sizeof(*at)) < 0 &&
		errno == ECONNREFUSED;
	close(fd);
	return stale;
}

static void make_directory(const char *path)
{
	char *directory = mem_strdup(path), *slash = strrchr(directory, '/');

	if (slash && slash != directory) {
		*slash = '\0';
		/* If it cannot be made, bind says what is wrong. */
		(void)!mkdir(directory, 0755);
	}
	mem_free(directory);
}

static int bind_private(int fd, const struct sockaddr_un *at)
{
	mode_t mask = umask(0177);
	int result = bind(fd, (const struct sockaddr *)at, sizeof(*at));
	int saved = errno;

	umask(mask);
	errno = saved;
	return result;
}

static int bind_or_replace(int fd, const struct sockaddr_un *at)
{
	make_directory(at->sun_path);
	if (bind_private(fd, at) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -1;
	if (!socket_is_stale(at)) {
		errno = EADDRINUSE;
		return -1;
	}
	unlink(at->sun_path);
	return bind_private(fd, at);
}

static int open_socket(const char *path, struct errbuf *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un at;

	if (fd >= 0 && fill_address(&at, path) == 0 && bind_or_replace(fd, &at) == 0 && listen(fd, CLIENTS_MAX) == 0)
		return fd;
	if (errno == EADDRINUSE && !is_socket(path))
		errbuf_set(err, "admin.socket %s is there already and is no socket: move it away", path);
	else if (errno == EADDRINUSE)
		errbuf_set(err, "admin.socket %s is in use: is another portcullis running?", path);
	else
		errbuf_set(err, "cannot open admin.socket %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

struct control_server *control_server_open(const char *path, control_request_fn *request, void *ctx, struct errbuf *err)
{
	int fd = open_socket(path, err);
	struct control_server *server;

	if (fd < 0)
		return NULL;
	server = mem_zalloc(sizeof(*server));
	server->path = mem_strdup(path);
	server->fd = fd;
	(void)lstat(path, &server->made);
	server->request = request;
	server->ctx = ctx;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		server->clients[i].server = server;
	return server;
}

static void drop_client(struct client *client)
{
	if (client->state == CLIENT_FREE)
		return;
	close(client->fd);
	mem_free(client->answer);
	client->answer = NULL;
	client->state = CLIENT_FREE;
}

void control_server_free(struct control_server **server_io)
{
	struct control_server *server = *server_io;
	struct stat now;

	*server_io = NULL;
	if (!server)
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		drop_client(&server->clients[i]);
	if (lstat(server->path, &now) == 0 && now.st_dev == server->made.st_dev && now.st_ino == server->made.st_ino)
		unlink(server->path);
	close(server->fd);
	mem_free(server->path);
	mem_free(server);
}

static void write_answer(struct client *client)
{
	while (client->sent < client->answer_len) {
		ssize_t n = send(client->fd, client->answer + client->sent, client->answer_len - client->sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			break;
		client->sent += (size_t)n;
		client->deadline_ms = clock_ms() + PATIENCE_MS;
	}
	drop_client(client);
}

void control_server_answer(struct control_server *server, uint64_t number, char *text, size_t len)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &server->clients[i];

		if (client->state != CLIENT_WAITING || client->number != number)
			continue;
		client->answer = text;
		client->answer_len = len;
		client->sent = 0;
		client->state = CLIENT_WRITING;
		client->deadline_ms = clock_ms() + PATIENCE_MS;
		write_answer(client);
		return;
	}
	mem_free(text);
}

static void serve(struct client *client, size_t len)
{
	struct control_server *server = client->server;
	struct errbuf err = {.text = ""};
	struct control_request request;
	bool well = control_parse(&request, client->request, len, &err);
	char *text;

	client->state = CLIENT_WAITING;
	client->deadline_ms = clock_ms() + (request.command == CONTROL_RELOAD ? RELOAD_ANSWER_MS : ANSWER_MS);
	if (well) {
		server->request(server->ctx, client->number, &request);
		return;
	}
	text = control_error_json(err.text);
	control_server_answer(server, client->number, text, strlen(text));
}

static void read_request(struct client *client)
{
	size_t room = sizeof(client->request) - client->request_len;
	ssize_t n = recv(client->fd, client->request + client->request_len, room, MSG_DONTWAIT);
	const char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop_client(client);
		return;
	}
	client->request_len += (size_t)n;
	end = memchr(client->request, '\n', client->request_len);
	if (end)
		serve(client, (size_t)(end - client->request));
	else if (client->request_len == sizeof(client->request))
		drop_client(client);
}

static void on_client(void *ctx, short revents)
{
	struct client *client = ctx;

	if (client->state == CLIENT_READING)
		read_request(client);
	else if (client->state == CLIENT_WRITING)
		write_answer(client);
	else if (client->state == CLIENT_WAITING && (revents & (POLLHUP | POLLERR)))
		drop_client(client);
}

static struct client *free_client(struct control_server *server)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (server->clients[i].state == CLIENT_FREE)
			return &server->clients[i];
	return NULL;
}

static void on_connection(void *ctx, short revents)
{
	struct control_server *server = ctx;
	struct client *client;

	(void)revents;
	while ((client = free_client(server))) {
		int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		client->fd = fd;
		client->state = CLIENT_READING;
		client->number = ++server->last_number;
		client->request_len = 0;
		client->deadline_ms = clock_ms() + PATIENCE_MS;
	}
}

void control_server_poll(struct control_server *server, struct pollset *set)
{
	static const short wanted[] = {[CLIENT_READING] = POLLIN, [CLIENT_WAITING] = 0, [CLIENT_WRITING] = POLLOUT};

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &server->clients[i];

		if (client->state != CLIENT_FREE)
			pollset_add(set, client->fd, wanted[client->state], on_client, client);
	}
	if (free_client(server))
		pollset_add(set, server->fd, POLLIN, on_connection, server);
}

void control_server_tick(struct control_server *server, uint64_t now_ms)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (server->clients[i].deadline_ms <= now_ms)
			drop_client(&server->clients[i]);
}

uint64_t control_server_due(const struct control_server *server)
{
	uint64_t due = UINT64_MAX;

	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (server->clients[i].state != CLIENT_FREE && server->clients[i].deadline_ms < due)
			due = server->clients[i].deadline_ms;
	return due;
}

/* SPDX-License-Identifier: MIT */
/*
 * The asking side of the control socket. Every failure names the socket and what to do about it.
 */
#include "daemon/control.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strbuf.h"

#define ANSWER_MAX ((size_t)256 << 20)

static const char *remedy(int error)
{
	if (error == ENOENT || error == ECONNREFUSED)
		return "is portcullis running? (-c names its configuration)";
	if (error == EACCES || error == EPERM)
		return "only root and the account that started portcullis may: try sudo";
	return "try again";
}

static int connect_to(const char *path, struct errbuf *err)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	int fd;

	if (len >= sizeof(to.sun_path)) {
		errbuf_set(err, "%s: longer than a socket's name may be", path);
		return -1;
	}
	memcpy(to.sun_path, path, len);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	errbuf_set(err, "%s: %s: %s", path, strerror(errno), remedy(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int send_line(int fd, const char *request)
{
	char *line = mem_printf("%s\n", request);
	size_t len = strlen(line);
	/* A request is far smaller than a socket's buffer: it goes in one piece or not at all. */
	ssize_t n = send(fd, line, len, MSG_NOSIGNAL);

	mem_free(line);
	return n == (ssize_t)len ? 0 : -1;
}

/* 0: the whole answer is in b. */
static int read_answer(int fd, uint64_t wait_ms, struct strbuf *b)
{
	uint64_t deadline = clock_ms() + wait_ms;
	char chunk[16384];

	for (;;) {
		uint64_t now = clock_ms();
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (now >= deadline || poll(&wait, 1, (int)(deadline - now)) == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -1;
		if (n > 0 && !strbuf_add(b, chunk, (size_t)n)) {
			errno = EMSGSIZE;
			return -1;
		}
	}
}

char *control_ask(const char *socket_path, const char *request, uint64_t wait_ms, size_t *len_out, struct errbuf *err)
{
	int fd = connect_to(socket_path, err);
	struct strbuf answer;
	char *out = NULL;

	if (fd < 0)
		return NULL;
	strbuf_init(&answer, ANSWER_MAX);
	if (send_line(fd, request) < 0 || read_answer(fd, wait_ms, &answer) < 0)
		errbuf_set(err, "%s: %s: %s", socket_path, strerror(errno), remedy(errno));
	else if (answer.len == 0)
		errbuf_set(err, "%s: no answer: it may be stopping or busy, try again", socket_path);
	else
		out = mem_strndup(answer.data, answer.len);
	if (out && len_out)
		*len_out = answer.len;
	strbuf_fini(&answer);
	close(fd);
	return out;
}

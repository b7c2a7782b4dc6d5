/* SPDX-License-Identifier: MIT */
/*
 * Bytes nobody can predict: stream ids, hash keys, ticket keys. The pool saves a system call per stream id. Invariants:
 * a byte is handed out once and wiped from the pool, and two processes never share a pool (the owner's pid is kept).
 */
#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define POOL_SIZE 512

static unsigned char pool[POOL_SIZE];
static size_t pool_left;
static pid_t pool_owner;

static void kernel_bytes(unsigned char *out, size_t len)
{
	ssize_t n;

	while (len) {
		n = getrandom(out, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log_error("the kernel gives no random bytes: %s", strerror(errno));
			abort();
		}
		out += n;
		len -= (size_t)n;
	}
}

static void pool_fill(void)
{
	kernel_bytes(pool, sizeof(pool));
	pool_left = sizeof(pool);
	pool_owner = getpid();
}

void random_bytes(void *out, size_t len)
{
	unsigned char *from;

	if (len > POOL_SIZE / 2) {
		kernel_bytes(out, len);
		return;
	}
	if (len > pool_left || pool_owner != getpid())
		pool_fill();
	pool_left -= len;
	from = pool + pool_left;
	memcpy(out, from, len);
	mem_wipe(from, len);
}

void random_hex(char *out, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[32]; /* as many at once as a stream id has: each call asks the kernel who we are */
	size_t i, n;

	for (; len; len -= n) {
		n = len < sizeof(bytes) ? len : sizeof(bytes);
		random_bytes(bytes, n);
		for (i = 0; i < n; i++) {
			*out++ = digits[bytes[i] >> 4];
			*out++ = digits[bytes[i] & 15];
		}
	}
	*out = '\0';
	mem_wipe(bytes, sizeof(bytes));
}

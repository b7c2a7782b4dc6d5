/* SPDX-License-Identifier: MIT */
/*
 * The load generator: one process, commands on standard input, one line of JSON each on standard output.
 *   load PORT DOMAIN starttls|direct resume|full [AUTH]      (AUTH: base64 of SASL PLAIN)
 *     handshake N WIDTH | stream N WIDTH       N connections, WIDTH at a time, to TLS or to the features inside it
 *     open N echo|sink                         N more streams logged in
 *     messages N SIZE WINDOW                   N messages over all open streams, WINDOW in flight on each
 *     push N SIZE                              as messages, on sink streams: acknowledged every ACK_EVERY
 *     latency RATE SECONDS SIZE                RATE messages a second over all open streams, in turn
 *     close                                    ends all open streams in order
 *   load calibrate                             nanoseconds of processor time that a fixed piece of work took
 */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "wire.h"

static struct crowd crowd;
static struct client **open_streams, *dead;
static size_t open_count, opening, running, failures;
static char *message;
static size_t size, total, asked, answered;
/* Of the answers: bytes that make one, and messages that one stands for. */
static size_t answer_size, answer_worth;
static bool timed;
static uint64_t *latencies;

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void on_open(struct client *c)
{
	open_streams = realloc(open_streams, (open_count + 1) * sizeof(*open_streams));
	open_streams[open_count++] = c;
	opening--;
}

static void on_end(struct client *c)
{
	running--;
	if (c->failed) {
		failures++;
		if (failures > 100)
			exit(1);
	}
	c->next = dead;
	dead = c;
}

static void bury(void)
{
	while (dead != NULL) {
		struct client *c = dead;
		dead = c->next;
		client_free(c);
	}
}

static void ask(struct client *c)
{
	if (timed)
		c->stamp[c->asked % STAMPS] = now_ns(CLOCK_MONOTONIC);
	c->asked++;
	asked++;
	client_send(c, message, size);
}

static void answer(struct client *c)
{
	if (timed && answered < total)
		latencies[answered] = now_ns(CLOCK_MONOTONIC) - c->stamp[c->answered % STAMPS];
	c->answered++;
	answered += answer_worth;
	for (size_t i = 0; !timed && i < answer_worth && asked < total; i++)
		ask(c);
}

static void on_bytes(struct client *c, size_t len)
{
	c->got += len;
	while (answer_size > 0 && c->got >= answer_size) {
		c->got -= answer_size;
		answer(c);
	}
}

/* A message stanza of exactly `bytes`. */
static void write_message(size_t bytes)
{
	static const char head[] = "<message to='juliet@im.test' type='chat' id='b7'><body>";
	static const char tail[] = "</body></message>";
	static const char words[] = "shall I hear more, or shall I speak at this? ";
	size_t at = sizeof(head) - 1, end = bytes - (sizeof(tail) - 1);

	free(message);
	message = malloc(bytes + 1);
	size = bytes;
	memcpy(message, head, at);
	for (size_t i = 0; at < end; i++)
		message[at++] = words[i % (sizeof(words) - 1)];
	memcpy(message + end, tail, sizeof(tail));
}

static void report(uint64_t begin, size_t count)
{
	printf("{\"count\": %zu, \"failed\": %zu, \"resumed\": %zu, \"seconds\": %.6f}\n", count, failures,
	       crowd.resumed, (double)(now_ns(CLOCK_MONOTONIC) - begin) / 1e9);
	failures = crowd.resumed = 0;
}

static void connections(enum goal goal, size_t count, size_t width)
{
	uint64_t begin = now_ns(CLOCK_MONOTONIC);

	for (size_t started = 0; started < count || running > open_count;) {
		while (started < count && running - open_count < width) {
			client_new(&crowd, goal);
			started++;
			running++;
		}
		crowd_turn(&crowd, 1000);
		bury();
	}
	report(begin, count);
}

static void open_more(size_t count, const char *mode)
{
	uint64_t begin = now_ns(CLOCK_MONOTONIC);
	size_t had = open_count, started = 0;

	crowd.mode = mode;
	opening = 0;
	while (open_count < had + count) {
		while (started < count && opening < 32) {
			client_new(&crowd, GOAL_OPEN);
			started++;
			running++;
			opening++;
		}
		crowd_turn(&crowd, 1000);
		bury();
	}
	report(begin, count);
}

static void converse(size_t count, size_t bytes, size_t window, size_t unit, size_t worth)
{
	uint64_t begin = now_ns(CLOCK_MONOTONIC);

	write_message(bytes);
	timed = false;
	total = count;
	asked = answered = 0;
	answer_size = unit;
	answer_worth = worth;
	for (size_t w = 0; w < window; w++)
		for (size_t i = 0; i < open_count && asked < total; i++)
			ask(open_streams[i]);
	while (answered < total)
		crowd_turn(&crowd, 1000);
	report(begin, count);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void latency(size_t rate, size_t seconds, size_t bytes)
{
	uint64_t begin = now_ns(CLOCK_MONOTONIC), last = begin;

	write_message(bytes);
	timed = true;
	total = rate * seconds;
	asked = answered = 0;
	answer_size = bytes;
	answer_worth = 1;
	latencies = realloc(latencies, total * sizeof(*latencies));
	while (answered < total) {
		uint64_t now = now_ns(CLOCK_MONOTONIC), due = (now - begin) * rate / 1000000000u;
		if (now - last > 10000000000u)
			exit(1);
		while (asked < due && asked < total) {
			ask(open_streams[asked % open_count]);
			last = now;
		}
		crowd_turn(&crowd, 0);
	}
	qsort(latencies, total, sizeof(*latencies), by_size);
	printf("{\"count\": %zu, \"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}\n", total,
	       (double)latencies[total / 2] / 1e3, (double)latencies[total * 99 / 100] / 1e3,
	       (double)latencies[total - 1] / 1e3);
}

static void close_all(void)
{
	uint64_t begin = now_ns(CLOCK_MONOTONIC);
	size_t count = open_count, at = 0;

	while (at < count || running > 0) {
		for (size_t i = 0; i < 64 && at < count; i++)
			client_close(open_streams[at++]);
		crowd_turn(&crowd, at < count ? 0 : 1000);
		bury();
	}
	open_count = 0;
	report(begin, count);
}

static void calibrate(void)
{
	unsigned char block[16384] = {1}, digest[EVP_MAX_MD_SIZE];
	const EVP_MD *sha = EVP_sha256();
	EVP_Digest(block, sizeof(block), digest, NULL, sha, NULL);
	uint64_t begin = now_ns(CLOCK_PROCESS_CPUTIME_ID);

	for (int i = 0; i < 1000; i++) {
		EVP_Digest(block, sizeof(block), digest, NULL, sha, NULL);
		memcpy(block, digest, 32);
	}
	printf("{\"ns\": %llu}\n", (unsigned long long)(now_ns(CLOCK_PROCESS_CPUTIME_ID) - begin));
}

static void obey(char *line)
{
	char word[16] = "", mode[8] = "";
	size_t a = 0, b = 0, c = 0;

	if (sscanf(line, "open %zu %7s", &a, mode) == 2)
		open_more(a, mode);
	else if (sscanf(line, "%15s %zu %zu %zu", word, &a, &b, &c) < 1)
		return;
	else if (strcmp(word, "handshake") == 0)
		connections(GOAL_HANDSHAKE, a, b);
	else if (strcmp(word, "stream") == 0)
		connections(GOAL_STREAM, a, b);
	else if (strcmp(word, "messages") == 0)
		converse(a, b, c, b, 1);
	else if (strcmp(word, "push") == 0)
		converse(a, b, 2 * ACK_EVERY / b, sizeof(ACK) - 1, ACK_EVERY / b);
	else if (strcmp(word, "latency") == 0)
		latency(a, b, c);
	else if (strcmp(word, "close") == 0)
		close_all();
	else
		fprintf(stderr, "bench: what is '%s'?\n", word);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[256];

	if (argc == 2 && strcmp(argv[1], "calibrate") == 0) {
		calibrate();
		return 0;
	}
	if (argc < 5) {
		fprintf(stderr, "usage: load PORT DOMAIN starttls|direct resume|full [AUTH] | load calibrate\n");
		return 2;
	}
	crowd_init(&crowd);
	crowd.to.sin_family = AF_INET;
	crowd.to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	crowd.to.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
	crowd.domain = argv[2];
	crowd.starttls = strcmp(argv[3], "starttls") == 0;
	crowd.resume = strcmp(argv[4], "resume") == 0;
	crowd.auth = argc > 5 ? argv[5] : "AGp1bGlldAByMG0zMG15cjBtMzA=";
	crowd.on_open = on_open;
	crowd.on_end = on_end;
	crowd.on_bytes = on_bytes;
	while (fgets(line, sizeof(line), stdin) != NULL)
		obey(line);
	return 0;
}

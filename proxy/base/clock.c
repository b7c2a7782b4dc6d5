/* SPDX-License-Identifier: MIT */
/*
 * The only place that asks the machine for the time, so that a test can stop it. Durations and deadlines use the
 * monotonic clock, which no administrator can set back; records use the real one.
 */
#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static bool faked;
static uint64_t fake_mono_ns;
static int64_t fake_real_us;

uint64_t clock_ns(void)
{
	struct timespec ts = {0};

	if (faked)
		return fake_mono_ns;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

uint64_t clock_ms(void)
{
	return clock_ns() / 1000000U;
}

int64_t clock_real_us(void)
{
	struct timespec ts = {0};

	if (faked)
		return fake_real_us;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void clock_rfc3339(int64_t real_us, char out[CLOCK_RFC3339_SIZE])
{
	/* RFC 3339 has four digits for a year: clamp to 0001..9999. */
	const int64_t least = -62135596800, most = 253402300799;
	int64_t seconds = real_us / 1000000, micros = real_us % 1000000;
	char text[CLOCK_RFC3339_SIZE + 20];
	struct tm tm;
	time_t t;
	size_t n;

	if (micros < 0) {
		micros += 1000000;
		seconds--;
	}
	if (seconds < least || seconds > most)
		micros = 0;
	seconds = seconds < least ? least : seconds > most ? most : seconds;
	t = (time_t)seconds;
	(void)gmtime_r(&t, &tm);
	n = (size_t)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900,
			     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)micros);
	if (n >= CLOCK_RFC3339_SIZE)
		n = CLOCK_RFC3339_SIZE - 1;
	memcpy(out, text, n);
	out[n] = '\0';
}

void clock_fake(uint64_t mono_ns, int64_t real_us)
{
	faked = true;
	fake_mono_ns = mono_ns;
	fake_real_us = real_us;
}

void clock_unfake(void)
{
	faked = false;
}

/* SPDX-License-Identifier: MIT */
/* Time, replaceable in tests. Monotonic for durations and deadlines, real for records. */
#ifndef PROXY_BASE_CLOCK_H
#define PROXY_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds and nanoseconds of a clock that never goes back; the origin is arbitrary. */
uint64_t clock_ms(void);
uint64_t clock_ns(void);
/* Microseconds since 1970-01-01T00:00:00Z. */
int64_t clock_real_us(void);
/* "2026-11-22T08:27:49.123456Z" (27 characters and the NUL). */
#define CLOCK_RFC3339_SIZE 28
void clock_rfc3339(int64_t real_us, char out[CLOCK_RFC3339_SIZE]);
/* Tests only: from now on all three clocks stand at these values. clock_unfake returns to the machine's. */
void clock_fake(uint64_t mono_ns, int64_t real_us);
void clock_unfake(void);

#endif

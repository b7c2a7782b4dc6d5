/* SPDX-License-Identifier: MIT */
/*
 * The operator's log: one line per event, level first, to stderr, syslog or journald (stderr with <N> prefixes).
 * Every line passes through the same filter: control characters, invalid UTF-8 and bidirectional overrides are escaped
 * as \xNN or \u{NNNN} and the line is capped, so that peer-controlled text cannot forge lines. Never given secrets.
 */
#ifndef PROXY_BASE_LOG_H
#define PROXY_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL_COUNT };
enum log_output { LOG_OUTPUT_STDERR, LOG_OUTPUT_SYSLOG, LOG_OUTPUT_JOURNALD, LOG_OUTPUT_COUNT };

/* Writes what stands before each message ("worker 3: ") into out; set once per process. */
typedef void log_prefix_fn(void *ctx, char *out, size_t size);

void log_setup(enum log_output output, enum log_level level);
void log_set_prefix(log_prefix_fn *prefix, void *ctx);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                           \
	do {                                                     \
		if (log_enabled(LOG_LEVEL_DEBUG))                \
			log_write(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)

/* Copies peer text into out (always NUL-terminated) escaped as above, capped at `cap` input bytes. Returns out. */
char *log_safe(char *out, size_t size, const char *text, size_t len, size_t cap);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The operator's log. One event is one line and one write(2), so that lines of several processes do not mix. Every line
 * goes through the escape filter whole, whatever the caller did to its arguments: no text of a peer can begin a new
 * line, hide the rest of one or speak to the terminal (LOG-9). Knows no connection type: the prefix is a callback.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/escape.h"

/* Longest line, escaped. */
#define LOG_LINE_MAX 2048

struct level_row {
	const char *word;
	int priority;
};

static const struct level_row levels[] = {
    [LOG_LEVEL_ERROR] = {"error", LOG_ERR},
    [LOG_LEVEL_WARN] = {"warn", LOG_WARNING},
    [LOG_LEVEL_INFO] = {"info", LOG_INFO},
    [LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};
_Static_assert(sizeof(levels) / sizeof(levels[0]) == LOG_LEVEL_COUNT, "level without a row");

static enum log_output log_output = LOG_OUTPUT_STDERR;
static enum log_level log_threshold = LOG_LEVEL_INFO;
static log_prefix_fn *log_prefix;
static void *log_prefix_ctx;

void log_setup(enum log_output output, enum log_level level)
{
	log_output = output;
	log_threshold = level;
	/* Connected now: a sandboxed process cannot do it later. */
	if (output == LOG_OUTPUT_SYSLOG)
		openlog("portcullis", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void log_set_prefix(log_prefix_fn *prefix, void *ctx)
{
	log_prefix = prefix;
	log_prefix_ctx = ctx;
}

bool log_enabled(enum log_level level)
{
	return level <= log_threshold;
}

static void emit_stderr(enum log_level level, const char *text)
{
	char line[LOG_LINE_MAX + 16];
	int n;

	if (log_output == LOG_OUTPUT_JOURNALD)
		n = snprintf(line, sizeof(line), "<%d>%s\n", levels[level].priority, text);
	else
		n = snprintf(line, sizeof(line), "%s: %s\n", levels[level].word, text);
	/* Nobody is left to tell when this fails. */
	if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char raw[LOG_LINE_MAX] = "", text[LOG_LINE_MAX];
	int saved = errno;
	size_t used;
	va_list ap;

	if (!log_enabled(level))
		return;
	if (log_prefix)
		log_prefix(log_prefix_ctx, raw, sizeof(raw));
	raw[sizeof(raw) - 1] = '\0';
	used = strlen(raw);
	va_start(ap, fmt);
	(void)vsnprintf(raw + used, sizeof(raw) - used, fmt, ap);
	va_end(ap);
	(void)escape_text(text, sizeof(text), raw, strlen(raw));
	if (log_output == LOG_OUTPUT_SYSLOG)
		syslog(LOG_DAEMON | levels[level].priority, "%s", text);
	else
		emit_stderr(level, text);
	errno = saved;
}

char *log_safe(char *out, size_t size, const char *text, size_t len, size_t cap)
{
	(void)escape_text(out, size, text, text && len < cap ? len : text ? cap : 0);
	return out;
}

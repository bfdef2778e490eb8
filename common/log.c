/* SPDX-License-Identifier: MIT */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LOG_LINE_MAX 2048

/* The only globals of the tree beside signal flags. */
static const char *ident = "sidebus";
static int level = LOG_INFO;
static bool prefixed;
static log_sink_t sink;

static const struct {
        const char *name;
        int priority;
} level_names[] = {
        {"err", LOG_ERR},   {"error", LOG_ERR},     {"warning", LOG_WARNING}, {"notice", LOG_NOTICE},
        {"info", LOG_INFO}, {"debug", LOG_DEBUG},
};

int log_level_from_string(const char *s) {
        for (size_t i = 0; i < ELEMENTSOF(level_names); i++)
                if (strcmp(s, level_names[i].name) == 0)
                        return level_names[i].priority;
        return -EINVAL;
}

void log_init(const char *name) {
        const char *e = getenv("SIDEBUS_LOG_LEVEL");
        int r = e ? log_level_from_string(e) : -EINVAL;

        ident = name;
        if (r >= 0)
                level = r;
        prefixed = getenv("SIDEBUS_LOG_PREFIX") || getenv("JOURNAL_STREAM");
}

void log_set_level(int priority) {
        level = priority;
}

int log_level(void) {
        return level;
}

log_sink_t log_set_sink(log_sink_t s) {
        log_sink_t before = sink;

        sink = s;
        return before;
}

/* One write() per line, so that the lines of several processes do not mix. */
static void emit(int priority, const char *text) {
        char line[LOG_LINE_MAX + 64];
        int n;

        if (sink) {
                sink(priority, text);
                return;
        }
        if (prefixed)
                n = snprintf(line, sizeof(line), "<%d>%s\n", priority, text);
        else
                n = snprintf(line, sizeof(line), "%s: %s\n", ident, text);
        if (n > 0)
                (void)!write(STDERR_FILENO, line, (size_t)n);
}

void log_line(int priority, const char *fmt, ...) {
        char text[LOG_LINE_MAX];
        int saved = errno;
        va_list ap;

        if (priority > level)
                return;
        va_start(ap, fmt);
        (void)vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        emit(priority, text);
        errno = saved;
}

int log_line_errno(int priority, int error, const char *fmt, ...) {
        char text[LOG_LINE_MAX];
        int e = error < 0 ? -error : error, saved = errno;
        va_list ap;
        size_t n;

        if (priority <= level) {
                va_start(ap, fmt);
                (void)vsnprintf(text, sizeof(text), fmt, ap);
                va_end(ap);
                n = strlen(text);
                (void)snprintf(text + n, sizeof(text) - n, ": %s", strerror(e));
                emit(priority, text);
        }
        errno = saved;
        return -e;
}

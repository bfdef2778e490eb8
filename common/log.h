/* SPDX-License-Identifier: MIT */
/*
 * Log lines of the programs.
 *
 * A line goes to a sink.  The default sink writes it to stderr, with a
 * "<priority>" prefix (sd-daemon(3)) when SIDEBUS_LOG_PREFIX is set: so the
 * supervisor sets it for its children, reads their stderr line by line and
 * files the line under the VM and the process it came from.  The supervisor
 * itself installs a journal sink when its stderr is the journal.
 *
 * Text that comes from a guest is never put into a line as it is: see escape.h.
 */
#pragma once

#include <syslog.h>

#include "common/cleanup.h"

typedef void (*log_sink_t)(int priority, const char *line);

/* ident: the program's name, borrowed for ever.  Reads SIDEBUS_LOG_LEVEL (a syslog name). */
void log_init(const char *ident);
void log_set_level(int priority);
int log_level(void);
/* NULL: stderr.  Returns the one before. */
log_sink_t log_set_sink(log_sink_t sink);
/* "debug", "info", "notice", "warning", "err" to LOG_*; -EINVAL for anything else. */
int log_level_from_string(const char *s);

void log_line(int priority, const char *fmt, ...) _printf_(2, 3);
/* Appends ": " and the text of error (an errno, either sign); returns -|error|. */
int log_line_errno(int priority, int error, const char *fmt, ...) _printf_(3, 4);

#define log_error(...) log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
        do {                                                                                       \
                if (log_level() >= LOG_DEBUG)                                                      \
                        log_line(LOG_DEBUG, __VA_ARGS__);                                          \
        } while (0)
#define log_error_errno(e, ...) log_line_errno(LOG_ERR, (e), __VA_ARGS__)
#define log_warning_errno(e, ...) log_line_errno(LOG_WARNING, (e), __VA_ARGS__)

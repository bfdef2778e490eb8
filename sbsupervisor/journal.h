/* SPDX-License-Identifier: MIT */
/*
 * Where the supervisor's own log lines, and those it reads from its children, go: to the
 * journal as fields (SIDEBUS_VM=, SIDEBUS_PROCESS=), or to stderr when that is not the journal.
 */
#pragma once

#include <stdint.h>

/* vm: borrowed for ever; NULL: not known yet.  From here on log_line() goes where stderr does. */
void journal_init(const char *vm);

/* A line of a child. */
void journal_line(const char *process, int priority, const char *text);

/* A bucket that lets LIMIT_LOG_LINES_SECOND through and counts the rest. */
struct log_budget {
        uint64_t second; /* CLOCK_MONOTONIC, in seconds */
        unsigned lines, dropped;
};

/*
 * 1 if a line may be logged at second now.  *ret_dropped is how many were not since the last
 * second, when a new one begins: say so once.
 */
int log_budget_take(struct log_budget *b, uint64_t now, unsigned *ret_dropped);

/* The same with the clock read here. */
int log_budget_take_now(struct log_budget *b, unsigned *ret_dropped);

/*
 * log_line() for what a guest can make happen: limited, and what was dropped is said.  Only with a
 * budget of whose guest it is.
 */
void log_limited(struct log_budget *b, int priority, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* SPDX-License-Identifier: MIT */
/*
 * What a bus is given to do, one function each; each prints what that cost.
 *
 * A line of output is "ROW<tab>METRIC<tab>VALUE": cpu and wall are microseconds per
 * operation, of the bus's processes and of the clock; others are KiB of memory.
 */
#pragma once

#include "tests/bench/measure.h"
#include "tests/bench/stream.h"

struct bench {
        struct target target;
        struct bus_processes bus;
        double seconds; /* per measurement */
};

/* A measurement that runs. */
struct span {
        const struct bench *bench;
        uint64_t wall, cpu, until;
};

struct span span_begin(const struct bench *b);
static inline bool span_is_over(const struct span *s) {
        return clock_ns() >= s->until;
}
/* n operations were done. */
void span_report(const struct span *s, const char *row, uint64_t n);
void report(const char *row, const char *metric, double value);

/*
 * The words behind the workload's name on the command line, as "call:1024:16" has them; a
 * missing one is NULL.
 */
typedef void workload_fn(const struct bench *b, const char *first, const char *second);

workload_fn work_call, work_fd;                       /* calls.c */
workload_fn work_driver;                              /* driver.c */
workload_fn work_connect;                             /* driver.c */
workload_fn work_fanout, work_match;                  /* signals.c */
workload_fn work_start, work_connections, work_rules; /* memory.c */

/* Rule i of a kind, as work_match() and work_rules() install them. */
#define RULE_BYTES 256u
void format_rule(char out[RULE_BYTES], const char *kind, const char *sender, unsigned i);
/* Rules first..last-1 of the kind, several calls in flight. */
void add_rules(struct stream *s, const char *kind, const char *sender, unsigned first,
               unsigned last);

/* A whole number from the command line. */
unsigned number(const char *word);

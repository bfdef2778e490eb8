/* SPDX-License-Identifier: MIT */
/* What connections that do nothing, and rules that nothing fits, cost in memory. */
#include <unistd.h>

#include "tests/bench/fail.h"
#include "tests/bench/workload.h"

#define CONNECTIONS 1000u
#define FIRST       100u /* are looked at on the way */
#define OWNERS      10u
#define RULES       10000u
#define SETTLE_US   300000u

/* Once the bus has nothing left to do. */
static struct memory settled(const struct bench *b, const char *row) {
        struct memory m;

        (void)usleep(SETTLE_US);
        m = bus_memory(&b->bus);
        if (m.private_kib >= 0)
                report(row, "private", (double)m.private_kib);
        report(row, "anonymous", (double)m.anonymous_kib);
        return m;
}

static void report_each(const char *row, struct memory before, struct memory after, unsigned n) {
        report(row, "each", (double)(after.anonymous_kib - before.anonymous_kib) / n);
}

void work_start(const struct bench *b, const char *first, const char *second) {
        (void)first, (void)second;
        (void)settled(b, "start");
}

void work_connections(const struct bench *b, const char *first, const char *second) {
        struct stream *s = calloc(CONNECTIONS, sizeof(*s));
        struct memory start, some = {0};

        (void)first, (void)second;
        if (!s)
                fail("out of memory");
        start = settled(b, "connections:0");
        for (unsigned i = 0; i < CONNECTIONS; i++) {
                if (i == FIRST)
                        some = settled(b, "connections:100");
                stream_open(&s[i], &b->target, ROLE_ECHO, 4096);
        }
        report_each("connections:100", start, some, FIRST);
        report_each("connections:1000", start, settled(b, "connections:1000"), CONNECTIONS);
        for (unsigned i = 0; i < CONNECTIONS; i++)
                stream_close(&s[i]);
        (void)settled(b, "connections:closed");
        free(s);
}

void work_rules(const struct bench *b, const char *kind, const char *second) {
        struct stream owners[OWNERS];
        struct memory start;
        char row[64];

        (void)second;
        for (unsigned i = 0; i < OWNERS; i++)
                stream_open(&owners[i], &b->target, ROLE_SUBSCRIBER, STREAM_LARGE);
        (void)snprintf(row, sizeof(row), "rules:%s:0", kind);
        start = settled(b, row);
        for (unsigned i = 0; i < OWNERS; i++)
                add_rules(&owners[i], kind, ":1.0", RULES / OWNERS * i, RULES / OWNERS * (i + 1));
        (void)snprintf(row, sizeof(row), "rules:%s:%u", kind, RULES);
        report_each(row, start, settled(b, row), RULES);
        for (unsigned i = 0; i < OWNERS; i++)
                stream_close(&owners[i]);
}

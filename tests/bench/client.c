/* SPDX-License-Identifier: MIT */
/*
 * client ADDRESS WORKLOAD...: gives the bus at ADDRESS work, and measures it.
 * tests/bench/run starts it, and the buses; docs/BENCHMARK.md says what is measured.
 */
#include <getopt.h>
#include <sys/resource.h>

#include "common/cleanup.h"
#include "tests/bench/fail.h"
#include "tests/bench/workload.h"

static const struct workload {
        const char *name, *words;
        workload_fn *fn;
} workloads[] = {
        {"call", "BYTES:IN-FLIGHT", work_call},
        {"fd", "", work_fd},
        {"driver", "METHOD:IN-FLIGHT", work_driver},
        {"connect", "", work_connect},
        {"fanout", "RECEIVERS", work_fanout},
        {"match", "KIND:RULES", work_match},
        {"connections", "", work_connections},
        {"rules", "KIND", work_rules},
        {"start", "", work_start},
};

void report(const char *row, const char *metric, double value) {
        (void)printf("%s\t%s\t%.6g\n", row, metric, value);
        (void)fflush(stdout);
}

struct span span_begin(const struct bench *b) {
        uint64_t wall = clock_ns();

        return (struct span){
                .bench = b,
                .wall = wall,
                .cpu = bus_cpu_ns(&b->bus),
                .until = wall + (uint64_t)(b->seconds * 1e9),
        };
}

void span_report(const struct span *s, const char *row, uint64_t n) {
        double wall = (double)(clock_ns() - s->wall),
               cpu = (double)(bus_cpu_ns(&s->bench->bus) - s->cpu);

        report(row, "wall", wall / 1e3 / (double)n);
        report(row, "cpu", cpu / 1e3 / (double)n);
}

unsigned number(const char *word) {
        char *end = NULL;
        unsigned long v = word ? strtoul(word, &end, 10) : 0;

        errno = EINVAL;
        if (!word || *word < '0' || *word > '9' || *end || v > UINT32_MAX)
                fail("not a number: %s", word ? word : "(nothing)");
        return (unsigned)v;
}

static void add_process(struct bench *b, const char *pid) {
        if (b->bus.n == ELEMENTSOF(b->bus.pids))
                fail("more than %zu processes", ELEMENTSOF(b->bus.pids));
        b->bus.pids[b->bus.n++] = (pid_t)number(pid);
}

static void set_seconds(struct bench *b, const char *seconds) {
        b->seconds = atof(seconds);
}

static void set_relay(struct bench *b, _unused_ const char *value) {
        b->target.is_relay = true;
}

static void set_stepwise(struct bench *b, _unused_ const char *value) {
        b->target.stepwise = true;
}

static void set_one_by_one(struct bench *b, _unused_ const char *value) {
        b->target.one_by_one = true;
}

#define OPTIONS "p:t:rs1"

static const struct option_row {
        char letter;
        const char *help;
        void (*set)(struct bench *b, const char *value);
} option_rows[] = {
        {'p', "PID      a process of the bus; may be repeated", add_process},
        {'t', "SECONDS  per measurement (0.3)", set_seconds},
        {'r', "         it is the relay", set_relay},
        {'s', "         authenticate step by step", set_stepwise},
        {'1', "         one send per message", set_one_by_one},
};

static void usage(void) {
        (void)fprintf(stderr, "client [OPTION...] ADDRESS WORKLOAD...\n"
                              "  ADDRESS  unix:path=PATH or vsock:CID:PORT\n");
        for (size_t i = 0; i < ELEMENTSOF(option_rows); i++)
                (void)fprintf(stderr, "  -%c %s\n", option_rows[i].letter, option_rows[i].help);
        for (size_t i = 0; i < ELEMENTSOF(workloads); i++)
                (void)fprintf(stderr, "  %s%s%s\n", workloads[i].name,
                              workloads[i].words[0] ? ":" : "", workloads[i].words);
        exit(2);
}

static void set_option(struct bench *b, int letter, const char *value) {
        for (size_t i = 0; i < ELEMENTSOF(option_rows); i++)
                if (option_rows[i].letter == letter) {
                        option_rows[i].set(b, value);
                        return;
                }
        usage();
}

static void work(const struct bench *b, char *text) {
        const char *name = strsep(&text, ":"), *first = strsep(&text, ":"), *second = text;

        for (size_t i = 0; i < ELEMENTSOF(workloads); i++)
                if (strcmp(workloads[i].name, name) == 0) {
                        workloads[i].fn(b, first, second);
                        return;
                }
        usage();
}

static void raise_fd_limit(void) {
        struct rlimit rl;

        if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
                rl.rlim_cur = rl.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &rl);
        }
}

int main(int argc, char **argv) {
        struct bench b = {.seconds = 0.3};
        int o;

        while ((o = getopt(argc, argv, OPTIONS)) != -1)
                set_option(&b, o, optarg);
        if (argc - optind < 2)
                usage();
        raise_fd_limit();
        b.target.address = argv[optind++];
        for (; optind < argc; optind++)
                work(&b, argv[optind]);
        return 0;
}

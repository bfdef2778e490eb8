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
        if (!word || *end || end == word || v == 0 || v > UINT32_MAX)
                if (!word || strcmp(word, "0") != 0)
                        fail("not a number: %s", word ? word : "(nothing)");
        return (unsigned)v;
}

static void usage(void) {
        (void)fprintf(stderr,
                      "client [-p PID]... [-t SECONDS] [-r] [-s] [-1] ADDRESS WORKLOAD...\n"
                      "  ADDRESS  unix:path=PATH or vsock:CID:PORT\n"
                      "  -p  a process of the bus   -t  per measurement   -r  it is the relay\n"
                      "  -s  authenticate step by step   -1  one send per message\n");
        for (size_t i = 0; i < ELEMENTSOF(workloads); i++)
                (void)fprintf(stderr, "  %s%s%s\n", workloads[i].name,
                              workloads[i].words[0] ? ":" : "", workloads[i].words);
        exit(2);
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

static void add_process(struct bench *b, const char *pid) {
        if (b->bus.n == ELEMENTSOF(b->bus.pids))
                fail("more than %zu processes", ELEMENTSOF(b->bus.pids));
        b->bus.pids[b->bus.n++] = (pid_t)number(pid);
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

        while ((o = getopt(argc, argv, "p:t:rs1")) != -1)
                switch (o) {
                case 'p':
                        add_process(&b, optarg);
                        break;
                case 't':
                        b.seconds = atof(optarg);
                        break;
                case 'r':
                        b.target.is_relay = true;
                        break;
                case 's':
                        b.target.stepwise = true;
                        break;
                case '1':
                        b.target.one_by_one = true;
                        break;
                default:
                        usage();
                }
        if (argc - optind < 2)
                usage();
        raise_fd_limit();
        b.target.address = argv[optind++];
        for (; optind < argc; optind++)
                work(&b, argv[optind]);
        return 0;
}

/* SPDX-License-Identifier: MIT */
#include "tests/bench/measure.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t clock_ns(void) {
        struct timespec ts;

        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The scheduler's own account, exact to the switch; the one in "stat" counts in ticks. */
static uint64_t thread_cpu_ns(pid_t pid, const char *tid) {
        unsigned long long ns = 0;
        char path[300];
        FILE *f;

        (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, tid);
        f = fopen(path, "re");
        if (!f)
                return 0;
        if (fscanf(f, "%llu", &ns) != 1)
                ns = 0;
        (void)fclose(f);
        return ns;
}

static uint64_t process_cpu_ns(pid_t pid) {
        uint64_t sum = 0;
        char path[64];
        DIR *d;

        (void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
        d = opendir(path);
        if (!d)
                return 0;
        for (const struct dirent *e = readdir(d); e; e = readdir(d))
                if (e->d_name[0] != '.')
                        sum += thread_cpu_ns(pid, e->d_name);
        (void)closedir(d);
        return sum;
}

uint64_t bus_cpu_ns(const struct bus_processes *bus) {
        uint64_t sum = 0;

        for (unsigned i = 0; i < bus->n; i++)
                sum += process_cpu_ns(bus->pids[i]);
        return sum;
}

/* The sum of the file's lines that begin with one of two keys; -1 when it cannot be read. */
static long sum_of_lines(pid_t pid, const char *file, const char *key, const char *other) {
        char path[64], line[256];
        long sum = -1;
        FILE *f;

        (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
        f = fopen(path, "re");
        if (!f)
                return -1;
        while (fgets(line, sizeof(line), f)) {
                long v;

                if (strncmp(line, key, strlen(key)) != 0 &&
                    strncmp(line, other, strlen(other)) != 0)
                        continue;
                if (sscanf(strchr(line, ':') + 1, "%ld", &v) == 1)
                        sum = (sum < 0 ? 0 : sum) + v;
        }
        (void)fclose(f);
        return sum;
}

struct memory bus_memory(const struct bus_processes *bus) {
        struct memory m = {0};

        for (unsigned i = 0; i < bus->n; i++) {
                long private = sum_of_lines(bus->pids[i], "smaps_rollup",
                                            "Private_Clean:", "Private_Dirty:");

                m.private_kib = private < 0 || m.private_kib < 0 ? -1 : m.private_kib + private;
                m.anonymous_kib += sum_of_lines(bus->pids[i], "status", "RssAnon:", "RssAnon:");
        }
        return m;
}

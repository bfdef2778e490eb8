/* SPDX-License-Identifier: MIT */
/* What is measured of a bus: its processes' CPU time and memory, against our clock. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct bus_processes {
        pid_t pids[8];
        unsigned n;
};

struct memory {
        long private_kib;   /* pages that no other process maps; -1: we may not look */
        long anonymous_kib; /* those that no file holds: anybody may see this number */
};

uint64_t clock_ns(void);
/* CPU time of all their threads since they started, ns; 0 when that cannot be read. */
uint64_t bus_cpu_ns(const struct bus_processes *bus);
struct memory bus_memory(const struct bus_processes *bus);

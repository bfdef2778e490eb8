/* SPDX-License-Identifier: MIT */
/*
 * What a process gives up, as data, in two named stages.
 *
 *   sandbox_start()  first thing in main(): no_new_privs, not dumpable (if the
 *                    profile says so), descriptors 0-2 exist, resource limits.
 *   sandbox_lock()   after set-up, before the first byte from outside is read:
 *                    all capabilities gone, then the system call allow-list with
 *                    kill-process as its default.
 *
 * A step that fails is an error and the process must exit: there is no
 * "continue without".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

/* A test of one argument; a row of syscalls with tests is allowed only when they all hold. */
struct sandbox_arg {
        unsigned index; /* 0..5 */
        uint64_t mask;  /* compare (arg & mask) == value */
        uint64_t value;
};

struct sandbox_syscall {
        int nr;                     /* SCMP_SYS(x) */
        unsigned n_args;            /* 0: any arguments */
        struct sandbox_arg args[2]; /* several rows of one nr: any of them may match */
};

struct sandbox_rlimit {
        int resource;
        rlim_t value;
};

struct sandbox_profile {
        const char *name;
        bool dumpable;
        const struct sandbox_rlimit *rlimits;
        size_t n_rlimits;
        const struct sandbox_syscall *syscalls; /* NULL: no filter */
        size_t n_syscalls;
};

int sandbox_start(const struct sandbox_profile *profile);
int sandbox_lock(const struct sandbox_profile *profile);

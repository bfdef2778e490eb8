/* SPDX-License-Identifier: MIT */
/*
 * What a process gives up, as data, in three named stages.
 *
 *   sandbox_start()    first thing in main(): no_new_privs, descriptors 0-2 exist.
 *   sandbox_enclose()  when no file is needed any more: namespaces of its own with an empty root,
 *                      no capability in any set, Landlock, not dumpable.
 *   sandbox_lock()     after set-up, before the first byte from outside is read: resource limits,
 *                      no memory that becomes executable, the system call filter.
 *
 * A step that fails is an error and the process must exit: there is no "continue without".  Where
 * a kernel cannot give a layer, a person can waive that layer by name; who starts the process then
 * says which are waived.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include "common/sandbox_landlock.h"
#include "common/sandbox_layer.h"

/* A test of one argument; a row of syscalls with tests matches only when they all hold. */
struct sandbox_arg {
        unsigned index; /* 0..5 */
        uint64_t mask;  /* compare (arg & mask) == value */
        uint64_t value;
};

struct sandbox_syscall {
        int nr;                     /* SCMP_SYS(x) */
        unsigned n_args;            /* 0: any arguments */
        struct sandbox_arg args[2]; /* several rows of one nr: any of them may match */
        int error;                  /* of one that is refused; 0: EPERM */
};

struct sandbox_rlimit {
        int resource;
        rlim_t value;
};

struct sandbox_profile {
        const char *name;
        unsigned layers; /* of SANDBOX_*; capabilities and limits are everybody's */
        enum sandbox_landlock landlock; /* how much of that layer */
        bool dumpable;
        bool starts_programs; /* of its own lock only the filter goes on to these */
        const struct sandbox_rlimit *rlimits;
        size_t n_rlimits;
        const struct sandbox_syscall *syscalls; /* all others kill the process */
        size_t n_syscalls;
        const struct sandbox_syscall *refused; /* in place of syscalls: these fail */
        size_t n_refused;
};

int sandbox_start(const struct sandbox_profile *profile);

enum sandbox_place {
        SANDBOX_OUTSIDE,  /* no namespace is made yet: all but that of processes can be made now */
        SANDBOX_PREPARED, /* whoever started us made all, and left us the capabilities to go on */
};

/* waived: of SANDBOX_*; each was named by a person. */
int sandbox_enclose(const struct sandbox_profile *profile, unsigned waived,
                    enum sandbox_place place);
int sandbox_lock(const struct sandbox_profile *profile, unsigned waived);

/*
 * In a child that is about to execute a program which is not ours and knows nothing of all this:
 * Landlock, limits, no memory that becomes code, the filter.  Its namespaces and capabilities are
 * the caller's, as is no_new_privs.  0 or a negative errno, not logged.
 */
int sandbox_impose(const struct sandbox_profile *profile, unsigned waived);

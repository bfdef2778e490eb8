/* SPDX-License-Identifier: MIT */
/* What sbportal may do once it is locked.  Only data. */
#include "sbportal/sandbox_profile.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/sandbox_rows.h"

static const struct sandbox_syscall syscalls[] = {
        /* sd-bus: the two buses; ipc/ipc.c: the supervisor's channel. */
        ANY(recvmsg),
        ANY(sendmsg),
        ANY(close),
        /* translate.c and sd-bus: a guest's descriptor into the gate's message. */
        IS(fcntl, 1, F_DUPFD_CLOEXEC),
        /* sd-event: the loop (its wait goes by other names elsewhere). */
        ANY(epoll_wait),
        ANY(epoll_pwait),
        ANY(epoll_pwait2),
        ANY(epoll_ctl),
        /* log.c, and the last words of a failed assertion: to the standard error only. */
        IS(write, 0, STDERR_FILENO),
        IS(writev, 0, STDERR_FILENO),
        /* malloc: memory that is never executable and of no file. */
        ANY(brk),
        BOTH(mmap, {2, PROT_EXEC, 0}, {3, MAP_ANONYMOUS, MAP_ANONYMOUS}),
        ANY(munmap),
        IF(mremap, 3, ~(uint64_t)MREMAP_MAYMOVE, 0),
        /* sd-bus: keys of its hash tables; request.c: a handle whose path is taken. */
        ANY(getrandom),
        /* guest_log.c and sd-bus, where the vDSO has no clock. */
        ANY(clock_gettime),
        /* The kernel restarts an epoll_wait() through it that was stopped and continued. */
        ANY(restart_syscall),
        /* The end. */
        ANY(exit_group),
        ANY(rt_sigreturn),
};

static const struct sandbox_rlimit rlimits[] = {
        {RLIMIT_CORE, 0},       /* a core would hold the guest's data */
        {RLIMIT_NOFILE, LIMIT_PORTAL_FDS},
        {RLIMIT_NPROC, 0},      /* nothing is ever started */
        {RLIMIT_FSIZE, 0},      /* no file grows */
        {RLIMIT_AS, LIMIT_PORTAL_AS},
};

const struct sandbox_profile sbportal_profile = {
        .name = "sbportal",
        .layers = SANDBOX_ALL,
        .rlimits = rlimits,
        .n_rlimits = ELEMENTSOF(rlimits),
        .syscalls = syscalls,
        .n_syscalls = ELEMENTSOF(syscalls),
};

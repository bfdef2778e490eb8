/* SPDX-License-Identifier: MIT */
#include "sbagent/sandbox_profile.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/sandbox_rows.h"

/* An end for each client and for its way to the host, and what the process itself holds. */
static const struct sandbox_rlimit rlimits[] = {
        {RLIMIT_NOFILE, 2 * LIMIT_AGENT_CLIENTS + 64},
        {RLIMIT_CORE, 0},
        {RLIMIT_NPROC, 0}, /* nothing is ever started */
        {RLIMIT_FSIZE, 0}, /* no file grows */
};

static const struct sandbox_syscall syscalls[] = {
        /* memory: malloc(3) */
        ANY(brk),
        ANY(munmap),
        ANY(mremap),
        ANY(madvise),
        IF(mmap, 2, PROT_EXEC, 0),
        IF(mprotect, 2, PROT_EXEC, 0),
        /* the event loop: sd-event(3); its timers are made when first used */
        ANY(epoll_wait),
        ANY(epoll_pwait),
        ANY(epoll_pwait2),
        ANY(epoll_ctl),
        ANY(timerfd_create),
        ANY(timerfd_settime),
        ANY(signalfd4), /* also when a signal source is freed */
        ANY(clock_gettime),
        ANY(gettimeofday),
        ANY(restart_syscall),
        /* clients, and the host: agent.c, common/listen.c; sd_notify(3) */
        ANY(accept4),
        IS(socket, 0, AF_UNIX),
        IS(socket, 0, AF_VSOCK),
        ANY(connect),
        IS(getsockopt, 1, SOL_SOCKET),
        IS(setsockopt, 1, SOL_SOCKET),
        ANY(recvfrom),
        ANY(sendto),
        ANY(sendmsg),
        ANY(shutdown),
        ANY(close),
        ANY(getrandom),
        ANY(getuid), /* sd_notify(3) compares them */
        ANY(geteuid),
        ANY(getgid),
        ANY(getegid),
        /* timers and signals are read; log lines are written */
        ANY(read),
        ANY(write),
        ANY(writev),
        /* what the C library asks about a descriptor, and a signal's end */
        ANY(fstat),
        ANY(newfstatat),
        ANY(fcntl),
        ANY(rt_sigreturn),
        ANY(rt_sigprocmask),
        ANY(rt_sigaction),
        ANY(futex),
        /* abort(3), so that a failed assertion is seen as what it is */
        ANY(getpid),
        ANY(gettid),
        ANY(tgkill),
        /* the end: our socket file */
        ANY(unlink),
        ANY(unlinkat),
        ANY(exit),
        ANY(exit_group),
};

const struct sandbox_profile sbagent_profile = {
        .name = "sbagent",
        .layers = SANDBOX_SECCOMP, /* and Landlock, with its own socket to remove: main.c */
        .dumpable = false,
        .rlimits = rlimits,
        .n_rlimits = ELEMENTSOF(rlimits),
        .syscalls = syscalls,
        .n_syscalls = ELEMENTSOF(syscalls),
};

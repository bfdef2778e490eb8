/* SPDX-License-Identifier: MIT */
/* What sbrouter may still do when it reads the first byte of a guest.  Data only. */
#include "sbrouter/sandbox_profile.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/sandbox_rows.h"

static const struct sandbox_syscall syscalls[] = {
        /* loop.c: the one epoll descriptor exists already; arm64 has only the second of the two */
        ANY(epoll_wait),
        ANY(epoll_pwait),
        ANY(epoll_ctl),
        /* The time, where the kernel has no vdso for it: loop.c */
        ANY(clock_gettime),

        /* Streams and the ipc channel: connection.c, queue.c, ipc.c */
        ANY(recvmsg),
        ANY(sendmsg),
        ANY(close),
        /* listener.c; there is no socket(), so only what listens already can bring new streams */
        IS(accept4, 3, SOCK_CLOEXEC | SOCK_NONBLOCK),
        IS(fcntl, 1, F_GETFL),
        /* credentials.c */
        BOTH(getsockopt, {1, UINT32_MAX, SOL_SOCKET}, {2, UINT32_MAX, SO_PEERCRED}),
        /* fd_room.c: how much of what was sent is unread */
        BOTH(getsockopt, {1, UINT32_MAX, SOL_SOCKET}, {2, UINT32_MAX, SO_MEMINFO}),
        /* liveness.c; within what the listener allows */
        BOTH(setsockopt, {1, UINT32_MAX, AF_VSOCK}, {2, UINT32_MAX, SO_VM_SOCKETS_BUFFER_SIZE}),

        /* connection.c: a stream's token */
        ANY(getrandom),

        /* malloc; never executable memory, and mappings of no file */
        ANY(brk),
        ANY(munmap),
        IS(madvise, 2, MADV_DONTNEED), /* malloc_trim(): queue.c */
        IF(mremap, 3, ~(uint64_t)MREMAP_MAYMOVE, 0),
        BOTH(mmap, {2, PROT_EXEC, 0}, {3, MAP_ANONYMOUS, MAP_ANONYMOUS}),

        /* log.c, and the last words of a failed assertion */
        IS(write, 0, STDERR_FILENO),
        IS(writev, 0, STDERR_FILENO),

        /* The end.  No signal has a handler, so none returns from one. */
        ANY(exit_group),
};

static const struct sandbox_rlimit rlimits[] = {
        {RLIMIT_CORE, 0},  /* it would hold guests' messages */
        {RLIMIT_NPROC, 0}, /* of our user: no child, whatever else fails */
        {RLIMIT_NOFILE, LIMIT_ROUTER_FDS},
        {RLIMIT_AS, LIMIT_ROUTER_AS},
        {RLIMIT_FSIZE, 0}, /* no file grows */
};

const struct sandbox_profile router_profile = {
        .name = "sbrouter",
        .layers = SANDBOX_ALL,
        .rlimits = rlimits,
        .n_rlimits = ELEMENTSOF(rlimits),
        .syscalls = syscalls,
        .n_syscalls = ELEMENTSOF(syscalls),
};

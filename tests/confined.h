/* SPDX-License-Identifier: MIT */
/*
 * What a program's sandbox refuses and what it leaves, shown by the calls themselves: a child is
 * started as sbsupervisor starts the program, in namespaces of its own and with capabilities there,
 * gives up what the program gives up (sandbox_start(), sandbox_enclose(), sandbox_lock()), makes
 * one call, and ends.
 */
#pragma once

#include <cap-ng.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/id_map.h"
#include "common/sandbox.h"
#include "common/sandbox_filter.h"
#include "common/sanitized.h"
#include "tests/test.h"

#ifdef SANITIZED
#define CONFINED_SANITIZED 1
#else
#define CONFINED_SANITIZED 0
#endif

struct confined_call {
        const char *name;
        long nr;
        long args[6];
        bool sanitizer; /* its run-time makes this call too: nothing to see in such a build */
};

#define PATH_ARG(s) ((long)(intptr_t)(s))
#define FORBIDDEN(call, ...)                                                                       \
        {                                                                                          \
                .name = #call " " #__VA_ARGS__, .nr = SYS_##call, .args = { __VA_ARGS__ }          \
        }
/* FORBIDDEN(), but where the sanitizers need it. */
#define RELEASE(call, ...)                                                                         \
        {                                                                                          \
                .name = #call " " #__VA_ARGS__, .nr = SYS_##call, .args = {__VA_ARGS__},           \
                .sanitizer = true                                                                  \
        }
#define ALLOWED FORBIDDEN

/* What no program that reads a guest's bytes has a use for, and whoever takes it over has. */
static const struct confined_call confined_everywhere[] = {
        RELEASE(openat, AT_FDCWD, PATH_ARG("/etc/passwd"), O_RDONLY),
#ifdef SYS_open
        RELEASE(open, PATH_ARG("/etc/passwd"), O_RDONLY),
#endif
        FORBIDDEN(socket, AF_INET, SOCK_STREAM),
        FORBIDDEN(socket, AF_INET6, SOCK_DGRAM),
        FORBIDDEN(socket, AF_NETLINK, SOCK_RAW),
        FORBIDDEN(socket, AF_PACKET, SOCK_RAW),
        FORBIDDEN(bind, -1),
        FORBIDDEN(listen, -1),
        FORBIDDEN(execve, PATH_ARG("/bin/true")),
        FORBIDDEN(execveat, AT_FDCWD, PATH_ARG("/bin/true")),
        RELEASE(clone, SIGCHLD),
        FORBIDDEN(clone3),
#ifdef SYS_fork
        FORBIDDEN(fork),
#endif
        RELEASE(ptrace, PTRACE_ATTACH, 1),
        FORBIDDEN(process_vm_writev, 1),
        FORBIDDEN(pidfd_open, 1),
        FORBIDDEN(kill, 1),
        FORBIDDEN(tkill, 1),
        FORBIDDEN(mount, PATH_ARG("none"), PATH_ARG("/tmp"), PATH_ARG("tmpfs")),
        FORBIDDEN(umount2, PATH_ARG("/")),
        FORBIDDEN(chroot, PATH_ARG("/")),
        FORBIDDEN(unshare, CLONE_NEWUSER),
        FORBIDDEN(setns, -1),
        FORBIDDEN(setuid, 0),
        FORBIDDEN(capset),
        RELEASE(prctl, PR_SET_DUMPABLE, 1),
        FORBIDDEN(seccomp, 0),
        FORBIDDEN(bpf),
        FORBIDDEN(userfaultfd),
        FORBIDDEN(perf_event_open),
        FORBIDDEN(io_uring_setup, 1),
        FORBIDDEN(keyctl, 0),
        FORBIDDEN(memfd_create, PATH_ARG("x")),
        FORBIDDEN(ioctl, 0, 0x5412 /* TIOCSTI */, PATH_ARG("x")),
        FORBIDDEN(linkat, AT_FDCWD, PATH_ARG("/etc/passwd"), AT_FDCWD, PATH_ARG("/tmp/x")),
        FORBIDDEN(renameat2, AT_FDCWD, PATH_ARG("/nonexistent"), AT_FDCWD, PATH_ARG("/x")),
        RELEASE(mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1),
        RELEASE(mmap, 0, 4096, PROT_EXEC, MAP_PRIVATE, -1),
        RELEASE(mprotect, 0, 4096, PROT_READ | PROT_EXEC),
        FORBIDDEN(pkey_mprotect, 0, 4096, PROT_EXEC, -1),
};

/* What a child of confined_run() does; its exit status. */
typedef int (*confined_fn)(const struct sandbox_profile *p, unsigned waived, const void *arg);

#define CONFINED_BROKEN 99 /* an exit status: the sandbox is not on */

/* The namespaces that sbsupervisor makes for a program, in a process that is the first of them. */
static inline void confined_prepare(void) {
        uid_t uid = geteuid();
        gid_t gid = getegid();
        int status;
        pid_t pid;

        if (unshare(SANDBOX_CLONE_FLAGS | CLONE_NEWPID) < 0 || id_map_write(uid, gid) < 0)
                _exit(CONFINED_BROKEN);
        pid = fork();
        if (pid == 0)
                return;
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                _exit(CONFINED_BROKEN);
        if (WIFSIGNALED(status)) { /* as if it had been our own end */
                (void)signal(WTERMSIG(status), SIG_DFL);
                (void)raise(WTERMSIG(status));
        }
        _exit(WEXITSTATUS(status));
}

/* The status of waitpid(2) of a process that was shut in and ran fn. */
static inline int confined_run(const struct sandbox_profile *p, unsigned waived, confined_fn fn,
                               const void *arg) {
        int status = -1;
        pid_t pid;

        (void)fflush(stdout);
        pid = fork();
        if (pid == 0) {
                bool apart = p->layers & ~waived & SANDBOX_NAMESPACES;

                if (apart)
                        confined_prepare();
                if (sandbox_start(p) < 0 ||
                    sandbox_enclose(p, waived, apart ? SANDBOX_PREPARED : SANDBOX_OUTSIDE) < 0)
                        _exit(CONFINED_BROKEN);
                _exit(fn(p, waived, arg));
        }
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        return status;
}

/* --- single calls -------------------------------------------------------------------------------
 */

struct confined_list {
        const struct confined_call *calls;
        size_t n;
        bool works; /* each of them; else each ends the process that makes it */
};

/* Inside, but not locked yet: a locked child makes the call.  The status of waitpid(2). */
static inline int confined_try(const struct sandbox_profile *p, const struct confined_call *c) {
        int status = -1;
        pid_t pid = fork();

        if (pid == 0) {
                if (sandbox_lock(p, 0) < 0)
                        _exit(CONFINED_BROKEN);
                _exit(syscall(c->nr, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4],
                              c->args[5]) < 0);
        }
        return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

static inline bool confined_is_killed(int status) {
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static inline int confined_try_list(const struct sandbox_profile *p, unsigned waived _unused_,
                                    const void *arg) {
        const struct confined_list *list = arg;
        int failed = 0;

        for (size_t i = 0; i < list->n; i++) {
                const struct confined_call *c = &list->calls[i];
                int status;

                if (!list->works && c->sanitizer && CONFINED_SANITIZED)
                        continue;
                status = confined_try(p, c);
                if (list->works ? status != 0 : !confined_is_killed(status)) {
                        printf("# %s: %s: wait status %#x\n", c->name,
                               list->works ? "does not work" : "not killed", (unsigned)status);
                        (void)fflush(stdout);
                        failed = 1;
                }
        }
        return failed;
}

/* For the sum at the end of the tests: tests/rig/boundaries.py. */
static inline void confined_tried(size_t n) {
        printf("# tried %zu\n", n);
        (void)fflush(stdout);
}

/* Each of these calls ends the process that makes it. */
static inline void confined_check_killed(const struct sandbox_profile *p,
                                         const struct confined_call *calls, size_t n) {
        const struct confined_list list = {calls, n, false};

        confined_tried(n);
        CHECK_EQ_INT(confined_run(p, 0, confined_try_list, &list), 0);
}

/* Each of these calls is made, and succeeds. */
static inline void confined_check_works(const struct sandbox_profile *p,
                                        const struct confined_call *calls, size_t n) {
        const struct confined_list list = {calls, n, true};

        CHECK_EQ_INT(confined_run(p, 0, confined_try_list, &list), 0);
}

/* --- every number there is ----------------------------------------------------------------------
 */

#define CONFINED_NUMBERS 1024 /* the newest kernel has not half as many */

/*
 * uretprobe and uprobe of x86-64: the kernel's own trampolines call them, so it asks no filter
 * (since 6.14).  From anywhere else they fail, or end the process with another signal.
 */
static inline bool confined_is_of_kernel(int nr) {
#if defined(__x86_64__)
        return nr == 335 || nr == 336;
#else
        return nr < 0;
#endif
}

static inline int confined_try_numbers(const struct sandbox_profile *p, unsigned waived _unused_,
                                       const void *arg _unused_) {
        unsigned failed = 0, n = 0;

        for (int nr = 0; nr < CONFINED_NUMBERS; nr++) {
                const struct confined_call c = {.nr = nr};
                int status;

                if (sandbox_filter_names(p, nr))
                        continue;
                n++;
                status = confined_try(p, &c);
                if (!confined_is_killed(status) && !(confined_is_of_kernel(nr) && status != 0)) {
                        printf("# system call %d: wait status %#x\n", nr, (unsigned)status);
                        failed++;
                }
        }
        confined_tried(n);
        return failed > 0 || n < CONFINED_NUMBERS / 2;
}

/* Each number that the profile does not name ends the process. */
static inline void confined_check_numbers(const struct sandbox_profile *p) {
        CHECK_EQ_INT(confined_run(p, 0, confined_try_numbers, NULL), 0);
}

/* Sockets of each family but those of a mask end the process. */
static inline int confined_try_families(const struct sandbox_profile *p, unsigned waived _unused_,
                                        const void *arg) {
        uint64_t allowed = *(const uint64_t *)arg;
        int failed = 0;

        confined_tried(64);
        for (int family = 0; family < 64; family++) {
                const struct confined_call c = {.nr = SYS_socket,
                                                .args = {family, SOCK_DGRAM | SOCK_CLOEXEC}};
                bool killed = confined_is_killed(confined_try(p, &c));

                if (killed == ((allowed >> family & 1) != 0)) {
                        printf("# socket of family %d: %s\n", family,
                               killed ? "killed" : "not killed");
                        (void)fflush(stdout);
                        failed = 1;
                }
        }
        return failed;
}

static inline void confined_check_families(const struct sandbox_profile *p, uint64_t allowed) {
        CHECK_EQ_INT(confined_run(p, 0, confined_try_families, &allowed), 0);
}

#if defined(__x86_64__)
static inline int confined_call_as_i386(const struct sandbox_profile *p, unsigned waived,
                                        const void *arg _unused_) {
        long result = 20; /* getpid */

        if (sandbox_lock(p, waived) < 0)
                return CONFINED_BROKEN;
        __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
        return 0;
}

static inline int confined_call_as_x32(const struct sandbox_profile *p, unsigned waived,
                                       const void *arg _unused_) {
        if (sandbox_lock(p, waived) < 0)
                return CONFINED_BROKEN;
        (void)syscall(0x40000000 | SYS_write, STDERR_FILENO, "", 0);
        return 0;
}

/* By the numbers of another architecture, which mean other calls, nothing can be asked at all. */
static inline void confined_check_architectures(const struct sandbox_profile *p) {
        int status = confined_run(p, 0, confined_call_as_i386, NULL);

        /* A kernel without that entry has its own signal for it. */
        CHECK(WIFSIGNALED(status) && (WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV));
        CHECK(confined_is_killed(confined_run(p, 0, confined_call_as_x32, NULL)));
}
#else
static inline void confined_check_architectures(const struct sandbox_profile *p) {
        CHECK(p->n_syscalls > 0); /* the others have no second set of numbers in one process */
}
#endif

/* The list is as short as it is meant to be: how many calls it names. */
static inline void confined_check_count(const struct sandbox_profile *p, unsigned at_most) {
        unsigned n = 0;

        for (size_t i = 0; i < p->n_syscalls; i++) {
                bool first = true;

                for (size_t k = 0; k < i; k++)
                        first = first && p->syscalls[k].nr != p->syscalls[i].nr;
                n += first;
        }
        printf("# %u system calls\n", n);
        CHECK(n <= at_most);
}

/* --- what it is, as the kernel tells it ---------------------------------------------------------
 */

/* Says a byte when it has all capabilities in its namespaces, and again when it is locked. */
static inline void confined_capable_child(const struct sandbox_profile *p, int fd) {
        struct iovec byte = {(char[]){"1"}, 1};
        const struct msghdr m = {.msg_iov = &byte, .msg_iovlen = 1};
        struct epoll_event event;
        int epoll_fd = epoll_create1(EPOLL_CLOEXEC); /* of nothing: it waits until it is killed */
        uid_t uid = geteuid();
        gid_t gid = getegid();

        /* No new pid namespace: the kernel's word about it is asked for by its pid. */
        if (epoll_fd < 0 || unshare(SANDBOX_CLONE_FLAGS) < 0 || id_map_write(uid, gid) < 0 ||
            capng_get_caps_process() < 0)
                _exit(CONFINED_BROKEN);
        capng_fill(CAPNG_SELECT_CAPS);
        if (capng_update(CAPNG_ADD, CAPNG_INHERITABLE, CAP_NET_RAW) < 0 ||
            capng_apply(CAPNG_SELECT_CAPS) < 0 ||
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0) < 0)
                _exit(CONFINED_BROKEN);
        if (sendmsg(fd, &m, 0) != 1 || recv(fd, byte.iov_base, 1, 0) != 1 || sandbox_start(p) < 0 ||
            sandbox_enclose(p, 0, SANDBOX_PREPARED) < 0 || sandbox_lock(p, 0) < 0 ||
            sendmsg(fd, &m, 0) != 1)
                _exit(CONFINED_BROKEN);
        (void)epoll_wait(epoll_fd, &event, 1, -1);
        _exit(1);
}

/* A number of /proc/PID/status in its own notation, in hex for the sets; all ones when not there.
 */
static inline uint64_t confined_status(pid_t pid, const char *key) {
        char path[64], line[256];
        uint64_t value = UINT64_MAX;
        FILE *f;

        (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        f = fopen(path, "re");
        while (f && fgets(line, sizeof(line), f))
                if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
                        value = strtoull(line + strlen(key) + 1, NULL, 16);
        if (f)
                fclose(f);
        return value;
}

static inline void confined_check_status(pid_t pid, const char *const *keys, size_t n, bool held) {
        for (size_t i = 0; i < n; i++) {
                uint64_t value = confined_status(pid, keys[i]);

                if (value == UINT64_MAX || (value != 0) != held) {
                        printf("# %s is %#" PRIx64 " %s\n", keys[i], value,
                               held ? "before" : "when locked");
                        test_failures++;
                }
        }
}

/* A process that had every capability has none, in no set, and cannot gain one by execve(2). */
static inline void confined_check_privileges(const struct sandbox_profile *p) {
        static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
        char byte = 0;
        int ends[2];
        pid_t pid;

        CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        pid = fork();
        if (pid == 0)
                confined_capable_child(p, ends[1]);
        (void)close(ends[1]);
        CHECK_EQ_INT(recv(ends[0], &byte, 1, 0), 1);
        confined_check_status(pid, sets, ELEMENTSOF(sets), true);
        CHECK_EQ_INT(send(ends[0], &byte, 1, MSG_NOSIGNAL), 1);
        CHECK_EQ_INT(recv(ends[0], &byte, 1, 0), 1);
        confined_check_status(pid, sets, ELEMENTSOF(sets), false);
        CHECK_EQ_INT(confined_status(pid, "NoNewPrivs"), 1);
        CHECK_EQ_INT(confined_status(pid, "Seccomp"), SECCOMP_MODE_FILTER);
        (void)kill(pid, SIGKILL);
        CHECK_EQ_INT(waitpid(pid, NULL, 0), pid);
        (void)close(ends[0]);
}

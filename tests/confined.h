/* SPDX-License-Identifier: MIT */
/*
 * What a program's sandbox refuses and what it leaves, shown by the calls themselves: a child
 * gives up what the program gives up (sandbox_start(), sandbox_lock()), makes one call, and ends.
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

#include "common/sandbox.h"
#include "tests/test.h"

#if defined(__SANITIZE_ADDRESS__)
#define CONFINED_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONFINED_SANITIZED 1
#endif
#endif
#ifndef CONFINED_SANITIZED
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

/* Never returns: 0 when the call succeeded, 1 when it failed, 2 when the sandbox is not on. */
static inline void confined_child(const struct sandbox_profile *p, const struct confined_call *c) {
        if (sandbox_start(p) < 0 || sandbox_lock(p) < 0)
                _exit(2);
        _exit(syscall(c->nr, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4],
                      c->args[5]) < 0);
}

/* The status of waitpid(2) of a child that made the call. */
static inline int confined_try(const struct sandbox_profile *p, const struct confined_call *c) {
        int status = -1;
        pid_t pid = fork();

        if (pid == 0)
                confined_child(p, c);
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        return status;
}

/* Each of these calls ends the process that makes it. */
static inline void confined_check_killed(const struct sandbox_profile *p,
                                         const struct confined_call *calls, size_t n) {
        for (size_t i = 0; i < n; i++) {
                int status;

                if (calls[i].sanitizer && CONFINED_SANITIZED)
                        continue;
                status = confined_try(p, &calls[i]);
                if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) {
                        printf("# %s: not killed: wait status %#x\n", calls[i].name, status);
                        test_failures++;
                }
        }
}

/* Each of these calls is made, and succeeds. */
static inline void confined_check_works(const struct sandbox_profile *p,
                                        const struct confined_call *calls, size_t n) {
        for (size_t i = 0; i < n; i++) {
                int status = confined_try(p, &calls[i]);

                if (status != 0) {
                        printf("# %s: wait status %#x\n", calls[i].name, status);
                        test_failures++;
                }
        }
}

/* Every capability there is, in every set: those of a user namespace's own. */
static inline int confined_gain(void) {
        if (unshare(CLONE_NEWUSER) < 0)
                return -errno;
        if (capng_get_caps_process() < 0)
                return -EPERM;
        capng_fill(CAPNG_SELECT_CAPS);
        if (capng_update(CAPNG_ADD, CAPNG_INHERITABLE, CAP_NET_RAW) < 0 ||
            capng_apply(CAPNG_SELECT_CAPS) < 0)
                return -EPERM;
        return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0) < 0 ? -errno : 0;
}

/* Never returns.  Says a byte, a digit, when it has all capabilities and when it has none. */
static inline void confined_capable_child(const struct sandbox_profile *p, int fd) {
        struct iovec byte = {(char[]){"1"}, 1};
        const struct msghdr m = {.msg_iov = &byte, .msg_iovlen = 1};
        struct epoll_event event;
        int epoll_fd = epoll_create1(EPOLL_CLOEXEC); /* of nothing: it waits until it is killed */

        if (epoll_fd < 0 || confined_gain() < 0 || sendmsg(fd, &m, 0) != 1 ||
            recv(fd, byte.iov_base, 1, 0) != 1 || sandbox_start(p) < 0 || sandbox_lock(p) < 0 ||
            sendmsg(fd, &m, 0) != 1)
                _exit(2);
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

/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/sandbox_profile.h"

#include <errno.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include "tests/confined.h"

/* What happens to a call without the filter; 0: it succeeds. */
struct row {
        struct confined_call call;
        int without;
};

#define ROW(error, ...)                                                                            \
        {                                                                                          \
                RELEASE(__VA_ARGS__), (error)                                                      \
        }

/* Only such as the person may make, so that it is the filter which refuses them. */
static const struct row refused[] = {
        ROW(0, ptrace, PTRACE_TRACEME),
        ROW(EINVAL, process_vm_readv, 0, 0, 0, 0, 0, 1),
        ROW(EINVAL, process_vm_writev, 0, 0, 0, 0, 0, 1),
        ROW(EINVAL, process_madvise, -1, 0, 0, 0, 1),
        ROW(EINVAL, pidfd_getfd, -1, 0, 1),
        ROW(ESRCH, kcmp, -1, -1),
        ROW(EFAULT, io_uring_setup, 1, 8),
        ROW(EBADF, io_uring_enter, -1),
        ROW(EFAULT, add_key, 8, 8),
        ROW(EFAULT, request_key, 8, 8),
        ROW(EOPNOTSUPP, keyctl, 0xffff),
        ROW(0, personality, 0xffffffff),
        ROW(EINVAL, mbind, 1, 1, 0xffff),
        ROW(EINVAL, set_mempolicy, 0xffff),
        ROW(EBADF, vmsplice, -1, 0, 1),
        ROW(EFAULT, execveat, AT_FDCWD, 8),
        ROW(EFAULT, chroot, 8),
        ROW(EFAULT, mknodat, AT_FDCWD, 8, S_IFCHR | 0600),
        ROW(EFAULT, mknodat, AT_FDCWD, 8, S_IFBLK | 0600),
        ROW(EBADF, ioctl, -1, 0x5412 /* TIOCSTI */),
        ROW(EBADF, ioctl, -1, 0x541c /* TIOCLINUX */),
};

/* What it, or a program that it starts, cannot do without; and how that fails with these arguments. */
static const struct row kept[] = {
        ROW(EINVAL, clone3, 0, 0),
        ROW(EBADF, setns, -1, CLONE_NEWUSER),
        ROW(0, unshare, 0),
        ROW(EFAULT, execve, 8),
        ROW(EFAULT, openat2, AT_FDCWD, 8, 0, sizeof(struct open_how)),
        ROW(EBADF, connect, -1),
        ROW(EFAULT, memfd_create, 8),
        ROW(EFAULT, mknodat, AT_FDCWD, 8, S_IFIFO | 0600),
        ROW(EFAULT, mount, 8, 8, 8),
        ROW(0, prctl, PR_GET_DUMPABLE),
};

static int call(const struct confined_call *c) {
        return syscall(c->nr, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4], c->args[5]) < 0
                       ? errno
                       : 0;
}

struct rows {
        const struct row *v;
        size_t n;
        bool refused;
};

static int try_rows(const struct sandbox_profile *p, unsigned waived, const void *arg) {
        const struct rows *rows = arg;
        int failed = 0;

        if (sandbox_lock(p, waived) < 0)
                return CONFINED_BROKEN;
        for (size_t i = 0; i < rows->n; i++) {
                const struct row *r = &rows->v[i];
                int expected = rows->refused ? EPERM : r->without, error;

                if (CONFINED_SANITIZED && rows->refused && sandbox_filter_names(p, (int)r->call.nr))
                        continue;
                error = call(&r->call);
                if (error != expected) {
                        printf("# %s: %s, not %s\n", r->call.name, error ? strerrorname_np(error) : "done",
                               expected ? strerrorname_np(expected) : "done");
                        failed = 1;
                }
        }
        (void)fflush(stdout);
        return failed;
}

static void check(const struct row *v, size_t n, unsigned waived, bool is_refused) {
        const struct rows rows = {v, n, is_refused};

        CHECK_EQ_INT(confined_run(&supervisor_profile, waived, try_rows, &rows), 0);
}

static void test_refused(void) {
        check(refused, ELEMENTSOF(refused), 0, true);
}

/* Were it not for the filter: else the rows above would show nothing. */
static void test_without(void) {
        check(refused, ELEMENTSOF(refused), SANDBOX_SECCOMP, false);
}

static void test_kept(void) {
        check(kept, ELEMENTSOF(kept), 0, false);
}

static int try_families(const struct sandbox_profile *p, unsigned waived, const void *arg _unused_) {
        int failed = 0;

        if (sandbox_lock(p, waived) < 0)
                return CONFINED_BROKEN;
        for (int family = 0; family < AF_MAX; family++) {
                int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
                bool passed = fd >= 0 || errno != EPERM;

                (void)fd_close(fd);
                if (passed != (family == AF_UNIX || family == AF_VSOCK)) {
                        printf("# a socket of family %d %s\n", family, passed ? "passed" : "was refused");
                        failed = 1;
                }
        }
        (void)fflush(stdout);
        return failed;
}

static void test_families(void) {
        CHECK_EQ_INT(confined_run(&supervisor_profile, 0, try_families, NULL), 0);
}

static int is_dumpable(const struct sandbox_profile *p, unsigned waived, const void *arg _unused_) {
        return sandbox_lock(p, waived) < 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1 ||
               prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

static void test_dumpable(void) {
        CHECK_EQ_INT(confined_run(&supervisor_profile, 0, is_dumpable, NULL), 0);
}

TEST_MAIN({"what neither it nor its programs need fails with EPERM", test_refused},
          {"that is the filter's doing", test_without}, {"what they need is not touched", test_kept},
          {"no sockets but unix and vsock", test_families},
          {"no new privileges, and dumpable", test_dumpable})

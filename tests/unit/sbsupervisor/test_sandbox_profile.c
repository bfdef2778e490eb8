/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/sandbox_profile.h"

#include <errno.h>
#include <linux/openat2.h>
#include <seccomp.h>
#include <sys/stat.h>

#include "tests/confined_alone.h"

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
        ROW(0, prlimit64, 0, RLIMIT_CPU),
        ROW(EBADF, connect, -1),
        ROW(EFAULT, memfd_create, 8),
        ROW(EFAULT, mknodat, AT_FDCWD, 8, S_IFIFO | 0600),
        ROW(EFAULT, mount, 8, 8, 8),
        ROW(0, prctl, PR_GET_DUMPABLE),
        ROW(EINVAL, pidfd_open, 0),
        ROW(EINVAL, tgkill, -1, -1),
};

/* What a daemon does without: it goes on with openat(2). */
static const struct row kept_by_us[] = {
        ROW(EFAULT, openat2, AT_FDCWD, 8, 0, sizeof(struct open_how)),
};
static const struct row absent[] = {
        ROW(ENOSYS, openat2, AT_FDCWD, 8, 0, sizeof(struct open_how)),
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
        const struct sandbox_profile *imposed; /* on top; NULL: none */
};

static int try_rows(const struct sandbox_profile *p, unsigned waived, const void *arg) {
        const struct rows *rows = arg;
        int failed = 0;

        if (sandbox_lock(p, waived) < 0 ||
            (rows->imposed && sandbox_impose(rows->imposed, waived) < 0))
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

static void check(const struct row *v, size_t n, unsigned waived, bool is_refused,
                  const struct sandbox_profile *imposed) {
        const struct rows rows = {v, n, is_refused, imposed};

        CHECK_EQ_INT(confined_run(&supervisor_profile, waived, try_rows, &rows), 0);
}

static void test_refused(void) {
        check(refused, ELEMENTSOF(refused), 0, true, NULL);
}

/* Were it not for the filter: else the rows above would show nothing. */
static void test_without(void) {
        check(refused, ELEMENTSOF(refused), SANDBOX_SECCOMP, false, NULL);
}

static void test_kept(void) {
        check(kept, ELEMENTSOF(kept), 0, false, NULL);
        check(kept, ELEMENTSOF(kept), 0, false, &daemon_profile);
        check(kept_by_us, ELEMENTSOF(kept_by_us), 0, false, NULL);
        check(absent, ELEMENTSOF(absent), 0, false, &daemon_profile);
}

/* daemon: what is imposed on one, or NULL. */
static int try_family(int family, const struct sandbox_profile *daemon) {
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool passed = fd >= 0 || errno != EPERM;

        (void)fd_close(fd);
        if (passed == (family == AF_UNIX || (family == AF_VSOCK && !daemon)))
                return 0;
        printf("# a socket of family %#x %s\n", (unsigned)family,
               passed ? "passed" : "was refused");
        return 1;
}

static int try_families(const struct sandbox_profile *p, unsigned waived, const void *arg) {
        int failed = 0;

        if (sandbox_lock(p, waived) < 0 || (arg && sandbox_impose(arg, waived) < 0))
                return CONFINED_BROKEN;
        for (int family = 0; family < 1024; family++)
                failed |= try_family(family, arg);
        /* And with each bit that the kernel looks at. */
        for (unsigned bit = 10; bit < 32; bit++)
                failed |= try_family((int)(1u << bit | AF_UNIX), arg) |
                          try_family((int)(1u << bit | AF_VSOCK), arg);
        (void)fflush(stdout);
        return failed;
}

static void test_families(void) {
        CHECK_EQ_INT(confined_run(&supervisor_profile, 0, try_families, NULL), 0);
        CHECK_EQ_INT(confined_run(&supervisor_profile, 0, try_families, &daemon_profile), 0);
}

/* The kernel's doors that are for its administrator, or were ways in: each is shut here, too. */
static const int shut[] = {
        SCMP_SYS(ptrace),        SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
        SCMP_SYS(pidfd_getfd),   SCMP_SYS(bpf),              SCMP_SYS(perf_event_open),
        SCMP_SYS(userfaultfd),   SCMP_SYS(io_uring_setup),   SCMP_SYS(io_uring_enter),
        SCMP_SYS(keyctl),        SCMP_SYS(add_key),          SCMP_SYS(request_key),
        SCMP_SYS(fanotify_init), SCMP_SYS(lookup_dcookie),   SCMP_SYS(io_uring_register),
        SCMP_SYS(modify_ldt),    SCMP_SYS(migrate_pages),    SCMP_SYS(move_pages),
        SCMP_SYS(execveat),      SCMP_SYS(chroot),           SCMP_SYS(open_by_handle_at),
        SCMP_SYS(acct),          SCMP_SYS(adjtimex),         SCMP_SYS(clock_adjtime),
        SCMP_SYS(clock_settime), SCMP_SYS(delete_module),    SCMP_SYS(finit_module),
        SCMP_SYS(init_module),   SCMP_SYS(ioperm),           SCMP_SYS(iopl),
        SCMP_SYS(kexec_load),    SCMP_SYS(kexec_file_load),  SCMP_SYS(quotactl),
        SCMP_SYS(quotactl_fd),   SCMP_SYS(reboot),           SCMP_SYS(setdomainname),
        SCMP_SYS(sethostname),   SCMP_SYS(settimeofday),     SCMP_SYS(swapoff),
        SCMP_SYS(swapon),        SCMP_SYS(syslog),           SCMP_SYS(vhangup),
        SCMP_SYS(memfd_secret),  SCMP_SYS(fanotify_mark),
        448 /* process_mrelease */,  450 /* set_mempolicy_home_node */,
        451 /* cachestat */,         459 /* lsm_get_self_attr */,
        460 /* lsm_set_self_attr */, 461 /* lsm_list_modules */,
        469 /* file_setattr */,
};

static bool is_refused(int nr) {
        for (size_t i = 0; i < supervisor_profile.n_refused; i++)
                if (supervisor_profile.refused[i].nr == nr &&
                    supervisor_profile.refused[i].n_args == 0)
                        return true;
        return false;
}

static void test_shut(void) {
        for (size_t i = 0; i < ELEMENTSOF(shut); i++)
                if (!is_refused(shut[i])) {
                        printf("# system call %d is not in the list\n", shut[i]);
                        CHECK(false);
                }
        CHECK_EQ_INT(supervisor_profile.layers, SANDBOX_LANDLOCK | SANDBOX_SECCOMP);
        CHECK_EQ_INT(daemon_profile.layers, SANDBOX_LANDLOCK | SANDBOX_SECCOMP);
}

/* Each row of the list, with arguments that it is for. */
static int try_list(const struct sandbox_profile *p, unsigned waived, const void *arg) {
        int failed = 0;

        if (sandbox_lock(p, waived) < 0 || (arg && sandbox_impose(arg, waived) < 0))
                return CONFINED_BROKEN;
        if (arg)
                p = arg;
        confined_tried(p->n_refused);
        for (size_t i = 0; i < p->n_refused; i++) {
                const struct sandbox_syscall *s = &p->refused[i];
                struct confined_call c = {.nr = s->nr};

                if (s->nr < 0 || (CONFINED_SANITIZED && sandbox_filter_names(p, s->nr)))
                        continue; /* of another architecture */
                for (unsigned k = 0; k < s->n_args; k++)
                        c.args[s->args[k].index] = (long)s->args[k].value;
                if (call(&c) != (s->error > 0 ? s->error : EPERM)) {
                        printf("# system call %d was made\n", s->nr);
                        failed = 1;
                }
        }
        (void)fflush(stdout);
        return failed;
}

static void test_list(void) {
        CHECK_EQ_INT(confined_run(&supervisor_profile, 0, try_list, NULL), 0);
        CHECK_EQ_INT(confined_run(&supervisor_profile, 0, try_list, &daemon_profile), 0);
}

static int is_dumpable(const struct sandbox_profile *p, unsigned waived, const void *arg _unused_) {
        return sandbox_lock(p, waived) < 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1 ||
               prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

static void test_dumpable(void) {
        CHECK_EQ_INT(confined_run(&supervisor_profile, 0, is_dumpable, NULL), 0);
}

static void test_each_layer(void) {
        alone_check_layers(&supervisor_profile, false);
        alone_check_layers(&daemon_profile, true);
}

/* What it starts may need memory that becomes code: its own lock does not go on to them. */
static int is_not_inherited(const struct sandbox_profile *p, unsigned waived,
                            const void *arg _unused_) {
        int status = -1;
        pid_t pid;

        if (sandbox_lock(p, waived) < 0)
                return CONFINED_BROKEN;
        pid = fork();
        if (pid == 0)
                _exit(alone_execute_written(0));
        return waitpid(pid, &status, 0) != pid || status != 0;
}

static void test_not_inherited(void) {
        CHECK_EQ_INT(confined_run(&supervisor_profile, 0, is_not_inherited, NULL), 0);
}

static const struct sandbox_rlimit limits[] = {
        {RLIMIT_CORE, 0},
};

static void test_limits(void) {
        alone_check_limits(&supervisor_profile, limits, ELEMENTSOF(limits));
}

TEST_MAIN({"what neither it nor its programs need fails with EPERM", test_refused},
          {"that is the filter's doing", test_without}, {"what they need is not touched", test_kept},
          {"no door of the kernel's is left out of the list", test_shut},
          {"each row of the list fails", test_list},
          {"no sockets but unix and vsock, in a daemon no vsock", test_families},
          {"what it starts has memory as it needs it", test_not_inherited},
          {"no new privileges, and dumpable", test_dumpable},
          {"each layer refuses something by itself", test_each_layer},
          {"each limit is reached where it is said to be", test_limits})

/* SPDX-License-Identifier: MIT */
#include "common/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/log.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED
/* What the sanitizers' run-time calls to report and to map its shadow; never in a release build. */
static const int sanitizer_syscalls[] = {
        SCMP_SYS(mmap),        SCMP_SYS(mprotect),   SCMP_SYS(munmap),        SCMP_SYS(madvise),
        SCMP_SYS(sigaltstack), SCMP_SYS(write),      SCMP_SYS(readlink),      SCMP_SYS(openat),
        SCMP_SYS(close),       SCMP_SYS(read),       SCMP_SYS(getpid),        SCMP_SYS(gettid),
        SCMP_SYS(sched_yield), SCMP_SYS(futex),      SCMP_SYS(rt_sigaction),  SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(prctl),       SCMP_SYS(clone),      SCMP_SYS(wait4),         SCMP_SYS(exit_group),
        SCMP_SYS(newfstatat),  SCMP_SYS(getrlimit),  SCMP_SYS(ptrace),        SCMP_SYS(exit),
        SCMP_SYS(getdents64),  SCMP_SYS(prlimit64),  SCMP_SYS(stat),          SCMP_SYS(process_vm_readv),
        /* the leak checker is a process of its own */
        SCMP_SYS(open),        SCMP_SYS(getdents),   SCMP_SYS(getppid),       SCMP_SYS(lseek),
};
#endif

/* A closed 0, 1 or 2 would be taken by the next socket, and then be written to as a log. */
static int fill_stdio(void) {
        int fd;

        do {
                fd = open("/dev/null", O_RDWR | O_CLOEXEC);
                if (fd < 0)
                        return -errno;
        } while (fd <= STDERR_FILENO);
        (void)close(fd);
        return 0;
}

static int set_rlimits(const struct sandbox_profile *p) {
        for (size_t i = 0; i < p->n_rlimits; i++) {
                struct rlimit rl = {p->rlimits[i].value, p->rlimits[i].value};
                struct rlimit old;

#ifdef SANITIZED
                if (p->rlimits[i].resource == RLIMIT_AS || p->rlimits[i].resource == RLIMIT_NPROC)
                        continue; /* the shadow memory is larger; the leak checker is a process */
#endif
                if (getrlimit((__rlimit_resource_t)p->rlimits[i].resource, &old) == 0 &&
                    old.rlim_max < rl.rlim_max)
                        rl.rlim_cur = rl.rlim_max = old.rlim_max;
                if (setrlimit((__rlimit_resource_t)p->rlimits[i].resource, &rl) < 0)
                        return -errno;
        }
        return 0;
}

int sandbox_start(const struct sandbox_profile *p) {
        int r;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return log_error_errno(errno, "%s: no_new_privs refused", p->name);
#ifndef SANITIZED /* the leak checker looks at us with ptrace */
        if (!p->dumpable && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return log_error_errno(errno, "%s: cannot become undumpable", p->name);
#endif
        r = fill_stdio();
        if (r < 0)
                return log_error_errno(r, "%s: cannot open /dev/null", p->name);
        r = set_rlimits(p);
        if (r < 0)
                return log_error_errno(r, "%s: cannot set resource limits", p->name);
        return 0;
}

/*
 * Every set, inheritable and ambient too.  The bounding set can only be dropped
 * with CAP_SETPCAP; without it no_new_privs keeps it from ever mattering.
 */
static int drop_capabilities(void) {
        int may_drop_bounds;

        if (capng_get_caps_process() < 0)
                return -EPERM;
        may_drop_bounds = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
        capng_clear(CAPNG_SELECT_ALL);
        if (may_drop_bounds && capng_apply(CAPNG_SELECT_BOUNDS) < 0)
                return -EPERM;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return -errno;
        return capng_apply(CAPNG_SELECT_CAPS) < 0 ? -EPERM : 0;
}

static int add_rule(scmp_filter_ctx ctx, const struct sandbox_syscall *s) {
        struct scmp_arg_cmp cmp[2];

        for (unsigned i = 0; i < s->n_args; i++)
                cmp[i] = (struct scmp_arg_cmp){s->args[i].index, SCMP_CMP_MASKED_EQ,
                                               s->args[i].mask, s->args[i].value};
        return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, s->nr, s->n_args, cmp);
}

static int load_filter(const struct sandbox_profile *p) {
        scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int r = 0;

        if (!ctx)
                return -ENOMEM;
        for (size_t i = 0; i < p->n_syscalls && r == 0; i++)
                r = add_rule(ctx, &p->syscalls[i]);
#ifdef SANITIZED
        for (size_t i = 0; i < ELEMENTSOF(sanitizer_syscalls) && r == 0; i++) {
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, sanitizer_syscalls[i], 0);
                if (r == -EEXIST)
                        r = 0;
        }
#endif
        if (r == 0)
                r = seccomp_load(ctx);
        seccomp_release(ctx);
        return r;
}

int sandbox_lock(const struct sandbox_profile *p) {
        int r = drop_capabilities();

        if (r < 0)
                return log_error_errno(r, "%s: cannot drop all capabilities", p->name);
        if (p->syscalls) {
                r = load_filter(p);
                if (r < 0)
                        return log_error_errno(r, "%s: the kernel refused the system call filter "
                                                  "(CONFIG_SECCOMP_FILTER is needed)", p->name);
        }
        return 0;
}

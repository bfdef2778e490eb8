/* SPDX-License-Identifier: MIT */
#include "common/sandbox_filter.h"

#include <seccomp.h>

#include "common/cleanup.h"
#include "common/sandbox.h"
#include "common/sanitized.h"

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

static int add_sanitizers(scmp_filter_ctx ctx) {
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(sanitizer_syscalls) && r == 0; i++) {
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, sanitizer_syscalls[i], 0);
                if (r == -EEXIST)
                        r = 0;
        }
        return r;
}

static bool sanitizers_need(int nr) {
        for (size_t i = 0; i < ELEMENTSOF(sanitizer_syscalls); i++)
                if (sanitizer_syscalls[i] == nr)
                        return true;
        return false;
}
#else
static int add_sanitizers(scmp_filter_ctx ctx _unused_) {
        return 0;
}

static bool sanitizers_need(int nr _unused_) {
        return false;
}
#endif

static int add_rows(scmp_filter_ctx ctx, uint32_t action, const struct sandbox_syscall *rows,
                    size_t n) {
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++) {
                const struct sandbox_syscall *s = &rows[i];
                struct scmp_arg_cmp cmp[ELEMENTSOF(s->args)];

                if (action != SCMP_ACT_ALLOW && s->n_args == 0 && sanitizers_need(s->nr))
                        continue; /* with arguments, the rows are of what no run-time asks for */
                for (unsigned k = 0; k < s->n_args; k++)
                        cmp[k] = (struct scmp_arg_cmp){s->args[k].index, SCMP_CMP_MASKED_EQ,
                                                       s->args[k].mask, s->args[k].value};
                r = seccomp_rule_add_array(
                        ctx, s->error > 0 ? SCMP_ACT_ERRNO((uint32_t)s->error) : action, s->nr,
                        s->n_args, cmp);
        }
        return r;
}

/* A call by another architecture's numbers, or by x32's, is made by nobody but an attacker. */
int sandbox_filter_load(const struct sandbox_profile *p) {
        scmp_filter_ctx ctx = seccomp_init(p->refused ? SCMP_ACT_ALLOW : SCMP_ACT_KILL_PROCESS);
        int r;

        if (!ctx)
                return -ENOMEM;
        r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        if (r == 0)
                r = add_rows(ctx, SCMP_ACT_ALLOW, p->syscalls, p->n_syscalls);
        if (r == 0 && !p->refused)
                r = add_sanitizers(ctx);
        if (r == 0)
                r = add_rows(ctx, SCMP_ACT_ERRNO(EPERM), p->refused, p->n_refused);
        if (r == 0)
                r = seccomp_load(ctx);
        seccomp_release(ctx);
        return r;
}

bool sandbox_filter_names(const struct sandbox_profile *p, int nr) {
        for (size_t i = 0; i < p->n_syscalls; i++)
                if (p->syscalls[i].nr == nr)
                        return true;
        return sanitizers_need(nr);
}

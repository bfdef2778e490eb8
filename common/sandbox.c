/* SPDX-License-Identifier: MIT */
#include "common/sandbox.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/sandbox_filter.h"
#include "common/sandbox_landlock.h"
#include "common/sandbox_root.h"
#include "common/sanitized.h"

/* linux/prctl.h of 6.3 and 6.6. */
#define SET_MDWE              65
#define GET_MDWE              66
#define MDWE_REFUSE_EXEC_GAIN 1ul
#define MDWE_NO_INHERIT       2ul

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

int sandbox_start(const struct sandbox_profile *p) {
        int r;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return log_error_errno(errno, "%s: no_new_privs refused", p->name);
        r = fill_stdio();
        return r < 0 ? log_error_errno(r, "%s: cannot open /dev/null", p->name) : 0;
}

/* --- enclose: where it is, and what it may --------------------------------------------------- */

/*
 * Every set, inheritable and ambient too.  The bounding set can only be dropped with CAP_SETPCAP;
 * without it no_new_privs keeps it from ever mattering.
 */
static int drop_capabilities(bool bounds) {
        capng_clear(CAPNG_SELECT_ALL);
        if (bounds && capng_apply(CAPNG_SELECT_BOUNDS) < 0)
                return -EPERM;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return -errno;
        return capng_apply(CAPNG_SELECT_CAPS) < 0 ? -EPERM : 0;
}

/* With the root goes /proc, by which libcap-ng learns what there is to drop: it is asked first. */
static int leave(const struct sandbox_profile *p, bool alone, enum sandbox_place place) {
        int r = alone && place == SANDBOX_OUTSIDE ? sandbox_root_unshare() : 0;
        bool bounds;

        if (r < 0)
                return sandbox_layer_refuse(p->name, SANDBOX_NAMESPACES, r);
        if (alone && !sandbox_root_is_prepared())
                return log_error_errno(EINVAL, "%s: nobody has made namespaces for it", p->name);
        if (capng_get_caps_process() < 0)
                return log_error_errno(EPERM, "%s: cannot read its capabilities", p->name);
        bounds = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
        r = alone ? sandbox_root_empty() : 0;
        if (r < 0)
                return log_error_errno(r, "%s: cannot leave the file system", p->name);
        r = drop_capabilities(bounds);
        if (r == 0 && alone && !bounds)
                r = -EPERM;
        return r < 0 ? log_error_errno(r, "%s: cannot drop all capabilities", p->name) : 0;
}

int sandbox_enclose(const struct sandbox_profile *p, unsigned waived, enum sandbox_place place) {
        unsigned layers = p->layers & ~waived;
        int r = leave(p, layers & SANDBOX_NAMESPACES, place);

        if (r == 0 && layers & SANDBOX_LANDLOCK) {
                r = sandbox_landlock_enter(p->landlock);
                if (r < 0)
                        (void)sandbox_layer_refuse(p->name, SANDBOX_LANDLOCK, r);
        }
#ifndef SANITIZED /* the leak checker looks at us with ptrace */
        if (r == 0 && !p->dumpable && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return log_error_errno(errno, "%s: cannot become undumpable", p->name);
#endif
        return r;
}

/* --- lock: what it may ask for --------------------------------------------------------------- */

/* Then it must grow.  A supervisor's child writes its log into a pipe. */
static bool log_is_file(void) {
        struct stat st;

        return fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode);
}

static int set_rlimits(const struct sandbox_profile *p) {
        for (size_t i = 0; i < p->n_rlimits; i++) {
                struct rlimit rl = {p->rlimits[i].value, p->rlimits[i].value};
                struct rlimit old;

                if (p->rlimits[i].resource == RLIMIT_FSIZE && log_is_file())
                        continue;
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

/*
 * Memory that was written is never executed.  A kernel before 6.3 has no such rule (6.6: none that
 * stays with us); the filters of those who execute nothing say the same of their mappings.
 */
static int refuse_new_code(const struct sandbox_profile *p) {
        unsigned long how = MDWE_REFUSE_EXEC_GAIN | (p->starts_programs ? MDWE_NO_INHERIT : 0);
        int before = prctl(GET_MDWE, 0, 0, 0, 0);

        if (before > 0 && (unsigned long)before & MDWE_REFUSE_EXEC_GAIN)
                return 0; /* who started us has, and it cannot be said twice in other words */
        return prctl(SET_MDWE, how, 0, 0, 0) < 0 && errno != EINVAL ? -errno : 0;
}

int sandbox_lock(const struct sandbox_profile *p, unsigned waived) {
        int r = set_rlimits(p);

        if (r < 0)
                return log_error_errno(r, "%s: cannot set resource limits", p->name);
        r = refuse_new_code(p);
        if (r < 0)
                return log_error_errno(r, "%s: cannot refuse memory that becomes code", p->name);
        if (p->layers & ~waived & SANDBOX_SECCOMP) {
                r = sandbox_filter_load(p);
                if (r < 0)
                        return sandbox_layer_refuse(p->name, SANDBOX_SECCOMP, r);
        }
        return 0;
}

int sandbox_impose(const struct sandbox_profile *p, unsigned waived) {
        unsigned layers = p->layers & ~waived;
        int r = layers & SANDBOX_LANDLOCK ? sandbox_landlock_enter(p->landlock) : 0;

        if (r == 0)
                r = set_rlimits(p);
        if (r == 0)
                r = refuse_new_code(p);
        return r == 0 && layers & SANDBOX_SECCOMP ? sandbox_filter_load(p) : r;
}

/* SPDX-License-Identifier: MIT */
/* Processes, and the namespaces that they live in. */
#include "sbsupervisor/privops.h"

#include <assert.h>
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/id_map.h"
#include "common/sandbox.h"

#define COVER_MS 15000 /* it takes some; then a file system on the way does not answer */

/* --- starting programs ---------------------------------------------------------------------------- */

/* The documents namespace's, in the order in which they are joined: the first allows the rest. */
static const struct {
        const char *name;
        int flag;
} ns_kinds[PRIVOP_N_NAMESPACES] = {
        {"user", CLONE_NEWUSER},
        {"mnt", CLONE_NEWNS},
        {"net", CLONE_NEWNET},
        {"ipc", CLONE_NEWIPC},
};

static pid_t clone_with_pidfd(uint64_t flags, int *ret_pidfd) {
        struct clone_args args = {
                .flags = flags | CLONE_PIDFD,
                .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
                .exit_signal = SIGCHLD,
        };

        return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static int open_pipe(int *ret_read, int *ret_write) {
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        *ret_read = fds[0];
        *ret_write = fds[1];
        return 0;
}

/* In the child: the exact descriptor set of s at 0, 1, 2, 3, ...; report stays, CLOEXEC. */
static int arrange_fds(const struct privop_spawn *s, int *report) {
        int moved[PRIVOP_MAX_FDS + 1];
        const int first_free = 3 + PRIVOP_MAX_FDS;
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null < 0 || dup2(null, STDIN_FILENO) < 0)
                return -errno;
        /* First out of the way of the targets, then into place. */
        *report = fcntl(*report, F_DUPFD_CLOEXEC, first_free);
        moved[s->n_fds] = fcntl(s->log_fd, F_DUPFD_CLOEXEC, first_free);
        for (unsigned i = 0; i < s->n_fds; i++)
                moved[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, first_free);
        for (unsigned i = 0; i < s->n_fds; i++)
                if (dup2(moved[i], 3 + (int)i) < 0)
                        return -errno;
        if (dup2(moved[s->n_fds], STDOUT_FILENO) < 0 || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
                return -errno;
        if (close_range(3 + s->n_fds, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
                return -errno;
        return 0;
}

/*
 * The program runs as the person, not as root of its namespace: only an ambient capability survives
 * the exec.  What is not of the set, nothing that the program starts can have either.
 */
static int keep_capabilities(uint64_t set) {
        capng_setpid(getpid()); /* libcap-ng remembers the parent's */
        capng_clear(CAPNG_SELECT_ALL);
        for (unsigned c = 0; c < 64; c++)
                if (set & PRIVOP_CAPABILITY(c) &&
                    capng_update(CAPNG_ADD,
                                 CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE |
                                         CAPNG_BOUNDING_SET, c) < 0)
                        return -EPERM;
        /* The bounding set first: to lower it takes a capability that may go. */
        if (capng_apply(CAPNG_SELECT_BOUNDS) < 0 || capng_apply(CAPNG_SELECT_CAPS) < 0)
                return -EPERM;
        for (unsigned c = 0; c < 64; c++)
                if (set & PRIVOP_CAPABILITY(c) &&
                    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0) < 0)
                        return -errno;
        return 0;
}

static int join_namespaces(const struct privop_namespaces *ns) {
        for (size_t i = 0; i < ELEMENTSOF(ns_kinds); i++)
                if (setns(ns->fds[i], ns_kinds[i].flag) < 0)
                        return -errno;
        return chdir("/") < 0 ? -errno : 0;
}

/* Who it was before, which a new user namespace does not show. */
struct parent {
        pid_t pid;
        uid_t uid;
        gid_t gid;
};

/* In the child: the namespaces it is to live in. */
static int settle(const struct privop_spawn *s, const struct parent *parent) {
        int r = s->apart ? id_map_write(parent->uid, parent->gid) : 0;

        if (r == 0 && s->join)
                r = join_namespaces(s->join);
        return r == 0 && (s->apart || s->join) ? keep_capabilities(s->capabilities) : r;
}

_noreturn_ static void child(const struct privop_spawn *s, const struct parent *parent,
                             int report) {
        sigset_t none;
        int r;

        sigemptyset(&none);
        r = settle(s, parent);
        if (r == 0)
                r = arrange_fds(s, &report);
        /* After the change of credentials, which clears it. */
        if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                r = -errno;
        /* It died before the line above.  Who is apart sees no parent; its channel tells it. */
        if (r == 0 && !s->apart && getppid() != parent->pid)
                _exit(EXIT_FAILURE);
        if (r == 0 && s->files && setrlimit(RLIMIT_NOFILE, s->files) < 0)
                r = -errno;
        if (r == 0 && s->profile)
                r = sandbox_impose(s->profile, s->waived);
        if (r == 0) {
                (void)sigprocmask(SIG_SETMASK, &none, NULL);
                (void)execve(s->path, (char *const *)s->argv, (char *const *)s->envp);
                r = errno; /* positive: the program, not we */
        }
        (void)!write(report, &r, sizeof(r));
        _exit(EXIT_FAILURE);
}

/* What the child said before it could not go on. */
static int spawn_failure(const struct privop_spawn *s, int failure) {
        if (failure < 0 && (!s->apart || (failure != -EPERM && failure != -EACCES)))
                return failure;
        errno = failure < 0 ? -failure : failure;
        return failure < 0 ? PRIVOP_E_USERNS : PRIVOP_E_PROGRAM;
}

int privop_spawn(const struct privop_spawn *s, pid_t *ret_pid, int *ret_pidfd) {
        const struct parent parent = {getpid(), geteuid(), getegid()};
        _cleanup_close_ int pidfd = -1, report_r = -1, report_w = -1;
        int failure = 0, r;
        pid_t pid;

        assert(s->n_fds <= PRIVOP_MAX_FDS && !(s->apart && s->join));
        r = open_pipe(&report_r, &report_w);
        if (r < 0)
                return r;
        pid = clone_with_pidfd(s->apart ? SANDBOX_CLONE_FLAGS | CLONE_NEWPID : 0, &pidfd);
        if (pid < 0)
                return s->apart ? PRIVOP_E_USERNS : -errno;
        if (pid == 0)
                child(s, &parent, report_w);
        report_w = fd_close(report_w);
        if (read(report_r, &failure, sizeof(failure)) == (ssize_t)sizeof(failure)) {
                (void)waitpid(pid, NULL, 0);
                return spawn_failure(s, failure);
        }
        *ret_pid = pid;
        *ret_pidfd = TAKE_FD(pidfd);
        return 0;
}

/* In a child that does not exec; the parent may have been quicker. */
static void die_with(pid_t parent) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
                _exit(EXIT_FAILURE);
}

/* --- the documents namespace ---------------------------------------------------------------------- */

/*
 * Two, one in the other.  What was covered in the outer one no capability of the inner one can
 * uncover, and the daemons never have one of the outer: see mount_namespaces(7), "locked".
 */
static int make_documents_namespaces(const struct parent *parent, const struct privop_view *view) {
        int flags = 0, covered, r = id_map_write(parent->uid, parent->gid);

        if (r == 0 && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                r = -errno;
        covered = r == 0 ? privop_cover(view) : r;
        for (size_t i = 0; i < ELEMENTSOF(ns_kinds); i++)
                flags |= ns_kinds[i].flag;
        if (covered >= 0 && unshare(flags) < 0)
                return -errno;
        r = covered >= 0 ? id_map_write(parent->uid, parent->gid) : covered;
        return r < 0 ? r : covered;
}

/* Says how it went, and holds the namespaces until the parent has them open. */
_noreturn_ static void hold_namespaces(const struct parent *parent, const struct privop_view *view,
                                       int report, int hold) {
        int r = make_documents_namespaces(parent, view);
        char c;

        (void)!write(report, &r, sizeof(r));
        (void)close(report);
        (void)!read(hold, &c, 1);
        _exit(EXIT_SUCCESS);
}

void privop_namespaces_close(struct privop_namespaces *ns) {
        for (size_t i = 0; i < ELEMENTSOF(ns->fds); i++)
                ns->fds[i] = fd_close(ns->fds[i]);
        ns->root = fd_close(ns->root);
}

static int open_namespaces(pid_t pid, struct privop_namespaces *ns) {
        char path[64];

        for (size_t i = 0; i < ELEMENTSOF(ns_kinds); i++) {
                (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, ns_kinds[i].name);
                ns->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
                if (ns->fds[i] < 0)
                        return -errno;
        }
        (void)snprintf(path, sizeof(path), "/proc/%d/root", pid);
        ns->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return ns->root < 0 ? -errno : 0;
}

int privop_new_documents_namespace(const struct privop_view *view, struct privop_namespaces *ns) {
        const struct parent parent = {getpid(), geteuid(), getegid()};
        _cleanup_close_ int pidfd = -1, report_r = -1, report_w = -1, hold_r = -1, hold_w = -1;
        int r, covered;
        pid_t pid;

        r = open_pipe(&report_r, &report_w);
        if (r == 0)
                r = open_pipe(&hold_r, &hold_w);
        if (r < 0)
                return r;
        pid = clone_with_pidfd(CLONE_NEWUSER | CLONE_NEWNS, &pidfd);
        if (pid < 0)
                return PRIVOP_E_USERNS;
        if (pid == 0) {
                die_with(parent.pid); /* it may hang, see below */
                (void)close(hold_w);
                hold_namespaces(&parent, view, report_w, hold_r);
        }
        report_w = fd_close(report_w);
        if (poll(&(struct pollfd){.fd = report_r, .events = POLLIN}, 1, COVER_MS) == 0) {
                /* Nobody waits for it: it may be where no signal reaches it. */
                (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
                return -ETIMEDOUT;
        }
        if (read(report_r, &covered, sizeof(covered)) != (ssize_t)sizeof(covered))
                covered = -EIO;
        r = covered < 0 ? covered : open_namespaces(pid, ns);
        hold_w = fd_close(hold_w);
        (void)waitpid(pid, NULL, 0);
        /* What a kernel says that forbids one, has none of a kind, or has no more of it. */
        if (r == -EPERM || r == -EACCES || r == -EINVAL || r == -ENOSPC || r == -EUSERS) {
                errno = -r;
                return PRIVOP_E_USERNS;
        }
        return r < 0 ? r : covered;
}

/* --- a connection of another process -------------------------------------------------------------- */

/* Connects, says how it went, and stays until the parent lets go of it. */
_noreturn_ static void be_peer(int fd, const struct sockaddr *sa, socklen_t n, int report, int hold) {
        sigset_t all;
        int r = 0;
        char c;

        sigfillset(&all); /* who signals a whole group, or the scope, means the parent */
        (void)sigprocmask(SIG_SETMASK, &all, NULL);
        (void)prctl(PR_SET_NAME, "sb-connector", 0, 0, 0);
        if (connect(fd, sa, n) < 0)
                r = -errno;
        (void)!write(report, &r, sizeof(r));
        if (dup2(hold, 0) < 0 || close_range(1, ~0u, 0) < 0)
                _exit(EXIT_FAILURE);
        (void)!read(0, &c, 1);
        _exit(EXIT_SUCCESS);
}

int privop_connect_apart(int fd, const struct sockaddr *sa, socklen_t n, pid_t *ret_pid,
                         int *ret_pidfd, int *ret_hold) {
        _cleanup_close_ int pidfd = -1, report_r = -1, report_w = -1, hold_r = -1, hold_w = -1;
        pid_t parent = getpid(), pid;
        int r;

        r = open_pipe(&report_r, &report_w);
        if (r == 0)
                r = open_pipe(&hold_r, &hold_w);
        if (r < 0)
                return r;
        pid = clone_with_pidfd(0, &pidfd);
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                die_with(parent);
                be_peer(fd, sa, n, report_w, hold_r);
        }
        report_w = fd_close(report_w);
        if (read(report_r, &r, sizeof(r)) != (ssize_t)sizeof(r))
                r = -EIO;
        if (r < 0) {
                hold_w = fd_close(hold_w);
                (void)waitpid(pid, NULL, 0);
                return r;
        }
        *ret_pid = pid;
        *ret_pidfd = TAKE_FD(pidfd);
        *ret_hold = TAKE_FD(hold_w);
        return 0;
}

/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/privops.h"

#include <assert.h>
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"

#define MAX_SYMLINKS 40 /* the kernel's own limit */

/* --- starting programs ---------------------------------------------------------------------------- */

static pid_t clone_with_pidfd(uint64_t flags, int *ret_pidfd) {
        struct clone_args args = {
                .flags = flags | CLONE_PIDFD,
                .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
                .exit_signal = SIGCHLD,
        };

        return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
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

/* The program runs as the person, not as root of its namespace: only an ambient capability survives. */
static int keep_capability(int capability) {
        capng_setpid(getpid()); /* libcap-ng remembers the parent's */
        capng_clear(CAPNG_SELECT_ALL);
        if (capability >= 0 &&
            capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE,
                         (unsigned)capability) < 0)
                return -EPERM;
        if (capng_apply(CAPNG_SELECT_CAPS) < 0)
                return -EPERM;
        if (capability >= 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
                return -errno;
        return 0;
}

static int join_namespaces(const struct privop_spawn *s) {
        if (s->user_ns < 0)
                return 0;
        if (setns(s->user_ns, CLONE_NEWUSER) < 0 || setns(s->mount_ns, CLONE_NEWNS) < 0)
                return -errno;
        if (chdir("/") < 0)
                return -errno;
        return keep_capability(s->ambient_capability);
}

_noreturn_ static void child(const struct privop_spawn *s, pid_t parent, int report) {
        sigset_t none;
        int r;

        sigemptyset(&none);
        r = join_namespaces(s);
        if (r == 0)
                r = arrange_fds(s, &report);
        /* After the change of credentials, which clears it. */
        if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                r = -errno;
        if (r == 0 && getppid() != parent)
                _exit(EXIT_FAILURE); /* it died before the line above */
        if (r == 0) {
                (void)sigprocmask(SIG_SETMASK, &none, NULL);
                (void)execve(s->path, (char *const *)s->argv, (char *const *)s->envp);
                r = errno; /* positive: the program, not we */
        }
        (void)!write(report, &r, sizeof(r));
        _exit(EXIT_FAILURE);
}

int privop_spawn(const struct privop_spawn *s, pid_t *ret_pid, int *ret_pidfd) {
        _cleanup_close_ int pidfd = -1, report_r = -1, report_w = -1;
        pid_t parent = getpid(), pid;
        int p[2], failure = 0;

        assert(s->n_fds <= PRIVOP_MAX_FDS);
        if (pipe2(p, O_CLOEXEC) < 0)
                return -errno;
        report_r = p[0];
        report_w = p[1];
        pid = clone_with_pidfd(0, &pidfd);
        if (pid < 0)
                return -errno;
        if (pid == 0)
                child(s, parent, report_w);
        report_w = fd_close(report_w);
        if (read(report_r, &failure, sizeof(failure)) == (ssize_t)sizeof(failure)) {
                (void)waitpid(pid, NULL, 0);
                if (failure < 0)
                        return failure;
                errno = failure;
                return PRIVOP_E_PROGRAM;
        }
        *ret_pid = pid;
        *ret_pidfd = TAKE_FD(pidfd);
        return 0;
}

/* --- the documents namespace ---------------------------------------------------------------------- */

static int write_file(const char *path, const char *text) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                return -errno;
        return 0;
}

static int map_ids(uid_t uid, gid_t gid) {
        char map[64];
        int r = write_file("/proc/self/setgroups", "deny");

        if (r == 0) {
                (void)snprintf(map, sizeof(map), "%u %u 1", uid, uid);
                r = write_file("/proc/self/uid_map", map);
        }
        if (r == 0) {
                (void)snprintf(map, sizeof(map), "%u %u 1", gid, gid);
                r = write_file("/proc/self/gid_map", map);
        }
        return r;
}

/* Sets the namespaces up, says how it went, and holds them until the parent has them open. */
_noreturn_ static void hold_namespace(uid_t uid, gid_t gid, int report, int hold) {
        int r = map_ids(uid, gid);
        char c;

        if (r == 0 && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                r = -errno;
        (void)!write(report, &r, sizeof(r));
        (void)close(report);
        (void)!read(hold, &c, 1);
        _exit(EXIT_SUCCESS);
}

static int open_namespaces(pid_t pid, int *ret_user, int *ret_mount) {
        _cleanup_close_ int user = -1, mnt = -1;
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
        user = open(path, O_RDONLY | O_CLOEXEC);
        if (user < 0)
                return -errno;
        (void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
        mnt = open(path, O_RDONLY | O_CLOEXEC);
        if (mnt < 0)
                return -errno;
        *ret_user = TAKE_FD(user);
        *ret_mount = TAKE_FD(mnt);
        return 0;
}

static int open_pipe(int *ret_read, int *ret_write) {
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        *ret_read = fds[0];
        *ret_write = fds[1];
        return 0;
}

int privop_new_documents_namespace(int *ret_user, int *ret_mount) {
        _cleanup_close_ int pidfd = -1, report_r = -1, report_w = -1, hold_r = -1, hold_w = -1;
        uid_t uid = geteuid();
        gid_t gid = getegid();
        int r;
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
                (void)close(hold_w);
                hold_namespace(uid, gid, report_w, hold_r);
        }
        report_w = fd_close(report_w);
        if (read(report_r, &r, sizeof(r)) != (ssize_t)sizeof(r))
                r = -EIO;
        if (r == 0)
                r = open_namespaces(pid, ret_user, ret_mount);
        hold_w = fd_close(hold_w);
        (void)waitpid(pid, NULL, 0);
        if (r == -EPERM || r == -EACCES) {
                errno = -r;
                return PRIVOP_E_USERNS;
        }
        return r;
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
                if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
                        _exit(EXIT_FAILURE);
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

/* --- walking to a file ---------------------------------------------------------------------------- */

static int open_beneath(int dir, const char *path, uint64_t flags, uint64_t resolve) {
        struct open_how how = {
                .flags = flags | O_PATH | O_CLOEXEC,
                .resolve = resolve | RESOLVE_NO_MAGICLINKS,
        };

        return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

static int open_error(int e) {
        switch (e) {
        case ELOOP:
        case EXDEV:
                return PRIVOP_E_SYMLINK;
        case ENOENT:
        case ENOTDIR:
        case EACCES:
        case ENAMETOOLONG:
                return PRIVOP_E_GONE;
        default:
                return -e;
        }
}

static bool is_root(const struct privop_roots *roots, const struct stat *st) {
        for (size_t i = 0; i < roots->n; i++)
                if (roots->v[i].dev == st->st_dev && roots->v[i].ino == st->st_ino)
                        return true;
        return false;
}

struct walk {
        int fd;     /* O_PATH of the directory, in the end of the file, reached so far */
        char *rest; /* what is still to walk */
        unsigned links;
        bool guarded; /* inside a directory that a VM may write */
        const struct privop_roots *roots;
};

static void walk_done(struct walk *w) {
        w->fd = fd_close(w->fd);
        free(w->rest);
        w->rest = NULL;
}

/* Puts a symlink's target in front of what is still to walk. */
static int walk_symlink(struct walk *w, int link, const char *after) {
        char target[PATH_MAX];
        ssize_t n = readlinkat(link, "", target, sizeof(target) - 1);
        char *rest;

        if (n < 0)
                return -errno;
        target[n] = '\0';
        if (++w->links > MAX_SYMLINKS)
                return PRIVOP_E_GONE;
        if (asprintf(&rest, "%s/%s", target, after) < 0)
                return -ENOMEM;
        free(w->rest);
        w->rest = rest;
        if (target[0] != '/')
                return 0;
        (void)fd_close(w->fd);
        w->fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        return w->fd < 0 ? -errno : 0;
}

/* One component, name, of the path; after is what follows it. */
static int walk_step(struct walk *w, const char *name, const char *after) {
        _cleanup_close_ int next = open_beneath(w->fd, name, O_NOFOLLOW, 0);
        struct stat st;
        char *rest;

        if (next < 0)
                return open_error(errno);
        if (fstat(next, &st) < 0)
                return -errno;
        if (S_ISLNK(st.st_mode))
                return walk_symlink(w, next, after);
        w->guarded = w->guarded || (S_ISDIR(st.st_mode) && is_root(w->roots, &st));
        rest = strdup(after);
        if (!rest)
                return -ENOMEM;
        free(w->rest);
        w->rest = rest;
        (void)fd_close(w->fd);
        w->fd = TAKE_FD(next);
        return 0;
}

/* Where a VM may plant symlinks, the kernel resolves the rest in one go and follows none. */
static int walk_guarded(struct walk *w, const char *rest) {
        int fd = open_beneath(w->fd, rest, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

        if (fd < 0)
                return open_error(errno);
        (void)fd_close(w->fd);
        w->fd = fd;
        return 0;
}

/*
 * Walks an absolute path component by component, symlinks followed as the person's file
 * chooser would, until it enters a directory of roots.  On success w->fd is the file.
 */
static int walk_path(const char *path, const struct privop_roots *roots, struct walk *w) {
        *w = (struct walk){.fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), .roots = roots};
        if (w->fd < 0)
                return -errno;
        w->rest = strdup(path);
        if (!w->rest)
                return -ENOMEM;
        for (;;) {
                char *s = w->rest + strspn(w->rest, "/");
                size_t n = strcspn(s, "/");
                char *after = s + n;
                int r;

                if (n == 0)
                        return 0;
                if (w->guarded)
                        return walk_guarded(w, s);
                if (*after)
                        *after++ = '\0';
                r = walk_step(w, s, after);
                if (r != 0)
                        return r;
        }
}

/*
 * The document portal takes no descriptor that was opened with O_NOFOLLOW, although what it
 * is of is no symlink: the same file, opened anew.
 */
static int reopen(int *fd) {
        char link[64];
        int again;

        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", *fd);
        again = open(link, O_PATH | O_CLOEXEC);
        if (again < 0)
                return -errno;
        (void)fd_close(*fd);
        *fd = again;
        return 0;
}

static int path_of_fd(int fd, char **ret) {
        char link[64], path[PATH_MAX];
        ssize_t n;

        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof(path) - 1);
        if (n < 0)
                return -errno;
        path[n] = '\0';
        *ret = strdup(path);
        return *ret ? 0 : -ENOMEM;
}

static bool may(int fd, int mode) {
        return faccessat(fd, "", mode, AT_EMPTY_PATH | AT_EACCESS) == 0;
}

/*
 * A file whose owner or group the documents namespace does not map shows in its FUSE mount
 * as the overflow id, and the kernel refuses every write to such an inode.
 */
static bool is_mapped(const struct stat *st) {
        return st->st_uid == geteuid() && st->st_gid == getegid();
}

static void set_rights(struct privop_file *f, int fd, const struct stat *st) {
        bool writable = may(fd, W_OK);

        f->writable = writable && is_mapped(st);
        f->foreign = writable && !is_mapped(st);
}

void privop_file_done(struct privop_file *f) {
        f->fd = fd_close(f->fd);
        free(f->path);
        free(f->name);
        *f = (struct privop_file){.fd = -1};
}

int privop_open_picked(const char *path, const struct privop_roots *roots, struct privop_file *ret) {
        _cleanup_(walk_done) struct walk w = {.fd = -1};
        struct stat st;
        int r;

        *ret = (struct privop_file){.fd = -1, .exists = true};
        r = walk_path(path, roots, &w);
        if (r != 0)
                return r;
        if (fstat(w.fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
                return PRIVOP_E_KIND;
        if (st.st_nlink == 0)
                return PRIVOP_E_GONE;
        if (!may(w.fd, S_ISDIR(st.st_mode) ? R_OK | X_OK : R_OK))
                return PRIVOP_E_READ;
        r = path_of_fd(w.fd, &ret->path);
        if (r == 0)
                r = reopen(&w.fd);
        if (r < 0)
                return r;
        ret->is_directory = S_ISDIR(st.st_mode);
        set_rights(ret, w.fd, &st);
        ret->fd = TAKE_FD(w.fd);
        return 0;
}

/* Splits an absolute path into its directory and last name. */
static int split_path(const char *path, char **ret_dir, char **ret_name) {
        const char *slash = strrchr(path, '/');

        if (!slash || !slash[1] || strcmp(slash + 1, ".") == 0 || strcmp(slash + 1, "..") == 0)
                return PRIVOP_E_KIND;
        *ret_dir = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
        *ret_name = strdup(slash + 1);
        return *ret_dir && *ret_name ? 0 : -ENOMEM;
}

/* What is at w's directory / name, not followed. */
static int look_at_name(struct privop_file *f, const struct walk *w, struct stat *ret_st) {
        struct stat dir;

        if (fstat(w->fd, &dir) < 0)
                return -errno;
        if (!S_ISDIR(dir.st_mode))
                return PRIVOP_E_KIND;
        if (fstatat(w->fd, f->name, ret_st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno != ENOENT)
                        return open_error(errno);
                f->writable = may(w->fd, W_OK | X_OK);
                /* What is made in a setgid directory is of its group: see is_mapped(). */
                f->foreign = f->writable && (dir.st_mode & S_ISGID) && dir.st_gid != getegid();
                return 0;
        }
        f->exists = true;
        return 0;
}

static int open_parent(const char *path, const struct privop_roots *roots, bool follow,
                       struct privop_file *ret) {
        _cleanup_(walk_done) struct walk w = {.fd = -1};
        _cleanup_free_ char *dir = NULL;
        _cleanup_close_ int file = -1;
        struct stat st;
        int r;

        *ret = (struct privop_file){.fd = -1};
        r = split_path(path, &dir, &ret->name);
        if (r == 0)
                r = walk_path(dir, roots, &w);
        if (r == 0)
                r = look_at_name(ret, &w, &st);
        if (r == 0 && ret->exists && S_ISLNK(st.st_mode)) {
                _cleanup_(privop_file_done) struct privop_file target = {.fd = -1};
                _cleanup_free_ char *real = NULL;

                if (w.guarded || !follow)
                        return PRIVOP_E_SYMLINK;
                r = privop_open_picked(path, roots, &target);
                if (r != 0)
                        return r;
                real = TAKE_PTR(target.path);
                privop_file_done(ret);
                return open_parent(real, roots, false, ret);
        }
        if (r == 0 && ret->exists) {
                if (!S_ISREG(st.st_mode))
                        return PRIVOP_E_KIND;
                file = open_beneath(w.fd, ret->name, O_NOFOLLOW, RESOLVE_BENEATH);
                if (file < 0)
                        return open_error(errno);
                set_rights(ret, file, &st);
        }
        if (r == 0)
                r = path_of_fd(w.fd, &ret->path);
        if (r == 0)
                r = reopen(&w.fd);
        ret->fd = TAKE_FD(w.fd);
        return r;
}

int privop_open_parent(const char *path, const struct privop_roots *roots, struct privop_file *ret) {
        return open_parent(path, roots, true, ret);
}

int privop_check_beneath(const char *directory, const char *relative) {
        _cleanup_close_ int dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        _cleanup_close_ int fd = -1;

        if (dir < 0)
                return open_error(errno);
        fd = open_beneath(dir, relative, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
        return fd < 0 ? open_error(errno) : 0;
}

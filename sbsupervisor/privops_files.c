/* SPDX-License-Identifier: MIT */
/* The person's files: from a path that a dialog returned to a descriptor. */
#include "sbsupervisor/privops.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/same_file.h"

#define MAX_SYMLINKS 40 /* the kernel's own limit */

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
        bool guarded; /* in, or at, a directory that a VM may write */
        bool inside;  /* below it */
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
        w->inside = true;
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
        ret->inside = w.inside;
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

int privop_move_to_view(int root, struct privop_file *f) {
        /* The path is the kernel's word for what f is of: no symlink is in it but one that has just come. */
        _cleanup_close_ int fd = open_beneath(root, f->path, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
        struct statx ours, theirs;

        if (fd < 0)
                return open_error(errno) < 0 ? -errno : PRIVOP_E_COVERED;
        if (statx(f->fd, "", AT_EMPTY_PATH, STATX_INO, &ours) < 0 ||
            statx(fd, "", AT_EMPTY_PATH, STATX_INO, &theirs) < 0)
                return -errno;
        if (!same_file(&ours, &theirs))
                return PRIVOP_E_COVERED;
        (void)fd_close(f->fd);
        f->fd = TAKE_FD(fd);
        return 0;
}

int privop_check_beneath(const char *directory, const char *relative) {
        _cleanup_close_ int dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        _cleanup_close_ int fd = -1;

        if (dir < 0)
                return open_error(errno);
        fd = open_beneath(dir, relative, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
        return fd < 0 ? open_error(errno) : 0;
}

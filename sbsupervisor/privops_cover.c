/* SPDX-License-Identifier: MIT */
/*
 * What the documents namespace does not show: sockets.
 *
 * The portal daemons and virtiofsd need every file that a person may pick, so the file systems
 * stay. But a socket of the person's is a program that does what it is asked: the session bus
 * starts programs, a terminal multiplexer runs commands.  No daemon has a use for one, and none is
 * a thing to pick, so each that is found is covered.  The runtime directory, where nearly all are
 * and where new ones come, goes as a whole.
 */
#include "sbsupervisor/privops.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/make_dirs.h"
#include "common/same_file.h"

#define EMPTY (MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* Where they are looked for, and how deep: deeper lies what programs keep for themselves. */
static const struct {
        const char *path; /* relative: to the person's home */
        unsigned depth;
} searched[] = {
        {"/run", 4},   /* system services; /run/user is the runtime directories' */
        {"/tmp", 2},   /* agents and multiplexers have a directory each */
        {".ssh", 2},   /* connections that are shared, and since 10.1 agents */
        {".gnupg", 1}, /* agents, where there is no runtime directory */
};

/* Of nothing that a person picks. */
static const char *const hidden[] = {
        "/tmp/.X11-unix", "/tmp/.ICE-unix", /* sockets only, and new ones come */
        "/sys/fs/cgroup", /* the person's own groups of processes end by a byte, or take one in */
};

struct cover {
        const struct privop_view *view;
        int keep[PRIVOP_MAX_VIEW]; /* O_PATH of view->keep; -1: it is not there */
        struct statx keep_st[PRIVOP_MAX_VIEW];
        struct statx device; /* that is searched; of what is mounted there only what is in memory,
                                not a person's stick, nor what may not answer */
        unsigned levels; /* that are searched below it, this time */
        unsigned n_seen; /* of LIMIT_COVER_ENTRIES */
        bool is_partial; /* somewhere there was more */
};

DEFINE_CLEANUP(FILE *, fclose);

static void cover_done(struct cover *c) {
        for (size_t i = 0; i < ELEMENTSOF(c->keep); i++)
                c->keep[i] = fd_close(c->keep[i]);
}

/* By descriptor: what lies under a name may be another's choice, and change. */
static void name_of(int fd, char name[64]) {
        (void)snprintf(name, 64, "/proc/self/fd/%d", fd);
}

/* Nothing answers on a device. */
static int cover_socket(int fd) {
        char name[64];

        name_of(fd, name);
        /* ENOENT: it has just been removed. */
        return mount("/dev/null", name, NULL, MS_BIND, NULL) < 0 && errno != ENOENT ? -errno : 0;
}

static int cover_directory(int fd) {
        char name[64];

        name_of(fd, name);
        return mount("none", name, "tmpfs", EMPTY | MS_RDONLY, "mode=555,size=4k,nr_inodes=1") <
                                       0 &&
                               errno != ENOENT
                       ? -errno
                       : 0;
}

/* --- the runtime directory ------------------------------------------------------------------------ */

/* What follows dir in path, which lies below it; else NULL. */
static const char *below(const char *path, const char *dir) {
        size_t n = strlen(dir);

        while (n > 0 && dir[n - 1] == '/')
                n--;
        return strncmp(path, dir, n) == 0 && path[n] == '/' && path[n + 1] ? path + n + 1 : NULL;
}

/* Asks no file system: one that somebody has mounted there may not answer. */
static int identify(int fd, struct statx *ret) {
        return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
                     STATX_TYPE | STATX_INO, ret);
}

static int open_kept(struct cover *c) {
        for (size_t i = 0; i < c->view->n_keep; i++) {
                c->keep[i] = open(c->view->keep[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (c->keep[i] < 0 && errno != ENOENT && errno != ENOTDIR && errno != EACCES)
                        return -errno;
                if (c->keep[i] >= 0 && identify(c->keep[i], &c->keep_st[i]) < 0)
                        return -errno;
        }
        return 0;
}

/* With what is mounted in there now, and what will be. */
static int bind_kept(const struct cover *c, size_t i) {
        const char *path = c->view->keep[i];
        char source[64];
        int r = make_dirs(path);

        if (r < 0)
                return r;
        name_of(c->keep[i], source);
        return mount(source, path, NULL, MS_BIND | MS_REC, NULL) < 0 ? -errno : 0;
}

static int cover_runtime_dir(const struct cover *c) {
        const char *dir = c->view->runtime_dir;
        int r = 0;

        if (!dir || access(dir, F_OK) < 0)
                return 0;
        if (mount("none", dir, "tmpfs", EMPTY, "mode=700,size=64k,nr_inodes=64") < 0)
                return -errno;
        for (size_t i = 0; i < c->view->n_keep && r == 0; i++)
                if (c->keep[i] >= 0 && below(c->view->keep[i], dir))
                        r = bind_kept(c, i);
        if (r == 0 && mount(NULL, dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | EMPTY, NULL) < 0)
                r = -errno;
        return r;
}

/* --- what else is found --------------------------------------------------------------------------- */

static bool is_kept(const struct cover *c, const struct statx *st) {
        for (size_t i = 0; i < c->view->n_keep; i++)
                if (c->keep[i] >= 0 && same_file(&c->keep_st[i], st))
                        return true;
        return false;
}

/* A file system without a disk or a server behind it always answers. */
static bool is_in_memory(const struct statx *st) {
        _cleanup_(fclosep) FILE *f = fopen("/proc/self/mountinfo", "re");
        _cleanup_free_ char *line = NULL;
        unsigned major, minor;
        bool found = false;
        size_t size = 0;

        while (f && !found && getline(&line, &size, f) > 0) /* a space in a name is \040 there */
                found = sscanf(line, "%*u %*u %u:%u", &major, &minor) == 2 &&
                        major == st->stx_dev_major && minor == st->stx_dev_minor &&
                        strstr(line, " - tmpfs ");
        return found;
}

static int search(struct cover *c, int dir, unsigned depth);

/* One that lets us through but does not list what it has may have a socket of a known name. */
static int search_directory(struct cover *c, int path_fd, unsigned depth) {
        int fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);

        if (fd >= 0)
                return search(c, fd, depth);
        if (errno != EACCES)
                return errno == ENOMEM || errno == EMFILE ? -errno : 0;
        return faccessat(path_fd, ".", X_OK, 0) == 0 ? cover_directory(path_fd) : 0;
}

static bool may_matter(const struct dirent *e) {
        return e->d_type == DT_SOCK || e->d_type == DT_DIR || e->d_type == DT_UNKNOWN;
}

static int look_at(struct cover *c, int dir, const struct dirent *e, unsigned depth) {
        _cleanup_close_ int fd = -1;
        struct statx st;

        c->n_seen++;
        fd = openat(dir, e->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || identify(fd, &st) < 0)
                return 0; /* it went away, or is closed to us */
        if (S_ISSOCK(st.stx_mode))
                return cover_socket(fd);
        if (!S_ISDIR(st.stx_mode) || depth == 0 || is_kept(c, &st) ||
            (!same_device(&st, &c->device) && !is_in_memory(&st)))
                return 0;
        return search_directory(c, fd, depth - 1);
}

/*
 * Whether another entry may be looked at: of what lies below, so that somebody's directory
 * which is full does not hide those beside it, no more than a part is in one directory.
 */
static bool has_room(struct cover *c, unsigned n_here, unsigned depth) {
        if (c->n_seen < LIMIT_COVER_ENTRIES &&
            (depth == c->levels || n_here < LIMIT_COVER_DIRECTORY))
                return true;
        c->is_partial = true;
        return false;
}

/* Takes dir. */
static int search(struct cover *c, int take_dir, unsigned depth) {
        DIR *d = fdopendir(take_dir);
        int r = d ? 0 : -errno;
        unsigned n = 0;

        if (!d)
                (void)fd_close(take_dir);
        for (struct dirent *e; r == 0 && (e = readdir(d));) {
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || !may_matter(e))
                        continue;
                if (!has_room(c, n++, depth))
                        break;
                r = look_at(c, dirfd(d), e, depth);
        }
        if (d)
                (void)closedir(d);
        return r;
}

/* Level by level: who fills a directory far below hides nothing that is above it. */
static int cover_below(struct cover *c, int home, const char *path, unsigned depth) {
        int r = 0;

        for (unsigned levels = 0; levels < depth && r == 0; levels++) {
                int fd = openat(home, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                if (fd < 0) /* it is not there, or not for the person */
                        return 0;
                if (identify(fd, &c->device) < 0) {
                        (void)fd_close(fd);
                        return -errno;
                }
                c->n_seen = 0;
                c->levels = levels;
                r = search(c, fd, levels);
        }
        return r;
}

static int cover_found(struct cover *c) {
        const char *path = c->view->home ?: "/";
        _cleanup_close_ int home = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(searched) && r == 0; i++)
                r = cover_below(c, home, searched[i].path, searched[i].depth);
        return r == 0 && c->is_partial ? PRIVOP_E_SOCKETS : r;
}

static int cover_named(const struct privop_view *v) {
        int r = 0;

        for (size_t i = 0; i < v->n_hide && r == 0; i++) {
                _cleanup_close_ int fd = open(v->hide[i], O_PATH | O_CLOEXEC);
                struct statx st;

                if (fd < 0 || identify(fd, &st) < 0)
                        continue;
                r = S_ISSOCK(st.stx_mode)  ? cover_socket(fd)
                    : S_ISDIR(st.stx_mode) ? cover_directory(fd)
                                           : 0;
        }
        for (size_t i = 0; i < ELEMENTSOF(hidden) && r == 0; i++) {
                _cleanup_close_ int fd =
                        open(hidden[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

                r = fd >= 0 ? cover_directory(fd) : 0;
        }
        return r;
}

int privop_cover(const struct privop_view *view) {
        _cleanup_(cover_done) struct cover c = {.view = view, .keep = {-1, -1, -1, -1}};
        int r;

        _Static_assert(ELEMENTSOF(c.keep) == 4, "each is -1 above");
        assert(view->n_keep <= PRIVOP_MAX_VIEW && view->n_hide <= PRIVOP_MAX_VIEW);
        r = open_kept(&c);
        if (r == 0)
                r = cover_runtime_dir(&c);
        if (r == 0)
                r = cover_named(view);
        return r == 0 ? cover_found(&c) : r;
}

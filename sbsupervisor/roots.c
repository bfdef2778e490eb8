/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/roots.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/make_dirs.h"

static void closedirp(DIR **d) {
        if (*d)
                closedir(*d);
}

static void fclosep(FILE **f) {
        if (*f)
                fclose(*f);
}

int roots_open(struct roots *r, const char *app_id) {
        const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
        int n, e;

        *r = (struct roots){0};
        if (base && base[0] == '/')
                n = asprintf(&r->dir, "%s/sidebus/.writable-roots", base);
        else if (home && home[0] == '/')
                n = asprintf(&r->dir, "%s/.local/state/sidebus/.writable-roots", home);
        else
                return log_error_errno(ENOENT, "neither XDG_STATE_HOME nor HOME is set");
        if (n < 0 || asprintf(&r->file, "%s/%s", r->dir, app_id) < 0)
                return -ENOMEM;
        e = make_dirs(r->dir);
        return e < 0 ? log_error_errno(e, "cannot make %s", r->dir) : 0;
}

void roots_done(struct roots *r) {
        free(r->dir);
        free(r->file);
        *r = (struct roots){0};
}

/* --- one list: lines of "device:inode path", the path percent-encoded ---------------------------- */

struct line {
        struct privop_root root; /* as it was when it was listed */
        char *path;
};

static void line_done(struct line *l) {
        free(l->path);
}

/* 0, -EBADMSG for what roots_add() does not write, -ENOMEM. */
static int parse_line(const char *text, size_t n, struct line *ret) {
        unsigned long long dev, ino;
        int at = -1;

        if (memchr(text, '\0', n) || text[0] < '0' || text[0] > '9' ||
            sscanf(text, "%llu:%llu %n", &dev, &ino, &at) != 2 || at < 0 || text[at] != '/')
                return -EBADMSG;
        ret->path = uri_unescape(text + at, n - (size_t)at);
        if (!ret->path)
                return -EBADMSG;
        ret->root = (struct privop_root){(dev_t)dev, (ino_t)ino};
        return 0;
}

/* What was read of a list: where its last whole line ends, and whether more follows. */
struct extent {
        off_t end;
        bool open; /* the last line is good but for its newline */
};

/*
 * Calls fn with each line.  An end that is cut off in the middle of a line was never followed by a
 * grant: roots_add() failed; it counts for nothing.  Any other line that is not understood may hide
 * a directory that a VM writes: -EBADMSG.
 */
static int each_line(FILE *f, int (*fn)(void *self, const struct line *l), void *self,
                     struct extent *ret) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        ssize_t n;
        int r = 0;

        *ret = (struct extent){0};
        while (r == 0 && (errno = 0, n = getline(&text, &size, f)) > 0) {
                _cleanup_(line_done) struct line l = {0};
                bool whole = text[n - 1] == '\n';

                text[n - whole] = '\0';
                r = parse_line(text, (size_t)(n - whole), &l);
                if (r == -EBADMSG && !whole)
                        return 0;
                if (r == 0)
                        r = fn(self, &l);
                ret->end += n;
                ret->open = !whole;
        }
        return r == 0 && ferror(f) ? -(errno ?: EIO) : r;
}

static int is_same(void *self, const struct line *l) {
        const struct line *mine = self;

        return strcmp(mine->path, l->path) == 0 && mine->root.dev == l->root.dev &&
               mine->root.ino == l->root.ino;
}

/* Whole or not at all.  At the end of what is whole, so that no two lines become one. */
static int append_line(int fd, const struct line *l, struct extent extent) {
        _cleanup_free_ char *escaped = uri_escape_path(l->path), *text = NULL;
        ssize_t written;
        int n;

        if (!escaped || (n = asprintf(&text, "%s%llu:%llu %s\n", extent.open ? "\n" : "",
                                      (unsigned long long)l->root.dev,
                                      (unsigned long long)l->root.ino, escaped)) < 0)
                return -ENOMEM;
        if (ftruncate(fd, extent.end) < 0)
                return -errno;
        written = pwrite(fd, text, (size_t)n, extent.end);
        if (written != n || fdatasync(fd) < 0) {
                int r = written < 0 || written == n ? -errno : -ENOSPC;

                (void)!ftruncate(fd, extent.end);
                return r;
        }
        return 0;
}

static int add_line(const char *file, struct line *l) {
        int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        _cleanup_(fclosep) FILE *f = fd < 0 ? NULL : fdopen(fd, "r+");
        struct extent extent;
        int r;

        if (!f) {
                (void)fd_close(fd);
                return -errno;
        }
        /* The same VM may be served from another state directory, too. */
        if (flock(fd, LOCK_EX) < 0)
                return -errno;
        r = each_line(f, is_same, l, &extent);
        if (r != 0)
                return r < 0 ? r : 0;
        return append_line(fd, l, extent);
}

int roots_add(struct roots *r, const char *path, int fd) {
        struct line l = {.path = (char *)path};
        struct stat st;
        int e;

        if (fstat(fd, &st) < 0)
                return log_error_errno(errno, "cannot look at %s", ESCAPED(path));
        l.root = (struct privop_root){st.st_dev, st.st_ino};
        e = add_line(r->file, &l);
        return e < 0 ? log_error_errno(e, "cannot list %s in %s", ESCAPED(path), r->file) : 0;
}

/* --- all lists ------------------------------------------------------------------------------------ */

static int append_root(struct privop_roots *roots, struct privop_root root) {
        struct privop_root *v = reallocarray(roots->v, roots->n + 1, sizeof(*v));

        if (!v)
                return -ENOMEM;
        roots->v = v;
        v[roots->n++] = root;
        return 0;
}

/*
 * What was listed, however it is called now; and what has its name now: device numbers change over
 * a reboot.
 */
static int append_both(void *self, const struct line *l) {
        struct privop_roots *roots = self;
        struct stat st;
        int r = append_root(roots, l->root);

        if (r < 0 || stat(l->path, &st) < 0 || !S_ISDIR(st.st_mode) ||
            (st.st_dev == l->root.dev && st.st_ino == l->root.ino))
                return r;
        return append_root(roots, (struct privop_root){st.st_dev, st.st_ino});
}

static int load_list(int dirfd, const char *name, struct privop_roots *roots) {
        int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        _cleanup_(fclosep) FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
        struct extent extent;

        if (!f) {
                (void)fd_close(fd);
                return errno == ENOENT ? 0 : -errno;
        }
        return each_line(f, append_both, roots, &extent);
}

int roots_load(const struct roots *r, struct privop_roots *ret) {
        _cleanup_(closedirp) DIR *d = opendir(r->dir);
        int e = 0;

        *ret = (struct privop_roots){0};
        if (!d)
                return log_error_errno(errno, "cannot read %s", r->dir);
        for (struct dirent *entry; e == 0 && (entry = readdir(d));) {
                if (entry->d_name[0] == '.')
                        continue;
                e = load_list(dirfd(d), entry->d_name, ret);
                if (e < 0)
                        (void)log_error_errno(e, "cannot read the list of writable directories "
                                                 "%s/%s: nothing is given to the VM",
                                              r->dir, ESCAPED(entry->d_name));
        }
        if (e < 0) {
                free(ret->v);
                *ret = (struct privop_roots){0};
        }
        return e;
}

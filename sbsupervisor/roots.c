/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/roots.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"

static void closedirp(DIR **d) {
        if (*d)
                closedir(*d);
}

static void fclosep(FILE **f) {
        if (*f)
                fclose(*f);
}

static int make_dirs(const char *path) {
        _cleanup_free_ char *copy = strdup(path);

        if (!copy)
                return -ENOMEM;
        for (char *slash = copy + 1; (slash = strchr(slash, '/')); slash++) {
                *slash = '\0';
                if (mkdir(copy, 0700) < 0 && errno != EEXIST)
                        return -errno;
                *slash = '/';
        }
        return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
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

/* Calls fn with each listed path of one file. */
static int each_root(int dirfd, const char *name, int (*fn)(void *self, const char *path), void *self) {
        int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        _cleanup_(fclosep) FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
        _cleanup_free_ char *line = NULL;
        size_t size = 0;
        ssize_t n;
        int r = 0;

        if (!f) {
                (void)fd_close(fd);
                return errno == ENOENT ? 0 : -errno;
        }
        while (r == 0 && (n = getline(&line, &size, f)) > 0) {
                _cleanup_free_ char *path = NULL;

                if (line[n - 1] == '\n')
                        n--;
                path = uri_unescape(line, (size_t)n);
                if (path)
                        r = fn(self, path);
        }
        return r;
}

static int is_same(void *self, const char *path) {
        return strcmp(self, path) == 0;
}

int roots_add(struct roots *r, const char *path) {
        _cleanup_free_ char *escaped = uri_escape_path(path), *line = NULL;
        _cleanup_close_ int fd = -1;
        int n, e;

        if (!escaped || (n = asprintf(&line, "%s\n", escaped)) < 0)
                return -ENOMEM;
        e = each_root(AT_FDCWD, r->file, is_same, (void *)path);
        if (e != 0)
                return e < 0 ? log_error_errno(e, "cannot read %s", r->file) : 0;
        fd = open(r->file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || write(fd, line, (size_t)n) != n || fdatasync(fd) < 0)
                return log_error_errno(errno ?: EIO, "cannot write %s", r->file);
        return 0;
}

static int append_root(void *self, const char *path) {
        struct privop_roots *roots = self;
        struct privop_root *v;
        struct stat st;

        if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
                return 0; /* gone: nothing can be picked in it */
        v = reallocarray(roots->v, roots->n + 1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        roots->v = v;
        v[roots->n++] = (struct privop_root){st.st_dev, st.st_ino};
        return 0;
}

int roots_load(const struct roots *r, struct privop_roots *ret) {
        _cleanup_(closedirp) DIR *d = opendir(r->dir);
        int e = 0;

        *ret = (struct privop_roots){0};
        if (!d)
                return log_error_errno(errno, "cannot read %s", r->dir);
        for (struct dirent *entry; e == 0 && (entry = readdir(d));)
                if (entry->d_name[0] != '.')
                        e = each_root(dirfd(d), entry->d_name, append_root, ret);
        if (e < 0) {
                free(ret->v);
                *ret = (struct privop_roots){0};
                return log_error_errno(e, "cannot read the lists in %s", r->dir);
        }
        return 0;
}

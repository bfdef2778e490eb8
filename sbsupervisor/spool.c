/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"

#define SPOOL_NAME "spool"
#define CHUNK      65536

int spool_init(struct spool *s, const char *runtime_dir) {
        *s = (struct spool){0};
        return asprintf(&s->dir, "%s/" SPOOL_NAME, runtime_dir) < 0 ? -ENOMEM : 0;
}

/* --- removing -------------------------------------------------------------------------------- */

static void remove_file(struct spool *s, struct spool_file *f) {
        char path[PATH_MAX];
        int n = f->name ? snprintf(path, sizeof(path), "%s/%s/%s", s->dir, f->token, f->name) : 0;

        if (n > 0 && (size_t)n < sizeof(path)) {
                (void)unlink(path);
                path[n - (int)strlen(f->name) - 1] = '\0';
                (void)rmdir(path);
        }
        s->bytes -= f->bytes;
        free(f->name);
        *f = (struct spool_file){0};
}

void spool_release(struct spool *s, struct spool_file *f, bool keep) {
        f->in_use = false;
        if (!keep)
                remove_file(s, f);
}

void spool_done(struct spool *s) {
        if (!s->dir)
                return;
        for (size_t i = 0; i < ELEMENTSOF(s->files); i++)
                if (*s->files[i].token)
                        remove_file(s, &s->files[i]);
        (void)rmdir(s->dir);
        free(s->dir);
        *s = (struct spool){0};
}

typedef void (*each_fn)(int dir, const char *name);

static void for_each(int dir, const char *name, each_fn fn) {
        int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

        if (!d) {
                (void)fd_close(fd);
                return;
        }
        for (struct dirent *e; (e = readdir(d));)
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        fn(fd, e->d_name);
        (void)closedir(d);
}

static void sweep_file(int dir, const char *name) {
        (void)unlinkat(dir, name, 0);
}

static void sweep_directory(int dir, const char *name) {
        for_each(dir, name, sweep_file);
        (void)unlinkat(dir, name, AT_REMOVEDIR);
}

void spool_sweep(const char *runtime_dir) {
        _cleanup_close_ int dir = open(runtime_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (dir < 0)
                return;
        for_each(dir, SPOOL_NAME, sweep_directory);
        (void)unlinkat(dir, SPOOL_NAME, AT_REMOVEDIR);
}

/* --- room ------------------------------------------------------------------------------------ */

static struct spool_file *find_oldest_kept(struct spool *s) {
        struct spool_file *oldest = NULL;

        for (size_t i = 0; i < ELEMENTSOF(s->files); i++) {
                struct spool_file *f = &s->files[i];

                if (*f->token && !f->in_use && (!oldest || f->number < oldest->number))
                        oldest = f;
        }
        return oldest;
}

static struct spool_file *find_free(struct spool *s) {
        for (size_t i = 0; i < ELEMENTSOF(s->files); i++)
                if (!*s->files[i].token)
                        return &s->files[i];
        return NULL;
}

/*
 * How many bytes more there may be.  The runtime directory is the whole session's, and in memory:
 * half of what is free stays so.
 */
static uint64_t room(const struct spool *s) {
        uint64_t left = LIMIT_SPOOL_BYTES - s->bytes, half;
        struct statvfs fs;

        if (statvfs(s->dir, &fs) < 0)
                return 0;
        half = (uint64_t)fs.f_bavail * fs.f_frsize / 2;
        return half < left ? half : left;
}

/* False when what is in use is all there is. */
static bool make_room(struct spool *s) {
        struct spool_file *oldest = find_oldest_kept(s);

        if (!oldest)
                return false;
        log_info("the copy of %s is removed: newer ones need the room", ESCAPED(oldest->name));
        remove_file(s, oldest);
        return true;
}

/* --- copying --------------------------------------------------------------------------------- */

#define MEMFD   "/memfd:"
#define DELETED " (deleted)"

/* /proc says that of a file without a name, and xdg-desktop-portal believes it of every other. */
static size_t without_deleted(const char *s) {
        size_t n = strlen(s), k = strlen(DELETED);

        while (n >= k && memcmp(s + n - k, DELETED, k) == 0)
                n -= k;
        return n;
}

char *spool_name(const char *path) {
        const char *slash = strrchr(path, '/'), *start = slash ? slash + 1 : path;
        _cleanup_free_ char *raw = NULL;
        char *name;

        if (slash == path && strncmp(path, MEMFD, strlen(MEMFD)) == 0)
                start = path + strlen(MEMFD);
        raw = strndup(start, without_deleted(start));
        name = raw ? escape_display(raw, NAME_MAX) : NULL;
        if (!name)
                return NULL;
        if (!*name) {
                free(name);
                return strdup("file");
        }
        if (*name == '.')
                *name = '_';
        return name;
}

static char *name_of_fd(int fd) {
        char link[64], path[PATH_MAX];
        ssize_t n;

        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof(path) - 1);
        path[n < 0 ? 0 : n] = '\0';
        return spool_name(path);
}

static int write_all(int fd, const char *data, size_t n) {
        while (n > 0) {
                ssize_t k = write(fd, data, n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                data += k;
                n -= (size_t)k;
        }
        return 0;
}

/* At most max bytes: it may grow while it is read. */
static int copy_contents(int from, int to, uint64_t max, uint64_t *ret) {
        _cleanup_free_ char *chunk = malloc(CHUNK);
        uint64_t done = 0;

        if (!chunk)
                return -ENOMEM;
        for (;;) {
                ssize_t n = pread(from, chunk, CHUNK, (off_t)done);
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return SPOOL_E_KIND;
                if (n == 0)
                        break;
                if ((uint64_t)n > max - done)
                        return SPOOL_E_FULL;
                r = write_all(to, chunk, (size_t)n);
                if (r < 0)
                        return r;
                done += (uint64_t)n;
        }
        *ret = done;
        return 0;
}

static int make_directory(struct spool *s, const char *token) {
        char path[PATH_MAX];
        int n = snprintf(path, sizeof(path), "%s/%s", s->dir, token);

        if (n < 0 || (size_t)n >= sizeof(path))
                return -ENAMETOOLONG;
        if (mkdir(path, 0700) < 0)
                return -errno;
        n = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return n < 0 ? -errno : n;
}

/* Writes the copy; f has its token and its name. */
static int fill(struct spool *s, struct spool_file *f, int fd, int *ret_fd) {
        _cleanup_close_ int dir = make_directory(s, f->token), to = -1;
        int r;

        if (dir < 0)
                return dir;
        to = openat(dir, f->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
        if (to < 0)
                return -errno;
        r = copy_contents(fd, to, room(s), &f->bytes);
        if (r != 0)
                return r;
        s->bytes += f->bytes;
        *ret_fd = openat(dir, f->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        return *ret_fd < 0 ? -errno : 0;
}

/* A quota shows only when it is reached: statvfs(3) knows nothing of it. */
static int full_disk(int r) {
        return r == -ENOSPC || r == -EDQUOT ? SPOOL_E_FULL : r;
}

static int copy(struct spool *s, int fd, uint64_t bytes, struct spool_file **ret, int *ret_fd) {
        struct spool_file *f = find_free(s);
        int r;

        if (mkdir(s->dir, 0700) < 0 && errno != EEXIST)
                return full_disk(-errno);
        if (!f || room(s) < bytes)
                return SPOOL_E_FULL;
        *f = (struct spool_file){
                .name = name_of_fd(fd), .number = s->next_number++, .in_use = true};
        r = f->name ? token_make(f->token) : -ENOMEM;
        if (r == 0)
                r = fill(s, f, fd, ret_fd);
        if (r != 0)
                remove_file(s, f);
        else
                *ret = f;
        return full_disk(r);
}

int spool_copy(struct spool *s, int fd, struct spool_file **ret, int *ret_fd) {
        int flags = fcntl(fd, F_GETFL), r;
        struct stat st;

        if (flags < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || (flags & O_PATH) || (flags & O_ACCMODE) == O_WRONLY)
                return SPOOL_E_KIND;
        if ((uint64_t)st.st_size > LIMIT_SPOOL_BYTES)
                return SPOOL_E_FULL;
        do
                r = copy(s, fd, (uint64_t)st.st_size, ret, ret_fd);
        while (r == SPOOL_E_FULL && make_room(s));
        return r;
}

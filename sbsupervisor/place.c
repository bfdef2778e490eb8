/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/make_dirs.h"

int place_join(char **ret, const char *dir, const char *name) {
        return asprintf(ret, "%s/%s", dir, name) < 0 ? -ENOMEM : 0;
}

static void closedirp(DIR **d) {
        if (*d)
                closedir(*d);
}

static bool is_in(const char *name, const char *const *list) {
        for (; list && *list; list++)
                if (strcmp(*list, name) == 0)
                        return true;
        return false;
}

int place_count(const char *path, const char *const *but) {
        _cleanup_(closedirp) DIR *d = opendir(path);
        int n = 0;

        if (!d)
                return -errno;
        for (struct dirent *entry; (entry = readdir(d));)
                n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                     !is_in(entry->d_name, but);
        return n;
}

int place_check(const char *path) {
        struct stat st;

        if (lstat(path, &st) < 0)
                return log_error_errno(errno, "cannot look at %s", path);
        if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
                log_error("%s is not a directory of yours: remove it, or choose another", path);
                return -EPERM;
        }
        /* Not changed here: it may be one that others are meant to read. */
        if (st.st_mode & 077) {
                log_error("%s is open to others: choose another directory, or close it with "
                          "chmod 700", path);
                return -EPERM;
        }
        return 0;
}

int place_make(const char *path) {
        int r = make_dirs(path);

        if (r < 0)
                return log_error_errno(r, "cannot make %s", path);
        return place_check(path);
}

int place_lock(const char *path, int *ret_fd) {
        _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        struct stat ours, now;

        if (fd < 0)
                return errno == ENOENT ? -ENOENT : log_error_errno(errno, "cannot open %s", path);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? PLACE_E_LOCKED
                                            : log_error_errno(errno, "cannot lock %s", path);
        if (fstat(fd, &ours) < 0)
                return -errno;
        if (lstat(path, &now) < 0 || now.st_dev != ours.st_dev || now.st_ino != ours.st_ino)
                return -EAGAIN;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

ssize_t place_read(const char *path, char *buf, size_t size) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
        ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

        if (n < 0)
                return -errno;
        buf[n] = '\0';
        return n;
}

/* Written beside, synced, renamed over. */
int place_write(const char *path, const char *text) {
        _cleanup_free_ char *temporary = NULL;
        _cleanup_close_ int fd = -1;
        size_t n = strlen(text);

        if (asprintf(&temporary, "%s.new", path) < 0)
                return -ENOMEM;
        fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        if (write(fd, text, n) != (ssize_t)n || fsync(fd) < 0 || rename(temporary, path) < 0) {
                int r = errno ? -errno : -EIO;

                (void)unlink(temporary);
                return r;
        }
        return 0;
}

void place_remove(const char *dir, const char *name, mode_t type) {
        _cleanup_free_ char *path = NULL;
        struct stat st;

        if (place_join(&path, dir, name) < 0 || lstat(path, &st) < 0 ||
            (st.st_mode & S_IFMT) != type)
                return;
        if ((type == S_IFDIR ? rmdir(path) : unlink(path)) < 0 && errno != ENOENT)
                (void)log_warning_errno(errno, "cannot remove %s", path);
}

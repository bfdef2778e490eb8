/* SPDX-License-Identifier: MIT */
/*
 * A directory that is an instance's own, with its lock in it, and small files there.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

enum {
        PLACE_E_LOCKED = 1, /* another process has the lock (not logged) */
};

/* dir/name, new.  0 or -ENOMEM. */
int place_join(char **ret, const char *dir, const char *name);

/* That path is a directory of ours which is closed to others.  0 or a negative errno, logged. */
int place_check(const char *path);

/* The same; made first, with its parents, where it is not there. */
int place_make(const char *path);

/* How many entries it has, beside those in but (NULL at its end; or NULL).  Or a negative errno. */
int place_count(const char *path, const char *const *but);

/*
 * Takes the lock file path, made where it is not there.  -EAGAIN when it was removed by its last
 * owner before we had it, -ENOENT when that owner took the directory away, too; neither is logged.
 */
int place_lock(const char *path, int *ret_fd);

/* Reads at most size - 1 bytes, terminated; the length, or a negative errno. */
ssize_t place_read(const char *path, char *buf, size_t size);

/* Whole or not at all. */
int place_write(const char *path, const char *text);

/* Removes what is there, if it is of that type (S_IFREG, ...; a directory only when empty). */
void place_remove(const char *dir, const char *name, mode_t type);

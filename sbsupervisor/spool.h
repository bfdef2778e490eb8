/* SPDX-License-Identifier: MIT */
/*
 * Copies of guest files, for programs of the host that want a path: below the runtime directory,
 * SPOOL/<token>/<name>, read only.
 *
 * A copy whose request came to nothing goes at once.  One that the person has handed to a program
 * stays as long as the VM runs, as who reads it and when nobody tells (a mail is sent hours later);
 * but the oldest of those go when there is no room: LIMIT_SPOOL_BYTES, and half of what is free.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/limits.h"
#include "sbsupervisor/token.h"

struct spool_file {
        char token[TOKEN_SIZE]; /* its directory; "": none */
        char *name;
        uint64_t bytes, number; /* number: in the order of arrival */
        bool in_use;            /* by a request that has not ended */
};

struct spool {
        char *dir;
        struct spool_file files[LIMIT_SPOOL_FILES];
        uint64_t bytes, next_number;
};

enum {
        SPOOL_E_KIND = 1, /* no regular file, or it cannot be read */
        SPOOL_E_FULL,     /* no room, of ours or of the disk's */
};

/* Nothing is made before the first copy. */
int spool_init(struct spool *s, const char *runtime_dir);
/* Removes everything. */
void spool_done(struct spool *s);
/* What a killed instance left. */
void spool_sweep(const char *runtime_dir);

/*
 * Copies the contents of fd (borrowed, from its beginning) as it stands.  *ret_fd, the caller's, is
 * of the copy; *ret is the spool's, in use until spool_release().
 */
int spool_copy(struct spool *s, int fd, struct spool_file **ret, int *ret_fd);
/* The request has ended; keep: somebody may read it now. */
void spool_release(struct spool *s, struct spool_file *f, bool keep);

/*
 * A file's name for a directory of ours, of what the guest calls it (raw bytes): fit to be shown,
 * never hidden, never empty, NAME_MAX bytes at most, and not at its end " (deleted)".  A new string,
 * or NULL when memory is out.  PURE.
 */
char *spool_name(const char *path);

/* SPDX-License-Identifier: MIT */
/* Files of settings: read whole, replaced whole. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* The bytes of a regular file of at most max; else -EFBIG.  *ret is NUL-terminated, too. */
int small_file_read(const char *path, size_t max, char **ret, size_t *ret_n);

/* After a crash there is the old file or the new one.  0 or a negative errno. */
int small_file_replace(const char *path, const char *text, size_t n, mode_t mode);

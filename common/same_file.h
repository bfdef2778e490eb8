/* SPDX-License-Identifier: MIT */
/* Whether two answers of statx(2) are about one file system, or one file. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

static inline bool same_device(const struct statx *a, const struct statx *b) {
        return a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor;
}

static inline bool same_file(const struct statx *a, const struct statx *b) {
        return same_device(a, b) && a->stx_ino == b->stx_ino;
}

/* SPDX-License-Identifier: MIT */
/*
 * Pixels as a PNG (RFC 2083), not compressed: what a notification shows small.  PURE.
 *
 * The image of a Notify call is raw pixels, the portal's an image file.  What has more than
 * PNG_SIDE pixels a side is made smaller by leaving out rows and columns.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/limits.h"

#define PNG_SIDE 248u
_Static_assert(PNG_SIDE * (4 * PNG_SIDE + 1) + 1024 <= LIMIT_ICON_BYTES, "the largest is an icon");

enum {
        PNG_E_FORM = 1, /* the numbers are not those of an image, or not of these bytes */
};

struct png_pixels {
        int32_t width, height;
        int32_t stride;   /* bytes from a row to the next */
        int32_t channels; /* 3: red, green, blue; 4: and alpha; of a byte each */
        const void *data;
        size_t n;
};

/* *ret: new, *ret_n bytes.  0, PNG_E_FORM or -ENOMEM. */
int png_from_pixels(const struct png_pixels *p, void **ret, size_t *ret_n);

/* SPDX-License-Identifier: MIT */
#include "common/icon_check.h"

#include <stdint.h>
#include <string.h>

#include "common/limits.h"

static uint32_t be16(const uint8_t *p) {
        return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p) {
        return be16(p) << 16 | be16(p + 2);
}

static bool is_size(uint32_t width, uint32_t height) {
        return width > 0 && height > 0 && width <= ICON_CHECK_PIXELS && height <= ICON_CHECK_PIXELS;
}

/* PNG specification, 5.2 and 11.2.1: the signature, then the IHDR chunk of 13 bytes. */
static bool is_png(const uint8_t *p, size_t n) {
        static const uint8_t start[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n',
                                        0,    0,   0,   13,  'I',  'H',  'D',  'R'};

        return n >= sizeof(start) + 13 && memcmp(p, start, sizeof(start)) == 0 &&
               is_size(be32(p + 16), be32(p + 20));
}

/* The frame headers of ITU T.81, table B.1: SOF0 to SOF15 but DHT, JPG and DAC. */
static bool is_frame(uint8_t marker) {
        return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 &&
               marker != 0xcc;
}

/*
 * ITU T.81, B.1.1: segments of a marker and a length up to the frame header.  A scan before
 * it is an error.  Of more than one frame a loader may believe any: the first scan ends the
 * walk, and each header before it has to be small.
 */
static bool is_jpeg(const uint8_t *p, size_t n) {
        bool frame = false;
        size_t i = 2;

        if (n < 4 || p[0] != 0xff || p[1] != 0xd8)
                return false;
        while (n - i >= 4 && p[i] == 0xff) {
                uint8_t marker = p[i + 1];
                size_t length;

                if (marker == 0xff) { /* fill bytes may precede a marker */
                        i++;
                        continue;
                }
                if (marker == 0xda) /* start of scan */
                        return frame;
                if (marker < 0xc0 || (marker >= 0xd0 && marker <= 0xd9)) /* have no length */
                        return false;
                length = be16(p + i + 2);
                if (length < 2 || length > n - i - 2)
                        return false;
                if (is_frame(marker)) {
                        if (length < 8 || !is_size(be16(p + i + 7), be16(p + i + 5)))
                                return false;
                        frame = true;
                }
                i += 2 + length;
        }
        return false;
}

bool icon_check(const void *data, size_t n) {
        return n <= LIMIT_ICON_BYTES && (is_png(data, n) || is_jpeg(data, n));
}

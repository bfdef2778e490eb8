/* SPDX-License-Identifier: MIT */
#include "sbportal/png.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/icon_check.h"
#include "tests/test.h"

static uint8_t pixels[600 * 600 * 4];

static struct png_pixels image(int32_t width, int32_t height, int32_t channels) {
        return (struct png_pixels){
                width,    height, width * channels,
                channels, pixels, (size_t)width * (size_t)height * (size_t)channels};
}

/* As zlib and libpng write it, byte for byte (Python: zlib.compress(rows, 0)). */
static void test_one_pixel(void) {
        static const uint8_t expected[] = {
                0x89, 'P', 'N',  'G',  '\r', '\n', 0x1a, '\n', 0,    0, 0,  13,  'I',
                'H',  'D', 'R',  0,    0,    0,    1,    0,    0,    0, 1,  8,   6,
                0,    0,   0,    0x1f, 0x15, 0xc4, 0x89, 0,    0,    0, 16, 'I', 'D',
                'A',  'T', 0x78, 0x01, 1,    5,    0,    0xfa, 0xff, 0, 1,  2,   3,
                4,    0,   0x19, 0,    0x0b, 0xb9, 0xb0, 0xe3, 0xeb, 0, 0,  0,   0,
                'I',  'E', 'N',  'D',  0xae, 0x42, 0x60, 0x82,
        };
        static const uint8_t pixel[] = {1, 2, 3, 4};
        struct png_pixels p = {1, 1, 4, 4, pixel, sizeof(pixel)};
        _cleanup_free_ void *png = NULL;
        size_t n = 0;

        CHECK_EQ_INT(png_from_pixels(&p, &png, &n), 0);
        CHECK_EQ_INT(n, sizeof(expected));
        CHECK(n == sizeof(expected) && memcmp(png, expected, n) == 0);
}

static void check_icon(struct png_pixels p) {
        _cleanup_free_ void *png = NULL;
        size_t n = 0;

        CHECK_EQ_INT(png_from_pixels(&p, &png, &n), 0);
        CHECK(n <= LIMIT_ICON_BYTES && icon_check(png, n));
}

static void test_sizes(void) {
        static const int32_t sizes[][2] = {{1, 1},     {3, 2},   {248, 248}, {249, 249},
                                           {600, 600}, {600, 1}, {1, 600},   {497, 3}};

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                check_icon(image(sizes[i][0], sizes[i][1], 4));
                check_icon(image(sizes[i][0], sizes[i][1], 3));
        }
}

static void check_refused(struct png_pixels p) {
        void *png = NULL;
        size_t n = 0;

        CHECK_EQ_INT(png_from_pixels(&p, &png, &n), PNG_E_FORM);
        CHECK(!png);
}

static void test_refused(void) {
        struct png_pixels p = image(10, 10, 4);

        p.n--;
        check_refused(p);
        p = image(10, 10, 4);
        p.stride--;
        check_refused(p);
        p = image(10, 10, 4);
        p.stride = -p.stride;
        check_refused(p);
        check_refused(image(10, 10, 2));
        check_refused(image(10, 10, 5));
        check_refused(image(0, 10, 4));
        check_refused(image(10, 0, 4));
        p = (struct png_pixels){-1, -1, -4, 4, pixels, sizeof(pixels)};
        check_refused(p);
        p = (struct png_pixels){INT32_MAX, INT32_MAX, INT32_MAX, 4, pixels, sizeof(pixels)};
        check_refused(p);
        p = (struct png_pixels){1, 65535, INT32_MAX, 4, pixels, sizeof(pixels)};
        check_refused(p);
}

TEST_MAIN({"one pixel", test_one_pixel}, {"sizes", test_sizes}, {"refused", test_refused})

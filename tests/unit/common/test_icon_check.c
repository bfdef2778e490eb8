/* SPDX-License-Identifier: MIT */
#include "common/icon_check.h"

#include "common/limits.h"
#include "tests/test.h"

/* A PNG's first 33 bytes. */
static bool png(unsigned width, unsigned height, size_t n) {
        unsigned char data[33] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n',
                                  0,    0,   0,   13,  'I',  'H',  'D',  'R'};

        for (unsigned i = 0; i < 4; i++) {
                data[16 + i] = (unsigned char)(width >> (24 - 8 * i));
                data[20 + i] = (unsigned char)(height >> (24 - 8 * i));
        }
        return icon_check(data, n);
}

static void test_png(void) {
        CHECK(png(16, 16, 33));
        CHECK(png(512, 512, 33));
        CHECK(!png(513, 16, 33));
        CHECK(!png(16, 513, 33));
        CHECK(!png(0, 16, 33));
        CHECK(!png(16, 0, 33));
        CHECK(!png(0x80000010, 16, 33));
        CHECK(!png(0x10010, 16, 33));
        for (size_t n = 0; n < 29; n++)
                CHECK(!png(16, 16, n));
}

/* What follows the start of a JPEG. */
struct jpeg {
        unsigned char data[64];
        size_t n;
};

static bool check_jpeg(const void *segments, size_t n) {
        struct jpeg j = {.data = {0xff, 0xd8}, .n = n + 2};

        memcpy(j.data + 2, segments, n);
        return icon_check(j.data, j.n);
}

#define JPEG(...) check_jpeg((const unsigned char[]){__VA_ARGS__}, sizeof((char[]){__VA_ARGS__}))
#define APP0 0xff, 0xe0, 0, 4, 'J', 'F'
#define FRAME(marker, w, h) 0xff, marker, 0, 8, 8, (h) / 256, (h) % 256, (w) / 256, (w) % 256, 1
#define SCAN 0xff, 0xda, 0, 2

static void test_jpeg(void) {
        CHECK(JPEG(APP0, FRAME(0xc0, 512, 512), SCAN));
        CHECK(JPEG(FRAME(0xc2, 1, 1), SCAN));
        CHECK(JPEG(0xff, 0xff, 0xff, 0xc0, 0, 8, 8, 0, 1, 0, 1, 1, SCAN));
        CHECK(!JPEG(FRAME(0xc0, 513, 1), SCAN));
        CHECK(!JPEG(FRAME(0xc0, 1, 513), SCAN));
        CHECK(!JPEG(FRAME(0xc0, 1, 0), SCAN)); /* the height would follow the first scan */
        CHECK(!JPEG(FRAME(0xc0, 1, 1)));
        CHECK(!JPEG(SCAN, FRAME(0xc0, 1, 1), SCAN));
        CHECK(!JPEG(FRAME(0xc0, 1, 1), FRAME(0xc0, 9999, 9999), SCAN));
        CHECK(!JPEG(FRAME(0xc4, 1, 1), SCAN)); /* tables, no frame */
        CHECK(!JPEG(0xff, 0xc0, 0, 7, 8, 0, 1, 0, 1, SCAN));
        CHECK(!JPEG(0xff, 0xc0, 0xff, 0xff, 8, 0, 1, 0, 1, 1, SCAN));
        CHECK(!JPEG(0xff, 0xe0, 0, 1, SCAN));
        CHECK(!JPEG(0xff, 0xd8, FRAME(0xc0, 1, 1), SCAN));
        CHECK(!JPEG(0x00, 0xc0, 0, 8, 8, 0, 1, 0, 1, 1, SCAN));
        CHECK(!JPEG(0xff));
}

static void test_others(void) {
        static const char *const texts[] = {
                "", "<svg xmlns='http://www.w3.org/2000/svg'/>", "<?xml version='1.0'?><svg/>",
                "GIF89a\1\0\1\0", "BM", "RIFF....WEBPVP8 ", "/* XPM */", "P6 1 1 255 "};

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                CHECK(!icon_check(texts[i], strlen(texts[i])));
}

static void test_size(void) {
        unsigned char *large = calloc(1, LIMIT_ICON_BYTES + 1);

        memcpy(large, (unsigned char[]){0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13,
                                        'I', 'H', 'D', 'R', 0, 0, 0, 1, 0, 0, 0, 1}, 24);
        CHECK(icon_check(large, LIMIT_ICON_BYTES));
        CHECK(!icon_check(large, LIMIT_ICON_BYTES + 1));
        free(large);
}

TEST_MAIN({"PNG", test_png}, {"JPEG", test_jpeg}, {"other formats", test_others},
          {"size", test_size})

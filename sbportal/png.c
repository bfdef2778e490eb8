/* SPDX-License-Identifier: MIT */
#include "sbportal/png.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define SIGNATURE   "\x89PNG\r\n\x1a\n"
#define CHUNK       12u    /* a chunk's length, name and checksum */
#define BLOCK_BYTES 65535u /* of a stored block (RFC 1951) */
#define BLOCK       5u     /* its head */
#define SIDE_MAX    65535

/* --- writing ---------------------------------------------------------------------------------- */

struct writer {
        uint8_t *at;
};

static void put(struct writer *w, const void *data, size_t n) {
        memcpy(w->at, data, n);
        w->at += n;
}

static void put_u8(struct writer *w, unsigned v) {
        *w->at++ = (uint8_t)v;
}

static void put_u32(struct writer *w, uint32_t v) {
        for (int shift = 24; shift >= 0; shift -= 8)
                put_u8(w, v >> shift);
}

static void put_u16_le(struct writer *w, unsigned v) {
        put_u8(w, v);
        put_u8(w, v >> 8);
}

/* CRC-32, four bits at a time. */
static uint32_t crc32_of(const uint8_t *p, size_t n) {
        static const uint32_t table[16] = {
                0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
        };
        uint32_t crc = UINT32_MAX;

        for (; n > 0; n--) {
                crc ^= *p++;
                crc = crc >> 4 ^ table[crc & 15];
                crc = crc >> 4 ^ table[crc & 15];
        }
        return ~crc;
}

static uint32_t adler32_of(const uint8_t *p, size_t n) {
        uint32_t a = 1, b = 0;

        for (; n > 0; n--) {
                a = (a + *p++) % 65521;
                b = (b + a) % 65521;
        }
        return b << 16 | a;
}

static uint8_t *begin_chunk(struct writer *w, const char name[4], uint32_t n) {
        uint8_t *start;

        put_u32(w, n);
        start = w->at;
        put(w, name, 4);
        return start;
}

/* start: what begin_chunk() returned. */
static void end_chunk(struct writer *w, const uint8_t *start) {
        put_u32(w, crc32_of(start, (size_t)(w->at - start)));
}

/* --- the image -------------------------------------------------------------------------------- */

static bool is_valid(const struct png_pixels *p) {
        uint64_t row = (uint64_t)p->width * (uint64_t)p->channels;

        return p->width > 0 && p->width <= SIDE_MAX && p->height > 0 && p->height <= SIDE_MAX &&
               (p->channels == 3 || p->channels == 4) && p->stride > 0 &&
               (uint64_t)p->stride >= row &&
               (uint64_t)(p->height - 1) * (uint64_t)p->stride + row <= p->n;
}

/* What is written: every step-th pixel of every step-th row. */
struct image {
        uint32_t width, height, channels, step;
        size_t n; /* of the rows, each behind the number of its filter: none */
};

static struct image image_of(const struct png_pixels *p) {
        uint32_t side = (uint32_t)(p->width > p->height ? p->width : p->height);
        struct image i = {
                .channels = (uint32_t)p->channels,
                .step = (side + PNG_SIDE - 1) / PNG_SIDE,
        };

        i.width = ((uint32_t)p->width + i.step - 1) / i.step;
        i.height = ((uint32_t)p->height + i.step - 1) / i.step;
        i.n = (size_t)i.height * (1 + (size_t)i.width * i.channels);
        return i;
}

static uint8_t *rows_new(const struct image *i, const struct png_pixels *p) {
        uint8_t *rows = malloc(i->n);
        struct writer w = {rows};

        for (uint32_t y = 0; rows && y < i->height; y++) {
                const uint8_t *row =
                        (const uint8_t *)p->data + (size_t)y * i->step * (size_t)p->stride;

                put_u8(&w, 0);
                for (uint32_t x = 0; x < i->width; x++)
                        put(&w, row + (size_t)x * i->step * i->channels, i->channels);
        }
        return rows;
}

static size_t n_blocks(const struct image *i) {
        return (i->n + BLOCK_BYTES - 1) / BLOCK_BYTES;
}

/* The size of the image data: a zlib stream (RFC 1950) of stored blocks. */
static size_t stream_size(const struct image *i) {
        return 2 + n_blocks(i) * BLOCK + i->n + 4;
}

static void put_stream(struct writer *w, const uint8_t *rows, size_t n) {
        put(w, "\x78\x01", 2);
        for (size_t left = n, k; left > 0; left -= k) {
                k = left < BLOCK_BYTES ? left : BLOCK_BYTES;
                put_u8(w, k == left); /* the last one */
                put_u16_le(w, (unsigned)k);
                put_u16_le(w, ~(unsigned)k);
                put(w, rows + (n - left), k);
        }
        put_u32(w, adler32_of(rows, n));
}

static void put_png(struct writer *w, const struct image *i, const uint8_t *rows) {
        uint8_t *start;

        put(w, SIGNATURE, sizeof(SIGNATURE) - 1);
        start = begin_chunk(w, "IHDR", 13);
        put_u32(w, i->width);
        put_u32(w, i->height);
        put_u8(w, 8);                        /* bits */
        put_u8(w, i->channels == 4 ? 6 : 2); /* colours, with alpha or without */
        put(w, "\0\0\0", 3);                 /* deflate, the filters, not interlaced */
        end_chunk(w, start);
        start = begin_chunk(w, "IDAT", (uint32_t)stream_size(i));
        put_stream(w, rows, i->n);
        end_chunk(w, start);
        start = begin_chunk(w, "IEND", 0);
        end_chunk(w, start);
}

int png_from_pixels(const struct png_pixels *p, void **ret, size_t *ret_n) {
        _cleanup_free_ uint8_t *rows = NULL, *png = NULL;
        struct writer w;
        struct image i;
        size_t n;

        if (!is_valid(p))
                return PNG_E_FORM;
        i = image_of(p);
        n = sizeof(SIGNATURE) - 1 + CHUNK + 13 + CHUNK + stream_size(&i) + CHUNK;
        rows = rows_new(&i, p);
        png = malloc(n);
        if (!rows || !png)
                return -ENOMEM;
        w.at = png;
        put_png(&w, &i, rows);
        assert((size_t)(w.at - png) == n);
        *ret = TAKE_PTR(png);
        *ret_n = n;
        return 0;
}

/* SPDX-License-Identifier: MIT */
#include "sbrouter/body_write.h"

#include <stdlib.h>
#include <string.h>

#include "sbrouter/body.h"

#define FIRST_BYTES 512u /* credentials, properties, statistics; only lists of rules grow */

void body_write_done(struct body_writer *w) {
        free(w->data);
        *w = (struct body_writer){0};
}

/* The next n bytes; NULL: nothing can be written any more. */
static uint8_t *extend(struct body_writer *w, size_t n) {
        size_t cap = w->cap > 0 ? w->cap : FIRST_BYTES;
        uint8_t *data;

        while (cap - w->n < n && cap <= SIZE_MAX / 2)
                cap *= 2;
        if (w->failed || cap - w->n < n)
                return NULL;
        if (cap != w->cap) {
                data = realloc(w->data, cap);
                w->failed = !data;
                if (!data)
                        return NULL;
                w->data = data;
                w->cap = cap;
        }
        w->n += n;
        return w->data + w->n - n;
}

static void put(struct body_writer *w, const void *data, size_t n) {
        uint8_t *p = extend(w, n);

        if (p)
                memcpy(p, data, n);
}

static void align(struct body_writer *w, size_t alignment) {
        static const uint8_t zeros[8];

        put(w, zeros, (alignment - w->n % alignment) % alignment);
}

void body_write_number(struct body_writer *w, uint32_t v) {
        uint8_t bytes[4];

        wire_put_u32(bytes, v, false);
        align(w, sizeof(bytes));
        put(w, bytes, sizeof(bytes));
}

void body_write_string(struct body_writer *w, const char *s) {
        size_t n = strlen(s);

        body_write_number(w, (uint32_t)n);
        put(w, s, n + 1);
}

void body_write_signature(struct body_writer *w, const char *signature) {
        uint8_t n = (uint8_t)strlen(signature);

        put(w, &n, 1);
        put(w, signature, n + 1u);
}

void body_write_key(struct body_writer *w, const char *key) {
        align(w, BODY_ALIGN_ENTRY);
        body_write_string(w, key);
}

void body_write_entry(struct body_writer *w, const char *key, uint32_t v) {
        body_write_key(w, key);
        body_write_signature(w, "u");
        body_write_number(w, v);
}

struct body_array body_open_array(struct body_writer *w, size_t alignment) {
        struct body_array a;

        body_write_number(w, 0);
        a.length = w->n - 4;
        align(w, alignment);
        a.first = w->n;
        return a;
}

void body_close_array(struct body_writer *w, struct body_array a) {
        if (!w->failed)
                wire_put_u32(w->data + a.length, (uint32_t)(w->n - a.first), false);
}

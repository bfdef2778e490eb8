/* SPDX-License-Identifier: MIT */
/*
 * Writes messages byte by byte, right or wrong as the test wants them.  Shares no
 * code with what it tests.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct wire {
        bool big;
        size_t n;
        uint8_t b[8192];
};

static inline void wire_pad(struct wire *w, size_t alignment) {
        while (w->n % alignment)
                w->b[w->n++] = 0;
}

static inline void wire_bytes(struct wire *w, const void *p, size_t n) {
        assert(w->n + n <= sizeof(w->b));
        memcpy(w->b + w->n, p, n);
        w->n += n;
}

static inline void wire_set(struct wire *w, size_t at, uint32_t v) {
        for (unsigned i = 0; i < 4; i++)
                w->b[at + i] = (uint8_t)(v >> (w->big ? 24 - 8 * i : 8 * i));
}

static inline void wire_number(struct wire *w, uint32_t v) {
        wire_pad(w, 4);
        w->n += 4;
        wire_set(w, w->n - 4, v);
}

static inline void wire_string(struct wire *w, const char *s) {
        wire_number(w, (uint32_t)strlen(s));
        wire_bytes(w, s, strlen(s) + 1);
}

static inline void wire_signature(struct wire *w, const char *s) {
        w->b[w->n++] = (uint8_t)strlen(s);
        wire_bytes(w, s, strlen(s) + 1);
}

/* --- a message: begin, fields, body, end ---------------------------------------------------- */

static inline void wire_begin(struct wire *w, bool big, uint8_t type, uint8_t flags) {
        w->big = big;
        w->n = 0;
        wire_bytes(w, (uint8_t[16]){big ? 'B' : 'l', type, flags, 1}, 16);
        wire_set(w, 8, 77);
}

/* The start of a field of any type; its value follows. */
static inline void wire_field(struct wire *w, uint8_t code, const char *type) {
        wire_pad(w, 8);
        w->b[w->n++] = code;
        wire_signature(w, type);
}

static inline void wire_text(struct wire *w, uint8_t code, const char *type, const char *s) {
        wire_field(w, code, type);
        if (type[0] == 'g')
                wire_signature(w, s);
        else
                wire_string(w, s);
}

static inline void wire_u(struct wire *w, uint8_t code, uint32_t v) {
        wire_field(w, code, "u");
        wire_number(w, v);
}

/* Ends the fields and appends the body. */
static inline void wire_end(struct wire *w, const void *body, size_t n) {
        wire_set(w, 12, (uint32_t)(w->n - 16));
        wire_pad(w, 8);
        wire_set(w, 4, (uint32_t)n);
        wire_bytes(w, body, n);
}

/* SPDX-License-Identifier: MIT */
#include "tests/bench/template.h"

#include <stdlib.h>
#include <string.h>

#include "tests/bench/fail.h"

#define DRIVER "org.freedesktop.DBus"

static uint8_t *allocate(size_t n) {
        uint8_t *p = calloc(1, n);

        if (!p)
                fail("out of memory");
        return p;
}

static uint32_t put_field(uint8_t *b, uint32_t at, uint8_t code, char type) {
        at = align_to(at, 8);
        b[at] = code;
        b[at + 1] = 1;
        b[at + 2] = (uint8_t)type;
        b[at + 3] = 0;
        return at + 4;
}

static uint32_t put_text(uint8_t *b, uint32_t at, uint8_t code, char type, const char *s) {
        uint32_t n;

        if (!s)
                return at;
        n = (uint32_t)strlen(s);
        if (at + n + 16 > TEMPLATE_HEADER)
                fail("a header over %u bytes", TEMPLATE_HEADER);
        at = put_field(b, at, code, type);
        if (type == 'g') {
                b[at++] = (uint8_t)n;
        } else {
                put_u32(b + at, n);
                at += 4;
        }
        memcpy(b + at, s, n + 1);
        return at + n + 1;
}

static uint32_t put_number(uint8_t *b, uint32_t at, uint8_t code, uint32_t v) {
        at = put_field(b, at, code, 'u');
        put_u32(b + at, v);
        return at + 4;
}

void template_init(struct template *t, const struct words *w, uint8_t *take_body, uint32_t n_body) {
        uint8_t *b = t->header;
        uint32_t at = 16;

        memset(t, 0, sizeof(*t));
        b[0] = 'l';
        b[1] = (uint8_t)w->type;
        b[2] = w->type == TEMPLATE_CALL ? 0 : 1; /* nobody answers the others */
        b[3] = 1;
        put_u32(b + 4, n_body);
        at = put_text(b, at, 1, 'o', w->path);
        if (w->is_reply) {
                at = put_number(b, at, 5, 1);
                t->reply_serial_at = at - 4;
        }
        at = put_text(b, at, 6, 's', w->destination);
        at = put_text(b, at, 2, 's', w->interface);
        at = put_text(b, at, 3, 's', w->member);
        at = put_text(b, at, 8, 'g', w->signature);
        if (w->n_fds > 0)
                at = put_number(b, at, 9, w->n_fds);
        put_u32(b + 12, at - 16);
        t->n_header = align_to(at, 8);
        t->body = take_body;
        t->n_body = n_body;
}

void template_done(struct template *t) {
        free(t->body);
        t->body = NULL;
}

uint8_t *body_bytes(uint32_t n, uint32_t *ret_n) {
        uint8_t *b = allocate(n + 4);

        put_u32(b, n);
        for (uint32_t i = 0; i < n; i++)
                b[4 + i] = (uint8_t)(i * 31 + (i >> 8));
        *ret_n = n + 4;
        return b;
}

uint8_t *body_text(const char *s, uint32_t *ret_n) {
        uint32_t n = (uint32_t)strlen(s);
        uint8_t *b = allocate(n + 5);

        put_u32(b, n);
        memcpy(b + 4, s, n);
        *ret_n = n + 5;
        return b;
}

uint8_t *body_texts(const char *a, const char *b, uint32_t *ret_n) {
        uint32_t n_a = (uint32_t)strlen(a), n_b = (uint32_t)strlen(b), at = align_to(n_a + 5, 4);
        uint8_t *body = allocate(at + n_b + 5);

        put_u32(body, n_a);
        memcpy(body + 4, a, n_a);
        put_u32(body + at, n_b);
        memcpy(body + at + 4, b, n_b);
        *ret_n = at + n_b + 5;
        return body;
}

uint8_t *body_text_and_number(const char *s, uint32_t number, uint32_t *ret_n) {
        uint32_t n = (uint32_t)strlen(s), at = align_to(n + 5, 4);
        uint8_t *b = allocate(at + 4);

        put_u32(b, n);
        memcpy(b + 4, s, n);
        put_u32(b + at, number);
        *ret_n = at + 4;
        return b;
}

uint8_t *body_fd_index(uint32_t *ret_n) {
        *ret_n = 4;
        return allocate(4);
}

void template_driver(struct template *t, const char *member, const char *text, long number) {
        struct words w = {
                .type = TEMPLATE_CALL,
                .path = "/org/freedesktop/DBus",
                .interface = DRIVER,
                .destination = DRIVER,
                .member = member,
                .signature = !text        ? NULL
                             : number < 0 ? "s"
                                          : "su",
        };
        uint8_t *body = NULL;
        uint32_t n = 0;

        if (text)
                body = number < 0 ? body_text(text, &n)
                                  : body_text_and_number(text, (uint32_t)number, &n);
        template_init(t, &w, body, n);
}

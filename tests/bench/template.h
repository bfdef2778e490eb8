/* SPDX-License-Identifier: MIT */
/*
 * Messages to send again and again: built once, by hand, so that what the client does
 * costs little and owes nothing to the code that is measured.  Little-endian.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEMPLATE_HEADER 384u /* the longest here is below 300 bytes */

enum template_type {
        TEMPLATE_CALL = 1,
        TEMPLATE_RETURN,
        TEMPLATE_ERROR,
        TEMPLATE_SIGNAL,
};

struct template {
        uint8_t header[TEMPLATE_HEADER];
        uint32_t n_header;
        uint32_t reply_serial_at; /* 0: none */
        uint8_t *body;            /* owned */
        uint32_t n_body;
};

/* What a message says; what is NULL or 0 is left out. */
struct words {
        enum template_type type;
        const char *path, *interface, *member, *destination, *signature;
        bool is_reply;
        uint32_t n_fds;
};

void template_init(struct template *t, const struct words *w, uint8_t *take_body, uint32_t n_body);
void template_done(struct template *t);

/* Bodies: "ay" of n bytes, "s", "su", "ss", "h". */
uint8_t *body_bytes(uint32_t n, uint32_t *ret_n);
uint8_t *body_text(const char *s, uint32_t *ret_n);
uint8_t *body_text_and_number(const char *s, uint32_t number, uint32_t *ret_n);
uint8_t *body_texts(const char *a, const char *b, uint32_t *ret_n);
uint8_t *body_fd_index(uint32_t *ret_n);

/* A call to the bus itself: with no argument, a text, or (number >= 0) a text and a number. */
void template_driver(struct template *t, const char *member, const char *text, long number);

static inline uint32_t get_u32(const uint8_t *p) {
        uint32_t v;

        __builtin_memcpy(&v, p, sizeof(v));
        return v;
}

static inline void put_u32(uint8_t *p, uint32_t v) {
        __builtin_memcpy(p, &v, sizeof(v));
}

static inline uint32_t align_to(uint32_t n, uint32_t a) {
        return (n + a - 1) & ~(a - 1);
}

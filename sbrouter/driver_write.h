/* SPDX-License-Identifier: MIT */
/*
 * The bus's own messages.  PURE.  Only what the bus itself says comes in, so nothing of it is
 * validated; a test reads with libdbus what was written.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Enough for a signal: the fixed texts, and four names of 255 bytes. */
#define DRIVER_WRITE_SIGNAL 1536u

struct driver_words {
        uint8_t type; /* MESSAGE_RETURN, _ERROR, or _SIGNAL: of DRIVER_PATH and its interface */
        uint32_t serial, reply_serial; /* reply_serial: of an answer */
        const char *member;            /* of a signal */
        const char *error;             /* of an error, its name */
        const char *destination;       /* NULL: everybody */
        const char *sender;            /* NULL: it is stamped later */
        const char *signature;         /* strings ("", "s", "sss"), "as", "u", "b"; or body's */
        const char *const *texts;      /* the strings; NULL: none */
        const uint32_t *numbers;       /* the number; NULL: none */
        size_t n;                      /* of texts or of numbers */
        const void *body;              /* instead of these, of any type: body_write.h; NULL: none */
        size_t n_body;
};

/* Room that is enough for driver_write(). */
size_t driver_write_max(const struct driver_words *w);
/* To out[0..size); returns the message's length.  Little-endian, no reply expected. */
size_t driver_write(const struct driver_words *w, uint8_t *out, size_t size);

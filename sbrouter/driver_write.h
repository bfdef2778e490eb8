/* SPDX-License-Identifier: MIT */
/*
 * Messages of the bus's own that are many: written here and not by libdbus, which takes
 * ten times as long.  PURE.  Only what the bus itself says comes in, so nothing of it is
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
        const char *signature;         /* strings ("", "s", "sss"), "as", "u", "b", or "a{sv}" */
        const char *const *texts;      /* the strings, or the keys; NULL: none */
        const uint32_t *numbers;       /* the number, or the keys' values; NULL: none */
        size_t n;                      /* of texts and of numbers */
};

/* Room that is enough for driver_write(). */
size_t driver_write_max(const struct driver_words *w);
/* To out[0..size); returns the message's length.  Little-endian, no reply expected. */
size_t driver_write(const struct driver_words *w, uint8_t *out, size_t size);

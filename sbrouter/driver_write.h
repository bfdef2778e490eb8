/* SPDX-License-Identifier: MIT */
/*
 * Messages of the bus's own that are many: written here and not by libdbus, which takes
 * ten times as long.  PURE.  Only what the bus itself says comes in, so nothing of it is
 * validated; a test reads with libdbus what was written.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define DRIVER_WRITE_TEXTS 3u
/* The fixed texts, and four names of 255 bytes. */
#define DRIVER_WRITE_MAX 1536u

struct driver_words {
        uint8_t type; /* MESSAGE_RETURN, or MESSAGE_SIGNAL: of DRIVER_PATH and its interface */
        uint32_t serial, reply_serial; /* reply_serial: of a return */
        const char *member;            /* of a signal */
        const char *destination;       /* NULL: everybody */
        const char *sender;            /* NULL: it is stamped later */
        const char *texts[DRIVER_WRITE_TEXTS]; /* the arguments: strings up to the first NULL, or */
        const uint32_t *number;                /* one 'u' or 'b', or nothing */
        char number_type;
};

/* Returns the message's length.  Little-endian, no reply expected. */
size_t driver_write(const struct driver_words *w, uint8_t out[DRIVER_WRITE_MAX]);

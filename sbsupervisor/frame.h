/* SPDX-License-Identifier: MIT */
/*
 * Where one D-Bus message ends and the next begins in a stream, and where the handshake before
 * them does.  PURE.  What is in a message is its reader's business.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_FIXED 16u /* bytes that frame_size() needs */

enum {
        FRAME_E_FORM = 1, /* no message begins so */
        FRAME_E_SIZE,     /* longer than is allowed */
};

/* How much of a handshake has been seen.  last: its last line, with "\r\n" before and behind. */
struct handshake {
        const char *last;
        size_t n_matched;
};

/* How many of the n bytes belong to the handshake: all of them, or those up to its end. */
size_t handshake_take(struct handshake *h, const void *data, size_t n);

/* Whether the end was among what has been taken. */
bool handshake_is_over(const struct handshake *h);

/* *ret: the length of the message that begins with these bytes, also when it is FRAME_E_SIZE. */
int frame_size(const uint8_t fixed[FRAME_FIXED], size_t max, uint64_t *ret);

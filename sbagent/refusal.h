/* SPDX-License-Identifier: MIT */
/*
 * The least D-Bus server there is: it lets a client authenticate, and answers its
 * first method call with an error that says why there is no host.  So a person
 * reads a reason in the program's own error message, not "connection reset".
 * PURE: bytes in, bytes out.
 *
 * Input is not stored: of a SASL line the first word or two are kept, of a message
 * its first 16 bytes.  Output is bounded by the number of lines answered.
 * D-Bus specification: "Authentication Protocol", "Message Format".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/limits.h"

#define REFUSAL_TEXT 400 /* one sentence with an address and a strerror() */
/* 32 lines answered with at most 37 bytes each, then one message. */
#define REFUSAL_OUT (LIMIT_SASL_LINES * 40 + REFUSAL_TEXT + 256)

enum {
        REFUSAL_E_DONE = 1,  /* the error is in out: send it, then close */
        REFUSAL_E_VIOLATION, /* no D-Bus client, or one that asks too much: close */
};

enum refusal_phase {
        REFUSAL_NUL,
        REFUSAL_WAIT_AUTH,
        REFUSAL_WAIT_DATA,
        REFUSAL_WAIT_BEGIN,
        REFUSAL_MESSAGES,
        REFUSAL_ENDED,
};

struct refusal {
        enum refusal_phase phase;
        unsigned lines;
        size_t n_line; /* bytes of the current line, also of those not kept */
        bool cr;       /* its last byte was CR */
        char line[40]; /* its beginning, NUL-terminated */
        uint8_t head[16];
        size_t n_head;
        uint64_t skip; /* bytes left of a message that wants no answer */
        char guid[33], text[REFUSAL_TEXT];
        uint8_t out[REFUSAL_OUT];
        size_t n_out; /* grows only; the caller sends what it has not sent */
};

/* guid: 32 hex digits; text: ASCII, copied and cut. */
void refusal_init(struct refusal *r, const char *guid, const char *text);

/* What the client sent next.  0: go on (out may have grown); or REFUSAL_E_*. */
int refusal_feed(struct refusal *r, const void *data, size_t n);

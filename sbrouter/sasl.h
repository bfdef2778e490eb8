/* SPDX-License-Identifier: MIT */
/*
 * The server's side of the authentication that opens a D-Bus stream: bytes in,
 * reply bytes out.  PURE.
 *
 * D-Bus specification, "Authentication Protocol".  EXTERNAL is accepted with any
 * identity or none, ANONYMOUS when it is allowed: who may connect was decided
 * before (by SO_PEERCRED, by the vsock CID, by who could reach the socket), and
 * what a peer says about itself changes nothing.
 *
 * A client may send all its lines and its first messages in one write.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/limits.h"

enum {
        SASL_ALLOW_FDS = 1, /* NEGOTIATE_UNIX_FD is agreed to */
        SASL_ALLOW_ANONYMOUS = 2,
};

/* Why a peer must be ended; it gets no answer. */
enum {
        SASL_E_NUL = 1, /* the first byte is not NUL */
        SASL_E_LINE,    /* a line over LIMIT_SASL_LINE */
        SASL_E_LINES,   /* more than LIMIT_SASL_LINES */
        SASL_E_BEGIN,   /* BEGIN before OK */
        SASL_N_E
};

enum sasl_state {
        SASL_WAIT_NUL,
        SASL_WAIT_AUTH,
        SASL_WAIT_DATA,
        SASL_WAIT_BEGIN,
        SASL_DONE, /* messages follow */
};

struct sasl {
        uint8_t state;   /* enum sasl_state */
        uint8_t n_lines; /* received so far */
        uint8_t flags;   /* SASL_ALLOW_x */
        bool fds;        /* agreed on descriptors; final once state is SASL_DONE */
        uint16_t n_seen; /* bytes of the unfinished line that hold no line end */
};

/* The longest answer is to the most lines that one sasl_feed() can take. */
#define SASL_REPLY_LINE 64u
#define SASL_REPLY_MAX  (LIMIT_SASL_LINES * SASL_REPLY_LINE)

struct sasl_reply {
        size_t n;
        char data[SASL_REPLY_MAX];
};

void sasl_init(struct sasl *s, unsigned flags);

/*
 * Takes the complete lines of data[0..n), up to and including BEGIN.  The caller
 * keeps what is behind *ret_used and passes it again, first, when more has come:
 * the rest of a line (at most LIMIT_SASL_LINE), or after BEGIN the first messages.
 * guid: 32 hexadecimal digits, the bus's id.  ret_reply (overwritten) is to be
 * sent, in order, before anything else.  0 (look at s->state), or SASL_E_*.
 */
int sasl_feed(struct sasl *s, const char *guid, const void *data, size_t n, size_t *ret_used,
              struct sasl_reply *ret_reply);

const char *sasl_strerror(int e);

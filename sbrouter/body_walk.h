/* SPDX-License-Identifier: MIT */
/*
 * The walk over a body, for body.c and body_args.c alone.
 */
#pragma once

#include "common/limits.h"
#include "sbrouter/body.h"
#include "sbrouter/dbus_name.h"

#define TRY(x)                                                                                     \
        do {                                                                                       \
                int _r = (x);                                                                      \
                if (_r != 0)                                                                       \
                        return _r;                                                                 \
        } while (0)

struct frame {
        const char *element, *element_end; /* of an array; NULL: a variant */
        const char *next, *next_end;       /* where the signature goes on behind it */
        size_t outer_end;                  /* what end was around an array */
};

/* A signature that is being walked: the body's own, or that of a variant within. */
struct level {
        const char *signature;
        size_t n;
        bool is_known;                      /* behind[] is filled */
        uint8_t behind[DBUS_SIGNATURE_MAX]; /* of an array's 'a': where its type ends */
};

/* A text that is longer than a piece; s is NULL when there is none. */
struct text {
        const char *s;
        size_t n, at; /* at: what was looked at */
};

struct walk {
        const uint8_t *data;
        size_t at, end; /* end: of the innermost array, or of everything */
        const char *signature, *signature_end;
        size_t steps, most_steps; /* taken, and how many before it stops */
        struct text text;
        uint32_t n_fds;
        bool big_endian;
        bool is_trusted; /* found valid before: what is in arrays and texts is not looked at */
        unsigned depth, n_frames;
        struct frame frames[LIMIT_DEPTH];
        unsigned innermost; /* of levels */
        struct level levels[1 + LIMIT_DEPTH];
};

void body_walk_init(struct walk *w, const char *signature, size_t n_signature, const void *data,
                    size_t n, bool big_endian);
/* Takes all that its signature says, or most_steps.  0 or BODY_E_*. */
int body_walk(struct walk *w);

/* Its pieces. */
int body_walk_u32(struct walk *w, uint32_t *ret);
int body_walk_text(struct walk *w, size_t n, const char **ret);

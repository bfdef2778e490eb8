/* SPDX-License-Identifier: MIT */
/*
 * Message bodies: is the body what its signature says, and which strings are its
 * first arguments.  PURE.
 *
 * D-Bus specification, "Marshaling (Wire Format)".  One iterative walk with a
 * stack of fixed size; only a check that pauses is allocated.  Time is O(bytes), and
 * arrays of fixed-size elements cost O(1), whatever their length.
 *
 * data is the first byte of the body.  A body starts at a multiple of 8 in its
 * message, so offsets from data decide alignment; the address need not be aligned.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Why a body is invalid.  Each of them is the sender's fault. */
enum {
        BODY_E_SIGNATURE = 1, /* of a variant in the body: not one complete type */
        BODY_E_SHORT,         /* ends in the middle of a value */
        BODY_E_TRAILING,      /* bytes are left after the last value */
        BODY_E_PADDING,       /* padding is not zero */
        BODY_E_BOOLEAN,       /* neither 0 nor 1 */
        BODY_E_STRING,        /* no NUL at its end, a NUL inside, or not UTF-8 */
        BODY_E_PATH,          /* 'o' is not an object path */
        BODY_E_TYPE,          /* 'g' is not a signature */
        BODY_E_ARRAY,         /* over LIMIT_ARRAY_BYTES, or its elements do not fill it exactly */
        BODY_E_DEPTH,         /* containers nest deeper than LIMIT_DEPTH */
        BODY_E_FD_INDEX,      /* 'h' names a descriptor that the message does not carry */
        BODY_E_MORE,          /* no fault: body_check_continue() has to go on */
        BODY_N_E
};

#define BODY_ANY_FDS UINT32_MAX /* as n_fds: do not look at descriptor indices */

/* Values of a message in its own byte order, from any address. */
static inline uint32_t wire_u32(const void *p, bool big_endian) {
        uint32_t v;

        memcpy(&v, p, sizeof(v));
        return big_endian == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) ? v : __builtin_bswap32(v);
}

static inline void wire_put_u32(void *p, uint32_t v, bool big_endian) {
        if (big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__))
                v = __builtin_bswap32(v);
        memcpy(p, &v, sizeof(v));
}

/*
 * Does data[0..n) hold exactly the values that signature says?  signature must
 * have been found valid (message_parse() does).  n_fds: descriptors of the
 * message, or BODY_ANY_FDS.  0 or BODY_E_*.
 */
int body_validate(const char *signature, size_t n_signature, const void *data, size_t n,
                  bool big_endian, uint32_t n_fds);

/* The same, and how many steps that took: each some ns, whatever the body is. */
int body_validate_counted(const char *signature, size_t n_signature, const void *data, size_t n,
                          bool big_endian, uint32_t n_fds, size_t *ret_steps);

/*
 * The same with pauses: what is referenced must neither change nor go before the end.
 * About 20 KiB, allocated.  NULL: out of memory.
 */
struct body_check *body_check_new(const char *signature, size_t n_signature, const void *data,
                                  size_t n, bool big_endian, uint32_t n_fds);
struct body_check *body_check_free(struct body_check *c);
/*
 * Goes on for most_steps, and at most some us longer; *ret_steps were taken.  BODY_E_MORE, or
 * the verdict, which is given once.
 */
int body_check_continue(struct body_check *c, size_t most_steps, size_t *ret_steps);

/*
 * The same for one variant (signature and value) that starts at data[offset]:
 * what a header field's value is.  depth: containers that already surround it.
 * *ret_end: the offset behind it.  0 or BODY_E_*.
 */
int body_validate_variant(const void *data, size_t n, size_t offset, bool big_endian,
                          unsigned depth, size_t *ret_end);

/* Behind the first complete type of a valid signature that has one. */
const char *body_skip_type(const char *signature);

/* One sentence's end, for a log line: "padding is not zero". */
const char *body_strerror(int e);

#define BODY_MAX_ARGS 64u /* match rules know arg0 to arg63 */

struct body_arg {
        const char *s; /* points into the body, NUL-terminated; NULL: not a string or path */
        uint32_t n;    /* without the NUL; of a 'u', its value */
        char type;     /* 's', 'o', another type code, or 0: there is no such argument */
};

/*
 * The arguments of a body that body_validate() accepted, found on demand: asking
 * for argument 3 walks to it once.  Everything in it is borrowed.
 */
struct body_args {
        const char *signature;
        const uint8_t *data;
        size_t n_signature, n;
        size_t at_signature, at; /* of argument n_known */
        bool big_endian;
        unsigned n_known;
        struct body_arg known[BODY_MAX_ARGS]; /* filled up to n_known only */
};

/* Cheap: reads nothing.  The referenced bytes must outlive args. */
void body_args_init(struct body_args *args, const char *signature, size_t n_signature,
                    const void *data, size_t n, bool big_endian);
/*
 * The strings of argument 0, an array of them, one after the other: the next one behind *at,
 * which starts as 0.  NULL: there are no more.
 */
const char *body_args_next_string(const struct body_args *args, size_t *at, size_t *ret_n);
/* Argument i (any number; from BODY_MAX_ARGS on there is none).  Never NULL. */
const struct body_arg *body_args_get(struct body_args *args, unsigned i);

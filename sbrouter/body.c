/* SPDX-License-Identifier: MIT */
/*
 * The walk follows the signature; a row of types[] says what one type code does.
 * Structs and dict entries need no frame, only the count of open containers: the
 * signature's closing bracket ends them.  Arrays and variants need one, because
 * behind them the walk goes on elsewhere in a signature.
 *
 * Time stays linear in the bytes although a signature of 255 codes may have to be
 * skipped for each empty array of 4 bytes: what an array that repeats skips is
 * remembered, per signature that is being walked.
 */
#include "sbrouter/body.h"

#include "common/cleanup.h"
#include "common/limits.h"
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

struct walk {
        const uint8_t *data;
        size_t at, end; /* end: of the innermost array, or of everything */
        const char *signature, *signature_end;
        uint32_t n_fds;
        bool big_endian;
        unsigned depth, n_frames;
        struct frame frames[LIMIT_DEPTH];
        unsigned innermost; /* of levels */
        struct level levels[1 + LIMIT_DEPTH];
};

struct type {
        uint8_t alignment;
        uint8_t size; /* of values of fixed size, any of which is valid; else 0 */
        int (*take)(struct walk *w, const struct type *t);
};

static const struct type types[128];

/* --- pieces of values ---------------------------------------------------------------------- */

static int take_padding(struct walk *w, unsigned alignment) {
        size_t to = (w->at + alignment - 1) & ~(size_t)(alignment - 1);

        if (to > w->end)
                return BODY_E_SHORT;
        for (; w->at < to; w->at++)
                if (w->data[w->at] != 0)
                        return BODY_E_PADDING;
        return 0;
}

static int take_u32(struct walk *w, uint32_t *ret) {
        TRY(take_padding(w, 4));
        if (w->end - w->at < 4)
                return BODY_E_SHORT;
        *ret = wire_u32(w->data + w->at, w->big_endian);
        w->at += 4;
        return 0;
}

/* n bytes of text and a NUL.  n comes from the message: it is compared, never added first. */
static int take_text(struct walk *w, size_t n, const char **ret) {
        if (w->end - w->at <= n)
                return BODY_E_SHORT;
        if (w->data[w->at + n] != 0)
                return BODY_E_STRING;
        *ret = (const char *)w->data + w->at;
        w->at += n + 1;
        return 0;
}

static int enter(struct walk *w) {
        if (w->depth >= LIMIT_DEPTH)
                return BODY_E_DEPTH;
        w->depth++;
        return 0;
}

/* Behind the complete type at s, in a valid signature. */
const char *body_skip_type(const char *s) {
        unsigned n_open = 0;

        while (*s == 'a')
                s++;
        do {
                if (*s == '(' || *s == '{')
                        n_open++;
                else if (*s == ')' || *s == '}')
                        n_open--;
                s++;
        } while (n_open > 0);
        return s;
}

static void find_array_ends(struct level *l) {
        uint8_t open[2 * DBUS_SIGNATURE_DEPTH];
        unsigned n_open = 0;

        for (size_t i = 0; i < l->n; i++) {
                char c = l->signature[i];

                if (c == 'a' || c == '(' || c == '{') {
                        open[n_open++] = (uint8_t)i;
                        continue;
                }
                if (c == ')' || c == '}')
                        n_open--;
                /* A type is complete, and with it the arrays of which it is the element. */
                while (n_open > 0 && l->signature[open[n_open - 1]] == 'a')
                        l->behind[open[--n_open]] = (uint8_t)(i + 1);
        }
        l->is_known = true;
}

/* Behind the element type of the array whose 'a' was just taken. */
static const char *behind_element(struct walk *w) {
        struct level *l = &w->levels[w->innermost];

        if (w->n_frames == 0 || !w->frames[w->n_frames - 1].element)
                return body_skip_type(w->signature); /* comes this way once */
        if (!l->is_known)
                find_array_ends(l);
        return l->signature + l->behind[w->signature - 1 - l->signature];
}

static void enter_signature(struct walk *w, const char *s, size_t n) {
        struct level *l = &w->levels[w->innermost];

        w->signature = l->signature = s;
        w->signature_end = s + n;
        l->n = n;
        l->is_known = false;
}

/* --- one type code each -------------------------------------------------------------------- */

static int take_fixed(struct walk *w, const struct type *t) {
        TRY(take_padding(w, t->alignment));
        if (w->end - w->at < t->size)
                return BODY_E_SHORT;
        w->at += t->size;
        return 0;
}

static int take_boolean(struct walk *w, const struct type *t _unused_) {
        uint32_t v;

        TRY(take_u32(w, &v));
        return v > 1 ? BODY_E_BOOLEAN : 0;
}

static int take_fd(struct walk *w, const struct type *t _unused_) {
        uint32_t v;

        TRY(take_u32(w, &v));
        return v >= w->n_fds && w->n_fds != BODY_ANY_FDS ? BODY_E_FD_INDEX : 0;
}

static int take_string(struct walk *w, const struct type *t _unused_) {
        const char *s;
        uint32_t n;

        TRY(take_u32(w, &n));
        TRY(take_text(w, n, &s));
        return dbus_utf8_is_valid(s, n) ? 0 : BODY_E_STRING;
}

static int take_path(struct walk *w, const struct type *t _unused_) {
        const char *s;
        uint32_t n;

        TRY(take_u32(w, &n));
        TRY(take_text(w, n, &s));
        return dbus_name_is_path(s, n) ? 0 : BODY_E_PATH;
}

static int take_signature_text(struct walk *w, const char **ret, size_t *ret_n) {
        if (w->at >= w->end)
                return BODY_E_SHORT;
        *ret_n = w->data[w->at++];
        return take_text(w, *ret_n, ret);
}

static int take_signature(struct walk *w, const struct type *t _unused_) {
        const char *s;
        size_t n;

        TRY(take_signature_text(w, &s, &n));
        return dbus_signature_is_valid(s, n) ? 0 : BODY_E_TYPE;
}

static int take_variant(struct walk *w, const struct type *t _unused_) {
        const char *s;
        size_t n;

        TRY(take_signature_text(w, &s, &n));
        if (!dbus_signature_is_single(s, n))
                return BODY_E_SIGNATURE;
        TRY(enter(w));
        w->frames[w->n_frames++] = (struct frame){
                .next = w->signature,
                .next_end = w->signature_end,
        };
        w->innermost++;
        enter_signature(w, s, n);
        return 0;
}

static int take_array(struct walk *w, const struct type *t _unused_) {
        const char *element = w->signature, *behind = behind_element(w);
        const struct type *e = &types[(uint8_t)*element];
        uint32_t n;

        TRY(take_u32(w, &n));
        TRY(take_padding(w, e->alignment));
        if (n > LIMIT_ARRAY_BYTES)
                return BODY_E_ARRAY;
        if (n > w->end - w->at)
                return BODY_E_SHORT;
        w->signature = behind;
        if (n == 0)
                return 0;
        if (e->size > 0) { /* any bytes are valid elements: no look at them */
                w->at += n;
                return n % e->size == 0 ? 0 : BODY_E_ARRAY;
        }
        TRY(enter(w));
        w->frames[w->n_frames++] = (struct frame){
                .element = element,
                .element_end = behind,
                .next = behind,
                .next_end = w->signature_end,
                .outer_end = w->end,
        };
        w->end = w->at + n;
        w->signature = element;
        w->signature_end = behind;
        return 0;
}

static int take_struct(struct walk *w, const struct type *t _unused_) {
        TRY(take_padding(w, 8));
        return enter(w);
}

/* The brackets of a valid signature pair up, so this leaves what take_struct() entered. */
static int take_struct_end(struct walk *w, const struct type *t _unused_) {
        w->depth--;
        return 0;
}

static const struct type types[128] = {
        ['y'] = {1, 1, take_fixed},      ['n'] = {2, 2, take_fixed},
        ['q'] = {2, 2, take_fixed},      ['i'] = {4, 4, take_fixed},
        ['u'] = {4, 4, take_fixed},      ['x'] = {8, 8, take_fixed},
        ['t'] = {8, 8, take_fixed},      ['d'] = {8, 8, take_fixed},
        ['b'] = {4, 0, take_boolean},    ['h'] = {4, 0, take_fd},
        ['s'] = {4, 0, take_string},     ['o'] = {4, 0, take_path},
        ['g'] = {1, 0, take_signature},  ['v'] = {1, 0, take_variant},
        ['a'] = {4, 0, take_array},      ['('] = {8, 0, take_struct},
        ['{'] = {8, 0, take_struct},     [')'] = {1, 0, take_struct_end},
        ['}'] = {1, 0, take_struct_end},
};

/* --- the walk ------------------------------------------------------------------------------ */

/* The signature of the innermost frame is used up: the next element, or out of it. */
static void end_of_signature(struct walk *w) {
        struct frame *f = &w->frames[w->n_frames - 1];

        if (f->element && w->at < w->end) {
                w->signature = f->element;
                return;
        }
        if (f->element)
                w->end = f->outer_end;
        else
                w->innermost--;
        w->signature = f->next;
        w->signature_end = f->next_end;
        w->n_frames--;
        w->depth--;
}

/*
 * Ends, because each step takes a code of a signature, and a signature is entered
 * again only for an element, which takes at least one byte.
 */
static int walk(struct walk *w) {
        for (;;) {
                if (w->signature < w->signature_end) {
                        const struct type *t = &types[(uint8_t)*w->signature++];

                        TRY(t->take(w, t));
                } else if (w->n_frames > 0)
                        end_of_signature(w);
                else
                        return 0;
        }
}

static void walk_init(struct walk *w, const char *signature, size_t n_signature, const void *data,
                      size_t n, bool big_endian) {
        w->data = data;
        w->at = 0;
        w->end = n;
        w->n_fds = BODY_ANY_FDS;
        w->big_endian = big_endian;
        w->depth = w->n_frames = w->innermost = 0;
        enter_signature(w, signature, n_signature);
}

/* Apart, for a walk is five pages of stack, each of which is touched when it is entered. */
static __attribute__((noinline)) int validate(const char *signature, size_t n_signature,
                                              const void *data, size_t n, bool big_endian,
                                              uint32_t n_fds) {
        struct walk w _uninitialized_;

        walk_init(&w, signature, n_signature, data, n, big_endian);
        w.n_fds = n_fds;
        TRY(walk(&w));
        return w.at == n ? 0 : BODY_E_TRAILING;
}

int body_validate(const char *signature, size_t n_signature, const void *data, size_t n,
                  bool big_endian, uint32_t n_fds) {
        if (n_signature == 0)
                return n == 0 ? 0 : BODY_E_TRAILING;
        return validate(signature, n_signature, data, n, big_endian, n_fds);
}

int body_validate_variant(const void *data, size_t n, size_t offset, bool big_endian,
                          unsigned depth, size_t *ret_end) {
        struct walk w _uninitialized_;

        walk_init(&w, "v", 1, data, n, big_endian);
        w.at = offset;
        w.depth = depth;
        TRY(walk(&w));
        *ret_end = w.at;
        return 0;
}

const char *body_strerror(int e) {
        static const char *const texts[BODY_N_E] = {
                [BODY_E_SIGNATURE] = "a variant's signature is not one complete type",
                [BODY_E_SHORT] = "ends in the middle of a value",
                [BODY_E_TRAILING] = "bytes are left after the last value",
                [BODY_E_PADDING] = "padding is not zero",
                [BODY_E_BOOLEAN] = "a boolean is neither 0 nor 1",
                [BODY_E_STRING] = "a string is not valid UTF-8 ended by NUL",
                [BODY_E_PATH] = "an object path is not valid",
                [BODY_E_TYPE] = "a signature is not valid",
                [BODY_E_ARRAY] = "an array has a wrong length",
                [BODY_E_DEPTH] = "containers nest too deeply",
                [BODY_E_FD_INDEX] = "a descriptor's index is out of range",
        };

        return e > 0 && e < BODY_N_E ? texts[e] : "unknown fault";
}

/* --- arguments ----------------------------------------------------------------------------- */

void body_args_init(struct body_args *args, const char *signature, size_t n_signature,
                    const void *data, size_t n, bool big_endian) {
        args->signature = signature;
        args->n_signature = n_signature;
        args->data = data;
        args->n = n;
        args->at_signature = args->at = 0;
        args->big_endian = big_endian;
        args->n_known = 0;
}

/* Jumps over an array without looking into it. */
static int skip_array(struct walk *w) {
        uint32_t n;

        TRY(take_u32(w, &n));
        TRY(take_padding(w, types[(uint8_t)w->signature[1]].alignment));
        if (n > w->end - w->at)
                return BODY_E_SHORT;
        w->at += n;
        return 0;
}

static int take_argument(struct walk *w, struct body_arg *ret) {
        ret->type = *w->signature;
        if (ret->type == 'a')
                return skip_array(w);
        if (ret->type == 'u')
                return take_u32(w, &ret->n);
        if (ret->type != 's' && ret->type != 'o')
                return walk(w);
        TRY(take_u32(w, &ret->n));
        return take_text(w, ret->n, &ret->s);
}

static void next_argument(struct body_args *args) {
        struct body_arg *a = &args->known[args->n_known++];
        const char *type = args->signature + args->at_signature, *behind;
        struct walk w _uninitialized_;

        *a = (struct body_arg){0};
        if (args->at_signature >= args->n_signature)
                return;
        behind = body_skip_type(type);
        walk_init(&w, type, (size_t)(behind - type), args->data, args->n, args->big_endian);
        w.at = args->at;
        if (take_argument(&w, a) == 0) {
                args->at_signature = (size_t)(behind - args->signature);
                args->at = w.at;
        } else { /* only a body that was never validated: it has no more arguments */
                *a = (struct body_arg){0};
                args->at_signature = args->n_signature;
        }
}

const struct body_arg *body_args_get(struct body_args *args, unsigned i) {
        static const struct body_arg none;

        if (i >= BODY_MAX_ARGS)
                return &none;
        while (args->n_known <= i)
                next_argument(args);
        return &args->known[i];
}

const char *body_args_next_string(const struct body_args *args, size_t *at, size_t *ret_n) {
        size_t end = 4 + (size_t)wire_u32(args->data, args->big_endian);
        const char *s;

        *at = *at == 0 ? 4 : (*at + 3) / 4 * 4;
        if (*at >= end)
                return NULL;
        *ret_n = wire_u32(args->data + *at, args->big_endian);
        s = (const char *)args->data + *at + 4;
        *at += 4 + *ret_n + 1;
        return s;
}

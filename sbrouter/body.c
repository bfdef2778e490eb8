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
 *
 * All there is to know lies in struct walk, so it can stop between any two steps.
 * The code of a long text is taken again for each piece of it.
 */
#include <stdlib.h>

#include "common/cleanup.h"
#include "sbrouter/body_walk.h"

/* Of a text, what one step looks at: no more than some us. */
#define PIECE_BYTES 4096u
/* So many bytes of a text, or codes of a signature, take as long as one more step. */
#define STEP_BYTES 8u
#define STEP_CODES 2u

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

int body_walk_u32(struct walk *w, uint32_t *ret) {
        TRY(take_padding(w, 4));
        if (w->end - w->at < 4)
                return BODY_E_SHORT;
        *ret = wire_u32(w->data + w->at, w->big_endian);
        w->at += 4;
        return 0;
}

/* n bytes of text and a NUL.  n comes from the message: it is compared, never added first. */
int body_walk_text(struct walk *w, size_t n, const char **ret) {
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

        TRY(body_walk_u32(w, &v));
        return v > 1 ? BODY_E_BOOLEAN : 0;
}

static int take_fd(struct walk *w, const struct type *t _unused_) {
        uint32_t v;

        TRY(body_walk_u32(w, &v));
        return v >= w->n_fds && w->n_fds != BODY_ANY_FDS ? BODY_E_FD_INDEX : 0;
}

/* w->text is the text whose code was taken: a new one, or one that goes on. */
static int take_text_start(struct walk *w) {
        uint32_t n;

        if (w->text.s)
                return 0;
        TRY(body_walk_u32(w, &n));
        TRY(body_walk_text(w, n, &w->text.s));
        w->text.n = n;
        w->text.at = w->is_trusted ? n : 0;
        return 0;
}

/* It was looked at up to that.  If there is more, its code is to be taken again. */
static int take_piece(struct walk *w, size_t to) {
        w->steps += (to - w->text.at) / STEP_BYTES;
        w->text.at = to;
        if (to < w->text.n)
                w->signature--;
        else
                w->text.s = NULL;
        return 0;
}

static int take_string(struct walk *w, const struct type *t _unused_) {
        const char *s;
        size_t n;

        TRY(take_text_start(w));
        s = w->text.s + w->text.at;
        n = w->text.n - w->text.at;
        if (n > PIECE_BYTES)
                n = dbus_utf8_cut(s, PIECE_BYTES);
        if (!dbus_utf8_is_valid(s, n))
                return BODY_E_STRING;
        return take_piece(w, w->text.at + n);
}

static int take_path(struct walk *w, const struct type *t _unused_) {
        size_t to;

        TRY(take_text_start(w));
        to = w->text.n - w->text.at > PIECE_BYTES ? w->text.at + PIECE_BYTES : w->text.n;
        if (!w->is_trusted && !dbus_name_is_path_piece(w->text.s, w->text.n, w->text.at, to))
                return BODY_E_PATH;
        return take_piece(w, to);
}

static int take_signature_text(struct walk *w, const char **ret, size_t *ret_n) {
        if (w->at >= w->end)
                return BODY_E_SHORT;
        *ret_n = w->data[w->at++];
        w->steps += *ret_n / STEP_CODES;
        return body_walk_text(w, *ret_n, ret);
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

        TRY(body_walk_u32(w, &n));
        TRY(take_padding(w, e->alignment));
        if (n > LIMIT_ARRAY_BYTES)
                return BODY_E_ARRAY;
        if (n > w->end - w->at)
                return BODY_E_SHORT;
        w->signature = behind;
        if (n == 0)
                return 0;
        if (e->size > 0 || w->is_trusted) { /* any bytes are valid elements: no look at them */
                w->at += n;
                return e->size == 0 || n % e->size == 0 ? 0 : BODY_E_ARRAY;
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
int body_walk(struct walk *w) {
        for (;;) {
                if (w->steps >= w->most_steps)
                        return BODY_E_MORE;
                w->steps++;
                if (w->signature < w->signature_end) {
                        const struct type *t = &types[(uint8_t)*w->signature++];

                        TRY(t->take(w, t));
                } else if (w->n_frames > 0)
                        end_of_signature(w);
                else
                        return 0;
        }
}

void body_walk_init(struct walk *w, const char *signature, size_t n_signature, const void *data,
                    size_t n, bool big_endian) {
        w->data = data;
        w->at = 0;
        w->end = n;
        w->steps = 0;
        w->most_steps = SIZE_MAX;
        w->text.s = NULL;
        w->n_fds = BODY_ANY_FDS;
        w->big_endian = big_endian;
        w->is_trusted = false;
        w->depth = w->n_frames = w->innermost = 0;
        enter_signature(w, signature, n_signature);
}

static int walk_to_end(struct walk *w) {
        TRY(body_walk(w));
        return w->at == w->end ? 0 : BODY_E_TRAILING;
}

/* Apart, for a walk is five pages of stack, each of which is touched when it is entered. */
static __attribute__((noinline)) int validate(const char *signature, size_t n_signature,
                                              const void *data, size_t n, bool big_endian,
                                              uint32_t n_fds, size_t *ret_steps) {
        struct walk w _uninitialized_;
        int e;

        body_walk_init(&w, signature, n_signature, data, n, big_endian);
        w.n_fds = n_fds;
        e = walk_to_end(&w);
        *ret_steps = w.steps;
        return e;
}

int body_validate_counted(const char *signature, size_t n_signature, const void *data, size_t n,
                          bool big_endian, uint32_t n_fds, size_t *ret_steps) {
        *ret_steps = 0;
        if (n_signature == 0)
                return n == 0 ? 0 : BODY_E_TRAILING;
        return validate(signature, n_signature, data, n, big_endian, n_fds, ret_steps);
}

int body_validate(const char *signature, size_t n_signature, const void *data, size_t n,
                  bool big_endian, uint32_t n_fds) {
        size_t n_steps;

        return body_validate_counted(signature, n_signature, data, n, big_endian, n_fds, &n_steps);
}

/* --- the same with pauses ------------------------------------------------------------------- */

struct body_check {
        struct walk walk;
};

struct body_check *body_check_new(const char *signature, size_t n_signature, const void *data,
                                  size_t n, bool big_endian, uint32_t n_fds) {
        struct body_check *c = malloc(sizeof(*c));

        if (!c)
                return NULL;
        body_walk_init(&c->walk, signature, n_signature, data, n, big_endian);
        c->walk.n_fds = n_fds;
        return c;
}

struct body_check *body_check_free(struct body_check *c) {
        free(c);
        return NULL;
}

int body_check_continue(struct body_check *c, size_t most_steps, size_t *ret_steps) {
        int e;

        c->walk.steps = 0;
        c->walk.most_steps = most_steps;
        e = walk_to_end(&c->walk);
        *ret_steps = c->walk.steps;
        return e;
}

int body_validate_variant(const void *data, size_t n, size_t offset, bool big_endian,
                          unsigned depth, size_t *ret_end) {
        struct walk w _uninitialized_;

        body_walk_init(&w, "v", 1, data, n, big_endian);
        w.at = offset;
        w.depth = depth;
        TRY(body_walk(&w));
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
                [BODY_E_MORE] = "not checked to its end",
        };

        return e > 0 && e < BODY_N_E ? texts[e] : "unknown fault";
}

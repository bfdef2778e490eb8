/* SPDX-License-Identifier: MIT */
/*
 * Names, paths and signatures are ASCII with few characters, so tables of classes
 * decide; nothing here depends on the locale.
 */
#include "sbrouter/dbus_name.h"

#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"

/* Character classes of names: ASCII only. */
enum {
        ALPHA = 1, /* and '_' */
        DIGIT = 2,
        HYPHEN = 4,
};

static const uint8_t classes[256] = {
        ['A' ... 'Z'] = ALPHA, ['a' ... 'z'] = ALPHA, ['_'] = ALPHA,
        ['0' ... '9'] = DIGIT, ['-'] = HYPHEN,
};

/* Type codes that are a complete type by themselves; BASIC ones hold no other type. */
enum {
        COMPLETE = 1,
        BASIC = 2,
};

static const uint8_t type_codes[256] = {
        ['y'] = COMPLETE | BASIC, ['b'] = COMPLETE | BASIC, ['n'] = COMPLETE | BASIC,
        ['q'] = COMPLETE | BASIC, ['i'] = COMPLETE | BASIC, ['u'] = COMPLETE | BASIC,
        ['x'] = COMPLETE | BASIC, ['t'] = COMPLETE | BASIC, ['d'] = COMPLETE | BASIC,
        ['h'] = COMPLETE | BASIC, ['s'] = COMPLETE | BASIC, ['o'] = COMPLETE | BASIC,
        ['g'] = COMPLETE | BASIC, ['v'] = COMPLETE,
};

static bool is_in(char c, unsigned mask) {
        return classes[(uint8_t)c] & mask;
}

static bool is_type(char c, unsigned mask) {
        return type_codes[(uint8_t)c] & mask;
}

/* Elements separated by '.', at least n_min of them; first and rest are class masks. */
static bool elements_are_valid(const char *s, size_t n, unsigned first, unsigned rest,
                               unsigned n_min) {
        unsigned n_elements = 1;
        bool start = true;

        for (size_t i = 0; i < n; i++) {
                if (s[i] == '.') {
                        if (start)
                                return false;
                        start = true;
                        n_elements++;
                } else if (is_in(s[i], start ? first : rest))
                        start = false;
                else
                        return false;
        }
        return !start && n_elements >= n_min && n <= DBUS_NAME_MAX;
}

/* libdbus lets the first element be empty (":", ":.a"), and so do we: see the header. */
bool dbus_name_is_unique(const char *s, size_t n) {
        if (n == 0 || n > DBUS_NAME_MAX || s[0] != ':')
                return false;
        s++, n--;
        if (n > 1 && s[0] == '.')
                s++, n--;
        return n == 0 ||
               elements_are_valid(s, n, ALPHA | DIGIT | HYPHEN, ALPHA | DIGIT | HYPHEN, 1);
}

bool dbus_name_is_well_known(const char *s, size_t n) {
        return elements_are_valid(s, n, ALPHA | HYPHEN, ALPHA | DIGIT | HYPHEN, 2);
}

bool dbus_name_is_bus(const char *s, size_t n) {
        return n > 0 && s[0] == ':' ? dbus_name_is_unique(s, n) : dbus_name_is_well_known(s, n);
}

bool dbus_name_is_namespace(const char *s, size_t n) {
        if (n > 0 && s[0] == ':')
                return dbus_name_is_unique(s, n);
        return elements_are_valid(s, n, ALPHA | HYPHEN, ALPHA | DIGIT | HYPHEN, 1);
}

bool dbus_name_is_interface(const char *s, size_t n) {
        return elements_are_valid(s, n, ALPHA, ALPHA | DIGIT, 2);
}

bool dbus_name_is_error(const char *s, size_t n) {
        return dbus_name_is_interface(s, n);
}

bool dbus_name_is_member(const char *s, size_t n) {
        if (n == 0 || n > DBUS_NAME_MAX || !is_in(s[0], ALPHA))
                return false;
        for (size_t i = 1; i < n; i++)
                if (!is_in(s[i], ALPHA | DIGIT))
                        return false;
        return true;
}

bool dbus_name_is_path_piece(const char *s, size_t n, size_t from, size_t to) {
        if (n == 0 || s[0] != '/')
                return false;
        for (size_t i = from > 0 ? from : 1; i < to; i++)
                if (s[i] == '/' ? s[i - 1] == '/' : !is_in(s[i], ALPHA | DIGIT))
                        return false;
        return to < n || n == 1 || s[n - 1] != '/';
}

bool dbus_name_is_path(const char *s, size_t n) {
        return dbus_name_is_path_piece(s, n, 0, n);
}

/* --- signatures: a stack of the containers that are open ----------------------------------- */

struct signature {
        struct {
                char kind;       /* 'a', '(' or '{' */
                uint8_t n_types; /* complete types in it so far */
        } open[2 * DBUS_SIGNATURE_DEPTH];
        unsigned n_open, n_arrays;
        unsigned n_types; /* at top level */
};

static char innermost(const struct signature *g) {
        return g->n_open > 0 ? g->open[g->n_open - 1].kind : 0;
}

/* An array ends with its element; then the type counts where it stands. */
static void type_ends(struct signature *g) {
        while (innermost(g) == 'a') {
                g->n_open--;
                g->n_arrays--;
        }
        if (g->n_open > 0)
                g->open[g->n_open - 1].n_types++;
        else
                g->n_types++;
}

static bool container_opens(struct signature *g, char kind) {
        unsigned n_structs = g->n_open - g->n_arrays;

        if (kind == '{' && innermost(g) != 'a')
                return false;
        if (kind == 'a' ? g->n_arrays >= DBUS_SIGNATURE_DEPTH : n_structs >= DBUS_SIGNATURE_DEPTH)
                return false;
        g->open[g->n_open].kind = kind;
        g->open[g->n_open++].n_types = 0;
        g->n_arrays += kind == 'a';
        return true;
}

static bool container_ends(struct signature *g, char kind) {
        unsigned n_types;

        if (innermost(g) != kind)
                return false;
        n_types = g->open[--g->n_open].n_types;
        type_ends(g);
        return kind == '{' ? n_types == 2 : n_types > 0;
}

static bool signature_takes(struct signature *g, char c) {
        bool is_key = innermost(g) == '{' && g->open[g->n_open - 1].n_types == 0;

        if (c == ')' || c == '}')
                return container_ends(g, c == ')' ? '(' : '{');
        if (is_key && !is_type(c, BASIC))
                return false;
        if (c == 'a' || c == '(' || c == '{')
                return container_opens(g, c);
        if (!is_type(c, COMPLETE))
                return false;
        type_ends(g);
        return true;
}

/* How many complete types s is, or -1. */
static int signature_count(const char *s, size_t n) {
        struct signature g _uninitialized_;

        if (n > DBUS_SIGNATURE_MAX)
                return -1;
        g.n_open = g.n_arrays = g.n_types = 0;
        for (size_t i = 0; i < n; i++)
                if (!signature_takes(&g, s[i]))
                        return -1;
        return g.n_open == 0 ? (int)g.n_types : -1;
}

/* Most signatures, nearly all of variants, are one code: those need no stack. */
bool dbus_signature_is_valid(const char *s, size_t n) {
        return n <= 1 ? n == 0 || is_type(s[0], COMPLETE) : signature_count(s, n) >= 0;
}

bool dbus_signature_is_single(const char *s, size_t n) {
        return n == 1 ? is_type(s[0], COMPLETE) : signature_count(s, n) == 1;
}

/* --- UTF-8 --------------------------------------------------------------------------------- */

/* Bytes at the start of s that are ASCII without NUL, a multiple of 8. */
static size_t ascii_words(const char *s, size_t n) {
        const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
        size_t i = 0;

        for (; n - i >= 8; i += 8) {
                uint64_t w;

                memcpy(&w, s + i, 8);
                /* A top bit: not ASCII.  One that the subtraction makes: there is a NUL. */
                if ((w | (w - ones)) & tops)
                        break;
        }
        return i;
}

static bool is_tail(uint8_t c) {
        return (c & 0xc0) == 0x80;
}

/* Length of the valid character of more than one byte at s, or 0. */
static size_t utf8_sequence(const uint8_t *s, size_t n) {
        /* The second byte's range carries what is overlong, a surrogate or too large. */
        if (s[0] >= 0xc2 && s[0] <= 0xdf)
                return n >= 2 && is_tail(s[1]) ? 2 : 0;
        if (s[0] >= 0xe0 && s[0] <= 0xef) {
                uint8_t low = s[0] == 0xe0 ? 0xa0 : 0x80, high = s[0] == 0xed ? 0x9f : 0xbf;

                return n >= 3 && s[1] >= low && s[1] <= high && is_tail(s[2]) ? 3 : 0;
        }
        if (s[0] >= 0xf0 && s[0] <= 0xf4) {
                uint8_t low = s[0] == 0xf0 ? 0x90 : 0x80, high = s[0] == 0xf4 ? 0x8f : 0xbf;

                if (n < 4 || s[1] < low || s[1] > high)
                        return 0;
                return is_tail(s[2]) && is_tail(s[3]) ? 4 : 0;
        }
        return 0;
}

bool dbus_utf8_is_valid(const char *s, size_t n) {
        for (size_t i = ascii_words(s, n); i < n;) {
                size_t k = 1;

                if (s[i] == 0)
                        return false;
                if ((uint8_t)s[i] >= 0x80)
                        k = utf8_sequence((const uint8_t *)s + i, n - i);
                if (k == 0)
                        return false;
                i += k;
                if (k == 1 && n - i >= 8)
                        i += ascii_words(s + i, n - i);
        }
        return true;
}

/* Who has more tails than a character may have is not valid, wherever it is cut. */
size_t dbus_utf8_cut(const char *s, size_t n) {
        size_t to = n;

        while (to > 0 && n - to < 3 && is_tail((uint8_t)s[to]))
                to--;
        return to;
}

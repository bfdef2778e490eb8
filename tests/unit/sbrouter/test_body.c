/* SPDX-License-Identifier: MIT */
#include "sbrouter/body.h"

#include "common/limits.h"
#include "sbrouter/dbus_name.h"
#include "tests/test.h"
#include "tests/unit/sbrouter/bus.h"
#include "tests/unit/sbrouter/wire.h"

/* Little-endian bytes; the walk gets them in a block of exactly that size. */
struct row {
        const char *signature;
        const char *body;
        size_t n;
        int e;
};

#define ROW(signature, body, e)                                                                    \
        { signature, body, sizeof(body) - 1, e }

/* More than a piece of a text counts as, or a signature. */
#define LONGEST_STEP 600u

/* In slices of up to so many steps.  *ret_steps: of all. */
static int validate_sliced(const char *signature, const void *body, size_t n, bool big,
                           uint32_t n_fds, unsigned most, size_t *ret_steps) {
        struct body_check *c = body_check_new(signature, strlen(signature), body, n, big, n_fds);
        unsigned state = most;
        int e = BODY_E_MORE;
        size_t k;

        CHECK_EQ_INT(body_check_continue(c, 0, &k), BODY_E_MORE);
        CHECK_EQ_INT(k, 0);
        for (*ret_steps = 0; e == BODY_E_MORE; *ret_steps += k) {
                size_t slice = 1 + bus_random(&state, most);

                e = body_check_continue(c, slice, &k);
                CHECK(k < slice + LONGEST_STEP && (e != BODY_E_MORE || k >= slice));
        }
        body_check_free(c);
        return e;
}

/* However it is sliced, the verdict is the same. */
static int validate(const char *signature, const void *body, size_t n, bool big, uint32_t n_fds) {
        static const unsigned slices[] = {1, 2, 7, 100, 5000};
        _cleanup_free_ uint8_t *copy = malloc(n + !n);
        size_t n_steps, n_sliced;
        int e;

        memcpy(copy, body, n);
        e = body_validate_counted(signature, strlen(signature), copy, n, big, n_fds, &n_steps);
        CHECK_EQ_INT(body_validate(signature, strlen(signature), copy, n, big, n_fds), e);
        for (size_t i = 0; i < ELEMENTSOF(slices); i++) {
                CHECK_EQ_INT(validate_sliced(signature, copy, n, big, n_fds, slices[i], &n_sliced),
                             e);
                if (*signature)
                        CHECK_EQ_INT(n_sliced, n_steps);
        }
        return e;
}

static void check_rows(const struct row *rows, size_t n) {
        for (size_t i = 0; i < n; i++) {
                int e = validate(rows[i].signature, rows[i].body, rows[i].n, false, BODY_ANY_FDS);

                if (e != rows[i].e)
                        printf("# row %zu: signature \"%s\"\n", i, rows[i].signature);
                CHECK_EQ_INT(e, rows[i].e);
        }
}

static void test_fixed(void) {
        static const struct row rows[] = {
                ROW("", "", 0),
                ROW("", "\0", BODY_E_TRAILING),
                ROW("y", "\x80", 0),
                ROW("y", "", BODY_E_SHORT),
                ROW("y", "ab", BODY_E_TRAILING),
                ROW("n", "ab", 0),
                ROW("n", "a", BODY_E_SHORT),
                ROW("q", "ab", 0),
                ROW("i", "abcd", 0),
                ROW("u", "abc", BODY_E_SHORT),
                ROW("u", "abcd", 0),
                ROW("u", "abcde", BODY_E_TRAILING),
                ROW("x", "abcdefgh", 0),
                ROW("t", "abcdefg", BODY_E_SHORT),
                ROW("d", "abcdefgh", 0),
                ROW("b", "\1\0\0\0", 0),
                ROW("b", "\0\0\0\0", 0),
                ROW("b", "\2\0\0\0", BODY_E_BOOLEAN),
                ROW("b", "\0\0\0\1", BODY_E_BOOLEAN),
                ROW("b", "\1\0\0", BODY_E_SHORT),
                ROW("yu", "a\0\0\0bcde", 0),
                ROW("yu", "a\0\0\1bcde", BODY_E_PADDING),
                ROW("yu", "a\1\0\0bcde", BODY_E_PADDING),
                ROW("yu", "a\0\0", BODY_E_SHORT),
                ROW("yt", "a\0\0\0\0\0\0\0bcdefghi", 0),
                ROW("yt", "a\0\0\0\0\0\0\1bcdefghi", BODY_E_PADDING),
                ROW("ynyq", "a\0bcd\0ef", 0),
                ROW("yi", "a\0\0\0bcde", 0),
                ROW("ubi", "abcd\1\0\0\0bcde", 0),
                ROW("ui", "abcdefgh", 0),
                ROW("uh", "abcdefgh", 0),
                ROW("ux", "abcd\0\0\0\0bcdefghi", 0),
                ROW("ux", "abcdefghijkl", BODY_E_PADDING),
                ROW("ud", "abcd\0\0\0\0bcdefghi", 0),
                ROW("ud", "abcdefghijkl", BODY_E_PADDING),
        };

        check_rows(rows, ELEMENTSOF(rows));
}

static void test_strings(void) {
        static const struct row rows[] = {
                ROW("s", "\2\0\0\0hi", BODY_E_SHORT),
                ROW("s", "\2\0\0\0hi\0", 0),
                ROW("s", "\2\0\0\0hi\1", BODY_E_STRING),
                ROW("s", "\0\0\0\0\0", 0),
                ROW("s", "\0\0\0\0", BODY_E_SHORT),
                ROW("s", "\0\0\0", BODY_E_SHORT),
                ROW("s", "\3\0\0\0a\0b\0", BODY_E_STRING),
                ROW("s", "\2\0\0\0\xc0\x80\0", BODY_E_STRING),
                ROW("s", "\xff\xff\xff\xff", BODY_E_SHORT),
                ROW("s", "\xff\xff\xff\xff\0", BODY_E_SHORT),
                ROW("s", "\xfe\xff\xff\xff\0\0", BODY_E_SHORT),
                ROW("s", "\0\0\0\x80\0", BODY_E_SHORT),
                ROW("ss", "\1\0\0\0a\0\0\0\1\0\0\0b\0", 0),
                ROW("ss", "\1\0\0\0a\0\0x\1\0\0\0b\0", BODY_E_PADDING),
                ROW("o", "\1\0\0\0/\0", 0),
                ROW("uo", "abcd\1\0\0\0/\0", 0),
                ROW("us", "abcd\1\0\0\0/\0", 0),
                ROW("yg", "a\1y\0", 0),
                ROW("yv", "a\1y\0b", 0),
                ROW("uay", "abcd\1\0\0\0a", 0),
                ROW("o", "\0\0\0\0\0", BODY_E_PATH),
                ROW("o", "\2\0\0\0a/\0", BODY_E_PATH),
                ROW("o", "\2\0\0\0//\0", BODY_E_PATH),
                ROW("g", "\0\0", 0),
                ROW("g", "\2ay\0", 0),
                ROW("g", "\2ay\1", BODY_E_STRING),
                ROW("g", "\2ay", BODY_E_SHORT),
                ROW("g", "\1a\0", BODY_E_TYPE),
                ROW("g", "\2()\0", BODY_E_TYPE),
                ROW("g", "", BODY_E_SHORT),
                ROW("g",
                    "\xff"
                    "a",
                    BODY_E_SHORT),
        };

        check_rows(rows, ELEMENTSOF(rows));
}

static void test_arrays(void) {
        static const struct row rows[] = {
                ROW("ay", "\0\0\0\0", 0),
                ROW("ay", "\3\0\0\0abc", 0),
                ROW("ay", "\4\0\0\0abc", BODY_E_SHORT),
                ROW("ay", "\2\0\0\0abc", BODY_E_TRAILING),
                ROW("ay", "\xff\xff\xff\xff", BODY_E_ARRAY),
                ROW("ay", "\1\0\0\4", BODY_E_ARRAY), /* 64 MiB and a byte */
                ROW("ay", "\0\0\0\4", BODY_E_SHORT), /* 64 MiB: announced, not there */
                ROW("au", "\4\0\0\0abcd", 0),
                ROW("au", "\5\0\0\0abcde", BODY_E_ARRAY),
                ROW("au", "\2\0\0\0ab", BODY_E_ARRAY),
                ROW("aq", "\3\0\0\0abc", BODY_E_ARRAY),
                ROW("ad", "\4\0\0\0\0\0\0\0abcd", BODY_E_ARRAY),
                ROW("at", "\0\0\0\0\0\0\0\0", 0),
                ROW("at", "\0\0\0\0", BODY_E_SHORT), /* the padding belongs to an empty array too */
                ROW("at", "\0\0\0\0\0\0\0\1", BODY_E_PADDING),
                ROW("at", "\10\0\0\0\0\0\0\0abcdefgh", 0),
                ROW("a(y)", "\0\0\0\0\0\0\0\0", 0),
                ROW("a{yy}", "\0\0\0\0\0\0\0\1", BODY_E_PADDING),
                ROW("ab", "\10\0\0\0\1\0\0\0\0\0\0\0", 0),
                ROW("ab", "\10\0\0\0\1\0\0\0\2\0\0\0", BODY_E_BOOLEAN),
                ROW("ab", "\6\0\0\0\1\0\0\0\0\0\0\0", BODY_E_SHORT),
                ROW("as", "\6\0\0\0\1\0\0\0a\0", 0),
                ROW("as", "\7\0\0\0\1\0\0\0a\0\0", BODY_E_SHORT),
                ROW("as", "\5\0\0\0\1\0\0\0a\0", BODY_E_SHORT), /* the string leaves its array */
                ROW("as", "\16\0\0\0\1\0\0\0a\0\0\0\1\0\0\0b\0", 0),
                ROW("aay", "\10\0\0\0\4\0\0\0abcd", 0),
                ROW("aay", "\10\0\0\0\5\0\0\0abcde", BODY_E_SHORT),
                ROW("aau", "\4\0\0\0\0\0\0\0", 0),
                ROW("asy", "\0\0\0\0a", 0),
                ROW("a(yy)", "\12\0\0\0\0\0\0\0ab\0\0\0\0\0\0cd", 0),
                ROW("a(yy)", "\12\0\0\0\0\0\0\0ab\0\0\0\0\0\1cd", BODY_E_PADDING),
                ROW("a(yy)", "\11\0\0\0\0\0\0\0ab\0\0\0\0\0\0c", BODY_E_SHORT),
                ROW("a{yv}", "\6\0\0\0\0\0\0\0k\1y\0a", BODY_E_SHORT),
                ROW("a{yv}", "\5\0\0\0\0\0\0\0k\1y\0a", 0),
        };

        check_rows(rows, ELEMENTSOF(rows));
}

static void test_variants(void) {
        static const struct row rows[] = {
                ROW("v", "\1y\0a", 0),
                ROW("v", "\1u\0\0abcd", 0),
                ROW("v", "\1u\0\1abcd", BODY_E_PADDING),
                ROW("v", "\0\0", BODY_E_SIGNATURE),
                ROW("v", "\2yy\0ab", BODY_E_SIGNATURE),
                ROW("v", "\1a\0", BODY_E_SIGNATURE),
                ROW("v", "\1\0\0", BODY_E_SIGNATURE),
                ROW("v", "\4{yy}\0", BODY_E_SIGNATURE),
                ROW("v", "\1ya", BODY_E_STRING),
                ROW("v", "\1y", BODY_E_SHORT),
                ROW("v", "", BODY_E_SHORT),
                ROW("v", "\1v\0\1v\0\1y\0a", 0),
                ROW("vy", "\1y\0ab", 0),
                ROW("v", "\3(y)\0\0\0\0a", 0),
                ROW("v", "\3(y)\0\0\1\0a", BODY_E_PADDING),
                ROW("(v)v", "\1y\0a\1y\0b", 0),
                ROW("av", "\10\0\0\0\1y\0a\1y\0b", 0),
                ROW("av", "\7\0\0\0\1y\0a\1y\0b", BODY_E_SHORT),
        };

        check_rows(rows, ELEMENTSOF(rows));
}

static void test_structs(void) {
        static const struct row rows[] = {
                ROW("(y)", "a", 0),
                ROW("y(y)", "a\0\0\0\0\0\0\0b", 0),
                ROW("y(y)", "a\0\0\0\0\0\1\0b", BODY_E_PADDING),
                ROW("y(y)", "a\0\0\0\0\0\0\0", BODY_E_SHORT),
                ROW("(yy)y", "abc", 0),
                ROW("((y)(y))", "a\0\0\0\0\0\0\0b", 0),
        };

        check_rows(rows, ELEMENTSOF(rows));
}

/* --- texts that are longer than a piece ------------------------------------------------------ */

/* Of body.c: of a text, what one step looks at. */
#define PIECE 4096u
#define LONG  (2 * PIECE + 300u)

/* The text as the first of two values; and as the last of its array, which ends with it. */
static int validate_text(char type, const char *text, size_t n) {
        const char single[] = {type, 'y', 0}, array[] = {'a', type, 0};
        _cleanup_free_ uint8_t *b = calloc(1, n + 16);
        int e, v;

        wire_put_u32(b, (uint32_t)n, false);
        memcpy(b + 4, text, n);
        e = validate(single, b, n + 6, false, 0);
        wire_put_u32(b, (uint32_t)n + 5, false);
        wire_put_u32(b + 4, (uint32_t)n, false);
        memcpy(b + 8, text, n);
        b[8 + n] = 0;
        v = validate(array, b, n + 9, false, 0);
        CHECK_EQ_INT(v, e);
        return e;
}

/* One byte of it is another, at each place near where a piece ends. */
static void break_text(char type, char *text, size_t n, const char *others, size_t n_others,
                       bool (*is_valid)(const char *s, size_t n)) {
        CHECK_EQ_INT(validate_text(type, text, n), 0);
        for (size_t piece = PIECE; piece < n; piece += PIECE)
                for (size_t at = piece - 9; at < piece + 9; at++)
                        for (size_t i = 0; i < n_others; i++) {
                                char was = text[at];

                                text[at] = others[i];
                                CHECK_EQ_INT(validate_text(type, text, n) == 0, is_valid(text, n));
                                text[at] = was;
                        }
}

static void test_long_strings(void) {
        static const char *const characters[] = {"a", "\xc3\xa9", "\xe2\x82\xac",
                                                 "\xf0\x9f\x98\x80"};

        for (size_t k = 0; k < ELEMENTSOF(characters); k++)
                for (size_t shift = 0; shift <= k; shift++) {
                        char text[LONG + 8];
                        size_t n = shift;

                        memset(text, '.', shift);
                        for (; n < LONG; n += k + 1)
                                memcpy(text + n, characters[k], k + 1);
                        break_text('s', text, n, "a\xa9\xc3\xe2\xf0\0", 6, dbus_utf8_is_valid);
                }
        /* Nothing but tails: no border is found in them. */
        {
                char text[LONG];

                memset(text, '\x80', sizeof(text));
                memset(text, 'a', PIECE - 10);
                CHECK_EQ_INT(validate_text('s', text, sizeof(text)), BODY_E_STRING);
        }
}

static void test_long_paths(void) {
        for (size_t element = 1; element < 3 * PIECE; element = element * 3 + 1) {
                char text[LONG];

                for (size_t i = 0; i < LONG; i++)
                        text[i] = i % (element + 1) == 0 ? '/' : 'a';
                text[LONG - 1] = 'z';
                text[LONG - 2] = 'z';
                break_text('o', text, LONG, "/.a\0", 4, dbus_name_is_path);
                text[LONG - 1] = '/';
                CHECK_EQ_INT(validate_text('o', text, LONG), BODY_E_PATH);
        }
}

/* Exactly as long as pieces, and around that. */
static void test_lengths(void) {
        char text[2 * PIECE + 3];

        memset(text, 'a', sizeof(text));
        text[0] = '/';
        for (size_t n = PIECE - 2; n < sizeof(text); n += n == PIECE + 2 ? PIECE - 4 : 1) {
                CHECK_EQ_INT(validate_text('s', text, n), 0);
                CHECK_EQ_INT(validate_text('o', text, n), 0);
        }
}

/* What a turn is charged: nearly nothing for what no look is taken at. */
static void test_steps(void) {
        static uint8_t b[8 + 65536];
        size_t n_steps;

        wire_put_u32(b, 65536, false);
        CHECK_EQ_INT(body_validate_counted("ay", 2, b, 4 + 65536, false, 0, &n_steps), 0);
        CHECK(n_steps < 4);
        CHECK_EQ_INT(body_validate_counted("ag", 2, b, 4 + 65536, false, 0, &n_steps), 0);
        CHECK(n_steps >= 65536);
        memset(b + 4, 'a', 65536);
        CHECK_EQ_INT(body_validate_counted("s", 1, b, 5 + 65536, false, 0, &n_steps), 0);
        CHECK(n_steps >= 65536 / 8 && n_steps < 65536 / 4);
        /* 200 codes of a variant's signature are not one step. */
        b[0] = 200;
        memset(b + 1, 'a', 200);
        CHECK_EQ_INT(body_validate_counted("v", 1, b, 300, false, 0, &n_steps), BODY_E_STRING);
        CHECK(n_steps >= 100);
        CHECK_EQ_INT(body_validate_counted("", 0, b, 0, false, 0, &n_steps), 0);
        CHECK_EQ_INT(n_steps, 0);
}

struct open_array {
        size_t length_at, start;
};

static struct open_array begin_array(struct wire *w, size_t alignment) {
        struct open_array a;

        wire_number(w, 0);
        a.length_at = w->n - 4;
        wire_pad(w, alignment);
        a.start = w->n;
        return a;
}

static void end_array(struct wire *w, struct open_array a) {
        wire_set(w, a.length_at, (uint32_t)(w->n - a.start));
}

/* "(a(yas)vas)": an empty array, a variant with arrays of arrays, an array. */
static void put_element(struct wire *w) {
        struct open_array outer, inner, innermost;

        wire_pad(w, 8);
        end_array(w, begin_array(w, 8));
        wire_signature(w, "aa(a(yy)s)");
        outer = begin_array(w, 4);
        end_array(w, begin_array(w, 8));
        inner = begin_array(w, 8);
        innermost = begin_array(w, 8);
        wire_bytes(w, "ab", 2);
        end_array(w, innermost);
        wire_string(w, "x");
        end_array(w, inner);
        end_array(w, begin_array(w, 8));
        end_array(w, outer);
        inner = begin_array(w, 4);
        wire_string(w, "y");
        end_array(w, inner);
}

static void test_arrays_again(void) {
        struct open_array all;
        struct wire w = {0};

        all = begin_array(&w, 8);
        put_element(&w);
        put_element(&w);
        end_array(&w, all);
        wire_bytes(&w, "z", 1);
        CHECK_EQ_INT(validate("a(a(yas)vas)y", w.b, w.n, false, 0), 0);
        CHECK_EQ_INT(validate("a(a(yas)vau)y", w.b, w.n, false, 0), BODY_E_ARRAY);
        CHECK(validate("a(a(yas)vasy)y", w.b, w.n, false, 0) != 0);
}

/* n variants within each other, around a byte. */
static int validate_variants(unsigned n) {
        struct wire w = {0};

        for (unsigned i = 1; i < n; i++)
                wire_signature(&w, "v");
        wire_signature(&w, "y");
        w.b[w.n++] = 7;
        return validate("v", w.b, w.n, false, BODY_ANY_FDS);
}

static void test_depth(void) {
        struct wire w = {0};

        CHECK_EQ_INT(validate_variants(LIMIT_DEPTH), 0);
        CHECK_EQ_INT(validate_variants(LIMIT_DEPTH + 1), BODY_E_DEPTH);
        CHECK_EQ_INT(validate_variants(1000), BODY_E_DEPTH);
        /* A struct in a variant in a struct …: both count. */
        for (unsigned i = 0; i < 40; i++) {
                wire_signature(&w, i < 39 ? "(v)" : "y");
                if (i < 39)
                        wire_pad(&w, 8);
        }
        w.b[w.n++] = 7;
        CHECK_EQ_INT(validate("v", w.b, w.n, false, BODY_ANY_FDS), BODY_E_DEPTH);
}

static void test_byte_orders(void) {
        for (unsigned big = 0; big < 2; big++) {
                struct wire w = {.big = big};

                wire_number(&w, 1);
                wire_string(&w, "text");
                wire_number(&w, 8);
                wire_number(&w, 300);
                wire_number(&w, 400);
                CHECK_EQ_INT(validate("bsau", w.b, w.n, big, BODY_ANY_FDS), 0);
                CHECK(validate("bsau", w.b, w.n, !big, BODY_ANY_FDS) != 0);
        }
        CHECK_EQ_INT(wire_u32("\1\2\3\4", false), 0x04030201);
        CHECK_EQ_INT(wire_u32("\1\2\3\4", true), 0x01020304);
}

static void test_fds(void) {
        CHECK_EQ_INT(validate("h", "\0\0\0\0", 4, false, 1), 0);
        CHECK_EQ_INT(validate("h", "\1\0\0\0", 4, false, 1), BODY_E_FD_INDEX);
        CHECK_EQ_INT(validate("h", "\0\0\0\0", 4, false, 0), BODY_E_FD_INDEX);
        CHECK_EQ_INT(validate("h", "\xff\xff\xff\xff", 4, false, 16), BODY_E_FD_INDEX);
        CHECK_EQ_INT(validate("h", "\xff\xff\xff\xff", 4, false, BODY_ANY_FDS), 0);
        CHECK_EQ_INT(validate("ah", "\10\0\0\0\0\0\0\0\2\0\0\0", 12, false, 2), BODY_E_FD_INDEX);
        CHECK_EQ_INT(validate("ah", "\10\0\0\0\0\0\0\0\1\0\0\0", 12, false, 2), 0);
        CHECK_EQ_INT(validate("v", "\1h\0\0\2\0\0\0", 8, false, 2), BODY_E_FD_INDEX);
}

/* Every prefix of a body is short, and none of them is read beyond its end. */
static void test_truncated(void) {
        static const char signature[] = "ybsoga{sv}a(yt)vad";
        struct wire w = {0};
        size_t array;

        wire_bytes(&w, "\1", 1);
        wire_number(&w, 1);
        wire_string(&w, "string");
        wire_string(&w, "/path");
        wire_signature(&w, "a{sv}");
        wire_number(&w, 0);
        array = w.n;
        wire_pad(&w, 8);
        size_t start = w.n;
        wire_string(&w, "key");
        wire_signature(&w, "as");
        wire_number(&w, 6);
        wire_string(&w, "x");
        wire_set(&w, array - 4, (uint32_t)(w.n - start));
        wire_number(&w, 16);
        wire_pad(&w, 8);
        wire_bytes(&w, "\1\0\0\0\0\0\0\0abcdefgh", 16);
        wire_signature(&w, "(u)");
        wire_pad(&w, 8);
        wire_number(&w, 5);
        wire_number(&w, 8);
        wire_pad(&w, 8);
        wire_bytes(&w, "abcdefgh", 8);
        CHECK_EQ_INT(validate(signature, w.b, w.n, false, 0), 0);
        for (size_t n = 0; n < w.n; n++)
                CHECK_EQ_INT(validate(signature, w.b, n, false, 0), BODY_E_SHORT);
}

static void test_variant_at(void) {
        size_t end = 99;

        CHECK_EQ_INT(body_validate_variant("xyz\1u\0\0\0abcd", 12, 3, false, 2, &end), 0);
        CHECK_EQ_INT(end, 12);
        CHECK_EQ_INT(body_validate_variant("xyz\1u\0\0\0abcd", 11, 3, false, 2, &end),
                     BODY_E_SHORT);
        CHECK_EQ_INT(body_validate_variant("\1y\0a", 4, 0, false, LIMIT_DEPTH - 1, &end), 0);
        CHECK_EQ_INT(body_validate_variant("\1y\0a", 4, 0, false, LIMIT_DEPTH, &end), BODY_E_DEPTH);
        CHECK_EQ_INT(body_validate_variant("\1y\0a", 4, 4, false, 0, &end), BODY_E_SHORT);
}

static void check_arg(struct body_args *args, unsigned i, char type, const char *s) {
        const struct body_arg *a = body_args_get(args, i);

        CHECK_EQ_INT(a->type, type);
        if (s)
                CHECK_EQ_STR(a->s, s);
        else
                CHECK(!a->s);
        CHECK_EQ_INT(a->n, s ? strlen(s) : 0);
}

static void test_args(void) {
        static const char signature[] = "sau(sy)vogsas";
        struct body_args args;
        struct wire w = {.big = true};

        wire_string(&w, "first");
        wire_number(&w, 4);
        wire_number(&w, 1);
        wire_pad(&w, 8);
        wire_string(&w, "inner");
        wire_bytes(&w, "\1", 1);
        wire_signature(&w, "s");
        wire_string(&w, "in a variant");
        wire_string(&w, "/o");
        wire_signature(&w, "ay");
        wire_string(&w, "");
        wire_number(&w, 6);
        wire_string(&w, "x");
        CHECK_EQ_INT(validate(signature, w.b, w.n, true, 0), 0);
        body_args_init(&args, signature, strlen(signature), w.b, w.n, true);
        check_arg(&args, 6, 's', ""); /* the later first */
        check_arg(&args, 0, 's', "first");
        check_arg(&args, 1, 'a', NULL);
        check_arg(&args, 2, '(', NULL);
        check_arg(&args, 3, 'v', NULL);
        check_arg(&args, 4, 'o', "/o");
        check_arg(&args, 5, 'g', NULL);
        check_arg(&args, 7, 'a', NULL);
        check_arg(&args, 8, 0, NULL);
        check_arg(&args, 63, 0, NULL);
        check_arg(&args, 64, 0, NULL);
        check_arg(&args, UINT32_MAX, 0, NULL);
        body_args_init(&args, "", 0, NULL, 0, false);
        check_arg(&args, 0, 0, NULL);
        body_args_init(&args, "yu", 2, "\7\0\0\0\0\1\2\3", 8, true);
        CHECK_EQ_INT(body_args_get(&args, 1)->n, 0x010203);
}

static void test_many_args(void) {
        struct body_args args;
        struct wire w = {0};
        char signature[101];

        memset(signature, 's', 100);
        signature[100] = 0;
        for (unsigned i = 0; i < 100; i++)
                wire_string(&w, i == 63 ? "last" : "x");
        CHECK_EQ_INT(validate(signature, w.b, w.n, false, 0), 0);
        body_args_init(&args, signature, 100, w.b, w.n, false);
        check_arg(&args, 63, 's', "last");
        check_arg(&args, 64, 0, NULL);
}

/* It is found by lengths alone: what lies before it was checked, or nobody asks. */
static void test_arg_behind_unchecked(void) {
        static const char body[] = "\2as\0\4\0\0\0\xff\xff\xff\xff"
                                   "\2\0\0\0\xff\xff\0\0\4\0\0\0last";
        struct body_args args;

        CHECK(validate("vss", body, sizeof(body), false, 0) != 0);
        body_args_init(&args, "vss", 3, body, sizeof(body), false);
        check_arg(&args, 2, 's', "last");
}

/* Each length moves the padding before the next. */
static void test_strings_of_array(void) {
        for (unsigned big = 0; big < 2; big++)
                for (unsigned n = 0; n < 6; n++) {
                        struct wire w = {.big = big};
                        struct body_args args;
                        size_t at = 0, length;

                        wire_number(&w, 0);
                        for (unsigned i = 0; i < n; i++)
                                wire_string(&w, &"abcdef"[6 - i]);
                        wire_set(&w, 0, (uint32_t)w.n - 4);
                        wire_string(&w, "behind");
                        CHECK_EQ_INT(validate("ass", w.b, w.n, big, 0), 0);
                        body_args_init(&args, "ass", 3, w.b, w.n, big);
                        for (unsigned i = 0; i < n; i++) {
                                CHECK_EQ_STR(body_args_next_string(&args, &at, &length),
                                             &"abcdef"[6 - i]);
                                CHECK_EQ_INT(length, i);
                        }
                        CHECK(!body_args_next_string(&args, &at, &length));
                        CHECK(!body_args_next_string(&args, &at, &length));
                        check_arg(&args, 1, 's', "behind");
                }
}

static void test_texts(void) {
        for (int e = 1; e < BODY_N_E; e++)
                CHECK(strlen(body_strerror(e)) > 8 && strcmp(body_strerror(e), "unknown fault"));
        CHECK_EQ_STR(body_strerror(BODY_N_E), "unknown fault");
        CHECK_EQ_STR(body_strerror(-1), "unknown fault");
}

TEST_MAIN({"fixed types", test_fixed}, {"strings, paths, signatures", test_strings},
          {"arrays", test_arrays}, {"arrays that come again", test_arrays_again},
          {"variants", test_variants}, {"structs", test_structs}, {"depth", test_depth},
          {"byte orders", test_byte_orders}, {"descriptor indices", test_fds},
          {"truncated anywhere", test_truncated}, {"a variant inside", test_variant_at},
          {"arguments", test_args}, {"more than 64 arguments", test_many_args},
          {"an argument behind what is not looked at again", test_arg_behind_unchecked},
          {"strings in pieces", test_long_strings}, {"paths in pieces", test_long_paths},
          {"texts of a piece and a little", test_lengths}, {"steps", test_steps},
          {"the strings of an array", test_strings_of_array},
          {"every verdict has a text", test_texts})

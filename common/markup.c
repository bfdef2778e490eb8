/* SPDX-License-Identifier: MIT */
#include "common/markup.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/escape.h"

#define DEPTH     8u /* tags in each other: bold and italic are two */
#define END_BYTES 4u /* "</b>" */

/* What is written, and the tags that are open in it; room for their ends is kept. */
struct output {
        char *text;
        size_t n, max;
        char open[DEPTH];
        unsigned depth;
};

static bool put(struct output *o, const char *s, size_t n, unsigned depth_after) {
        if (o->n + n + depth_after * END_BYTES > o->max)
                return false;
        memcpy(o->text + o->n, s, n);
        o->n += n;
        return true;
}

static bool begin_tag(struct output *o, char name) {
        if (o->depth == DEPTH)
                return true;
        if (!put(o, (char[]){'<', name, '>'}, 3, o->depth + 1))
                return false;
        o->open[o->depth++] = name;
        return true;
}

static void end_innermost(struct output *o) {
        char name = o->open[--o->depth];

        (void)put(o, (char[]){'<', '/', name, '>'}, END_BYTES, o->depth);
}

/* Ends the innermost tag of that name and those inside it; without one there is nothing to end. */
static void end_tag(struct output *o, char name) {
        unsigned to = o->depth;

        while (to > 0 && o->open[to - 1] != name)
                to--;
        while (to > 0 && o->depth >= to)
                end_innermost(o);
}

static bool is_letter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The length of a tag at s, with its ">", or 0: then the "<" is text. */
static size_t tag_length(const char *s) {
        const char *end = strchr(s, '>');

        return end && (is_letter(s[1]) || strchr("/!?", s[1])) ? (size_t)(end - s) + 1 : 0;
}

static bool put_tag(struct output *o, const char *s, size_t n) {
        bool is_end = s[1] == '/';
        const char *name = s + 1 + is_end;

        if ((*name != 'b' && *name != 'i') || !strchr(" />", name[1]))
                return true; /* not one of ours: dropped */
        if (is_end) {
                end_tag(o, *name);
                return true;
        }
        return s[n - 2] == '/' ? true : begin_tag(o, *name); /* "<b/>" is empty */
}

/* The length of one of XML's five entities at s, or 0.  No number: it could be any character. */
static size_t entity_length(const char *s) {
        static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};

        for (size_t i = 0; i < ELEMENTSOF(entities); i++)
                if (strncmp(s, entities[i], strlen(entities[i])) == 0)
                        return strlen(entities[i]);
        return 0;
}

/* A character, escaped where it has to be; *ret is how much of s it was. */
static bool put_text(struct output *o, const char *s, size_t *ret) {
        size_t n = entity_length(s);

        *ret = n ?: 1;
        if (n > 0)
                return put(o, s, n, o->depth);
        if (*s == '<')
                return put(o, "&lt;", 4, o->depth);
        if (*s == '&')
                return put(o, "&amp;", 5, o->depth);
        while (((unsigned char)s[*ret] & 0xc0) == 0x80) /* a character is written whole or not */
                ++*ret;
        return put(o, s, *ret, o->depth);
}

char *markup_clean(const char *in, size_t max) {
        _cleanup_free_ char *text = escape_display(in, max), *clean = malloc(max + 1);
        struct output o = {.text = clean, .max = max};
        bool room = true;

        if (!text || !clean)
                return NULL;
        for (const char *s = text; *s && room;) {
                size_t n = *s == '<' ? tag_length(s) : 0;

                room = n > 0 ? put_tag(&o, s, n) : put_text(&o, s, &n);
                s += n;
        }
        while (o.depth > 0)
                end_innermost(&o);
        clean[o.n] = '\0';
        return TAKE_PTR(clean);
}

/* --- none ---------------------------------------------------------------------------------------
 */

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS  "0123456789"

static bool starts_tag(const char *s) {
        return s[0] == '<' && s[1] && strchr(LETTERS "/!?", s[1]);
}

static bool starts_entity(const char *s) {
        return s[0] == '&' && s[1 + strspn(s + 1, LETTERS DIGITS "#")] == ';';
}

char *markup_none(const char *in, size_t max) {
        static const char angle[] = "\xe2\x80\xb9",
                          ampersand[] = "\xef\xbc\x86"; /* U+2039, U+FF06 */
        size_t n = strlen(in), o = 0, size;
        _cleanup_free_ char *text = NULL;

        if (__builtin_mul_overflow(n, 3u, &size) || !(text = malloc(size + 1)))
                return NULL;
        for (; *in; in++) {
                const char *instead = starts_tag(in) ? angle : starts_entity(in) ? ampersand : NULL;
                size_t k = instead ? strlen(instead) : 1;

                memcpy(text + o, instead ?: in, k);
                o += k;
        }
        text[o] = '\0';
        return escape_lines(text, max);
}

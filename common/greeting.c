/* SPDX-License-Identifier: MIT */
#include "common/greeting.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

#define MAGIC "SIDEBUS/"

/* A piece of the line: words, keys and values point into it. */
struct slice {
        const char *p;
        size_t n;
};

static bool slice_is(struct slice s, const char *text) {
        return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static bool is_word_char(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '.' || c == '-';
}

static bool is_word(struct slice s) {
        for (size_t i = 0; i < s.n; i++)
                if (!is_word_char(s.p[i]))
                        return false;
        return s.n > 0;
}

/*
 * Finds the line's end.  A line that can no longer become good is refused at its
 * first wrong byte, so that nobody waits for the rest of it.
 */
static int find_line(const char *p, size_t n, struct slice *ret) {
        size_t most = n < LIMIT_GREETING_LINE ? n : LIMIT_GREETING_LINE;

        for (size_t i = 0; i < most; i++) {
                if (i < strlen(MAGIC) ? p[i] != MAGIC[i]
                                      : (p[i] < ' ' || p[i] > '~') && p[i] != '\n')
                        return GREETING_E_LINE;
                if (p[i] == '\n') {
                        *ret = (struct slice){p, i};
                        return 0;
                }
        }
        return n < LIMIT_GREETING_LINE ? GREETING_E_MORE : GREETING_E_LINE;
}

/* Takes what stands before the first space off *s, with that space; *more: there was one. */
static struct slice cut_word(struct slice *s, bool *more) {
        const char *space = memchr(s->p, ' ', s->n);
        struct slice word = {s->p, space ? (size_t)(space - s->p) : s->n};

        *more = space;
        s->p += word.n + *more;
        s->n -= word.n + *more;
        return word;
}

/* The line without "SIDEBUS/1 ", and the bytes it has in all. */
static int open_line(const void *data, size_t n, struct slice *ret_rest, size_t *ret_n) {
        struct slice line, version;
        bool more;
        int r = find_line(data, n, &line);

        if (r != 0)
                return r;
        *ret_n = line.n + 1;
        line.p += strlen(MAGIC);
        line.n -= strlen(MAGIC);
        version = cut_word(&line, &more);
        if (!is_word(version))
                return GREETING_E_LINE;
        if (!slice_is(version, "1"))
                return GREETING_E_VERSION;
        if (!more)
                return GREETING_E_LINE;
        *ret_rest = line;
        return 0;
}

static bool parse_u32(struct slice s, uint32_t least, uint32_t most, uint32_t *ret) {
        uint64_t v = 0;

        if (s.n == 0 || s.n > 10)
                return false;
        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] < '0' || s.p[i] > '9')
                        return false;
                v = v * 10 + (uint64_t)(s.p[i] - '0');
        }
        if (v < least || v > most)
                return false;
        *ret = (uint32_t)v;
        return true;
}

/* The next "key=value" of *rest. */
static int next_pair(struct slice *rest, bool *more, struct slice *ret_key,
                     struct slice *ret_value) {
        struct slice word = cut_word(rest, more);
        const char *equals = memchr(word.p, '=', word.n);

        if (!equals)
                return GREETING_E_LINE;
        *ret_key = (struct slice){word.p, (size_t)(equals - word.p)};
        *ret_value = (struct slice){equals + 1, word.n - ret_key->n - 1};
        return is_word(*ret_key) && is_word(*ret_value) ? 0 : GREETING_E_LINE;
}

/* Calls fn for each pair; a line has at most LIMIT_GREETING_LINE / 4 of them. */
static int each_pair(struct slice rest, bool more, int (*fn)(void *, struct slice, struct slice),
                     void *arg) {
        struct slice keys[LIMIT_GREETING_LINE / 4], value;
        size_t n = 0;

        while (more) {
                int r = next_pair(&rest, &more, &keys[n], &value);

                if (r != 0)
                        return r;
                for (size_t i = 0; i < n; i++)
                        if (keys[i].n == keys[n].n && memcmp(keys[i].p, keys[n].p, keys[n].n) == 0)
                                return GREETING_E_KEY;
                r = fn(arg, keys[n], value);
                if (r != 0)
                        return r;
                n++;
                assert(n < ELEMENTSOF(keys));
        }
        return 0;
}

static int on_pair(void *arg, struct slice key, struct slice value) {
        struct greeting *g = arg;

        if (slice_is(key, "uid")) { /* (uid_t)-1 is nobody's */
                g->has_uid = parse_u32(value, 0, UINT32_MAX - 1, &g->uid);
                return g->has_uid ? 0 : GREETING_E_KEY;
        }
        if (slice_is(key, "pid")) {
                g->has_pid = parse_u32(value, 1, INT32_MAX, &g->pid);
                return g->has_pid ? 0 : GREETING_E_KEY;
        }
        return 0;
}

static enum greeting_verb verb_of(struct slice word) {
        static const char *const verbs[] = {
                [GREETING_CLIENT] = "CLIENT",
                [GREETING_ATTACH] = "ATTACH",
                [GREETING_FD] = "FD",
        };

        for (size_t i = GREETING_CLIENT; i < ELEMENTSOF(verbs); i++)
                if (slice_is(word, verbs[i]))
                        return (enum greeting_verb)i;
        return 0;
}

int greeting_parse(const void *data, size_t n, struct greeting *ret) {
        struct greeting g = {0};
        struct slice rest, word;
        bool more;
        int r = open_line(data, n, &rest, &g.n);

        if (r != 0)
                return r;
        word = cut_word(&rest, &more);
        if (!is_word(word))
                return GREETING_E_LINE;
        g.verb = verb_of(word);
        if (!g.verb)
                return GREETING_E_VERB;
        r = each_pair(rest, more, on_pair, &g);
        if (r != 0)
                return r;
        *ret = g;
        return 0;
}

const char *greeting_error_name(int e) {
        static const char *const texts[] = {
                [GREETING_E_MORE] = "Line the line is not complete",
                [GREETING_E_LINE] = "Line not a greeting line",
                [GREETING_E_VERSION] = "Version unknown version",
                [GREETING_E_VERB] = "Verb unknown verb",
                [GREETING_E_KEY] = "Key a key twice or a value out of range",
        };

        assert(e > 0 && (size_t)e < ELEMENTSOF(texts));
        return texts[e];
}

static size_t finish(int n) {
        /* we made it: all its parts are short */
        assert(n > 0 && (unsigned)n < LIMIT_GREETING_LINE);
        return (size_t)n;
}

size_t greeting_format_client(char buf[LIMIT_GREETING_LINE], uint32_t uid, uint32_t pid) {
        if (pid == 0)
                return finish(snprintf(buf, LIMIT_GREETING_LINE, MAGIC "1 CLIENT uid=%u\n", uid));
        return finish(
                snprintf(buf, LIMIT_GREETING_LINE, MAGIC "1 CLIENT uid=%u pid=%u\n", uid, pid));
}

size_t greeting_format_ok(char buf[LIMIT_GREETING_LINE], const char *token) {
        bool given = token && token[0];

        return finish(snprintf(buf, LIMIT_GREETING_LINE, MAGIC "1 OK%s%s\n", given ? " token=" : "",
                               given ? token : ""));
}

size_t greeting_format_error(char buf[LIMIT_GREETING_LINE], int e) {
        return finish(
                snprintf(buf, LIMIT_GREETING_LINE, MAGIC "1 ERROR %s\n", greeting_error_name(e)));
}

static int on_answer_pair(void *arg, struct slice key, struct slice value) {
        struct greeting_answer *a = arg;

        if (!slice_is(key, "token"))
                return 0;
        if (value.n >= sizeof(a->token))
                return GREETING_E_LINE;
        memcpy(a->token, value.p, value.n);
        return 0;
}

int greeting_answer_parse(const void *data, size_t n, struct greeting_answer *ret) {
        struct greeting_answer a = {0};
        struct slice rest, word;
        bool more;
        int r = open_line(data, n, &rest, &a.n);

        if (r != 0)
                return r;
        word = cut_word(&rest, &more);
        if (slice_is(word, "OK")) {
                a.ok = true;
                r = each_pair(rest, more, on_answer_pair, &a);
        } else if (slice_is(word, "ERROR") && rest.n > 0) {
                memcpy(a.text, rest.p, rest.n);
        } else {
                r = GREETING_E_LINE;
        }
        if (r != 0)
                return GREETING_E_LINE;
        *ret = a;
        return 0;
}

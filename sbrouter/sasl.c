/* SPDX-License-Identifier: MIT */
/*
 * A row of commands[] holds what a command does in each state; a NULL there, and
 * a line that is no command, is answered by ERROR and changes nothing.
 */
#include "sbrouter/sasl.h"

#include <assert.h>
#include <string.h>

#include "common/cleanup.h"

enum mechanism {
        NONE,
        EXTERNAL,
        ANONYMOUS,
};

/* A line without its end, cut into the command and what follows the blank. */
struct line {
        const char *command, *args;
        size_t n_command, n_args;
};

struct exchange {
        struct sasl *sasl;
        const char *guid;
        struct sasl_reply *reply;
};

static void put(struct sasl_reply *r, const char *s, size_t n) {
        assert(n <= sizeof(r->data) - r->n);
        memcpy(r->data + r->n, s, n);
        r->n += n;
}

static void answer(struct exchange *x, const char *line) {
        assert(strlen(line) + 2 <= SASL_REPLY_LINE);
        put(x->reply, line, strlen(line));
        put(x->reply, "\r\n", 2);
}

/* Also the answer to CANCEL and ERROR: everything starts again, agreements included. */
static int reject(struct exchange *x) {
        x->sasl->state = SASL_WAIT_AUTH;
        x->sasl->fds = false;
        answer(x, x->sasl->flags & SASL_ALLOW_ANONYMOUS ? "REJECTED EXTERNAL ANONYMOUS"
                                                        : "REJECTED EXTERNAL");
        return 0;
}

static int accept_identity(struct exchange *x) {
        x->sasl->state = SASL_WAIT_BEGIN;
        put(x->reply, "OK ", 3);
        put(x->reply, x->guid, 32);
        put(x->reply, "\r\n", 2);
        return 0;
}

static bool is_hex(const char *s, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (!memchr("0123456789abcdefABCDEF", s[i], 22))
                        return false;
        return n % 2 == 0;
}

static bool is_word(const char *s, size_t n, const char *word) {
        return n == strlen(word) && memcmp(s, word, n) == 0;
}

/* --- commands ------------------------------------------------------------------------------ */

static enum mechanism mechanism_of(const struct sasl *s, const char *name, size_t n) {
        if (is_word(name, n, "EXTERNAL"))
                return EXTERNAL;
        if (is_word(name, n, "ANONYMOUS") && (s->flags & SASL_ALLOW_ANONYMOUS))
                return ANONYMOUS;
        return NONE;
}

/* Cuts s at its first blank; *ret_rest is behind it, or at the end. */
static size_t word(const char *s, size_t n, const char **ret_rest) {
        const char *blank = memchr(s, ' ', n);
        size_t n_word = blank ? (size_t)(blank - s) : n;

        *ret_rest = s + n_word + (blank != NULL);
        return n_word;
}

/* "AUTH mechanism [initial response]"; nobody has to believe the response. */
static int on_auth(struct exchange *x, const struct line *l) {
        const char *response;
        size_t n_name = word(l->args, l->n_args, &response);
        size_t n_response = (size_t)(l->args + l->n_args - response);
        enum mechanism m = mechanism_of(x->sasl, l->args, n_name);

        if (m == NONE || !is_hex(response, n_response))
                return reject(x);
        if (n_response > 0 || m == ANONYMOUS)
                return accept_identity(x);
        x->sasl->state = SASL_WAIT_DATA;
        answer(x, "DATA");
        return 0;
}

/* Only EXTERNAL asks for data: its identity, which nobody has to believe either. */
static int on_data(struct exchange *x, const struct line *l) {
        return is_hex(l->args, l->n_args) ? accept_identity(x) : reject(x);
}

static int on_cancel(struct exchange *x, const struct line *l _unused_) {
        return reject(x);
}

static int on_negotiate(struct exchange *x, const struct line *l _unused_) {
        x->sasl->fds = x->sasl->flags & SASL_ALLOW_FDS;
        answer(x, x->sasl->fds ? "AGREE_UNIX_FD" : "ERROR Descriptors cannot be passed here");
        return 0;
}

static int on_begin(struct exchange *x, const struct line *l _unused_) {
        x->sasl->state = SASL_DONE;
        return 0;
}

static int on_begin_early(struct exchange *x _unused_, const struct line *l _unused_) {
        return SASL_E_BEGIN;
}

static const struct command {
        const char *name;
        int (*fn[SASL_DONE])(struct exchange *x, const struct line *l);
} commands[] = {
        {"AUTH", {[SASL_WAIT_AUTH] = on_auth}},
        {"DATA", {[SASL_WAIT_DATA] = on_data}},
        {"CANCEL", {[SASL_WAIT_DATA] = on_cancel, [SASL_WAIT_BEGIN] = on_cancel}},
        {"ERROR",
         {[SASL_WAIT_AUTH] = on_cancel,
          [SASL_WAIT_DATA] = on_cancel,
          [SASL_WAIT_BEGIN] = on_cancel}},
        {"NEGOTIATE_UNIX_FD", {[SASL_WAIT_BEGIN] = on_negotiate}},
        {"BEGIN",
         {[SASL_WAIT_AUTH] = on_begin_early,
          [SASL_WAIT_DATA] = on_begin_early,
          [SASL_WAIT_BEGIN] = on_begin}},
};

/* --- lines --------------------------------------------------------------------------------- */

static bool is_printable(const char *s, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (s[i] < ' ' || s[i] > '~')
                        return false;
        return true;
}

static int take_line(struct exchange *x, const char *s, size_t n) {
        struct line l = {.command = s};

        if (++x->sasl->n_lines > LIMIT_SASL_LINES)
                return SASL_E_LINES;
        l.n_command = word(s, n, &l.args);
        l.n_args = (size_t)(s + n - l.args);
        if (is_printable(s, n))
                for (size_t i = 0; i < ELEMENTSOF(commands); i++)
                        if (is_word(l.command, l.n_command, commands[i].name) &&
                            commands[i].fn[x->sasl->state])
                                return commands[i].fn[x->sasl->state](x, &l);
        answer(x, "ERROR Not understood here");
        return 0;
}

/*
 * Length of the line that starts data, with its CR LF, or 0 when it has not ended;
 * n_seen spares a client that sends byte by byte from being searched again and again.
 */
static size_t line_length(struct sasl *s, const char *data, size_t n) {
        const char *end;

        assert(n >= s->n_seen); /* what was not used is passed again */
        end = memmem(data + s->n_seen, n - s->n_seen, "\r\n", 2);
        if (!end) {
                size_t seen = n > 0 && data[n - 1] == '\r' ? n - 1 : n;

                s->n_seen = (uint16_t)(seen > LIMIT_SASL_LINE ? LIMIT_SASL_LINE : seen);
                return 0;
        }
        s->n_seen = 0;
        return (size_t)(end - data) + 2;
}

void sasl_init(struct sasl *s, unsigned flags) {
        *s = (struct sasl){.state = SASL_WAIT_NUL, .flags = (uint8_t)flags};
}

int sasl_feed(struct sasl *s, const char *guid, const void *data, size_t n, size_t *ret_used,
              struct sasl_reply *ret_reply) {
        /* cppcheck-suppress ctuuninitvar ; it is written here, not read */
        struct exchange x = {s, guid, ret_reply};
        const char *p = data;
        size_t used = 0;

        ret_reply->n = 0;
        *ret_used = 0;
        if (s->state == SASL_WAIT_NUL && n > 0) {
                if (p[0] != 0)
                        return SASL_E_NUL;
                s->state = SASL_WAIT_AUTH;
                used = 1;
        }
        while (s->state != SASL_DONE && used < n) {
                size_t n_line = line_length(s, p + used, n - used);
                int r;

                if (n_line > LIMIT_SASL_LINE || (n_line == 0 && n - used > LIMIT_SASL_LINE))
                        return SASL_E_LINE;
                if (n_line == 0)
                        break;
                r = take_line(&x, p + used, n_line - 2);
                if (r != 0)
                        return r;
                used += n_line;
        }
        *ret_used = used;
        return 0;
}

const char *sasl_strerror(int e) {
        static const char *const texts[SASL_N_E] = {
                [SASL_E_NUL] = "does not start with a NUL byte",
                [SASL_E_LINE] = "authentication line over the limit",
                [SASL_E_LINES] = "too many authentication lines",
                [SASL_E_BEGIN] = "BEGIN before authentication",
        };

        return e > 0 && e < SASL_N_E ? texts[e] : "unknown fault";
}

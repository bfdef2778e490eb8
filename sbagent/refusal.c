/* SPDX-License-Identifier: MIT */
#include "sbagent/refusal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

#define ERROR_NAME "org.freedesktop.DBus.Error.NoServer"
#define DRIVER     "org.freedesktop.DBus"

enum {
        MESSAGE_METHOD_CALL = 1,
        MESSAGE_ERROR = 3,
        FLAG_NO_REPLY_EXPECTED = 1,
        FIELD_ERROR_NAME = 4,
        FIELD_REPLY_SERIAL = 5,
        FIELD_SENDER = 7,
        FIELD_SIGNATURE = 8,
};

void refusal_init(struct refusal *r, const char *guid, const char *text) {
        memset(r, 0, sizeof(*r));
        (void)snprintf(r->guid, sizeof(r->guid), "%s", guid);
        (void)snprintf(r->text, sizeof(r->text), "%s", text);
}

static void put(struct refusal *r, const void *data, size_t n) {
        assert(n <= sizeof(r->out) - r->n_out); /* refusal.h has the sum */
        memcpy(r->out + r->n_out, data, n);
        r->n_out += n;
}

static void say(struct refusal *r, const char *line) {
        put(r, line, strlen(line));
        put(r, "\r\n", 2);
}

/* --- SASL ---------------------------------------------------------------------------------- */

static enum refusal_phase accept_client(struct refusal *r) {
        char line[40];

        (void)snprintf(line, sizeof(line), "OK %s", r->guid);
        say(r, line);
        return REFUSAL_WAIT_BEGIN;
}

static enum refusal_phase reject(struct refusal *r) {
        say(r, "REJECTED EXTERNAL ANONYMOUS");
        return REFUSAL_WAIT_AUTH;
}

static enum refusal_phase ask(struct refusal *r) {
        say(r, "DATA");
        return REFUSAL_WAIT_DATA;
}

static enum refusal_phase begin(struct refusal *r) {
        (void)r;
        return REFUSAL_MESSAGES;
}

/* Who asks does not matter: nothing is given.  The first row that fits counts. */
static const struct command {
        enum refusal_phase phase;
        const char *text;
        bool whole; /* the line is just this, else this and a space begin it */
        enum refusal_phase (*fn)(struct refusal *r);
} commands[] = {
        {REFUSAL_WAIT_AUTH, "AUTH EXTERNAL", true, ask},
        {REFUSAL_WAIT_AUTH, "AUTH EXTERNAL", false, accept_client},
        {REFUSAL_WAIT_AUTH, "AUTH ANONYMOUS", true, accept_client},
        {REFUSAL_WAIT_AUTH, "AUTH ANONYMOUS", false, accept_client},
        {REFUSAL_WAIT_AUTH, "AUTH", true, reject},
        {REFUSAL_WAIT_AUTH, "AUTH", false, reject},
        {REFUSAL_WAIT_DATA, "DATA", true, accept_client},
        {REFUSAL_WAIT_DATA, "DATA", false, accept_client},
        {REFUSAL_WAIT_DATA, "CANCEL", true, reject},
        {REFUSAL_WAIT_DATA, "ERROR", true, reject},
        {REFUSAL_WAIT_DATA, "ERROR", false, reject},
        {REFUSAL_WAIT_BEGIN, "CANCEL", true, reject},
        {REFUSAL_WAIT_BEGIN, "ERROR", true, reject},
        {REFUSAL_WAIT_BEGIN, "ERROR", false, reject},
        {REFUSAL_WAIT_BEGIN, "BEGIN", true, begin},
        {REFUSAL_WAIT_BEGIN, "BEGIN", false, begin},
};

static bool fits(const struct command *c, const struct refusal *r) {
        size_t n = strlen(c->text);

        if (c->phase != r->phase || strncmp(r->line, c->text, n) != 0)
                return false;
        return c->whole ? r->line[n] == '\0' : r->line[n] == ' ';
}

static int on_line(struct refusal *r) {
        if (++r->lines > LIMIT_SASL_LINES)
                return REFUSAL_E_VIOLATION;
        for (size_t i = 0; i < ELEMENTSOF(commands); i++)
                if (fits(&commands[i], r)) {
                        r->phase = commands[i].fn(r);
                        return 0;
                }
        if (strncmp(r->line, "BEGIN", 5) == 0) /* messages follow from one we do not let in */
                return REFUSAL_E_VIOLATION;
        say(r, "ERROR"); /* NEGOTIATE_UNIX_FD among others */
        return 0;
}

/* A NUL inside a line ends what is kept of it, so the line fits no command. */
static int on_sasl_byte(struct refusal *r, uint8_t c) {
        if (r->cr && c == '\n') {
                if (r->n_line <= sizeof(r->line))
                        r->line[r->n_line - 1] = '\0';
                r->n_line = 0;
                r->cr = false;
                return on_line(r);
        }
        r->cr = c == '\r';
        if (r->n_line < sizeof(r->line) - 1)
                r->line[r->n_line] = c ? (char)c : '?';
        if (++r->n_line >= LIMIT_SASL_LINE)
                return REFUSAL_E_VIOLATION;
        r->line[r->n_line < sizeof(r->line) ? r->n_line : sizeof(r->line) - 1] = '\0';
        return 0;
}

/* --- messages ------------------------------------------------------------------------------ */

/* A message under construction, in the byte order of the client's. */
struct writer {
        uint8_t buf[REFUSAL_TEXT + 256];
        size_t n;
        bool big;
};

static void w_bytes(struct writer *w, const void *p, size_t n) {
        assert(n <= sizeof(w->buf) - w->n);
        memcpy(w->buf + w->n, p, n);
        w->n += n;
}

static void w_align(struct writer *w, size_t to) {
        static const uint8_t zero[8];

        w_bytes(w, zero, (to - w->n % to) % to);
}

static void store_u32(uint8_t *p, bool big, uint32_t v) {
        for (unsigned i = 0; i < 4; i++)
                p[i] = (uint8_t)(v >> (big ? 24 - 8 * i : 8 * i));
}

static uint32_t load_u32(const uint8_t *p, bool big) {
        uint32_t v = 0;

        for (unsigned i = 0; i < 4; i++)
                v |= (uint32_t)p[i] << (big ? 24 - 8 * i : 8 * i);
        return v;
}

static void w_u32(struct writer *w, uint32_t v) {
        uint8_t b[4];

        store_u32(b, w->big, v);
        w_align(w, 4);
        w_bytes(w, b, 4);
}

static void w_string(struct writer *w, const char *s) {
        w_u32(w, (uint32_t)strlen(s));
        w_bytes(w, s, strlen(s) + 1);
}

/* A header field's code and the signature of its value, a type of one letter. */
static void w_field(struct writer *w, uint8_t code, char type) {
        uint8_t b[4] = {code, 1, (uint8_t)type, 0};

        w_align(w, 8);
        w_bytes(w, b, 4);
}

static void answer(struct refusal *r, bool big, uint32_t serial) {
        uint8_t fixed[4] = {big ? 'B' : 'l', MESSAGE_ERROR, FLAG_NO_REPLY_EXPECTED, 1};
        static const uint8_t signature[3] = {1, 's', 0};
        struct writer w = {.big = big};

        w_bytes(&w, fixed, 4);
        w_u32(&w, (uint32_t)(4 + strlen(r->text) + 1)); /* body */
        w_u32(&w, 1);                                   /* our serial */
        w_u32(&w, 0);                                   /* length of the fields, below */
        w_field(&w, FIELD_REPLY_SERIAL, 'u');
        w_u32(&w, serial);
        w_field(&w, FIELD_ERROR_NAME, 's');
        w_string(&w, ERROR_NAME);
        w_field(&w, FIELD_SENDER, 's');
        w_string(&w, DRIVER);
        w_field(&w, FIELD_SIGNATURE, 'g');
        w_bytes(&w, signature, sizeof(signature));
        store_u32(w.buf + 12, big, (uint32_t)(w.n - 16));
        w_align(&w, 8);
        w_string(&w, r->text);
        put(r, w.buf, w.n);
}

/* The 16 bytes that begin every message are here. */
static int on_head(struct refusal *r) {
        bool big = r->head[0] == 'B';
        uint32_t body = load_u32(r->head + 4, big), serial = load_u32(r->head + 8, big);
        uint32_t fields = load_u32(r->head + 12, big);

        if ((!big && r->head[0] != 'l') || r->head[1] == 0 || r->head[3] != 1 || serial == 0 ||
            body > LIMIT_MESSAGE_BYTES || fields > LIMIT_HEADER_BYTES)
                return REFUSAL_E_VIOLATION;
        if (r->head[1] == MESSAGE_METHOD_CALL && !(r->head[2] & FLAG_NO_REPLY_EXPECTED)) {
                answer(r, big, serial);
                r->phase = REFUSAL_ENDED;
                return REFUSAL_E_DONE;
        }
        r->skip = ((uint64_t)fields + 7) / 8 * 8 + body;
        r->n_head = 0;
        return 0;
}

static int feed_message(struct refusal *r, const uint8_t **p, size_t *n) {
        size_t k;

        if (r->skip > 0) {
                k = *n < r->skip ? *n : (size_t)r->skip;
                r->skip -= k;
        } else {
                k = sizeof(r->head) - r->n_head;
                k = *n < k ? *n : k;
                memcpy(r->head + r->n_head, *p, k);
                r->n_head += k;
        }
        *p += k;
        *n -= k;
        return r->n_head == sizeof(r->head) ? on_head(r) : 0;
}

int refusal_feed(struct refusal *r, const void *data, size_t n) {
        const uint8_t *p = data;
        int e = 0;

        if (r->phase == REFUSAL_NUL && n > 0) {
                if (*p != 0)
                        return REFUSAL_E_VIOLATION;
                r->phase = REFUSAL_WAIT_AUTH;
                p++;
                n--;
        }
        while (n > 0 && e == 0 && r->phase < REFUSAL_MESSAGES) {
                e = on_sasl_byte(r, *p++);
                n--;
        }
        while (n > 0 && e == 0 && r->phase == REFUSAL_MESSAGES)
                e = feed_message(r, &p, &n);
        return e == 0 && r->phase == REFUSAL_ENDED ? REFUSAL_E_DONE : e;
}

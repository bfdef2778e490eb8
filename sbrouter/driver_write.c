/* SPDX-License-Identifier: MIT */
#include "sbrouter/driver_write.h"

#include <assert.h>
#include <string.h>

#include "sbrouter/body.h"
#include "sbrouter/message.h"

#define INTERFACE "org.freedesktop.DBus"
#define PATH      "/org/freedesktop/DBus"

/* The header but for its names, with all padding; and what a text has around it. */
#define FIXED_BYTES   320u
#define AROUND_A_TEXT 24u

struct writer {
        uint8_t *out;
        size_t n, size;
};

static void pad(struct writer *w, size_t alignment) {
        while (w->n % alignment != 0)
                w->out[w->n++] = 0;
}

static void put_u32(struct writer *w, uint32_t v) {
        wire_put_u32(w->out + w->n, v, false);
        w->n += 4;
}

static void put_string(struct writer *w, const char *s) {
        size_t n = strlen(s);

        assert(n + AROUND_A_TEXT <= w->size - w->n);
        put_u32(w, (uint32_t)n);
        memcpy(w->out + w->n, s, n + 1);
        w->n += n + 1;
}

static void put_field(struct writer *w, uint8_t code, char type) {
        pad(w, 8);
        w->out[w->n++] = code;
        w->out[w->n++] = 1;
        w->out[w->n++] = (uint8_t)type;
        w->out[w->n++] = 0;
}

static void put_text_field(struct writer *w, uint8_t code, char type, const char *s) {
        if (!s)
                return;
        put_field(w, code, type);
        put_string(w, s);
}

static void put_signature(struct writer *w, const char *s, size_t n) {
        if (n == 0)
                return;
        put_field(w, MESSAGE_FIELD_SIGNATURE, 'g');
        w->out[w->n++] = (uint8_t)n;
        memcpy(w->out + w->n, s, n);
        w->n += n;
        w->out[w->n++] = 0;
}

static void put_fields(struct writer *w, const struct driver_words *words) {
        if (words->type == MESSAGE_SIGNAL) {
                put_text_field(w, MESSAGE_FIELD_PATH, 'o', PATH);
                put_text_field(w, MESSAGE_FIELD_INTERFACE, 's', INTERFACE);
                put_text_field(w, MESSAGE_FIELD_MEMBER, 's', words->member);
        } else {
                put_field(w, MESSAGE_FIELD_REPLY_SERIAL, 'u');
                put_u32(w, words->reply_serial);
        }
        put_text_field(w, MESSAGE_FIELD_ERROR_NAME, 's', words->error);
        put_text_field(w, MESSAGE_FIELD_DESTINATION, 's', words->destination);
        put_text_field(w, MESSAGE_FIELD_SENDER, 's', words->sender);
        put_signature(w, words->signature, strlen(words->signature));
}

static void put_values(struct writer *w, const struct driver_words *words) {
        for (size_t i = 0; i < words->n; i++) {
                pad(w, 4);
                if (words->texts)
                        put_string(w, words->texts[i]);
                else
                        put_u32(w, words->numbers[i]);
        }
}

static void put_array(struct writer *w, const struct driver_words *words) {
        size_t length = w->n;

        put_u32(w, 0);
        put_values(w, words);
        wire_put_u32(w->out + length, (uint32_t)(w->n - length - 4), false);
}

static void put_body(struct writer *w, const struct driver_words *words) {
        if (words->body) {
                assert(words->n_body <= w->size - w->n);
                memcpy(w->out + w->n, words->body, words->n_body);
                w->n += words->n_body;
        } else if (words->signature[0] == 'a') {
                put_array(w, words);
        } else {
                put_values(w, words);
        }
}

static size_t text_max(const char *s) {
        return s ? strlen(s) + AROUND_A_TEXT : 0;
}

size_t driver_write_max(const struct driver_words *w) {
        size_t n = FIXED_BYTES + text_max(w->member) + text_max(w->error) +
                   text_max(w->destination) + text_max(w->sender) + w->n_body;

        for (size_t i = 0; w->texts && i < w->n; i++)
                n += text_max(w->texts[i]);
        return n;
}

size_t driver_write(const struct driver_words *words, uint8_t *out, size_t size) {
        struct writer w = {out, MESSAGE_FIXED, size};
        size_t body;

        assert(size >= FIXED_BYTES);
        put_fields(&w, words);
        wire_put_u32(out + 12, (uint32_t)w.n - MESSAGE_FIXED, false);
        pad(&w, 8);
        body = w.n;
        put_body(&w, words);
        out[0] = 'l';
        out[1] = words->type;
        out[2] = MESSAGE_NO_REPLY_EXPECTED;
        out[3] = 1;
        wire_put_u32(out + 4, (uint32_t)(w.n - body), false);
        wire_put_u32(out + 8, words->serial, false);
        return w.n;
}

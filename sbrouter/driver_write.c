/* SPDX-License-Identifier: MIT */
#include "sbrouter/driver_write.h"

#include <assert.h>
#include <string.h>

#include "sbrouter/body.h"
#include "sbrouter/message.h"

#define INTERFACE "org.freedesktop.DBus"
#define PATH      "/org/freedesktop/DBus"

struct writer {
        uint8_t *out;
        size_t n;
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

        assert(n + 16 <= DRIVER_WRITE_MAX - w->n);
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

static void put_fields(struct writer *w, const struct driver_words *words, const char *signature,
                       size_t n_signature) {
        if (words->type == MESSAGE_SIGNAL) {
                put_text_field(w, MESSAGE_FIELD_PATH, 'o', PATH);
                put_text_field(w, MESSAGE_FIELD_INTERFACE, 's', INTERFACE);
                put_text_field(w, MESSAGE_FIELD_MEMBER, 's', words->member);
        } else {
                put_field(w, MESSAGE_FIELD_REPLY_SERIAL, 'u');
                put_u32(w, words->reply_serial);
        }
        put_text_field(w, MESSAGE_FIELD_DESTINATION, 's', words->destination);
        put_text_field(w, MESSAGE_FIELD_SENDER, 's', words->sender);
        put_signature(w, signature, n_signature);
}

size_t driver_write(const struct driver_words *words, uint8_t out[DRIVER_WRITE_MAX]) {
        char signature[DRIVER_WRITE_TEXTS];
        struct writer w = {out, MESSAGE_FIXED};
        size_t n_texts = 0, body;

        while (n_texts < DRIVER_WRITE_TEXTS && words->texts[n_texts])
                signature[n_texts++] = 's';
        assert(!words->number || n_texts == 0);
        if (words->number)
                signature[0] = words->number_type;
        put_fields(&w, words, signature, words->number ? 1 : n_texts);
        wire_put_u32(out + 12, (uint32_t)w.n - MESSAGE_FIXED, false);
        pad(&w, 8);
        body = w.n;
        for (size_t i = 0; i < n_texts; i++) {
                pad(&w, 4);
                put_string(&w, words->texts[i]);
        }
        if (words->number)
                put_u32(&w, *words->number);
        out[0] = 'l';
        out[1] = words->type;
        out[2] = MESSAGE_NO_REPLY_EXPECTED;
        out[3] = 1;
        wire_put_u32(out + 4, (uint32_t)(w.n - body), false);
        wire_put_u32(out + 8, words->serial, false);
        return w.n;
}

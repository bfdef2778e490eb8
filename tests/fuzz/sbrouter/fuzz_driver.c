/* SPDX-License-Identifier: MIT */
/*
 * Calls to the bus itself, with valid types and any text in them: each is answered, by a
 * message that we would take ourselves, and libdbus ends nothing.  A line is a call: its
 * first byte says which method, what follows is the arguments' text, cut at tabs.
 */
#include "sbrouter/driver.h"

#include <assert.h>
#include <dbus/dbus.h>
#include <stdlib.h>

#include "tests/unit/sbrouter/bus.h"
#include "tests/unit/sbrouter/wire.h"

#define MAX_TEXT 2000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct driver_method *pick_method(uint8_t byte) {
        size_t n = 0;

        /* Not BecomeMonitor, the last: a monitor hears each of its answers twice. */
        while (driver_methods[n].interface.s && driver_methods[n].fn != driver_become_monitor)
                n++;
        return &driver_methods[byte % n];
}

/* The text up to the next tab, as a string; steps over it. */
static char *next_text(const uint8_t **data, const uint8_t *end) {
        size_t n = 0, k;
        char *s;

        while (*data + n < end && (*data)[n] != '\t')
                n++;
        k = n < MAX_TEXT ? n : MAX_TEXT;
        s = malloc(k + 1);
        assert(s);
        memcpy(s, *data, k);
        s[k] = 0;
        *data += *data + n < end ? n + 1 : n;
        return s;
}

static void write_arguments(struct wire *body, const char *types, const uint8_t *data,
                            const uint8_t *end) {
        for (; *types; types++) {
                _cleanup_free_ char *text = next_text(&data, end);

                if (*types == 'a') { /* an empty one; nothing follows it in any row */
                        wire_number(body, 0);
                        wire_pad(body, types[1] == '{' ? 8 : 4);
                        return;
                }
                if (*types == 'v')
                        wire_signature(body, "s");
                if (*types == 'u')
                        wire_number(body, (uint8_t)text[0]);
                else
                        wire_string(body, text);
        }
}

/* Whether it was a call that the router would have passed on. */
static bool call_driver(struct bus *b, const uint8_t *data, const uint8_t *end) {
        const struct driver_method *method = pick_method(data[0]);
        struct wire w, body = {0};
        struct message m;
        int r;

        write_arguments(&body, method->in, data + 1, end);
        wire_begin(&w, false, MESSAGE_CALL, 0);
        wire_text(&w, MESSAGE_FIELD_PATH, "o", DRIVER_PATH);
        wire_text(&w, MESSAGE_FIELD_INTERFACE, "s", method->interface.s);
        wire_text(&w, MESSAGE_FIELD_MEMBER, "s", method->member.s);
        wire_text(&w, MESSAGE_FIELD_DESTINATION, "s", DRIVER_NAME);
        if (method->in[0])
                wire_text(&w, MESSAGE_FIELD_SIGNATURE, "g", method->in);
        wire_end(&w, body.b, body.n);
        r = message_parse(w.b, w.n, &m);
        assert(r == 0);
        if (message_check_body(&m) != 0) /* the text is not UTF-8 */
                return false;
        r = driver_call(&b->router, b->c[0], &m);
        assert(r == 0 && !b->c[0]->dead);
        return true;
}

static unsigned read_answers(struct bus *b) {
        static uint8_t buf[1 << 20];
        unsigned answers = 0;
        struct message m;
        ssize_t n;
        int r = connection_flush(b->c[0]);

        assert(r == 0);
        n = recv(b->ends[0], buf, sizeof(buf), MSG_DONTWAIT);
        for (size_t at = 0; n > 0 && at < (size_t)n; at += m.frame.n) {
                r = message_parse(buf + at, (size_t)n - at, &m);
                assert(r == 0 && m.frame.n <= (size_t)n - at && message_check_body(&m) == 0);
                answers += m.type != MESSAGE_SIGNAL;
        }
        return answers;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        const uint8_t *end = data + n;
        struct bus b;

        bus_init(&b, ROUTER_STANDALONE);
        b.c[0]->may_debug = true;
        while (data < end) {
                const uint8_t *line = memchr(data, '\n', (size_t)(end - data));

                line = line ? line : end;
                if (line > data) {
                        bool called = call_driver(&b, data, line);
                        unsigned answers = read_answers(&b);

                        assert(answers == called);
                }
                data = line < end ? line + 1 : end;
        }
        for (unsigned i = 0; i < BUS_CLIENTS; i++)
                bus_leave(&b, i);
        bus_done(&b);
        return 0;
}

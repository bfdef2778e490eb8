/* SPDX-License-Identifier: MIT */
/* However the client's bytes are cut, the same is said, and what is said is well formed. */
#include <assert.h>
#include <dbus/dbus.h>
#include <stdint.h>
#include <string.h>

#include "sbagent/refusal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_out(const struct refusal *r, int e) {
        const char *at = (const char *)r->out, *end = at + r->n_out;
        unsigned lines = 0;

        while (at < end && *at != 'l' && *at != 'B') {
                at = memchr(at, '\n', (size_t)(end - at));
                assert(at && at[-1] == '\r');
                at++;
                lines++;
        }
        assert(lines <= LIMIT_SASL_LINES && (e == REFUSAL_E_DONE) == (at < end));
        if (at < end) {
                DBusMessage *m = dbus_message_demarshal(at, (int)(end - at), NULL);

                assert(m && dbus_message_get_reply_serial(m) != 0);
                dbus_message_unref(m);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static struct refusal whole, cut;
        int e, f = 0;

        refusal_init(&whole, "0123456789abcdef0123456789abcdef", "no host");
        refusal_init(&cut, "0123456789abcdef0123456789abcdef", "no host");
        e = refusal_feed(&whole, data, n);
        for (size_t i = 0; i < n && f == 0; i++)
                f = refusal_feed(&cut, data + i, 1);
        assert(e == f && whole.n_out == cut.n_out && memcmp(whole.out, cut.out, cut.n_out) == 0);
        check_out(&whole, e);
        return 0;
}

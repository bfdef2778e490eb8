/* SPDX-License-Identifier: MIT */
/* Whole messages: libdbus accepts what we pass on, reads the same in it, and no more than we do. */
#include <assert.h>
#include <dbus/dbus.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "sbrouter/dbus_name.h"
#include "sbrouter/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool is_same(const char *theirs, struct message_string ours) {
        return theirs && ours.s ? strcmp(theirs, ours.s) == 0 : !theirs && !ours.s;
}

static bool is_accepted(const struct message *m, int e) {
        return e == 0 && body_validate(m->signature.s, m->signature.n, m->body, m->frame.n_body,
                                       m->frame.big_endian, BODY_ANY_FDS) == 0;
}

/* What goes out: ours reads it as before, libdbus (which takes no message with descriptors) too. */
static void check_stamped(const struct message *m) {
        _cleanup_free_ uint8_t *out = malloc(message_stamp_max(m, 4) + m->frame.n_body);
        struct message without_fds = *m, again;
        DBusMessage *d;
        size_t n;

        without_fds.present &= ~(1u << MESSAGE_FIELD_UNIX_FDS);
        without_fds.has_unknown = without_fds.has_unknown || m->n_fds > 0; /* not as it came */
        n = message_stamp(&without_fds, ":1.7", 4, out);
        assert(n <= message_stamp_max(m, 4));
        memcpy(out + n, m->body, m->frame.n_body);
        assert(message_parse(out, n + m->frame.n_body, &again) == 0 && again.frame.n_header == n);
        assert(!again.has_unknown && strcmp(again.sender.s, ":1.7") == 0 && again.n_fds == 0);
        d = dbus_message_demarshal((char *)out, (int)(n + m->frame.n_body), NULL);
        assert(d && dbus_message_get_type(d) == m->type && dbus_message_get_serial(d) == m->serial);
        assert(dbus_message_get_reply_serial(d) == m->reply_serial);
        assert(is_same(dbus_message_get_path(d), m->path));
        assert(is_same(dbus_message_get_interface(d), m->interface));
        assert(is_same(dbus_message_get_member(d), m->member));
        assert(is_same(dbus_message_get_error_name(d), m->error_name));
        assert(is_same(dbus_message_get_destination(d), m->destination));
        assert(is_same(dbus_message_get_signature(d), m->signature));
        assert(is_same(dbus_message_get_sender(d), again.sender));
        assert(dbus_message_get_no_reply(d) == (m->flags & MESSAGE_NO_REPLY_EXPECTED));
        dbus_message_unref(d);
}

/* An input that starts with neither 'l' nor 'B' is header fields only: lengths are made to fit. */
static uint8_t *frame(const uint8_t *data, size_t n, size_t *ret_n) {
        uint8_t *b = calloc(1, n + MESSAGE_FIXED);
        bool big = data[0] & 1;

        *ret_n = data[0] == 'l' || data[0] == 'B' ? n : (n + 7) & ~(size_t)7;
        memcpy(b, data, n);
        if (data[0] == 'l' || data[0] == 'B' || n < MESSAGE_FIXED)
                return b;
        b[0] = big ? 'B' : 'l';
        wire_put_u32(b + 4, 0, big);
        wire_put_u32(b + 12, (uint32_t)(n - MESSAGE_FIXED), big);
        return b;
}

/* We count nesting more strictly than libdbus, but only that. */
static bool may_be_too_deep(const uint8_t *b, size_t n) {
        size_t k = 0;

        for (size_t i = 0; i < n; i++)
                k += b[i] == 'a' || b[i] == '(' || b[i] == '{' || b[i] == 'v';
        return k > DBUS_SIGNATURE_DEPTH;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ uint8_t *b = n > 0 ? frame(data, n, &n) : NULL;
        DBusMessage *d = NULL;
        struct message m;
        bool accepted;
        int e;

        e = message_parse(b, n, &m);
        assert(e >= 0 && e < MESSAGE_N_E);
        if (e == MESSAGE_E_MORE || (e == 0 && m.frame.n > n))
                return 0;
        accepted = is_accepted(&m, e);
        if (accepted)
                check_stamped(&m);
        if (n <= LIMIT_HEADER_BYTES)
                d = dbus_message_demarshal((char *)b, (int)(e == 0 ? m.frame.n : n), NULL);
        assert(!d || accepted || may_be_too_deep(b, n));
        if (d)
                dbus_message_unref(d);
        return 0;
}

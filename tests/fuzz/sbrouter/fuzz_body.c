/* SPDX-License-Identifier: MIT */
/*
 * Bodies: libdbus and we agree.  Input: a byte ('B': big-endian), a signature, a
 * NUL, the body; wrapped into a signal's header for libdbus.
 */
#include <assert.h>
#include <dbus/dbus.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "sbrouter/dbus_name.h"
#include "sbrouter/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t put_field(uint8_t *b, size_t at, uint8_t code, char type, const char *s, bool big) {
        uint8_t head[8] = {code, 1, (uint8_t)type};
        size_t n = strlen(s), n_head = type == 'g' ? 5 : 8;

        wire_put_u32(head + 4, (uint32_t)n, big);
        head[4] = type == 'g' ? (uint8_t)n : head[4];
        memcpy(b + at, head, n_head);
        memcpy(b + at + n_head, s, n + 1);
        return at + n_head + n + 1;
}

static DBusMessage *oracle(const char *signature, const uint8_t *body, size_t n, bool big) {
        _cleanup_free_ uint8_t *b = calloc(1, n + 512);
        size_t at = put_field(b, 16, MESSAGE_FIELD_SIGNATURE, 'g', signature, big);

        at = put_field(b, (at + 7) & ~7u, MESSAGE_FIELD_PATH, 'o', "/", big);
        at = put_field(b, (at + 7) & ~7u, MESSAGE_FIELD_INTERFACE, 's', "a.b", big);
        at = put_field(b, (at + 7) & ~7u, MESSAGE_FIELD_MEMBER, 's', "m", big);
        b[0] = big ? 'B' : 'l', b[1] = MESSAGE_SIGNAL, b[3] = 1;
        wire_put_u32(b + 4, (uint32_t)n, big);
        wire_put_u32(b + 8, 1, big);
        wire_put_u32(b + 12, (uint32_t)(at - 16), big);
        at = (at + 7) & ~7u;
        memcpy(b + at, body, n);
        return dbus_message_demarshal((char *)b, (int)(at + n), NULL);
}

/* The strings that a match rule would see are those that libdbus reads. */
static void check_args(DBusMessage *d, struct body_args *args) {
        DBusMessageIter i;
        int type;

        if (!dbus_message_iter_init(d, &i))
                assert(body_args_get(args, 0)->type == 0);
        for (unsigned k = 0; k < BODY_MAX_ARGS; k++, dbus_message_iter_next(&i)) {
                const struct body_arg *a = body_args_get(args, k);
                const char *s = NULL;

                type = dbus_message_iter_get_arg_type(&i);
                assert(a->type == (type == DBUS_TYPE_STRUCT ? '(' : type));
                if (type == DBUS_TYPE_STRING || type == DBUS_TYPE_OBJECT_PATH)
                        dbus_message_iter_get_basic(&i, &s);
                assert(s ? strlen(s) == a->n && strcmp(s, a->s) == 0 : !a->s);
                if (type == DBUS_TYPE_INVALID)
                        break;
        }
}

/* The strings of a first argument that is an array of them, as libdbus reads them. */
static void check_strings(DBusMessage *d, const struct body_args *args) {
        DBusMessageIter i, strings;
        const char *s, *ours;
        size_t at = 0, n;

        dbus_message_iter_init(d, &i);
        dbus_message_iter_recurse(&i, &strings);
        for (; dbus_message_iter_get_arg_type(&strings) == DBUS_TYPE_STRING;
             dbus_message_iter_next(&strings)) {
                dbus_message_iter_get_basic(&strings, &s);
                ours = body_args_next_string(args, &at, &n);
                assert(ours && n == strlen(s) && strcmp(ours, s) == 0);
        }
        assert(!body_args_next_string(args, &at, &n));
}

/* We count nesting more strictly than libdbus, but only that. */
static bool may_be_too_deep(const uint8_t *body, size_t n, int e) {
        size_t k = 0;

        for (size_t i = 0; i < n; i++)
                k += body[i] == 'a' || body[i] == '(' || body[i] == '{' || body[i] == 'v';
        return k > DBUS_SIGNATURE_DEPTH &&
               (e == BODY_E_DEPTH || e == BODY_E_SIGNATURE || e == BODY_E_TYPE);
}

/* With pauses it is the same verdict, after as many steps. */
static void check_sliced(const char *signature, const uint8_t *body, size_t n, bool big, int e,
                         size_t n_steps) {
        struct body_check *c =
                body_check_new(signature, strlen(signature), body, n, big, BODY_ANY_FDS);
        size_t sum = 0, slice = 1 + n % 7, k;
        int v;

        do {
                v = body_check_continue(c, slice, &k);
                sum += k;
        } while (v == BODY_E_MORE);
        assert(v == e && (sum == n_steps || !*signature));
        body_check_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        const uint8_t *end = n > 1 ? memchr(data + 1, 0, n - 1) : NULL;
        _cleanup_free_ uint8_t *body = NULL;
        const char *signature = (const char *)data + 1;
        bool big = n > 0 && data[0] == 'B';
        struct body_args args;
        DBusMessage *d;
        size_t n_steps;
        int e;

        if (!end || !dbus_signature_is_valid(signature, strlen(signature)))
                return 0;
        n -= (size_t)(end + 1 - data);
        body = malloc(n + !n); /* at its own address, exactly as long */
        memcpy(body, end + 1, n);
        e = body_validate_counted(signature, strlen(signature), body, n, big, BODY_ANY_FDS,
                                  &n_steps);
        check_sliced(signature, body, n, big, e, n_steps);
        d = oracle(signature, body, n, big);
        assert(e == 0 ? d != NULL : !d || may_be_too_deep(body, n, e));
        body_args_init(&args, signature, strlen(signature), body, n, big);
        if (e == 0)
                check_args(d, &args);
        if (e == 0 && strncmp(signature, "as", 2) == 0)
                check_strings(d, &args);
        if (e != 0) /* never validated: what it finds is worthless, but harmless */
                (void)body_args_get(&args, BODY_MAX_ARGS - 1);
        if (d)
                dbus_message_unref(d);
        return 0;
}

/* SPDX-License-Identifier: MIT */
/* What is written here, libdbus would have written, byte for byte; and our own parser takes it. */
#include "sbrouter/body_write.h"

#include <dbus/dbus.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "sbrouter/body.h"
#include "sbrouter/message.h"
#include "tests/test.h"

#define MANY 130u /* keys and texts of every length below this: each moves the padding */

static DBusMessage *begin(DBusMessageIter *it) {
        DBusMessage *m = dbus_message_new_signal("/a", "a.b", "C");

        CHECK(m);
        dbus_message_iter_init_append(m, it);
        return m;
}

static void check_same(const struct body_writer *w, DBusMessage *take_m) {
        struct message parsed;
        char *theirs = NULL;
        int n = 0;

        dbus_message_set_serial(take_m, 1);
        CHECK(dbus_message_marshal(take_m, &theirs, &n));
        CHECK_EQ_INT(message_parse(theirs, (size_t)n, &parsed), 0);
        CHECK(!w->failed);
        CHECK_EQ_INT(w->n, parsed.frame.n_body);
        CHECK(w->n == 0 || memcmp(w->data, parsed.body, w->n) == 0);
        CHECK_EQ_INT(body_validate(parsed.signature.s, parsed.signature.n, w->data, w->n, false, 0),
                     0);
        dbus_free(theirs);
        dbus_message_unref(take_m);
}

static const char *text_of(unsigned n) {
        static char text[MANY + 1];

        memset(text, 'x', n);
        text[n] = 0;
        return text;
}

static void test_values(void) {
        for (unsigned n = 0; n < MANY; n++) {
                _cleanup_(body_write_done) struct body_writer w = {0};
                const char *text = text_of(n);
                dbus_uint32_t number = UINT32_MAX - n;
                dbus_bool_t yes = n % 2;
                DBusMessageIter it;
                DBusMessage *m = begin(&it);

                CHECK(dbus_message_append_args(m, DBUS_TYPE_STRING, &text, DBUS_TYPE_UINT32, &number,
                                               DBUS_TYPE_BOOLEAN, &yes, DBUS_TYPE_INVALID));
                body_write_string(&w, text);
                body_write_number(&w, number);
                body_write_number(&w, yes);
                check_same(&w, m);
        }
}

/* a{sv}: of numbers, and of arrays of strings. */
static void test_variants(void) {
        _cleanup_(body_write_done) struct body_writer w = {0};
        DBusMessageIter it, dict, entry, variant, strings;
        DBusMessage *m = begin(&it);
        struct body_array a, b;

        CHECK(dbus_message_iter_open_container(&it, DBUS_TYPE_ARRAY, "{sv}", &dict));
        a = body_open_array(&w, BODY_ALIGN_ENTRY);
        for (unsigned n = 0; n < MANY; n++) {
                const char *key = text_of(n);
                dbus_uint32_t number = n;

                CHECK(dbus_message_iter_open_container(&dict, DBUS_TYPE_DICT_ENTRY, NULL, &entry));
                CHECK(dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &key));
                CHECK(dbus_message_iter_open_container(&entry, DBUS_TYPE_VARIANT,
                                                       n % 2 ? "u" : "as", &variant));
                if (n % 2) {
                        CHECK(dbus_message_iter_append_basic(&variant, DBUS_TYPE_UINT32, &number));
                        body_write_entry(&w, key, number);
                } else {
                        CHECK(dbus_message_iter_open_container(&variant, DBUS_TYPE_ARRAY, "s",
                                                               &strings));
                        body_write_key(&w, key);
                        body_write_signature(&w, "as");
                        b = body_open_array(&w, BODY_ALIGN_STRING);
                        for (unsigned i = 0; i < n / 2; i++) {
                                CHECK(dbus_message_iter_append_basic(&strings, DBUS_TYPE_STRING,
                                                                     &key));
                                body_write_string(&w, key);
                        }
                        body_close_array(&w, b);
                        CHECK(dbus_message_iter_close_container(&variant, &strings));
                }
                CHECK(dbus_message_iter_close_container(&entry, &variant) &&
                      dbus_message_iter_close_container(&dict, &entry));
        }
        CHECK(dbus_message_iter_close_container(&it, &dict));
        body_close_array(&w, a);
        check_same(&w, m);
}

/* a{sas}, behind a string of every length; with no entry, one, or two. */
static void test_arrays(void) {
        for (unsigned n = 0; n < MANY; n++) {
                _cleanup_(body_write_done) struct body_writer w = {0};
                const char *text = text_of(n);
                DBusMessageIter it, dict, entry, strings;
                DBusMessage *m = begin(&it);
                struct body_array a, b;

                CHECK(dbus_message_iter_append_basic(&it, DBUS_TYPE_STRING, &text));
                body_write_string(&w, text);
                CHECK(dbus_message_iter_open_container(&it, DBUS_TYPE_ARRAY, "{sas}", &dict));
                a = body_open_array(&w, BODY_ALIGN_ENTRY);
                for (unsigned i = 0; i < n % 3; i++) {
                        CHECK(dbus_message_iter_open_container(&dict, DBUS_TYPE_DICT_ENTRY, NULL,
                                                               &entry));
                        CHECK(dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &text));
                        CHECK(dbus_message_iter_open_container(&entry, DBUS_TYPE_ARRAY, "s",
                                                               &strings));
                        body_write_key(&w, text);
                        b = body_open_array(&w, BODY_ALIGN_STRING);
                        if (i == 1) {
                                CHECK(dbus_message_iter_append_basic(&strings, DBUS_TYPE_STRING,
                                                                     &text));
                                body_write_string(&w, text);
                        }
                        body_close_array(&w, b);
                        CHECK(dbus_message_iter_close_container(&entry, &strings) &&
                              dbus_message_iter_close_container(&dict, &entry));
                }
                CHECK(dbus_message_iter_close_container(&it, &dict));
                body_close_array(&w, a);
                check_same(&w, m);
        }
}

TEST_MAIN({"texts of every length, numbers, booleans", test_values},
          {"dictionaries of variants", test_variants},
          {"dictionaries of arrays, empty ones too", test_arrays})

/* SPDX-License-Identifier: MIT */
/* What is written here, libdbus reads; and our own parser. */
#include "sbrouter/driver_write.h"

#include <dbus/dbus.h>

#include "sbrouter/message.h"
#include "tests/test.h"

#define SENDER "org.freedesktop.DBus"

static DBusMessage *read_by_libdbus(const struct driver_words *w) {
        uint8_t out[DRIVER_WRITE_MAX];
        size_t n = driver_write(w, out);
        struct message m;
        DBusMessage *read;

        CHECK_EQ_INT(message_parse(out, n, &m), 0);
        CHECK_EQ_INT(m.frame.n, n);
        CHECK_EQ_INT(message_check_body(&m), 0);
        read = dbus_message_demarshal((const char *)out, (int)n, NULL);
        CHECK(read);
        return read;
}

/* The strings that w has as arguments, and no other arguments. */
static void check_texts(DBusMessage *m, const struct driver_words *w) {
        DBusMessageIter it;
        bool more = dbus_message_iter_init(m, &it);

        for (size_t i = 0; i < DRIVER_WRITE_TEXTS && w->texts[i]; i++) {
                const char *s = NULL;

                CHECK(more);
                CHECK_EQ_INT(dbus_message_iter_get_arg_type(&it), DBUS_TYPE_STRING);
                dbus_message_iter_get_basic(&it, &s);
                CHECK_EQ_STR(s, w->texts[i]);
                more = dbus_message_iter_next(&it);
        }
        CHECK(!more);
}

static void test_return(void) {
        static const char *const texts[] = {NULL, "", ":1.1", "0123456789abcdef0123456789abcdef"};

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                struct driver_words w = {
                        .type = MESSAGE_RETURN,
                        .serial = 7,
                        .reply_serial = UINT32_MAX,
                        .destination = i % 2 ? ":1.42" : NULL,
                        .sender = SENDER,
                        .texts = {texts[i]},
                };
                DBusMessage *m = read_by_libdbus(&w);

                CHECK_EQ_INT(dbus_message_get_type(m), DBUS_MESSAGE_TYPE_METHOD_RETURN);
                CHECK_EQ_INT(dbus_message_get_serial(m), 7);
                CHECK_EQ_INT(dbus_message_get_reply_serial(m), UINT32_MAX);
                CHECK(dbus_message_has_destination(m, ":1.42") == (i % 2));
                CHECK(dbus_message_has_sender(m, SENDER));
                CHECK(dbus_message_get_no_reply(m));
                check_texts(m, &w);
                dbus_message_unref(m);
        }
}

static void test_number(void) {
        static const struct {
                char type;
                uint32_t value;
        } numbers[] = {{'u', 0}, {'u', UINT32_MAX}, {'b', 0}, {'b', 1}};

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                struct driver_words w = {
                        .type = MESSAGE_RETURN,
                        .serial = 1,
                        .reply_serial = 2,
                        .number = &numbers[i].value,
                        .number_type = numbers[i].type,
                };
                DBusMessage *m = read_by_libdbus(&w);
                DBusMessageIter it;
                uint32_t got = 99;

                CHECK(dbus_message_iter_init(m, &it));
                CHECK_EQ_INT(dbus_message_iter_get_arg_type(&it), numbers[i].type);
                dbus_message_iter_get_basic(&it, &got);
                CHECK_EQ_INT(got, numbers[i].value);
                CHECK(!dbus_message_iter_next(&it));
                dbus_message_unref(m);
        }
}

/* Every length that moves the padding, up to the longest name there is. */
static void test_signal(void) {
        char name[256] = "a.";

        for (size_t n = 2; n < sizeof(name) - 1; n++) {
                struct driver_words w = {
                        .type = MESSAGE_SIGNAL,
                        .serial = (uint32_t)n,
                        .member = n % 2 ? "NameOwnerChanged" : "NameLost",
                        .texts = {name, n % 3 ? name : "", ":1.18446744073709551615"},
                };
                DBusMessage *m;

                name[n] = 'x';
                name[n + 1] = 0;
                m = read_by_libdbus(&w);
                CHECK(dbus_message_is_signal(m, SENDER, w.member));
                CHECK_EQ_STR(dbus_message_get_path(m), "/org/freedesktop/DBus");
                CHECK_EQ_INT(dbus_message_get_serial(m), n);
                CHECK(!dbus_message_get_sender(m) && !dbus_message_get_destination(m));
                check_texts(m, &w);
                dbus_message_unref(m);
        }
}

/* All that the format takes at once: the buffer is for this. */
static void test_longest(void) {
        char name[256];
        struct driver_words w = {
                .type = MESSAGE_SIGNAL,
                .serial = 1,
                .member = name,
                .destination = name,
                .sender = SENDER,
                .texts = {name, name, ":1.18446744073709551615"},
        };
        DBusMessage *m;

        memset(name, 'x', 255);
        name[255] = 0;
        w.destination = ":1.18446744073709551615";
        m = read_by_libdbus(&w);
        check_texts(m, &w);
        dbus_message_unref(m);
}

TEST_MAIN({"answers with a text, or without", test_return}, {"answers with a number", test_number},
          {"signals, of every length", test_signal}, {"the longest", test_longest})

/* SPDX-License-Identifier: MIT */
/* What is written here, libdbus reads; and our own parser. */
#include "sbrouter/driver_write.h"

#include <dbus/dbus.h>
#include <stdlib.h>

#include "sbrouter/message.h"
#include "tests/test.h"

#define SENDER "org.freedesktop.DBus"

static DBusMessage *read_by_libdbus(const struct driver_words *w) {
        size_t size = driver_write_max(w), n;
        uint8_t *out = malloc(size); /* so that a sanitizer sees a byte too many */
        struct message m;
        DBusMessage *read;

        CHECK(out);
        if (!out)
                return NULL;
        n = driver_write(w, out, size);
        CHECK_EQ_INT(message_parse(out, n, &m), 0);
        CHECK_EQ_INT(m.frame.n, n);
        CHECK_EQ_INT(message_check_body(&m), 0);
        read = dbus_message_demarshal((const char *)out, (int)n, NULL);
        CHECK(read);
        free(out);
        return read;
}

/* The strings that w has as arguments, and no other arguments. */
static void check_texts(DBusMessage *m, const struct driver_words *w) {
        DBusMessageIter it;
        bool more = dbus_message_iter_init(m, &it);

        for (size_t i = 0; i < w->n; i++) {
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
                        .signature = texts[i] ? "s" : "",
                        .texts = &texts[i],
                        .n = texts[i] ? 1 : 0,
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
                const char *type;
                uint32_t value;
        } numbers[] = {{"u", 0}, {"u", UINT32_MAX}, {"b", 0}, {"b", 1}};

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                struct driver_words w = {
                        .type = MESSAGE_RETURN,
                        .serial = 1,
                        .reply_serial = 2,
                        .signature = numbers[i].type,
                        .numbers = &numbers[i].value,
                        .n = 1,
                };
                DBusMessage *m = read_by_libdbus(&w);
                DBusMessageIter it;
                uint32_t got = 99;

                CHECK(dbus_message_iter_init(m, &it));
                CHECK_EQ_INT(dbus_message_iter_get_arg_type(&it), numbers[i].type[0]);
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
                const char *const texts[] = {name, n % 3 ? name : "", ":1.18446744073709551615"};
                struct driver_words w = {
                        .type = MESSAGE_SIGNAL,
                        .serial = (uint32_t)n,
                        .member = n % 2 ? "NameOwnerChanged" : "NameLost",
                        .signature = "sss",
                        .texts = texts,
                        .n = 3,
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

/* The longest signal there is fits into the buffer that is for signals. */
static void test_longest(void) {
        char name[256];
        const char *const texts[] = {name, name, ":1.18446744073709551615"};
        struct driver_words w = {
                .type = MESSAGE_SIGNAL,
                .serial = 1,
                .member = name,
                .destination = ":1.18446744073709551615",
                .sender = SENDER,
                .signature = "sss",
                .texts = texts,
                .n = 3,
        };
        DBusMessage *m;

        memset(name, 'x', 255);
        name[255] = 0;
        m = read_by_libdbus(&w);
        check_texts(m, &w);
        CHECK(driver_write_max(&w) <= DRIVER_WRITE_SIGNAL);
        dbus_message_unref(m);
}

static void test_error(void) {
        char text[600] = "";

        for (size_t n = 0; n < sizeof(text) - 1; n++) {
                const char *texts[] = {text};
                struct driver_words w = {
                        .type = MESSAGE_ERROR,
                        .serial = 3,
                        .reply_serial = 4,
                        .error = DBUS_ERROR_LIMITS_EXCEEDED,
                        .destination = ":1.1",
                        .sender = SENDER,
                        .signature = "s",
                        .texts = texts,
                        .n = 1,
                };
                DBusMessage *m;

                text[n] = 'x';
                m = read_by_libdbus(&w);
                CHECK(dbus_message_is_error(m, DBUS_ERROR_LIMITS_EXCEEDED));
                CHECK_EQ_INT(dbus_message_get_reply_serial(m), 4);
                check_texts(m, &w);
                dbus_message_unref(m);
        }
}

#define MANY 300u

static void test_array(void) {
        static char names[MANY][MANY + 1];
        const char *texts[MANY];

        for (size_t n = 0; n < MANY; n++) {
                struct driver_words w = {
                        .type = MESSAGE_RETURN,
                        .serial = 1,
                        .reply_serial = 2,
                        .signature = "as",
                        .texts = texts,
                        .n = n,
                };
                DBusMessage *m = read_by_libdbus(&w);
                char **got = NULL;
                int n_got = -1;

                CHECK(dbus_message_get_args(m, NULL, DBUS_TYPE_ARRAY, DBUS_TYPE_STRING, &got,
                                            &n_got, DBUS_TYPE_INVALID));
                CHECK_EQ_INT(n_got, n);
                for (int i = 0; i < n_got; i++)
                        CHECK_EQ_STR(got[i], texts[i]);
                dbus_free_string_array(got);
                dbus_message_unref(m);
                memset(names[n], 'y', n);
                texts[n] = names[n];
        }
}

static void test_body(void) {
        uint8_t body[300];
        struct driver_words w = {
                .type = MESSAGE_RETURN,
                .serial = 1,
                .reply_serial = 2,
                .signature = "ay",
                .body = body,
        };

        for (uint32_t n = 0; n < sizeof(body) - 4; n++) {
                uint8_t *got = NULL;
                int n_got = -1;
                DBusMessage *m;

                memset(body + 4, 'z', n);
                memcpy(body, (uint8_t[]){(uint8_t)n, (uint8_t)(n >> 8), 0, 0}, 4);
                w.n_body = 4 + n;
                m = read_by_libdbus(&w);
                CHECK(dbus_message_get_args(m, NULL, DBUS_TYPE_ARRAY, DBUS_TYPE_BYTE, &got, &n_got,
                                            DBUS_TYPE_INVALID));
                CHECK_EQ_INT(n_got, n);
                CHECK(n == 0 || memcmp(got, body + 4, n) == 0);
                dbus_message_unref(m);
        }
}

TEST_MAIN({"answers with a text, or without", test_return}, {"answers with a number", test_number},
          {"signals, of every length", test_signal}, {"the longest", test_longest},
          {"errors, with a text of every length", test_error},
          {"arrays of 0 to 299 strings", test_array}, {"bodies that are written already", test_body})

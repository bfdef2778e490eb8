/* SPDX-License-Identifier: MIT */
#include "sbrouter/dbus_name.h"

#include "tests/test.h"

#define X10(s)  s s s s s s s s s s
#define X50(s)  X10(s) X10(s) X10(s) X10(s) X10(s)
#define X250(s) X50(s) X50(s) X50(s) X50(s) X50(s)
#define X32(s)  X10(s) X10(s) X10(s) s s

/* Bytes that are in no name, wherever they stand. */
static const char foreign[] = "\1\t\n !\"#$%&'()*+,;<=>?@[\\]^`{|}~\x7f\x80\xc3\xff";

typedef bool (*is_valid_fn)(const char *s, size_t n);

static void check_all(is_valid_fn is_valid, bool expected, const char *const *texts) {
        for (; *texts; texts++)
                if (is_valid(*texts, strlen(*texts)) != expected) {
                        printf("# \"%s\"\n", *texts);
                        CHECK(!"as expected");
                }
}

/* good with any one of its bytes replaced by a foreign one, or by a NUL, is not valid. */
static void check_foreign(is_valid_fn is_valid, const char *good) {
        size_t n = strlen(good);
        char buf[64];

        CHECK(is_valid(good, n));
        CHECK(!is_valid(good, n + 1)); /* its NUL */
        for (size_t i = 0; i < n; i++) {
                memcpy(buf, good, n);
                for (size_t k = 0; k < sizeof(foreign); k++) { /* with the NUL */
                        buf[i] = foreign[k];
                        CHECK(!is_valid(buf, n));
                }
        }
}

static void test_unique(void) {
        check_all(dbus_name_is_unique, true,
                  (const char *[]){":1.42", ":1", ":", ":.a", ":a.b.c", ":0-_.9", ":1.0.0.0.0",
                                   ":" X250("a") "abcd", NULL});
        check_all(dbus_name_is_unique, false,
                  (const char *[]){"", "1.42", "a.b", ":.", ":a.", ":a..b", "::", ":1:2", ":/",
                                   ":" X250("a") "abcde", NULL});
        check_foreign(dbus_name_is_unique, ":1.42-a_B");
}

static void test_well_known(void) {
        check_all(dbus_name_is_well_known, true,
                  (const char *[]){"a.b", "org.freedesktop.DBus", "_._", "-.-", "a.b-c.D_9",
                                   "a." X250("b") "bcd", NULL});
        check_all(dbus_name_is_well_known, false,
                  (const char *[]){"", "a", ".", "..", ".a.b", "a.b.", "a..b", "1.a", "a.1", "a.1b",
                                   ":1.1", "org", "a.b/c", "a." X250("b") "bcde", NULL});
        check_foreign(dbus_name_is_well_known, "org.free-desktop_9.DBus");
}

static void test_bus_and_namespace(void) {
        check_all(dbus_name_is_bus, true, (const char *[]){":1.1", "a.b", NULL});
        check_all(dbus_name_is_bus, false, (const char *[]){"", "a", "1.1", NULL});
        check_all(dbus_name_is_namespace, true,
                  (const char *[]){"a", "a.b", "com.example.backend1", ":1.1", "-", NULL});
        check_all(dbus_name_is_namespace, false,
                  (const char *[]){"", ".", "a.", ".a", "1", "a.1", "a..b", NULL});
        check_foreign(dbus_name_is_namespace, "com");
}

static void test_interface(void) {
        check_all(dbus_name_is_interface, true,
                  (const char *[]){"a.b", "org.freedesktop.DBus", "_._1", "a.b2.c",
                                   X250("a") ".bcd", "a." X250("b") "bcd", NULL});
        check_all(dbus_name_is_interface, false,
                  (const char *[]){"", "a", ".", "a.", ".a", "a..b", "1.a", "a.1", "a-b.c", "a.b-c",
                                   ":1.1", "a/b", "a." X250("b") "bcde", NULL});
        check_foreign(dbus_name_is_interface, "org.free_9.DBus");
        check_foreign(dbus_name_is_error, "org.free_9.DBus");
}

static void test_member(void) {
        check_all(dbus_name_is_member, true,
                  (const char *[]){"a", "_", "Hello", "a9", X250("m") "ember", NULL});
        check_all(
                dbus_name_is_member, false,
                (const char *[]){"", "9a", "a.b", "a-b", "-", ".", "a ", X250("m") "embers", NULL});
        check_foreign(dbus_name_is_member, "Get_9");
}

static void test_path(void) {
        check_all(
                dbus_name_is_path, true,
                (const char *[]){"/", "/a", "/a/b", "/0", "/_/9/Z", "/" X250("p") X250("p"), NULL});
        check_all(dbus_name_is_path, false,
                  (const char *[]){"", "a", "a/b", "//", "/a/", "/a//b", "//a", "/a.b", "/a-b",
                                   "/a/../b", "/:1", NULL});
        check_foreign(dbus_name_is_path, "/org/free_9/DBus");
}

static void test_signature(void) {
        check_all(dbus_signature_is_valid, true,
                  (const char *[]){"", "y", "ybnqiuxtdsogvh", "ay", "aay", "(y)", "((y)(y))",
                                   "a(y)", "a{sv}", "a{ya{yv}}", "a{y(y)}", "a{oas}",
                                   "(a{sv}a(i)v)", "yaya{yy}", X32("a") "y", X250("y") "yyyyy",
                                   NULL});
        check_all(dbus_signature_is_valid, false,
                  (const char *[]){"a",         "ya",       "aa",          "()",
                                   "(",         ")",        "(y",          "y)",
                                   "(a)",       "a()",      "(()y)",       "{sv}",
                                   "({sv})",    "a{}",      "a{s}",        "a{sss}",
                                   "a{sv",      "a{vs}",    "a{(y)y}",     "a{ays}",
                                   "a{a{yy}y}", "a{s)",     "(y}",         "a{sa}",
                                   "r",         "e",        "m",           "z",
                                   "a*",        "a?",       " ",           "y ",
                                   "1",         "a{s\xff}", X32("a") "ay", X250("y") "yyyyyy",
                                   NULL});
        CHECK(!dbus_signature_is_valid("y\0y", 3));
        CHECK(!dbus_signature_is_valid("y", 2));
}

static void test_signature_depth(void) {
        static const char s32[] = X32("(") "y" X32(")"), s33[] = X32("(") "(y)" X32(")");
        static const char both32[] = X32("a(") "y" X32(")"), arrays33[] = X32("a(") "ay" X32(")");
        /* Dict entries count with structs: what sd-bus refuses must not reach it. */
        static const char dicts[] = X32("a{y") "y" X32("}");
        static const char mixed[] = X32("a{y") "(y)" X32("}");

        CHECK(dbus_signature_is_valid(s32, strlen(s32)));
        CHECK(!dbus_signature_is_valid(s33, strlen(s33)));
        CHECK(dbus_signature_is_valid(both32, strlen(both32)));
        CHECK(!dbus_signature_is_valid(arrays33, strlen(arrays33)));
        CHECK(dbus_signature_is_valid(dicts, strlen(dicts)));
        CHECK(!dbus_signature_is_valid(mixed, strlen(mixed)));
        CHECK(dbus_signature_is_valid("(y)(y)(y)", 9)); /* beside each other is not within */
}

static void test_signature_single(void) {
        check_all(dbus_signature_is_single, true,
                  (const char *[]){"y", "v", "ay", "(yy)", "a{sv}", "aa(y)", NULL});
        check_all(dbus_signature_is_single, false,
                  (const char *[]){"", "yy", "ayy", "(y)y", "a", "a{sv}y", "(", "r", "{sv}", NULL});
}

static void test_utf8(void) {
        check_all(dbus_utf8_is_valid, true,
                  (const char *[]){"", "a", "plain text of more than eight bytes", "\xc2\x80",
                                   "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                                   "\xef\xbf\xbd", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
                                   "\xf4\x8f\xbf\xbf",
                                   "eight---\xe2\x82\xac"
                                   "and on",
                                   "\1\x7f", NULL});
        check_all(dbus_utf8_is_valid, false,
                  (const char *[]){"\x80",
                                   "\xbf",
                                   "\xc0\x80",
                                   "\xc1\xbf",
                                   "\xc2",
                                   "\xc2"
                                   "a",
                                   "\xe0\x9f\xbf",
                                   "\xe0\xa0",
                                   "\xe2\x82",
                                   "\xed\xa0\x80",
                                   "\xed\xbf\xbf",
                                   "\xf0\x8f\xbf\xbf",
                                   "\xf0\x90\x80",
                                   "\xf0\x90\x80"
                                   "a",
                                   "\xf0\x90"
                                   "a\x80",
                                   "\xf4\x90\x80\x80",
                                   "\xf5\x80\x80\x80",
                                   "\xf8\x88\x80\x80\x80",
                                   "\xfe",
                                   "\xff",
                                   "\xe2\x82\xac\x80",
                                   "seven--\xe2\x82",
                                   NULL});
}

/* One bad byte at each place of texts of each length: the word-wise path misses none. */
static void test_utf8_positions(void) {
        static const char bad[] = {0, (char)0x80, (char)0xff, (char)0xc2};
        char buf[40];

        for (size_t n = 1; n <= sizeof(buf); n++)
                for (size_t i = 0; i < n; i++) {
                        memset(buf, 'a', n);
                        CHECK(dbus_utf8_is_valid(buf, n));
                        buf[i] = 1; /* control characters are characters */
                        CHECK(dbus_utf8_is_valid(buf, n));
                        for (size_t k = 0; k < sizeof(bad); k++) {
                                buf[i] = bad[k];
                                CHECK(!dbus_utf8_is_valid(buf, n));
                        }
                }
}

TEST_MAIN({"unique names", test_unique}, {"well-known names", test_well_known},
          {"bus names and namespaces", test_bus_and_namespace},
          {"interfaces and errors", test_interface}, {"members", test_member},
          {"object paths", test_path}, {"signatures", test_signature},
          {"signatures nest to the limit", test_signature_depth},
          {"single complete types", test_signature_single}, {"UTF-8", test_utf8},
          {"UTF-8 at every offset", test_utf8_positions})

/* SPDX-License-Identifier: MIT */
#include "common/escape.h"

#include "tests/test.h"

static void test_log_bytes(void) {
        for (unsigned c = 0; c < 256; c++) {
                char buf[16], expect[16];
                unsigned char in = (unsigned char)c;

                if (c == '\\')
                        (void)snprintf(expect, sizeof(expect), "\\\\");
                else if (c >= 0x20 && c < 0x7f)
                        (void)snprintf(expect, sizeof(expect), "%c", (int)c);
                else
                        (void)snprintf(expect, sizeof(expect), "\\x%02x", c);
                CHECK_EQ_STR(escape_log(buf, sizeof(buf), &in, 1), expect);
        }
}

static void test_log_cut(void) {
        char buf[16];

        CHECK_EQ_STR(escape_log(buf, 4, "", 0), "");
        CHECK_EQ_STR(escape_log(buf, 4, "abc", 3), "abc");
        CHECK_EQ_STR(escape_log(buf, 4, "abcd", 4), "...");
        CHECK_EQ_STR(escape_log(buf, 8, "abcdefg", 7), "abcdefg");
        CHECK_EQ_STR(escape_log(buf, 8, "abcdefgh", 8), "abcd...");
        CHECK_EQ_STR(escape_log(buf, 8, "\n\nx", 3), "\\x0a...");
        CHECK_EQ_STR(escape_log(buf, 8, "abc\n", 4), "abc\\x0a");
        CHECK_EQ_STR(escape_log(buf, 8, "abcd\n", 5), "abcd...");
        CHECK_EQ_STR(escape_log(buf, 8, "abcde\\\\", 7), "abcd...");
}

static void test_log_macro(void) {
        CHECK_EQ_STR(ESCAPED("<0>\x1b[2J\r\n\xff"), "<0>\\x1b[2J\\x0d\\x0a\\xff");
        CHECK_EQ_INT(strlen(ESCAPED("%n%n%n%n")), 8);
}

static void check_display(const char *in, size_t max, const char *expect) {
        _cleanup_free_ char *out = escape_display(in, max);

        CHECK_EQ_STR(out, expect);
}

static void test_display(void) {
        check_display("Grüße, 世界 🙂", 100, "Grüße, 世界 🙂");
        check_display("a\tb\nc\rd\x1b[0m\x7f", 100, "a b cd[0m");
        check_display("\xc2\x85x\xe2\x80\xa8y\xe2\x80\xa9z", 100, "xyz");
        check_display("\xe2\x80\xae"
                      "gnp.exe\xe2\x81\xa6\xe2\x81\xa9\xe2\x80\x8f\xd8\x9c",
                      100, "gnp.exe");
        check_display("\xf3\xa0\x81\x81"
                      "A",
                      100, "A"); /* tag A */
        check_display("", 10, "");
        check_display("abc", 0, "");
}

static void test_lines(void) {
        _cleanup_free_ char *text = escape_lines("a\tb\n\nc\rd\xe2\x80\xae\n", 100);
        _cleanup_free_ char *cut = escape_lines("a\n\xc3\xbc", 3);

        CHECK_EQ_STR(text, "a b\n\ncd\n");
        CHECK_EQ_STR(cut, "a\n");
}

static void test_display_invalid(void) {
        check_display("a\x80"
                      "b\xc3",
                      100, "ab");
        check_display("\xc0\x80\xc1\xbf", 100, "");             /* overlong */
        check_display("\xe0\x80\xaf/\xed\xa0\x80|", 100, "/|"); /* overlong, surrogate */
        check_display("\xf4\x90\x80\x80\xf8\x88\x80\x80\x80.", 100, ".");
        check_display("\xe4\xb8", 100, "");
        check_display("\xe4\xb8x", 100, "x");
}

static void test_display_boundary(void) {
        check_display("世界", 6, "世界");
        check_display("世界", 5, "世");
        check_display("世界", 2, "");
        check_display("abc", 2, "ab");
}

static void check_path(const char *uri, const char *expect) {
        _cleanup_free_ char *path = uri_to_path(uri);

        if (expect)
                CHECK_EQ_STR(path, expect);
        else
                CHECK(!path);
}

static void test_uri_to_path(void) {
        check_path("file:///a/b%20c", "/a/b c");
        check_path("file://localhost/x", "/x");
        check_path("FILE://LocalHost/x", "/x");
        check_path("file:/x", "/x");
        check_path("file:///", "/");
        check_path("file:///%ff%0a%25%23%3F", "/\xff\n%#?");
        check_path("file:////x", "//x");
}

static void test_uri_to_path_refused(void) {
        static const char *const bad[] = {
                "",
                "/x",
                "file:",
                "file:x",
                "file:../x",
                "file://",
                "file://host/",
                "file://host",
                "file://localhost",
                "file:///a?b",
                "file:///a#",
                "file:///%00",
                "file:///a%2",
                "file:///a%",
                "file:///%zz",
                "http:///a",
                "file:///%2f",
                "file:///..%2Fb",
                "file://localhostx/a",
                " file:///a",
        };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                check_path(bad[i], NULL);
}

static void test_uri_round_trip(void) {
        char all[257] = "/";
        _cleanup_free_ char *escaped = NULL, *back = NULL;

        for (unsigned c = 1; c < 256; c++)
                all[c] = (char)c;
        escaped = uri_escape_path(all);
        CHECK(escaped);
        for (const char *p = escaped; p && *p; p++)
                CHECK(*p > ' ' && *p < 0x7f && *p != '#' && *p != '?');
        back = uri_unescape(escaped, strlen(escaped));
        CHECK_EQ_STR(back, all);
}

static void test_uri_escape(void) {
        _cleanup_free_ char *s = uri_escape_path("/a b/~x-._%é");

        CHECK_EQ_STR(s, "/a%20b/~x-._%25%C3%A9");
}

static void test_uri_unescape(void) {
        _cleanup_free_ char *a = uri_unescape("a%2fb", 5), *b = uri_unescape("x%41", 2);
        _cleanup_free_ char *c = uri_unescape("", 0);

        CHECK_EQ_STR(a, "a/b");
        CHECK(!b); /* the escape is beyond the end */
        CHECK_EQ_STR(c, "");
        CHECK(!uri_unescape("a\0b", 3));
        CHECK(!uri_unescape("%00", 3));
}

static void test_name(void) {
        static const char *const rows[][2] = {
                {"two \xff.txt", "two \xff.txt"},
                {"inv\xe2\x80\xae" "fdp.exe", "invfdp.exe"},
                {"a\nb\tc\x1b[31m", "a b c[31m"},
                {"\x9b" "31m\xa0\xe2\x80", "31m\xa0\xe2"},
                {"z\xe2\x80\x8bw\xc3\xa4", "zw\xc3\xa4"},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *s = escape_name(rows[i][0], 255);

                CHECK_EQ_STR(s, rows[i][1]);
        }
}

static void test_uri_to_ascii(void) {
        static const char *const rows[][2] = {
                {"https://example.org/a%20b?c=d#e", "https://example.org/a%20b?c=d#e"},
                {"https://de.example/K\xc3\xa4se", "https://de.example/K%C3%A4se"},
                {"https://b\xc3\xbc.example", "https://b%C3%BC.example"},
                {"https://bank.example\xe2\x80\x8b/", "https://bank.example%E2%80%8B/"},
                {"", ""},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *s = uri_to_ascii(rows[i][0]);

                CHECK_EQ_STR(s, rows[i][1]);
        }
}

TEST_MAIN({"log: every byte", test_log_bytes}, {"log: cut to size", test_log_cut},
          {"log: ESCAPED", test_log_macro}, {"display: text", test_display}, {"lines", test_lines},
          {"display: invalid UTF-8", test_display_invalid},
          {"display: cut at a character", test_display_boundary}, {"uri to path", test_uri_to_path},
          {"uri to path: refused", test_uri_to_path_refused},
          {"uri: round trip of every byte", test_uri_round_trip}, {"uri escape", test_uri_escape},
          {"a file's name", test_name}, {"an IRI as a URI", test_uri_to_ascii},
          {"uri unescape", test_uri_unescape})

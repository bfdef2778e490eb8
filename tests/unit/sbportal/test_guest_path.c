/* SPDX-License-Identifier: MIT */
#include "sbportal/guest_path.h"

#include "common/escape.h"
#include "common/limits.h"
#include "tests/test.h"

#define DIR_ "/run/sidebus/doc"

static void check_to_gate(const char *dir, const char *path, int e, const char *expect) {
        _cleanup_free_ char *out = NULL;

        CHECK_EQ_INT(guest_path_to_gate(dir, path, &out), e);
        if (e == 0)
                CHECK_EQ_STR(out, expect);
        else
                CHECK(!out);
}

static void test_documents(void) {
        check_to_gate(DIR_, DIR_ "/4f3a/a.txt", 0, "4f3a/a.txt");
        check_to_gate(DIR_, DIR_ "/4f3a/a b%20c\n\xff", 0, "4f3a/a b%20c\n\xff");
        check_to_gate(DIR_, DIR_ "/4f3a/d/e/f", 0, "4f3a/d/e/f");
        check_to_gate(DIR_, DIR_ "/4f3a/d/", 0, "4f3a/d");
        check_to_gate(DIR_, DIR_ "/4f3a", 0, "4f3a/");
        check_to_gate(DIR_, DIR_ "/4f3a///", 0, "4f3a/");
        check_to_gate(DIR_, "//run///sidebus/./doc/./4f3a//./x", 0, "4f3a/x");
        check_to_gate(DIR_ "/", DIR_ "/1/x", 0, "1/x");
        check_to_gate("/", "/1/x", 0, "1/x");
        check_to_gate(DIR_, DIR_ "/0123456789abcdef/...", 0, "0123456789abcdef/...");
        check_to_gate(DIR_, DIR_ "/1/..x", 0, "1/..x");
}

static void test_foreign(void) {
        static const char *const paths[] = {
                "",
                "/",
                "x",
                "run/sidebus/doc/1/x",
                "/home/u/x",
                DIR_,
                DIR_ "/",
                DIR_ "/.",
                DIR_ "x/1/x",
                "/run/sidebus/do",
                "/run/sidebus",
                DIR_ "/../doc/1/x",
                DIR_ "/1/../2/x",
                DIR_ "/1/x/..",
                DIR_ "/1/..",
                DIR_ "/..",
                DIR_ "/../../etc/shadow",
                DIR_ "/by-app/org.x/1/x",
                DIR_ "/4F3A/x",
                DIR_ "/g/x",
                DIR_ "/1 /x",
                DIR_ "/0123456789abcdef0/x",
                "/./../run/sidebus/doc/1/x",
        };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++)
                check_to_gate(DIR_, paths[i], GUEST_PATH_E_FOREIGN, NULL);
}

static void check_uri(const char *dir, const char *item, const char *expect) {
        _cleanup_free_ char *out = NULL;

        CHECK_EQ_INT(guest_path_uri(dir, item, &out), expect ? 0 : GUEST_PATH_E_FORM);
        if (expect)
                CHECK_EQ_STR(out, expect);
        else
                CHECK(!out);
}

static void test_uris(void) {
        check_uri(DIR_, "doc:4f3a/a.txt", "file://" DIR_ "/4f3a/a.txt");
        check_uri(DIR_, "doc:4f3a/My%20file%23%25.txt", "file://" DIR_ "/4f3a/My%20file%23%25.txt");
        check_uri(DIR_, "doc:1/%FF%fe%0A", "file://" DIR_ "/1/%FF%fe%0A");
        check_uri(DIR_, "doc:1/d/e", "file://" DIR_ "/1/d/e");
        check_uri(DIR_, "doc:1/..x/...", "file://" DIR_ "/1/..x/...");
        check_uri("/mnt/my docs#1/", "doc:1/x", "file:///mnt/my%20docs%231/1/x");
        check_uri("/", "doc:1/x", "file:///1/x");
}

static void test_bad_uris(void) {
        static const char *const items[] = {
                "",
                "doc:",
                "doc:1",
                "doc:1/",
                "doc:/x",
                "doc:1x/y",
                "doc:4F/x",
                "DOC:1/x",
                "doc:g/x",
                "doc:0123456789abcdef0/x",
                "file:///etc/passwd",
                "/etc/passwd",
                "doc:1/../2/x",
                "doc:1/..",
                "doc:1/.",
                "doc:1/x/..",
                "doc:1/x/../y",
                "doc:1/%2e%2e/x",
                "doc:1/%2E.",
                "doc:1/%2e",
                "doc:1//x",
                "doc:1/x/",
                "doc:1/x//y",
                "doc:1/a%2fb",
                "doc:1/a%2Fb",
                "doc:1/a%00",
                "doc:1/%",
                "doc:1/%4",
                "doc:1/%zz",
                "doc:1/a b",
                "doc:1/a#b",
                "doc:1/a?b",
                "doc:1/\xc3\xbc",
                "doc:1/a\nb",
                "doc:1/a\"b",
                "doc:../1/x",
                "doc:1/a\\b",
        };

        for (size_t i = 0; i < ELEMENTSOF(items); i++)
                check_uri(DIR_, items[i], NULL);
}

/* The file's URI, read as any program would, is the path that maps back to the same document. */
static void test_round_trip(void) {
        static const char *const names[] = {"a",    " ",        "%",    "#?\"'",
                                            "\n\t", "\xff\x01", "-._~", "a/b"};

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *escaped = uri_escape_path(names[i]), *uri = NULL, *path = NULL,
                                    *back = NULL;
                char item[256], expect[256];

                (void)snprintf(item, sizeof(item), "doc:7c/%s", escaped);
                (void)snprintf(expect, sizeof(expect), "7c/%s", names[i]);
                CHECK_EQ_INT(guest_path_uri(DIR_, item, &uri), 0);
                path = uri_to_path(uri);
                CHECK_EQ_INT(guest_path_to_gate(DIR_, path, &back), 0);
                CHECK_EQ_STR(back, expect);
        }
}

static void check_path(const char *item, const char *expect) {
        _cleanup_free_ char *path = NULL;
        int r = guest_path_of_item(DIR_ "/", item, &path);

        CHECK_EQ_INT(r, expect ? 0 : GUEST_PATH_E_FORM);
        if (r == 0)
                CHECK_EQ_STR(path, expect);
}

static void test_paths(void) {
        check_path("doc:7c/a%20b%25/%FF", DIR_ "/7c/a b%/\xff");
        check_path("doc:7c/", NULL);
        check_path("doc:7c/..", NULL);
        check_path("doc:7c/a%2fb", NULL);
        check_path("file:///etc/passwd", NULL);
        check_path("7c/a", NULL);
}

static void check_from_gate(const char *path, const char *expect) {
        _cleanup_free_ char *out = NULL;
        int r = guest_path_from_gate(DIR_, path, &out);

        CHECK_EQ_INT(r, expect ? 0 : GUEST_PATH_E_FORM);
        if (r == 0)
                CHECK_EQ_STR(out, expect);
}

static void test_from_gate(void) {
        check_from_gate("7c/a%b/\xff", DIR_ "/7c/a%b/\xff");
        check_from_gate("7c/", DIR_ "/7c");
        check_from_gate("7c", NULL);
        check_from_gate("", NULL);
        check_from_gate("/etc/passwd", NULL);
        check_from_gate("7c/../8", NULL);
        check_from_gate("7c//x", NULL);
        check_from_gate("xy/a", NULL);
}

static void test_dir(void) {
        static const char *const bad[] = {"", "run", "/run/..", "/../run", "/run/./x", "."};
        char longest[LIMIT_STRING_BYTES + 2];

        CHECK(guest_path_dir_is_valid("/"));
        CHECK(guest_path_dir_is_valid("/run//doc/"));
        CHECK(guest_path_dir_is_valid("/run/..x/.y"));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                CHECK(!guest_path_dir_is_valid(bad[i]));
        memset(longest, '/', sizeof(longest));
        longest[sizeof(longest) - 1] = '\0';
        CHECK(!guest_path_dir_is_valid(longest));
}

TEST_MAIN({"documents", test_documents}, {"foreign paths", test_foreign}, {"uris", test_uris},
          {"bad uris", test_bad_uris}, {"round trip", test_round_trip}, {"paths", test_paths},
          {"paths from the gate", test_from_gate}, {"directory", test_dir})

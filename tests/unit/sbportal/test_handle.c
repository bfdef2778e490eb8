/* SPDX-License-Identifier: MIT */
#include "sbportal/handle.h"

#include "common/limits.h"
#include "tests/test.h"

static void test_token(void) {
        static const char *const good[] = {"t", "0", "_", "gtk1234567890", "Az_09"};
        static const char *const bad[] = {"",    "a.b", "a/b", "../x", "a b", "a-b", "ü",
                                          "a\n", "/",   ".",   "a%b",  "a:b", "\x7f"};
        char longest[LIMIT_TOKEN_BYTES + 2];

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                CHECK(handle_token_is_valid(good[i]));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                CHECK(!handle_token_is_valid(bad[i]));
        memset(longest, 'a', sizeof(longest));
        longest[LIMIT_TOKEN_BYTES + 1] = '\0';
        CHECK(!handle_token_is_valid(longest));
        longest[LIMIT_TOKEN_BYTES] = '\0';
        CHECK(handle_token_is_valid(longest));
}

/* Every byte alone: exactly the 63 of an object path's element are a token. */
static void test_token_bytes(void) {
        unsigned n = 0;

        for (int c = 1; c < 256; c++) {
                char s[2] = {(char)c, '\0'};

                n += handle_token_is_valid(s);
        }
        CHECK_EQ_INT(n, 26 + 26 + 10 + 1);
}

static void test_sender(void) {
        static const char *const bad[] = {"", ":", "1.2", "org.example", ":1.2/..", ":1-2", ":ü"};

        CHECK(handle_sender_is_valid(":1.42"));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                CHECK(!handle_sender_is_valid(bad[i]));
}

static void check_path(const char *sender, const char *token, uint32_t suffix, const char *expect) {
        _cleanup_free_ char *path = handle_path(sender, token, suffix);

        CHECK_EQ_STR(path, expect);
}

static void test_path(void) {
        check_path(":1.42", "gtk7", 0, "/org/freedesktop/portal/desktop/request/1_42/gtk7");
        check_path(":1.2.3", HANDLE_DEFAULT_TOKEN, 0,
                   "/org/freedesktop/portal/desktop/request/1_2_3/t");
        check_path(":1.42", "t", 4294967295u,
                   "/org/freedesktop/portal/desktop/request/1_42/t/4294967295");
}

static void test_gate(void) {
        static const char *const bad[] = {
                "",
                "/",
                "/org/freedesktop/portal/desktop/request/vm",
                "/org/freedesktop/portal/desktop/request/vm/",
                "/org/freedesktop/portal/desktop/request/vm/a/b",
                "/org/freedesktop/portal/desktop/request/1_42/a",
                "/org/freedesktop/portal/desktop/request/vmx/a",
        };

        CHECK(handle_is_gate("/org/freedesktop/portal/desktop/request/vm/9f3c"));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                CHECK(!handle_is_gate(bad[i]));
}

static void test_session(void) {
        _cleanup_free_ char *path = handle_session_path(":1.42", "gtk7");

        CHECK_EQ_STR(path, "/org/freedesktop/portal/desktop/session/1_42/gtk7");
        CHECK(!handle_is_gate_session(path) && !handle_is_gate(path));
        CHECK(handle_is_gate_session("/org/freedesktop/portal/desktop/session/vm/9f3c"));
        CHECK(!handle_is_gate_session("/org/freedesktop/portal/desktop/session/vm/a/b"));
        CHECK(!handle_is_gate_session("/org/freedesktop/portal/desktop/session/vm/"));
        CHECK(!handle_is_gate_session("/org/freedesktop/portal/desktop/request/vm/9f3c"));
}

/* sender NULL: our own. */
static void check_notification(const char *sender, const char *id, const char *expect) {
        _cleanup_free_ char *gate_id = handle_notification(sender, id), *back = NULL;
        const char *rest = NULL;

        CHECK_EQ_STR(gate_id, expect);
        CHECK_EQ_INT(handle_notification_parse(gate_id, &back, &rest), 0);
        CHECK((back == NULL) == (sender == NULL));
        if (sender)
                CHECK_EQ_STR(back, sender);
        CHECK_EQ_STR(rest, id);
}

/* Whatever a client calls its own, it is nobody else's. */
static void test_notification(void) {
        static const char *const bad[] = {"", "1.7", "a b/c", "1-7/x", ":1.7/x"};
        const char *rest = NULL;
        char *sender = NULL;

        check_notification(":1.7", "mail", "1.7/mail");
        check_notification(":1.7", "", "1.7/");
        check_notification(":1.7", "/1.8/mail", "1.7//1.8/mail");
        check_notification(NULL, "17", "/17");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                CHECK_EQ_INT(handle_notification_parse(bad[i], &sender, &rest), HANDLE_E_FORM);
        CHECK(!sender && !rest);
}

TEST_MAIN({"session", test_session}, {"notification", test_notification}, {"token", test_token},
          {"every byte of a token", test_token_bytes}, {"sender", test_sender}, {"path", test_path},
          {"gate handle", test_gate})

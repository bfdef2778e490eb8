/* SPDX-License-Identifier: MIT */
#include "systemd/generator/dropin.h"

#include "tests/test.h"

struct row {
        const char *bytes;
        size_t n;
        int result;
        const char *text; /* of the drop-in, without the section's line */
};

#define BYTES(s) s, sizeof(s) - 1

static void check(const struct row *rows, size_t n_rows, const char *section,
                  int (*render)(const char *bytes, size_t n, char ret[DROPIN_MAX_BYTES])) {
        for (size_t i = 0; i < n_rows; i++) {
                char ret[DROPIN_MAX_BYTES] = "untouched", expect[DROPIN_MAX_BYTES] = "untouched";

                if (rows[i].result == 0)
                        (void)snprintf(expect, sizeof(expect), "[%s]\n%s", section, rows[i].text);
                CHECK_EQ_INT(render(rows[i].bytes, rows[i].n, ret), rows[i].result);
                CHECK_EQ_STR(ret, expect);
        }
}

static void test_tag(void) {
        static const struct row rows[] = {
                {BYTES("sidebus"), 0, "What=sidebus\n"},
                {BYTES("sidebus\n"), 0, "What=sidebus\n"},
                {BYTES("7"), 0, "What=7\n"},
                {BYTES("A_b.c:d+e@f-0"), 0, "What=A_b.c:d+e@f-0\n"},
                {BYTES("abcdefghijklmnopqrstuvwxyz0123456789"), 0,
                 "What=abcdefghijklmnopqrstuvwxyz0123456789\n"},
                {BYTES("abcdefghijklmnopqrstuvwxyz0123456789x"), DROPIN_E_LENGTH, NULL},
                {BYTES(""), DROPIN_E_LENGTH, NULL},
                {BYTES("\n"), DROPIN_E_LENGTH, NULL},
        };

        check(rows, ELEMENTSOF(rows), "Mount", dropin_tag);
}

/* Each would be more than a value: to the parser of unit files, or as an argument of mount(8). */
static void test_tag_refused(void) {
        static const struct row rows[] = {
                {BYTES("sidebus\n\n"), DROPIN_E_CHARACTER, NULL},
                {BYTES("x\nOptions=suid"), DROPIN_E_CHARACTER, NULL},
                {BYTES("x\rOptions=suid"), DROPIN_E_CHARACTER, NULL},
                {BYTES("x\0y"), DROPIN_E_CHARACTER, NULL},
                {BYTES("x\0"), DROPIN_E_CHARACTER, NULL},
                {BYTES("x\\"), DROPIN_E_CHARACTER, NULL},
                {BYTES("%h"), DROPIN_E_CHARACTER, NULL},
                {BYTES("x%n"), DROPIN_E_CHARACTER, NULL},
                {BYTES("--bind"), DROPIN_E_CHARACTER, NULL},
                {BYTES("-o"), DROPIN_E_CHARACTER, NULL},
                {BYTES(".x"), DROPIN_E_CHARACTER, NULL},
                {BYTES("/dev/sda"), DROPIN_E_CHARACTER, NULL},
                {BYTES("a/b"), DROPIN_E_CHARACTER, NULL},
                {BYTES("LABEL=x"), DROPIN_E_CHARACTER, NULL},
                {BYTES("a b"), DROPIN_E_CHARACTER, NULL},
                {BYTES(" a"), DROPIN_E_CHARACTER, NULL},
                {BYTES("a\""), DROPIN_E_CHARACTER, NULL},
                {BYTES("a'"), DROPIN_E_CHARACTER, NULL},
                {BYTES("#a"), DROPIN_E_CHARACTER, NULL},
                {BYTES("a;b"), DROPIN_E_CHARACTER, NULL},
                {BYTES("a\x7f"), DROPIN_E_CHARACTER, NULL},
                {BYTES("\xc3\xbc"), DROPIN_E_CHARACTER, NULL},
        };

        check(rows, ELEMENTSOF(rows), "Mount", dropin_tag);
}

#define OWNER(who) "ExecStartPost=\nExecStartPost=chown " who " /run/sidebus/bus\n"

static void test_user(void) {
        static const struct row rows[] = {
                {BYTES("1001"), 0, OWNER("1001")},
                {BYTES("1001\n"), 0, OWNER("1001")},
                {BYTES("0"), 0, OWNER("0")},
                {BYTES("1001:100"), 0, OWNER("1001:100")},
                {BYTES("4294967294:4294967294"), 0, OWNER("4294967294:4294967294")},
        };

        check(rows, ELEMENTSOF(rows), "Socket", dropin_user);
}

static void test_user_refused(void) {
        static const struct row rows[] = {
                {BYTES(""), DROPIN_E_LENGTH, NULL},
                {BYTES(":"), DROPIN_E_LENGTH, NULL},
                {BYTES("1001:"), DROPIN_E_LENGTH, NULL},
                {BYTES(":1001"), DROPIN_E_LENGTH, NULL},
                {BYTES("00000000001"), DROPIN_E_LENGTH, NULL},
                {BYTES("root"), DROPIN_E_CHARACTER, NULL},
                {BYTES("-1"), DROPIN_E_CHARACTER, NULL},
                {BYTES("+1"), DROPIN_E_CHARACTER, NULL},
                {BYTES(" 1"), DROPIN_E_CHARACTER, NULL},
                {BYTES("0x10"), DROPIN_E_CHARACTER, NULL},
                {BYTES("1:2:3"), DROPIN_E_CHARACTER, NULL},
                {BYTES("1\n\n"), DROPIN_E_CHARACTER, NULL},
                {BYTES("1\nSocketMode"), DROPIN_E_LENGTH, NULL},
                {BYTES("1\nA=b"), DROPIN_E_CHARACTER, NULL},
                {BYTES("1\0"), DROPIN_E_CHARACTER, NULL},
                {BYTES("010"), DROPIN_E_NUMBER, NULL},
                {BYTES("00"), DROPIN_E_NUMBER, NULL},
                {BYTES("65535"), DROPIN_E_NUMBER, NULL},
                {BYTES("1:65535"), DROPIN_E_NUMBER, NULL},
                {BYTES("4294967295"), DROPIN_E_NUMBER, NULL},
                {BYTES("4294967296"), DROPIN_E_NUMBER, NULL},
                {BYTES("9999999999"), DROPIN_E_NUMBER, NULL},
        };

        check(rows, ELEMENTSOF(rows), "Socket", dropin_user);
}

TEST_MAIN({"a tag", test_tag}, {"no tag: what a unit file or mount(8) reads otherwise", test_tag_refused},
          {"a user", test_user}, {"no user", test_user_refused})

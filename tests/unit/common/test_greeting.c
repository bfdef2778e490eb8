/* SPDX-License-Identifier: MIT */
#include "common/greeting.h"

#include "tests/test.h"

static int parse(const char *s, struct greeting *g) {
        return greeting_parse(s, strlen(s), g);
}

static void test_client(void) {
        char buf[LIMIT_GREETING_LINE];
        struct greeting g;
        size_t n = greeting_format_client(buf, 4294967294u, 2147483647u);

        CHECK_EQ_INT(greeting_parse(buf, n, &g), 0);
        CHECK_EQ_INT(g.verb, GREETING_CLIENT);
        CHECK(g.has_uid && g.has_pid);
        CHECK_EQ_INT(g.uid, 4294967294u);
        CHECK_EQ_INT(g.pid, 2147483647u);
        CHECK_EQ_INT(g.n, n);
        n = greeting_format_client(buf, 0, 0); /* a process of another pid namespace */
        CHECK_EQ_INT(greeting_parse(buf, n, &g), 0);
        CHECK(g.has_uid && g.uid == 0 && !g.has_pid);
}

static void test_forms(void) {
        struct greeting g;

        CHECK_EQ_INT(parse("SIDEBUS/1 CLIENT\n\0AUTH", &g), 0);
        CHECK(!g.has_uid && !g.has_pid);
        CHECK_EQ_INT(g.n, 17);
        CHECK_EQ_INT(parse("SIDEBUS/1 CLIENT future=A_b.c-9 uid=0\nmore", &g), 0);
        CHECK(g.has_uid && g.uid == 0 && !g.has_pid);
        CHECK_EQ_INT(parse("SIDEBUS/1 ATTACH\n", &g), 0);
        CHECK_EQ_INT(g.verb, GREETING_ATTACH);
        CHECK_EQ_INT(parse("SIDEBUS/1 FD token=00 serial=1 kind=file\n", &g), 0);
        CHECK_EQ_INT(g.verb, GREETING_FD);
}

static void test_refused(void) {
        static const struct {
                const char *s;
                int e;
        } rows[] = {
                {"X", GREETING_E_LINE},
                {"\n", GREETING_E_LINE},
                {"sidebus/1 CLIENT\n", GREETING_E_LINE},
                {"SIDEBUS\n", GREETING_E_LINE},
                {"SIDEBUS/\n", GREETING_E_LINE},
                {"SIDEBUS/ 1 CLIENT\n", GREETING_E_LINE},
                {"SIDEBUS/1\n", GREETING_E_LINE},
                {"SIDEBUS/1 \n", GREETING_E_LINE},
                {"SIDEBUS/1  CLIENT\n", GREETING_E_LINE},
                {"SIDEBUS/1 CLIENT \n", GREETING_E_LINE},
                {"SIDEBUS/1 CLIENT  uid=1\n", GREETING_E_LINE},
                {"SIDEBUS/1 CLIENT uid=1 \n", GREETING_E_LINE},
                {"SIDEBUS/1 CLIENT uid\n", GREETING_E_LINE},
                {"SIDEBUS/1 CLIENT =1\n", GREETING_E_LINE},
                {"SIDEBUS/1 CLIENT uid=\n", GREETING_E_LINE},
                {"SIDEBUS/1 CLIENT a=b=c\n", GREETING_E_LINE},
                {"SIDEBUS/1 CLIENT a=b/c\n", GREETING_E_LINE},
                {"SIDEBUS/1 CLIENT\r\n", GREETING_E_LINE},
                {"SIDEBUS/1 CLIENT a=\xc3\xa9\n", GREETING_E_LINE},
                {"SIDEBUS/1 CLI\tENT", GREETING_E_LINE},
                {"SIDEBUS/2 CLIENT\n", GREETING_E_VERSION},
                {"SIDEBUS/2\n", GREETING_E_VERSION},
                {"SIDEBUS/11 CLIENT\n", GREETING_E_VERSION},
                {"SIDEBUS/01 CLIENT\n", GREETING_E_VERSION},
                {"SIDEBUS/1 client\n", GREETING_E_VERB},
                {"SIDEBUS/1 CLIENTS\n", GREETING_E_VERB},
                {"SIDEBUS/1 OK\n", GREETING_E_VERB},
                {"SIDEBUS/1 CLIENT uid=4294967295\n", GREETING_E_KEY},
                {"SIDEBUS/1 CLIENT uid=99999999999\n", GREETING_E_KEY},
                {"SIDEBUS/1 CLIENT uid=-1\n", GREETING_E_KEY},
                {"SIDEBUS/1 CLIENT uid=1a\n", GREETING_E_KEY},
                {"SIDEBUS/1 CLIENT pid=0\n", GREETING_E_KEY},
                {"SIDEBUS/1 CLIENT pid=2147483648\n", GREETING_E_KEY},
                {"SIDEBUS/1 CLIENT uid=1 uid=1\n", GREETING_E_KEY},
                {"SIDEBUS/1 CLIENT x=1 y=2 x=3\n", GREETING_E_KEY},
                {"", GREETING_E_MORE},
                {"SIDE", GREETING_E_MORE},
                {"SIDEBUS/9", GREETING_E_MORE},
                {"SIDEBUS/1 CLIENT uid=1", GREETING_E_MORE},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct greeting g = {.n = 7};
                int r = parse(rows[i].s, &g);

                if (r != rows[i].e)
                        printf("# %s\n", rows[i].s);
                CHECK_EQ_INT(r, rows[i].e);
                CHECK_EQ_INT(g.n, 7);
        }
        CHECK_EQ_INT(greeting_parse("SIDEBUS/1 CLI\0ENT\n", 18, &(struct greeting){0}),
                     GREETING_E_LINE);
        CHECK_EQ_INT(greeting_parse("\0AUTH", 5, &(struct greeting){0}), GREETING_E_LINE);
}

static void test_length(void) {
        char s[300] = "SIDEBUS/1 CLIENT k=";
        struct greeting g;

        memset(s + 19, 'v', 280);
        s[255] = '\n';
        CHECK_EQ_INT(greeting_parse(s, 300, &g), 0);
        CHECK_EQ_INT(g.n, 256);
        CHECK_EQ_INT(greeting_parse(s, 255, &g), GREETING_E_MORE);
        s[255] = 'v';
        s[256] = '\n';
        CHECK_EQ_INT(greeting_parse(s, 300, &g), GREETING_E_LINE);
        CHECK_EQ_INT(greeting_parse(s, 256, &g), GREETING_E_LINE);
}

/* As many keys as a line holds. */
static void test_many_keys(void) {
        char s[LIMIT_GREETING_LINE + 1] = "SIDEBUS/1 FD";
        struct greeting g;
        size_t n = strlen(s);

        for (unsigned i = 0; i < 48; i++, n += 5)
                (void)snprintf(s + n, sizeof(s) - n, " %c%c=1", 'a' + (char)(i / 16),
                               'a' + (char)(i % 16));
        s[n] = '\n';
        CHECK_EQ_INT(greeting_parse(s, n + 1, &g), 0);
        CHECK_EQ_INT(g.n, n + 1);
}

static void test_answer(void) {
        char buf[LIMIT_GREETING_LINE];
        struct greeting_answer a;
        size_t n = greeting_format_ok(buf, "0123456789abcdef0123456789abcdef");

        CHECK_EQ_INT(greeting_answer_parse(buf, n, &a), 0);
        CHECK(a.ok);
        CHECK_EQ_INT(a.n, n);
        CHECK_EQ_STR(a.token, "0123456789abcdef0123456789abcdef");
        n = greeting_format_ok(buf, "");
        CHECK_EQ_INT(n, 13);
        CHECK_EQ_INT(greeting_answer_parse(buf, n, &a), 0);
        CHECK(a.ok && a.token[0] == '\0');
        CHECK_EQ_INT(greeting_answer_parse("SIDEBUS/1 OK x=1 token=ab\n\0OK", 30, &a), 0);
        CHECK_EQ_STR(a.token, "ab");
        CHECK_EQ_INT(a.n, 26);
}

static void test_answer_error(void) {
        char buf[LIMIT_GREETING_LINE];
        struct greeting_answer a;

        for (int e = GREETING_E_MORE; e <= GREETING_E_KEY; e++) {
                size_t n = greeting_format_error(buf, e);

                CHECK_EQ_INT(greeting_answer_parse(buf, n, &a), 0);
                CHECK(!a.ok);
                CHECK_EQ_STR(a.text, greeting_error_name(e));
                CHECK_EQ_INT(a.n, n);
        }
}

static void test_answer_refused(void) {
        static const struct {
                const char *s;
                int e;
        } rows[] = {
                {"SIDEBUS/1 O", GREETING_E_MORE},
                {"SIDEBUS/2 OK\n", GREETING_E_VERSION},
                {"SIDEBUS/1 OKAY\n", GREETING_E_LINE},
                {"SIDEBUS/1 CLIENT\n", GREETING_E_LINE},
                {"SIDEBUS/1 ERROR\n", GREETING_E_LINE},
                {"SIDEBUS/1 ERROR \n", GREETING_E_LINE},
                {"SIDEBUS/1 ERROR a\x1b[0m\n", GREETING_E_LINE},
                {"SIDEBUS/1 OK token=1 token=2\n", GREETING_E_LINE},
                {"SIDEBUS/1 OK token=0123456789abcdef0123456789abcdef0\n", GREETING_E_LINE},
                {"HTTP/1.1 400\r\n", GREETING_E_LINE},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                CHECK_EQ_INT(greeting_answer_parse(rows[i].s, strlen(rows[i].s),
                                                   &(struct greeting_answer){0}),
                             rows[i].e);
}

TEST_MAIN({"client line: round trip", test_client}, {"accepted forms", test_forms},
          {"refused lines", test_refused}, {"256 bytes", test_length},
          {"many keys", test_many_keys}, {"answer OK", test_answer},
          {"answer ERROR", test_answer_error}, {"answer refused", test_answer_refused})

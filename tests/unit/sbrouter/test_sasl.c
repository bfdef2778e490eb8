/* SPDX-License-Identifier: MIT */
#include "sbrouter/sasl.h"

#include "tests/test.h"

#define GUID     "0123456789abcdef0123456789abcdef"
#define OK       "OK " GUID "\r\n"
#define REJECTED "REJECTED EXTERNAL ANONYMOUS\r\n"
#define UNKNOWN  "ERROR Not understood here\r\n"
#define NO_FDS   "ERROR Descriptors cannot be passed here\r\n"
#define AGREE    "AGREE_UNIX_FD\r\n"
#define BOTH     (SASL_ALLOW_FDS | SASL_ALLOW_ANONYMOUS)

struct row {
        unsigned flags;
        const char *in; /* without the NUL byte that comes first */
        const char *reply;
        int e;
        enum sasl_state state;
        bool fds;
};

/* All at once, with something behind BEGIN. */
static void check_whole(const struct row *r) {
        size_t n = strlen(r->in), used = 0;
        struct sasl_reply reply;
        char in[512] = {0};
        struct sasl s;

        memcpy(in + 1, r->in, n);
        memcpy(in + 1 + n, "l\1\0\1", 4);
        sasl_init(&s, r->flags);
        CHECK_EQ_INT(sasl_feed(&s, GUID, in, 1 + n + 4, &used, &reply), r->e);
        if (r->e != 0)
                return;
        CHECK_EQ_INT(s.state, r->state);
        CHECK_EQ_INT(s.fds, r->fds);
        CHECK_EQ_INT(used, 1 + n);
        CHECK(reply.n == strlen(r->reply) && memcmp(reply.data, r->reply, reply.n) == 0);
}

/* One byte more each time, as the connection does: unused bytes are passed again. */
static void check_bytewise(const struct row *r) {
        size_t n = strlen(r->in) + 1, done = 0, n_replies = 0;
        char in[512] = {0}, replies[2048];
        struct sasl s;
        int e = 0;

        memcpy(in + 1, r->in, n - 1);
        sasl_init(&s, r->flags);
        for (size_t i = 1; i <= n && e == 0; i++) {
                struct sasl_reply reply;
                size_t used = 0;

                e = sasl_feed(&s, GUID, in + done, i - done, &used, &reply);
                done += used;
                memcpy(replies + n_replies, reply.data, reply.n);
                n_replies += reply.n;
        }
        CHECK_EQ_INT(e, r->e);
        if (e != 0)
                return;
        CHECK_EQ_INT(s.state, r->state);
        CHECK_EQ_INT(done, n);
        CHECK(n_replies == strlen(r->reply) && memcmp(replies, r->reply, n_replies) == 0);
}

static void check_rows(const struct row *rows, size_t n) {
        for (size_t i = 0; i < n; i++) {
                printf("# row %zu\n", i);
                check_whole(&rows[i]);
                check_bytewise(&rows[i]);
        }
}

static void test_clients(void) {
        static const struct row rows[] = {
                /* libdbus */
                {BOTH, "AUTH EXTERNAL 31303030\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n", OK AGREE, 0,
                 SASL_DONE, true},
                /* sd-bus: no initial response */
                {BOTH, "AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n",
                 "DATA\r\n" OK AGREE, 0, SASL_DONE, true},
                {0, "AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n", "DATA\r\n" OK NO_FDS,
                 0, SASL_DONE, false},
                /* GDBus asks first */
                {BOTH, "AUTH\r\nAUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n",
                 REJECTED OK AGREE, 0, SASL_DONE, true},
                {BOTH, "AUTH ANONYMOUS 6c69626462757320312e31342e3130\r\nBEGIN\r\n", OK, 0,
                 SASL_DONE, false},
                {BOTH, "AUTH ANONYMOUS\r\nBEGIN\r\n", OK, 0, SASL_DONE, false},
                {BOTH, "AUTH EXTERNAL 4141\r\nBEGIN now\r\n", OK, 0, SASL_DONE, false},
        };

        check_rows(rows, ELEMENTSOF(rows));
}

static void test_refusals(void) {
        static const struct row rows[] = {
                {BOTH, "AUTH DBUS_COOKIE_SHA1 31\r\n", REJECTED, 0, SASL_WAIT_AUTH, false},
                {BOTH, "AUTH external 30\r\n", REJECTED, 0, SASL_WAIT_AUTH, false},
                {BOTH, "AUTH EXTERNALS 30\r\n", REJECTED, 0, SASL_WAIT_AUTH, false},
                {BOTH, "AUTH  EXTERNAL 30\r\n", REJECTED, 0, SASL_WAIT_AUTH, false},
                {BOTH, "AUTH EXTERNAL 3\r\n", REJECTED, 0, SASL_WAIT_AUTH, false},
                {BOTH, "AUTH EXTERNAL 3g\r\n", REJECTED, 0, SASL_WAIT_AUTH, false},
                {BOTH, "AUTH EXTERNAL 30 40\r\n", REJECTED, 0, SASL_WAIT_AUTH, false},
                {BOTH, "AUTH EXTERNAL =\r\n", REJECTED, 0, SASL_WAIT_AUTH, false},
                {0, "AUTH ANONYMOUS\r\n", "REJECTED EXTERNAL\r\n", 0, SASL_WAIT_AUTH, false},
                {BOTH, "AUTH EXTERNAL\r\nDATA 3\r\n", "DATA\r\n" REJECTED, 0, SASL_WAIT_AUTH,
                 false},
                {BOTH, "AUTH EXTERNAL\r\nCANCEL\r\n", "DATA\r\n" REJECTED, 0, SASL_WAIT_AUTH,
                 false},
                {BOTH, "AUTH EXTERNAL\r\nERROR no\r\n", "DATA\r\n" REJECTED, 0, SASL_WAIT_AUTH,
                 false},
                {BOTH, "AUTH EXTERNAL\r\nAUTH EXTERNAL 30\r\n", "DATA\r\n" UNKNOWN, 0,
                 SASL_WAIT_DATA, false},
                {BOTH, "ERROR\r\n", REJECTED, 0, SASL_WAIT_AUTH, false},
                {BOTH, "CANCEL\r\n", UNKNOWN, 0, SASL_WAIT_AUTH, false},
                {BOTH, "DATA\r\n", UNKNOWN, 0, SASL_WAIT_AUTH, false},
                {BOTH, "NEGOTIATE_UNIX_FD\r\n", UNKNOWN, 0, SASL_WAIT_AUTH, false},
                {BOTH, "\r\n", UNKNOWN, 0, SASL_WAIT_AUTH, false},
                {BOTH, " AUTH\r\n", UNKNOWN, 0, SASL_WAIT_AUTH, false},
                {BOTH, "auth EXTERNAL 30\r\n", UNKNOWN, 0, SASL_WAIT_AUTH, false},
                {BOTH, "AUTHX EXTERNAL 30\r\n", UNKNOWN, 0, SASL_WAIT_AUTH, false},
                {BOTH, "AUTH EXTERNAL \xff\r\n", UNKNOWN, 0, SASL_WAIT_AUTH, false},
                {BOTH, "AUTH EXTERNAL\t30\r\n", UNKNOWN, 0, SASL_WAIT_AUTH, false},
                {BOTH, "AUTH EXTERNAL 30\r\r\n", UNKNOWN, 0, SASL_WAIT_AUTH, false},
                {BOTH, "AUTH EXTERNAL 30\nBEGIN\n\r\n", UNKNOWN, 0, SASL_WAIT_AUTH, false},
                {BOTH, "AUTH EXTERNAL 30\r\nFOO\r\n", OK UNKNOWN, 0, SASL_WAIT_BEGIN, false},
                {BOTH, "AUTH EXTERNAL 30\r\nAUTH EXTERNAL 30\r\n", OK UNKNOWN, 0, SASL_WAIT_BEGIN,
                 false},
                {BOTH, "AUTH EXTERNAL 30\r\nDATA\r\n", OK UNKNOWN, 0, SASL_WAIT_BEGIN, false},
                /* What was agreed on is void when the client starts again. */
                {BOTH, "AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nCANCEL\r\n", OK AGREE REJECTED, 0,
                 SASL_WAIT_AUTH, false},
                {BOTH,
                 "AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nERROR\r\nAUTH EXTERNAL 30\r\nBEGIN\r\n",
                 OK AGREE REJECTED OK, 0, SASL_DONE, false},
        };

        check_rows(rows, ELEMENTSOF(rows));
}

static void test_ended(void) {
        static const struct row rows[] = {
                {BOTH, "BEGIN\r\n", "", SASL_E_BEGIN, 0, false},
                {BOTH, "AUTH EXTERNAL\r\nBEGIN\r\n", "", SASL_E_BEGIN, 0, false},
                {BOTH, "AUTH NONE\r\nBEGIN\r\n", "", SASL_E_BEGIN, 0, false},
                {BOTH, "AUTH EXTERNAL 30\r\nCANCEL\r\nBEGIN\r\n", "", SASL_E_BEGIN, 0, false},
        };
        struct sasl_reply reply;
        struct sasl s;
        size_t used;

        check_rows(rows, ELEMENTSOF(rows));
        sasl_init(&s, BOTH);
        CHECK_EQ_INT(sasl_feed(&s, GUID, "AUTH", 4, &used, &reply), SASL_E_NUL);
        sasl_init(&s, BOTH);
        CHECK_EQ_INT(sasl_feed(&s, GUID, "", 0, &used, &reply), 0);
        CHECK_EQ_INT(s.state, SASL_WAIT_NUL);
        CHECK_EQ_INT(used, 0);
}

static void test_line_limit(void) {
        static char in[2 * LIMIT_SASL_LINE];
        struct sasl_reply reply;
        struct sasl s;
        size_t used = 0;

        /* The longest line that is one, then one byte more. */
        memset(in, 'A', sizeof(in));
        in[0] = 0;
        memcpy(in + 1 + LIMIT_SASL_LINE - 2, "\r\n", 2);
        sasl_init(&s, 0);
        CHECK_EQ_INT(sasl_feed(&s, GUID, in, 1 + LIMIT_SASL_LINE, &used, &reply), 0);
        CHECK_EQ_INT(used, 1 + LIMIT_SASL_LINE);
        CHECK(reply.n == strlen(UNKNOWN));
        memcpy(in + 1 + LIMIT_SASL_LINE - 2, "A\r\n", 3);
        sasl_init(&s, 0);
        CHECK_EQ_INT(sasl_feed(&s, GUID, in, 2 + LIMIT_SASL_LINE, &used, &reply), SASL_E_LINE);
        /* A line that never ends: at the limit it is still waited for, beyond it is not. */
        memset(in + 1, 'A', sizeof(in) - 1);
        sasl_init(&s, 0);
        CHECK_EQ_INT(sasl_feed(&s, GUID, in, 1 + LIMIT_SASL_LINE, &used, &reply), 0);
        CHECK_EQ_INT(used, 1);
        CHECK_EQ_INT(sasl_feed(&s, GUID, in + 1, LIMIT_SASL_LINE + 1, &used, &reply), SASL_E_LINE);
        sasl_init(&s, 0);
        CHECK_EQ_INT(sasl_feed(&s, GUID, in, sizeof(in), &used, &reply), SASL_E_LINE);
}

static void test_lines_limit(void) {
        char in[1 + 3 * (LIMIT_SASL_LINES + 1)];
        struct sasl_reply reply;
        struct sasl s;
        size_t used = 0;

        in[0] = 0;
        for (size_t i = 0; i <= LIMIT_SASL_LINES; i++)
                memcpy(in + 1 + 3 * i, "X\r\n", 3);
        sasl_init(&s, 0);
        CHECK_EQ_INT(sasl_feed(&s, GUID, in, 1 + 3 * LIMIT_SASL_LINES, &used, &reply), 0);
        CHECK_EQ_INT(reply.n, LIMIT_SASL_LINES * strlen(UNKNOWN));
        CHECK_EQ_INT(sasl_feed(&s, GUID, "X\r\n", 3, &used, &reply), SASL_E_LINES);
        sasl_init(&s, 0);
        CHECK_EQ_INT(sasl_feed(&s, GUID, in, sizeof(in), &used, &reply), SASL_E_LINES);
}

static void test_texts(void) {
        for (int e = 1; e < SASL_N_E; e++)
                CHECK(strcmp(sasl_strerror(e), "unknown fault") != 0);
        CHECK_EQ_STR(sasl_strerror(SASL_N_E), "unknown fault");
}

TEST_MAIN({"what real clients send", test_clients}, {"refused and not understood", test_refusals},
          {"ended without an answer", test_ended}, {"the longest line", test_line_limit},
          {"the most lines", test_lines_limit}, {"every verdict has a text", test_texts})

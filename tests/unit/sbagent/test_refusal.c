/* SPDX-License-Identifier: MIT */
/* libdbus is the authority on what the answer must look like. */
#include "sbagent/refusal.h"

#include <dbus/dbus.h>

#include "tests/test.h"

#define GUID "0123456789abcdef0123456789abcdef"
#define OK   "OK " GUID "\r\n"

/* What is said to lines (after the NUL); the verdict. */
static int talk(struct refusal *r, const char *lines) {
        refusal_init(r, GUID, "no host");
        CHECK_EQ_INT(refusal_feed(r, "", 1), 0);
        return refusal_feed(r, lines, strlen(lines));
}

static void check_talk(const char *lines, const char *expect) {
        struct refusal r;

        CHECK_EQ_INT(talk(&r, lines), 0);
        r.out[r.n_out] = '\0';
        CHECK_EQ_STR((char *)r.out, expect);
}

static void test_sasl_clients(void) {
        /* libdbus and GDBus, step by step; sd-bus, all at once; zbus */
        check_talk("AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n", OK "ERROR\r\n");
        check_talk("AUTH\r\nAUTH EXTERNAL 31303030\r\n", "REJECTED EXTERNAL ANONYMOUS\r\n" OK);
        check_talk("AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n",
                   "DATA\r\n" OK "ERROR\r\n");
        check_talk("AUTH ANONYMOUS 6c6962\r\nBEGIN\r\n", OK);
        check_talk("AUTH ANONYMOUS\r\n", OK);
        check_talk("AUTH DBUS_COOKIE_SHA1 30\r\nAUTH ANONYMOUS\r\n",
                   "REJECTED EXTERNAL ANONYMOUS\r\n" OK);
}

static void test_sasl_states(void) {
        check_talk("HELP\r\n", "ERROR\r\n");
        check_talk("\r\n", "ERROR\r\n");
        check_talk("DATA 30\r\n", "ERROR\r\n");
        check_talk("auth external 30\r\n", "ERROR\r\n");
        check_talk("AUTH EXTERNALS\r\n", "REJECTED EXTERNAL ANONYMOUS\r\n");
        check_talk("AUTH EXTERNAL\r\nCANCEL\r\n", "DATA\r\nREJECTED EXTERNAL ANONYMOUS\r\n");
        check_talk("AUTH EXTERNAL 30\r\nCANCEL\r\nAUTH EXTERNAL 30\r\n",
                   OK "REJECTED EXTERNAL ANONYMOUS\r\n" OK);
        check_talk("AUTH EXTERNAL 30\r\nERROR why\r\n", OK "REJECTED EXTERNAL ANONYMOUS\r\n");
        check_talk("AUTH EXTERNAL 30\nBEGIN\n", ""); /* no CR: the line has not ended */
        check_talk("AUTH\r EXTERNAL\r\n", "ERROR\r\n");
}

static void test_sasl_violations(void) {
        static const char *const bad[] = {"BEGIN\r\n", "AUTH\r\nBEGIN\r\n",
                                          "AUTH EXTERNAL\r\nBEGIN\r\n"};
        struct refusal r;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                CHECK_EQ_INT(talk(&r, bad[i]), REFUSAL_E_VIOLATION);
        refusal_init(&r, GUID, "x");
        CHECK_EQ_INT(refusal_feed(&r, "AUTH\r\n", 6), REFUSAL_E_VIOLATION); /* no NUL */
}

static void test_sasl_limits(void) {
        struct refusal r;
        int e = talk(&r, "");

        for (unsigned i = 0; i < LIMIT_SASL_LINES; i++)
                CHECK_EQ_INT(refusal_feed(&r, "AUTH X\r\n", 8), 0);
        CHECK_EQ_INT(refusal_feed(&r, "AUTH X\r\n", 8), REFUSAL_E_VIOLATION);

        e = talk(&r, "AUTH EXTERNAL ");
        for (unsigned i = 14; i < LIMIT_SASL_LINE - 1 && e == 0; i++)
                e = refusal_feed(&r, "3", 1);
        CHECK_EQ_INT(e, 0);
        CHECK_EQ_INT(refusal_feed(&r, "3", 1), REFUSAL_E_VIOLATION);
}

/* The longest output there can be. */
static void test_output_bound(void) {
        char text[1000];
        struct refusal r;

        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        refusal_init(&r, GUID, text);
        CHECK_EQ_INT(strlen(r.text), REFUSAL_TEXT - 1);
        CHECK_EQ_INT(refusal_feed(&r, "", 1), 0);
        for (unsigned i = 0; i < 15; i++)
                CHECK_EQ_INT(refusal_feed(&r, "AUTH EXTERNAL 30\r\nCANCEL\r\n", 26), 0);
        CHECK_EQ_INT(refusal_feed(&r, "AUTH EXTERNAL 30\r\nBEGIN\r\n", 25), 0);
        CHECK_EQ_INT(refusal_feed(&r, "l\1\0\1\0\0\0\0\1\0\0\0\0\0\0\0", 16), REFUSAL_E_DONE);
        CHECK(r.n_out < sizeof(r.out));
}

/* The first 16 bytes of a message, in the order asked for. */
static void head(uint8_t b[16], char order, uint8_t type, uint8_t flags, uint32_t body,
                 uint32_t serial, uint32_t fields) {
        uint32_t words[3] = {body, serial, fields};

        b[0] = (uint8_t)order;
        b[1] = type;
        b[2] = flags;
        b[3] = 1;
        for (unsigned i = 0; i < 12; i++)
                b[4 + i] = (uint8_t)(words[i / 4] >> 8 * (order == 'B' ? 3 - i % 4 : i % 4));
}

static size_t begun(struct refusal *r) {
        CHECK_EQ_INT(talk(r, "AUTH EXTERNAL 30\r\nBEGIN\r\n"), 0);
        return r->n_out;
}

static void check_answer(char order, uint32_t serial) {
        DBusError error = DBUS_ERROR_INIT;
        DBusMessage *m;
        struct refusal r;
        const char *text = NULL;
        uint8_t b[16];
        size_t at = begun(&r);

        head(b, order, DBUS_MESSAGE_TYPE_METHOD_CALL, 0, 0, serial, 109);
        CHECK_EQ_INT(refusal_feed(&r, b, 16), REFUSAL_E_DONE);
        CHECK_EQ_INT(r.out[at], order);
        m = dbus_message_demarshal((char *)r.out + at, (int)(r.n_out - at), &error);
        CHECK(m);
        if (!m)
                return;
        CHECK_EQ_INT(dbus_message_get_type(m), DBUS_MESSAGE_TYPE_ERROR);
        CHECK_EQ_STR(dbus_message_get_error_name(m), DBUS_ERROR_NO_SERVER);
        CHECK_EQ_INT(dbus_message_get_reply_serial(m), serial);
        CHECK_EQ_STR(dbus_message_get_sender(m), DBUS_SERVICE_DBUS);
        CHECK(dbus_message_get_no_reply(m));
        CHECK(dbus_message_get_args(m, &error, DBUS_TYPE_STRING, &text, DBUS_TYPE_INVALID));
        CHECK_EQ_STR(text, "no host");
        dbus_message_unref(m);
        at = r.n_out;
        CHECK_EQ_INT(refusal_feed(&r, b, 16), REFUSAL_E_DONE); /* and nothing more is said */
        CHECK_EQ_INT(r.n_out, at);
}

static void test_answer(void) {
        check_answer('l', 1);
        check_answer('B', 1);
        check_answer('l', 0x01020304);
        check_answer('B', 0xfffffffe);
}

/* Messages that want no answer go by, however they are cut. */
static void test_skips(void) {
        uint8_t b[16], zero[200] = {0};
        struct refusal r;
        size_t at = begun(&r);

        head(b, 'l', DBUS_MESSAGE_TYPE_SIGNAL, 0, 21, 1, 13); /* 16 + 21 bytes follow */
        CHECK_EQ_INT(refusal_feed(&r, b, 16), 0);
        CHECK_EQ_INT(refusal_feed(&r, zero, 30), 0);
        CHECK_EQ_INT(refusal_feed(&r, zero, 7), 0);
        head(b, 'B', DBUS_MESSAGE_TYPE_METHOD_CALL, 1 /* no reply */, 0, 2, 8);
        CHECK_EQ_INT(refusal_feed(&r, b, 16), 0);
        CHECK_EQ_INT(refusal_feed(&r, zero, 8), 0);
        CHECK_EQ_INT(r.n_out, at);
        head(b, 'l', DBUS_MESSAGE_TYPE_METHOD_CALL, 0, 0, 3, 0);
        for (unsigned i = 0; i < 15; i++)
                CHECK_EQ_INT(refusal_feed(&r, b + i, 1), 0);
        CHECK_EQ_INT(refusal_feed(&r, b + 15, 1), REFUSAL_E_DONE);
}

static void check_bad_head(size_t i, uint8_t value) {
        struct refusal r;
        uint8_t b[16];

        head(b, 'l', DBUS_MESSAGE_TYPE_METHOD_CALL, 0, 0, 1, 0);
        b[i] = value;
        (void)begun(&r);
        CHECK_EQ_INT(refusal_feed(&r, b, 16), REFUSAL_E_VIOLATION);
}

static void test_bad_heads(void) {
        check_bad_head(0, 'x');
        check_bad_head(1, 0);
        check_bad_head(3, 2);
        check_bad_head(7, 9);  /* a body of 144 MiB */
        check_bad_head(8, 0);  /* serial 0 */
        check_bad_head(14, 2); /* fields of 128 KiB */
}

TEST_MAIN({"SASL of the known clients", test_sasl_clients}, {"SASL states", test_sasl_states},
          {"SASL violations", test_sasl_violations}, {"SASL limits", test_sasl_limits},
          {"the output is bounded", test_output_bound},
          {"the answer, as libdbus reads it", test_answer},
          {"messages without an answer", test_skips}, {"bad messages", test_bad_heads})

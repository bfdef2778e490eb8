/* SPDX-License-Identifier: MIT */
#include "sbrouter/reply.h"

#include "common/limits.h"
#include "tests/test.h"
#include "tests/unit/sbrouter/bus.h"

/* Right and wrong serial, caller and callee, the first and the second time. */
static void test_triple(void) {
        struct bus b;

        bus_init(&b, ROUTER_STANDALONE);
        for (unsigned caller = 0; caller < 3; caller++)
                for (unsigned callee = 0; callee < 3; callee++) { /* to itself is allowed */
                        CHECK_EQ_INT(reply_expect(&b.router, b.c[caller], 7, b.c[callee]), 0);
                        for (unsigned x = 0; x < BUS_CLIENTS; x++)
                                for (unsigned y = 0; y < BUS_CLIENTS; y++)
                                        for (uint32_t serial = 6; serial < 9; serial++)
                                                if (x != caller || y != callee || serial != 7)
                                                        CHECK(!reply_take(&b.router, b.c[x], serial,
                                                                          b.c[y]));
                        CHECK(reply_take(&b.router, b.c[caller], 7, b.c[callee]));
                        CHECK(!reply_take(&b.router, b.c[caller], 7, b.c[callee]));
                }
        CHECK_EQ_INT(b.router.replies.n, 0);
        bus_done(&b);
}

static void test_same_serial(void) {
        struct bus b;

        bus_init(&b, ROUTER_STANDALONE);
        CHECK_EQ_INT(reply_expect(&b.router, b.c[0], 1, b.c[1]), 0);
        CHECK_EQ_INT(reply_expect(&b.router, b.c[0], 1, b.c[1]), REPLY_E_SERIAL);
        CHECK_EQ_INT(reply_expect(&b.router, b.c[0], 1, b.c[2]), REPLY_E_SERIAL);
        CHECK_EQ_INT(reply_expect(&b.router, b.c[2], 1, b.c[1]), 0); /* another's serial */
        CHECK(!reply_take(&b.router, b.c[0], 1, b.c[2]));
        CHECK(reply_take(&b.router, b.c[0], 1, b.c[1]));
        CHECK_EQ_INT(reply_expect(&b.router, b.c[0], 1, b.c[2]), 0); /* answered: free again */
        bus_done(&b);
}

static void test_limit(void) {
        struct bus b;

        bus_init(&b, ROUTER_STANDALONE);
        for (uint32_t i = 1; i <= LIMIT_PENDING_REPLIES; i++)
                CHECK_EQ_INT(reply_expect(&b.router, b.c[0], i, b.c[i % 3]), 0);
        CHECK_EQ_INT(reply_expect(&b.router, b.c[0], 0xffffffff, b.c[1]), REPLY_E_LIMIT);
        CHECK_EQ_INT(reply_expect(&b.router, b.c[1], 1, b.c[0]), 0); /* nobody else is limited */
        CHECK(reply_take(&b.router, b.c[0], 5, b.c[5 % 3]));
        CHECK_EQ_INT(reply_expect(&b.router, b.c[0], 0xffffffff, b.c[1]), 0);
        bus_done(&b);
}

/* Who called the one that leaves hears NoReply, once for each call; who was called by it nothing.
 */
static void test_leave(void) {
        struct bus b;

        bus_init(&b, ROUTER_STANDALONE);
        CHECK_EQ_INT(reply_expect(&b.router, b.c[0], 1, b.c[1]), 0);
        CHECK_EQ_INT(reply_expect(&b.router, b.c[0], 2, b.c[1]), 0);
        CHECK_EQ_INT(reply_expect(&b.router, b.c[0], 3, b.c[2]), 0);
        CHECK_EQ_INT(reply_expect(&b.router, b.c[1], 1, b.c[2]), 0);
        CHECK_EQ_INT(reply_expect(&b.router, b.c[1], 2, b.c[1]), 0);
        bus_leave(&b, 1);
        CHECK_EQ_INT(b.router.replies.n, 1);
        CHECK_EQ_INT(b.c[0]->n_calls, 1);
        CHECK_EQ_INT(b.c[1]->n_calls, 0);
        CHECK_EQ_INT(b.c[2]->out.bytes, 0);
        CHECK(b.c[0]->out.bytes > 0);

        struct message m;
        uint8_t buf[4096];
        size_t at = 0;
        CHECK_EQ_INT(connection_flush(b.c[0]), 0);
        ssize_t n = recv(b.ends[0], buf, sizeof(buf), 0);
        for (uint32_t serial = 1; serial <= 2; serial++) {
                CHECK_EQ_INT(message_parse(buf + at, (size_t)n - at, &m), 0);
                CHECK_EQ_INT(m.type, MESSAGE_ERROR);
                CHECK_EQ_INT(m.reply_serial, serial);
                CHECK_EQ_STR(m.error_name.s, "org.freedesktop.DBus.Error.NoReply");
                CHECK_EQ_STR(m.destination.s, b.c[0]->name);
                at += m.frame.n;
        }
        CHECK_EQ_INT(at, n);
        CHECK(reply_take(&b.router, b.c[0], 3, b.c[2]));
        bus_done(&b);
}

TEST_MAIN({"serial, caller and callee must agree", test_triple},
          {"a serial that is in use", test_same_serial}, {"limit per caller", test_limit},
          {"the callee leaves", test_leave})

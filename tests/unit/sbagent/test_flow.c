/* SPDX-License-Identifier: MIT */
#include "sbagent/flow.h"

#include <sys/socket.h>

#include "common/limits.h"
#include "tests/test.h"

/* source -> from | flow | to -> sink */
struct rig {
        int source, from, to, sink;
        struct flow flow;
        uint8_t scratch[LIMIT_AGENT_BUFFER];
};

static struct rig rig;

static void rig_init(void) {
        int a[2], b[2];

        memset(&rig, 0, sizeof(rig));
        CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
        CHECK_EQ_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b), 0);
        rig.source = a[0];
        rig.from = a[1];
        rig.to = b[0];
        rig.sink = b[1];
}

static void rig_done(void) {
        flow_done(&rig.flow);
        fd_close(rig.source);
        fd_close(rig.from);
        fd_close(rig.to);
        fd_close(rig.sink);
}

static bool move(void) {
        bool moved;

        CHECK_EQ_INT(
                flow_move(&rig.flow, rig.from, rig.to, rig.scratch, sizeof(rig.scratch), &moved),
                0);
        return moved;
}

static void check_sink(const char *expect) {
        char buf[64] = {0};

        CHECK_EQ_INT(recv(rig.sink, buf, sizeof(buf) - 1, MSG_DONTWAIT), strlen(expect));
        CHECK_EQ_STR(buf, expect);
}

static void test_through(void) {
        rig_init();
        CHECK(!move());
        CHECK_EQ_INT(send(rig.source, "abc", 3, 0), 3);
        CHECK(move());
        check_sink("abc");
        CHECK(!rig.flow.data); /* a receiver that keeps up costs nothing */
        rig_done();
}

static void test_put_first(void) {
        rig_init();
        CHECK_EQ_INT(flow_put(&rig.flow, "1", 1), 0);
        CHECK_EQ_INT(flow_put(&rig.flow, "2", 1), 0);
        CHECK_EQ_INT(flow_put(&rig.flow, NULL, 0), 0);
        CHECK_EQ_INT(send(rig.source, "3", 1, 0), 1);
        CHECK(flow_wants_write(&rig.flow) && !flow_wants_read(&rig.flow));
        CHECK(move());
        CHECK(move());
        check_sink("123");
        rig_done();
}

/* Fills everything until nothing moves; then what was kept is what the limit allows. */
static void test_bounded(void) {
        static uint8_t block[65536];
        unsigned idle = 0;
        uint64_t sent = 0, got = 0;
        ssize_t n;

        rig_init();
        while (idle < 2) {
                n = send(rig.source, block, sizeof(block), MSG_DONTWAIT);
                sent += n > 0 ? (uint64_t)n : 0;
                idle = !move() && n <= 0 ? idle + 1 : 0;
        }
        CHECK(flow_wants_write(&rig.flow) && !flow_wants_read(&rig.flow));
        CHECK(rig.flow.n - rig.flow.off <= LIMIT_AGENT_BUFFER);
        fd_close(rig.source);
        rig.source = -1;
        for (idle = 0; idle < 2;) {
                n = recv(rig.sink, block, sizeof(block), MSG_DONTWAIT);
                got += n > 0 ? (uint64_t)n : 0;
                idle = !move() && n <= 0 ? idle + 1 : 0;
        }
        CHECK_EQ_INT(got, sent);
        CHECK(!rig.flow.data && rig.flow.shut);
        rig_done();
}

static void test_end_is_passed_on(void) {
        char c;

        rig_init();
        CHECK_EQ_INT(flow_put(&rig.flow, "x", 1), 0);
        CHECK_EQ_INT(shutdown(rig.source, SHUT_WR), 0);
        CHECK(move()); /* x */
        CHECK(!flow_ended(&rig.flow));
        CHECK(move());
        CHECK(rig.flow.eof && rig.flow.shut && flow_ended(&rig.flow));
        check_sink("x");
        CHECK_EQ_INT(recv(rig.sink, &c, 1, MSG_DONTWAIT), 0);
        CHECK(!flow_wants_read(&rig.flow) && !flow_wants_write(&rig.flow));
        CHECK(!move());
        rig_done();
}

static void test_receiver_gone(void) {
        rig_init();
        fd_close(rig.sink);
        rig.sink = -1;
        CHECK_EQ_INT(send(rig.source, "abc", 3, 0), 3);
        CHECK(move());
        CHECK(rig.flow.broken && flow_ended(&rig.flow) && !rig.flow.data);
        CHECK(!flow_wants_read(&rig.flow));
        CHECK(!move());
        rig_done();
}

TEST_MAIN({"bytes go through", test_through}, {"what was put comes first", test_put_first},
          {"a receiver that stops", test_bounded}, {"the end is passed on", test_end_is_passed_on},
          {"a receiver that is gone", test_receiver_gone})

/* SPDX-License-Identifier: MIT */
#include "sbagent/host.h"

#include "common/limits.h"
#include "tests/test.h"

static void test_up(void) {
        struct host h = {0};

        CHECK(host_may_try(&h, 0));
        CHECK(!host_begin(&h)); /* nobody waits for this one */
        CHECK(host_succeeded(&h));
        CHECK(!host_succeeded(&h));
        CHECK(host_may_try(&h, 0));
}

/* 100 ms, 200 ms ... 5 s, without and with the most jitter. */
static void test_doubling(void) {
        static const uint32_t expect[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000};

        for (unsigned most = 0; most < 2; most++) {
                struct host h = {0};
                uint64_t now = 1000;

                for (size_t i = 0; i < ELEMENTSOF(expect); i++) {
                        uint32_t delay = expect[i] * 1000, jitter = most ? delay / 2 - 1 : 0;
                        bool probe = host_begin(&h);

                        CHECK_EQ_INT(probe, i > 0);
                        CHECK_EQ_INT(host_failed(&h, probe, now, jitter), i == 0);
                        CHECK_EQ_INT(h.next_try - now, delay - jitter);
                        CHECK(!host_may_try(&h, h.next_try - 1));
                        CHECK(host_may_try(&h, h.next_try));
                        now = h.next_try;
                }
                CHECK(host_succeeded(&h));
                CHECK(host_failed(&h, false, now, 0)); /* and from the start again */
                CHECK_EQ_INT(h.next_try - now, 100000);
        }
        CHECK_EQ_INT(expect[7], LIMIT_AGENT_BACKOFF_MS);
}

static void test_one_probe(void) {
        struct host h = {0};

        CHECK(host_failed(&h, false, 0, 0));
        CHECK(!host_failed(&h, false, 0, 0)); /* was under way with the first: counts once */
        CHECK_EQ_INT(h.delay_ms, 100);
        CHECK(host_may_try(&h, 100000));
        CHECK(host_begin(&h));
        CHECK(!host_may_try(&h, 100000));
        CHECK(!host_failed(&h, false, 200000, 0)); /* a straggler does not end the probe */
        CHECK(!host_may_try(&h, 300000));
        host_abandoned(&h, false); /* nor does one that leaves */
        CHECK(!host_may_try(&h, 300000));
        host_abandoned(&h, true);
        CHECK(host_may_try(&h, 300000)); /* the next client may try at once */
        CHECK_EQ_INT(h.delay_ms, 100);
}

static void test_busy(void) {
        struct host h = {0};

        CHECK(host_succeeded(&h));
        host_busy(&h, false, 1000, 0);
        CHECK_EQ_INT(h.state, HOST_UP);
        CHECK(!host_may_try(&h, 20999));
        CHECK(host_may_try(&h, 21000));
        CHECK(!host_succeeded(&h)); /* was up all the time */
        CHECK(host_may_try(&h, 0));
        CHECK(host_failed(&h, false, 0, 0));
        CHECK(host_begin(&h));
        host_busy(&h, true, 100000, 0); /* does not answer, and now not even that */
        CHECK_EQ_INT(h.state, HOST_DOWN);
        CHECK_EQ_INT(h.next_try, 300000);
}

/* One that is closed says nothing about the others; none that is answered does. */
static void test_hung_up(void) {
        struct host h = {0};

        CHECK(host_hung_up(&h, false, 0, 0)); /* never answered yet */
        CHECK_EQ_INT(h.state, HOST_DOWN);
        CHECK(host_succeeded(&h));
        for (unsigned round = 0; round < 3; round++) {
                for (unsigned i = 0; i < 7; i++)
                        CHECK(!host_hung_up(&h, false, 1000, 0));
                CHECK_EQ_INT(h.state, HOST_UP);
                CHECK(!host_may_try(&h, 20999));
                CHECK(host_may_try(&h, 21000));
                CHECK(!host_begin(&h)); /* not one at a time */
                CHECK(!host_succeeded(&h));
        }
        for (unsigned i = 0; i < 8; i++)
                CHECK_EQ_INT(host_hung_up(&h, false, 1000, 0), i == 7);
        CHECK_EQ_INT(h.state, HOST_DOWN);
        CHECK_EQ_INT(h.next_try, 101000);
        CHECK(host_begin(&h));
        CHECK(!host_hung_up(&h, true, 200000, 0)); /* the probe: down as before, and longer */
        CHECK_EQ_INT(h.next_try, 400000);
}

TEST_MAIN({"a host that answers", test_up}, {"delays double up to the limit", test_doubling},
          {"one probe at a time", test_one_probe}, {"a busy host", test_busy},
          {"a host that hangs up", test_hung_up})

/* SPDX-License-Identifier: MIT */
#include "sbrouter/share.h"

#include <stdlib.h>

#include "tests/test.h"

static void test_few(void) {
        struct shares s = {0};

        CHECK_EQ_INT(shares_add(&s, 7, 100), 0);
        CHECK_EQ_INT(shares_add(&s, 7, 50), 0);
        CHECK_EQ_INT(shares_add(&s, 0, 1000), 0);
        CHECK_EQ_INT(shares_add(&s, 8, 10), 0);
        CHECK_EQ_INT(shares_add(&s, 7, 1), 0);
        CHECK_EQ_INT(shares_of(&s, 7), 151);
        CHECK_EQ_INT(shares_of(&s, 8), 10);
        CHECK_EQ_INT(shares_of(&s, 9), 0);
        CHECK_EQ_INT(s.own, 1000);
        CHECK_EQ_INT(s.lent, 161);
        shares_take(&s, 120); /* in the middle of a message */
        CHECK_EQ_INT(shares_of(&s, 7), 31);
        shares_take(&s, 1030);
        CHECK_EQ_INT(s.own, 0);
        CHECK_EQ_INT(shares_of(&s, 7), 1);
        CHECK_EQ_INT(shares_of(&s, 8), 10);
        shares_take(&s, 11);
        CHECK_EQ_INT(s.own + s.lent, 0);
        CHECK_EQ_INT(shares_of(&s, 7), 0);
        shares_done(&s);
}

/* More of one sender than one mark can count. */
static void test_huge(void) {
        struct shares s = {0};

        for (unsigned i = 0; i < 40; i++)
                CHECK_EQ_INT(shares_add(&s, 3, 128u << 20), 0);
        CHECK_EQ_INT(shares_of(&s, 3), (size_t)40 * (128u << 20));
        shares_take(&s, (size_t)40 * (128u << 20) - 5);
        CHECK_EQ_INT(shares_of(&s, 3), 5);
        CHECK_EQ_INT(s.lent, 5);
        shares_done(&s);
}

/* Senders come and go at random, against a plain list of (sender, byte count). */
static void test_random(void) {
        static struct {
                uint64_t sender;
                size_t n;
        } log[20000];
        size_t from = 0, to = 0;
        struct shares s = {0};
        unsigned seed = 1;

        while (to < 20000) {
                size_t n = 0, sums[40] = {0};

                for (unsigned i = 0; i < 50 && to < 20000; i++, to++) {
                        seed = seed * 1103515245u + 12345u;
                        log[to].sender = (seed >> 12) % 40;
                        log[to].n = 1 + (seed >> 20) % 300;
                        CHECK_EQ_INT(shares_add(&s, log[to].sender, log[to].n), 0);
                }
                for (; from < to - to % 37 / 3; from++)
                        n += log[from].n;
                shares_take(&s, n);
                for (size_t i = from; i < to; i++)
                        sums[log[i].sender] += log[i].n;
                CHECK_EQ_INT(s.own, sums[0]);
                for (unsigned i = 1; i < 40; i++)
                        CHECK_EQ_INT(shares_of(&s, i), sums[i]);
                CHECK(s.n <= 39);
        }
        shares_done(&s);
}

TEST_MAIN({"a few", test_few}, {"more than a mark counts", test_huge}, {"at random", test_random})

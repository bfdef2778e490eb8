/* SPDX-License-Identifier: MIT */
#include "common/bucket.h"

#include "tests/test.h"

#define SECOND UINT64_C(1000000)

static unsigned take_all(struct bucket *b, const struct bucket_rate *rate, uint64_t now) {
        unsigned taken = 0;

        while (taken < 1000 && bucket_take(b, rate, now))
                taken++;
        return taken;
}

static void test_per_minute(void) {
        const struct bucket_rate rate = bucket_per_minute(60);
        struct bucket b = {0};

        CHECK_EQ_INT(take_all(&b, &rate, 0), 60);
        CHECK_EQ_INT(take_all(&b, &rate, SECOND - 1), 0);
        CHECK_EQ_INT(take_all(&b, &rate, SECOND), 1);
        CHECK_EQ_INT(take_all(&b, &rate, 11 * SECOND), 10);
        CHECK_EQ_INT(take_all(&b, &rate, 1000 * SECOND), 60); /* it never holds more */
        CHECK_EQ_INT(take_all(&b, &rate, 1000 * SECOND), 0);
}

static void test_pause(void) {
        const struct bucket_rate rate = {.burst = 3, .pause = 60 * SECOND};
        struct bucket b = {0};

        CHECK_EQ_INT(take_all(&b, &rate, 5 * SECOND), 3);
        CHECK_EQ_INT(take_all(&b, &rate, 64 * SECOND), 0);
        CHECK_EQ_INT(take_all(&b, &rate, 65 * SECOND), 1);
        CHECK(!bucket_has(&b, &rate, 65 * SECOND));
        CHECK(bucket_has(&b, &rate, 125 * SECOND));
}

static void test_one(void) {
        const struct bucket_rate rate = bucket_per_minute(1);
        struct bucket b = {0};

        CHECK(bucket_take(&b, &rate, SECOND) && !bucket_take(&b, &rate, 60 * SECOND));
        CHECK(bucket_take(&b, &rate, 61 * SECOND));
}

TEST_MAIN({"so many in a minute", test_per_minute}, {"so many in a row, then one a pause", test_pause},
          {"one a minute", test_one})

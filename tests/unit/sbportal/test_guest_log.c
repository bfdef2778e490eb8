/* SPDX-License-Identifier: MIT */
#include "sbportal/guest_log.h"

#include "common/limits.h"
#include "tests/test.h"

static void test_limit(void) {
        struct guest_log l = {0};
        unsigned left_out = 99, admitted = 0;

        for (unsigned i = 0; i < LIMIT_LOG_LINES_SECOND + 7; i++) {
                admitted += guest_log_admit(&l, 1000, &left_out);
                CHECK_EQ_INT(left_out, 0);
        }
        CHECK_EQ_INT(admitted, LIMIT_LOG_LINES_SECOND);
        CHECK(guest_log_admit(&l, 1001, &left_out));
        CHECK_EQ_INT(left_out, 7);
        CHECK(guest_log_admit(&l, 1001, &left_out));
        CHECK_EQ_INT(left_out, 0);
}

TEST_MAIN({"lines a second", test_limit})

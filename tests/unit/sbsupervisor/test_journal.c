/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/journal.h"

#include "common/limits.h"
#include "tests/test.h"

static void test_budget(void) {
        struct log_budget b = {0};
        unsigned dropped, taken = 0;

        for (unsigned i = 0; i < 1000; i++)
                taken += (unsigned)log_budget_take(&b, 7, &dropped);
        CHECK_EQ_INT(taken, LIMIT_LOG_LINES_SECOND);
        CHECK_EQ_INT(log_budget_take(&b, 8, &dropped), 1);
        CHECK_EQ_INT(dropped, 1000 - LIMIT_LOG_LINES_SECOND);
        CHECK_EQ_INT(log_budget_take(&b, 8, &dropped), 1);
        CHECK_EQ_INT(dropped, 0);
}

TEST_MAIN({"a flood of lines is counted, not logged", test_budget})

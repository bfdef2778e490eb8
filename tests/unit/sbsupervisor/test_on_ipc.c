/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/on_ipc.h"

#include "tests/test.h"

static void test_handlers(void) {
        CHECK_EQ_INT(ipc_check_table(on_ipc_handlers, on_ipc_n_handlers, IPC_SUPERVISOR), 0);
}

TEST_MAIN({"every message to the supervisor has a handler", test_handlers})

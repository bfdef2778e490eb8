/* SPDX-License-Identifier: MIT */
#include "sbportal/flood.h"

#include <stdio.h>

#include "common/cleanup.h"
#include "tests/test.h"

#define MINUTE UINT64_C(60000000)

/* How many of n are admitted at now. */
static unsigned admitted(struct flood *f, const char *client, unsigned n, uint64_t now) {
        unsigned ok = 0;

        while (n-- > 0)
                ok += flood_admit(f, client, now) == 0;
        return ok;
}

static void test_client(void) {
        struct flood f = {0};

        CHECK_EQ_INT(admitted(&f, ":1.7", 1000, 5), LIMIT_NOTIFICATIONS_CLIENT);
        CHECK_EQ_INT(flood_admit(&f, ":1.7", 5), FLOOD_E_CLIENT);
        CHECK_EQ_INT(admitted(&f, ":1.7", 1000, 5 + MINUTE / LIMIT_NOTIFICATIONS_CLIENT), 1);
        CHECK_EQ_INT(flood_admit(&f, ":1.8", 5), 0); /* another has its own */
        CHECK_EQ_INT(admitted(&f, ":1.7", 1000, 10 * MINUTE), LIMIT_NOTIFICATIONS_CLIENT);
        flood_done(&f);
}

static void test_vm(void) {
        struct flood f = {0};
        unsigned ok = 0;
        char client[16];

        for (unsigned i = 0; i < 1000; i++) {
                (void)snprintf(client, sizeof(client), ":1.%u", i);
                ok += admitted(&f, client, 1, 0);
        }
        CHECK_EQ_INT(ok, LIMIT_NOTIFICATIONS_VM);
        CHECK_EQ_INT(flood_admit(&f, ":2.1", 0), FLOOD_E_VM);
        CHECK_EQ_INT(flood_admit(&f, ":2.1", MINUTE / LIMIT_NOTIFICATIONS_VM), 0);
        flood_done(&f);
}

/* New clients for ever, each as soon as the VM may: there is a place for every one. */
static void test_many_clients(void) {
        struct flood f = {0};
        unsigned clients = 0;
        char client[16];

        for (uint64_t now = 0; now < 5 * MINUTE; now += 50000) {
                (void)snprintf(client, sizeof(client), ":1.%u", clients);
                if (flood_admit(&f, client, now) == 0)
                        clients++;
                if (clients % 3 == 0) /* some come back, and have less */
                        (void)flood_admit(&f, ":1.0", now);
        }
        CHECK(clients >= 2 * LIMIT_NOTIFICATIONS_VM);
        flood_done(&f);
}

TEST_MAIN({"client", test_client}, {"VM", test_vm}, {"many clients", test_many_clients})

/* SPDX-License-Identifier: MIT */
#include "sbsupervisor/notification.h"

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/test.h"

static void test_issued(void) {
        struct notifications n = {0};
        char id[32];

        CHECK(!notifications_is_issued(&n, "1.7/a"));
        CHECK_EQ_INT(notifications_issue(&n, "1.7/a"), 0);
        CHECK_EQ_INT(notifications_issue(&n, "1.7/a"), 0);
        CHECK(notifications_is_issued(&n, "1.7/a"));
        CHECK(!notifications_is_issued(&n, "1.7/"));
        notifications_withdraw(&n, "1.7/a");
        notifications_withdraw(&n, "1.7/a");
        CHECK(!notifications_is_issued(&n, "1.7/a"));
        /* The oldest goes for a newcomer. */
        for (unsigned i = 0; i <= LIMIT_NOTIFICATIONS_ISSUED; i++) {
                (void)snprintf(id, sizeof(id), "1.7/%u", i);
                CHECK_EQ_INT(notifications_issue(&n, id), 0);
        }
        CHECK(notifications_is_issued(&n, id));
        CHECK(notifications_is_issued(&n, "1.7/2"));
        CHECK(!notifications_is_issued(&n, "1.7/0"));
        notifications_done(&n);
        CHECK(!notifications_is_issued(&n, id));
}

static void test_ids(void) {
        static const char *const strange[] = {"", "/", "1.7/", "1.7/a/b", "org.x/1.7/a", "ä\n"};

        for (size_t i = 0; i < ELEMENTSOF(strange); i++) {
                _cleanup_free_ char *host = notification_id_to_host("org.sidebus.vm.x", strange[i]);

                CHECK_EQ_STR(notification_id_from_host("org.sidebus.vm.x", host), strange[i]);
                CHECK(!notification_id_from_host("org.sidebus.vm", host));
                CHECK(!notification_id_from_host("org.sidebus.vm.xy", host));
        }
        CHECK(!notification_id_from_host("org.sidebus.vm.x", "org.sidebus.vm.x"));
        CHECK(!notification_id_from_host("org.sidebus.vm.x", ""));
}

/* Those of GLib's action names. */
#define ACTION_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"

static void test_actions(void) {
        static const char *const strange[] = {
                "", "app.", "app.read", "vm.", "vm.app.x", "default", "mark as read", "a::b", "a(1)",
                "-", "--2d", "\xc3\xa4", "\xff\x01\n", "A-Z",
        };
        static const char *const foreign[] = {
                "", "v", "vm", "app.x", "defaults", "vm.-", "vm.-2", "vm.-2D", "vm.-00", "vm.-41", "vm.a b",
                "vm.-2e", "vm.-g0", "vm.a_b",
        };

        for (size_t i = 0; i < ELEMENTSOF(strange); i++) {
                _cleanup_free_ char *host = notification_action_to_host(strange[i]);

                _cleanup_free_ char *back = NULL;

                CHECK(strncmp(host, "vm.", 3) == 0);
                CHECK_EQ_INT(strspn(host, ACTION_CHARS), strlen(host));
                CHECK_EQ_INT(notification_action_from_host(host, &back), 0);
                CHECK_EQ_STR(back, strange[i]);
        }
        {
                _cleanup_free_ char *click = NULL;

                CHECK_EQ_INT(notification_action_from_host("default", &click), 0);
                CHECK_EQ_STR(click, "default");
        }
        for (size_t i = 0; i < ELEMENTSOF(foreign); i++) {
                char *none = NULL;

                CHECK_EQ_INT(notification_action_from_host(foreign[i], &none), NOTIFICATION_E_ACTION);
                CHECK(!none);
        }
}

TEST_MAIN({"only what was issued, and not withdrawn, is known; the oldest go", test_issued},
          {"an id on the host is of this VM alone, and comes back as it was", test_ids},
          {"no action is the application's on the host, and each comes back", test_actions})

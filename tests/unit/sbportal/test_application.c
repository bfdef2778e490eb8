/* SPDX-License-Identifier: MIT */
#include "sbportal/application.h"

#include <stdlib.h>

#include "common/cleanup.h"
#include "tests/test.h"

static void test_path(void) {
        static const char *const paths[][2] = {
                {"org.example.Mail", "/org/example/Mail"},
                {"org.example.Mail-Reader", "/org/example/Mail_Reader"},
                {"a.b_1", "/a/b_1"},
        };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                _cleanup_free_ char *path = application_path(paths[i][0]);

                CHECK_EQ_STR(path, paths[i][1]);
        }
}

static void test_action(void) {
        CHECK(application_has_action("app.read") && application_has_action("app."));
        CHECK(!application_has_action("app") && !application_has_action("read"));
        CHECK(!application_has_action("") && !application_has_action("win.app.read"));
}

TEST_MAIN({"an application's object, by its name", test_path},
          {"which actions are an application's", test_action})
